package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

func pattern(t *testing.T, text string) guard.Pattern {
	t.Helper()
	p, err := guard.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPattern(t *testing.T) {
	target := guard.Target{ID: "530491fa7c8e47348f01de73e627a6a7", Name: "Prod/train-7B", Region: "11250", RegionName: "华东一区【昆山】"}
	for text, want := range map[string]bool{
		"530491fa7c8e47348f01de73e627a6a7":    true,
		"530491FA7C8E47348F01DE73E627A6A7":    true,
		"id:530491fa7c8e47348f01de73e627a6a7": true,
		"id:5304*":                            true,
		"id:prod*":                            false,
		"prod*":                               true,
		"PROD*":                               true,
		"*train*":                             true,
		"train*":                              false,
		"name:prod/train*":                    true,
		"name:prod?train*":                    true,
		"name:5304*":                          false,
		"region:11250":                        true,
		"region:*昆山*":                         true,
		"region:20057":                        false,
		"[a-p]rod*":                           true,
		"*":                                   true,
	} {
		if got := pattern(t, text).Matches(target); got != want {
			t.Errorf("%q matches: %v", text, got)
		}
	}
	for _, text := range []string{"", "  ", "id:", "colour:red", "[", "name:[a"} {
		if _, err := guard.ParsePattern(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestOffers(t *testing.T) {
	for name, c := range map[string]struct {
		policy guard.Policy
		risk   guard.Risk
		rule   string
	}{
		"zero policy":          {guard.Policy{}, guard.Destructive, ""},
		"read-only, read":      {guard.Policy{ReadOnly: true}, guard.Read, ""},
		"read-only, write":     {guard.Policy{ReadOnly: true}, guard.Disruptive, "read-only"},
		"toolset enabled":      {guard.Policy{Toolsets: []string{"instances"}}, guard.Read, ""},
		"toolset not enabled":  {guard.Policy{Toolsets: []string{"workspace"}}, guard.Read, "toolsets"},
		"no toolset at all":    {guard.Policy{Toolsets: []string{}}, guard.Read, "toolsets"},
		"disabled":             {guard.Policy{DisabledTools: []string{"tool"}}, guard.Read, "disable-tools"},
		"another one disabled": {guard.Policy{DisabledTools: []string{"other"}}, guard.Read, ""},
	} {
		checkRule(t, name, c.policy.Offers("tool", "instances", c.risk), c.rule)
	}
}

func checkRule(t *testing.T, name string, err error, rule string) {
	t.Helper()
	var refusal *guard.Refusal
	if errors.As(err, &refusal) != (rule != "") || (refusal != nil && refusal.Rule != rule) {
		t.Errorf("%s: %v, want rule %q", name, err, rule)
	}
}

func TestPermits(t *testing.T) {
	a := guard.Target{ID: "a", Name: "train-1"}
	b := guard.Target{ID: "b", Name: "prod-1"}
	many := make([]guard.Target, 11)
	for name, c := range map[string]struct {
		policy  guard.Policy
		targets []guard.Target
		rule    string
		names   string
	}{
		"nothing set":                 {guard.Policy{}, []guard.Target{a, b}, "", ""},
		"default cap":                 {guard.Policy{}, many, "max-targets", "11"},
		"higher cap":                  {guard.Policy{MaxTargets: 11}, many, "", ""},
		"one protected among allowed": {guard.Policy{Protect: []guard.Pattern{pattern(t, "prod-*")}}, []guard.Target{a, b}, "protect", `"prod-1" (b)`},
		"all allowed":                 {guard.Policy{Allow: [][]guard.Pattern{{pattern(t, "train-*"), pattern(t, "id:b")}}}, []guard.Target{a, b}, "", ""},
		"one not allowed":             {guard.Policy{Allow: [][]guard.Pattern{{pattern(t, "train-*")}}}, []guard.Target{a, b}, "allow", `"prod-1" (b)`},
		"allowed by one list only": {guard.Policy{Allow: [][]guard.Pattern{{pattern(t, "train-*"), pattern(t, "prod-*")}, {pattern(t, "id:a")}}},
			[]guard.Target{a, b}, "allow", `"prod-1" (b)`},
		"a list without patterns allows nothing": {guard.Policy{Allow: [][]guard.Pattern{{pattern(t, "*")}, {}}}, []guard.Target{a}, "allow", "train-1"},
		"protection wins": {guard.Policy{Allow: [][]guard.Pattern{{pattern(t, "*")}}, Protect: []guard.Pattern{pattern(t, "a")}},
			[]guard.Target{a}, "protect", "train-1"},
	} {
		err := c.policy.Permits(c.targets)
		checkRule(t, name, err, c.rule)
		if err != nil && !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v does not name %s", name, err, c.names)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("name:prod-*", "prod-1")
	f.Add("[a-", "x")
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := guard.ParsePattern(text)
		if err != nil {
			return
		}
		p.Matches(guard.Target{ID: name, Name: name, Region: name})
		if !pattern(t, "*").Matches(guard.Target{Name: name}) {
			t.Errorf("* does not match %q", name)
		}
	})
}
