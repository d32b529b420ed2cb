package guard_test

import (
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

func TestLimits(t *testing.T) {
	pattern, err := guard.ParsePattern("name:a")
	if err != nil {
		t.Fatal(err)
	}
	operator := guard.Policy{MaxTargets: 7, MaxAccelerators: 16, AllowAccessURLs: true, Protect: []guard.Pattern{pattern}}
	for name, c := range map[string]struct {
		policy guard.Policy
		want   guard.Limits
	}{
		"nothing set": {guard.Policy{}, guard.Limits{MaxTargets: guard.DefaultMaxTargets}},
		"the operator's": {operator,
			guard.Limits{MaxTargets: 7, MaxAccelerators: 16, AccessURLs: true, ProtectsSome: true}},
		"a caller without limits": {operator.Narrow(guard.Policy{AllowAccessURLs: true}),
			guard.Limits{MaxTargets: 7, MaxAccelerators: 16, AccessURLs: true, ProtectsSome: true}},
		"a caller with higher limits": {operator.Narrow(guard.Policy{MaxTargets: 90, MaxAccelerators: 90}),
			guard.Limits{MaxTargets: 7, MaxAccelerators: 16, ProtectsSome: true}},
		"a caller with lower limits": {
			operator.Narrow(guard.Policy{MaxTargets: 3, MaxAccelerators: 8, MaxRunningAccelerators: 4, ReadOnly: true}).
				Narrow(guard.Policy{Allow: [][]guard.Pattern{{pattern}}}),
			guard.Limits{ReadOnly: true, MaxTargets: 3, MaxAccelerators: 8, MaxRunningAccelerators: 4, ProtectsSome: true, AllowsSomeOnly: true},
		},
	} {
		if got := c.policy.Limits(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
