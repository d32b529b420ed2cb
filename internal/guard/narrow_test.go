package guard_test

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// The small worlds that policies of the property are made of.
var (
	someTools    = []string{"list", "restart", "delete"}
	someToolsets = []string{"instances", "workspace"}
	someRisks    = map[string]guard.Risk{"list": guard.Read, "restart": guard.Disruptive, "delete": guard.Destructive}
	someLevels   = []guard.Level{guard.Flag, guard.Preview, guard.Human}
	somePatterns = []string{"*", "train-*", "*-1", "id:b", "region:x", "none"}
	someTargets  = []guard.Target{
		{ID: "a", Name: "train-1", Region: "x"}, {ID: "b", Name: "prod-1", Region: "x"}, {ID: "c", Name: "train-2", Region: "y"},
	}
)

// some returns a random part of items, nil as often as an empty one.
func some[T any](random *rand.Rand, items []T) []T {
	if random.IntN(3) == 0 {
		return nil
	}
	part := []T{}
	for _, item := range items {
		if random.IntN(2) == 0 {
			part = append(part, item)
		}
	}
	return part
}

func randomPolicy(t *testing.T, random *rand.Rand) guard.Policy {
	t.Helper()
	list := func() (patterns []guard.Pattern) {
		for _, text := range some(random, somePatterns) {
			patterns = append(patterns, pattern(t, text))
		}
		return patterns
	}
	p := guard.Policy{
		ReadOnly: random.IntN(4) == 0, Toolsets: some(random, someToolsets), DisabledTools: some(random, someTools),
		MaxTargets: random.IntN(4), NeverAsk: random.IntN(2) == 0, AllowAccessURLs: random.IntN(4) > 0,
	}
	for range random.IntN(3) {
		p.Allow = append(p.Allow, list())
	}
	if random.IntN(2) == 0 {
		p.Protect = list()
	}
	for _, tool := range some(random, someTools) {
		if p.Consent == nil {
			p.Consent = map[string]guard.Level{}
		}
		p.Consent[tool] = someLevels[random.IntN(3)]
	}
	return p
}

func rank(l guard.Level) int { return slices.Index(someLevels, l) }

// What a narrowed policy permits, all permit that it was made of; what all permit, it permits; and no caller needs less
// consent than the operator's policy says.
func TestNarrowProperty(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 1_500 {
		operator, caller, further := randomPolicy(t, random), randomPolicy(t, random), randomPolicy(t, random)
		all := []guard.Policy{operator, caller, further}
		before := fmt.Sprint(all)
		for which, narrowed := range []guard.Policy{operator.Narrow(caller).Narrow(further), operator.Narrow(caller.Narrow(further))} {
			about := fmt.Sprintf("%d/%d: %+v", i, which, all)
			checkPermits(t, about, narrowed, all)
			checkLevels(t, about, narrowed, all)
		}
		if after := fmt.Sprint(all); after != before {
			t.Fatalf("a policy was changed: %s\nnow %s", before, after)
		}
		if t.Failed() {
			return
		}
	}
}

func checkPermits(t *testing.T, about string, narrowed guard.Policy, all []guard.Policy) {
	t.Helper()
	same := func(what string, ask func(guard.Policy) error) {
		t.Helper()
		every := !slices.ContainsFunc(all, func(p guard.Policy) bool { return ask(p) != nil })
		if got := ask(narrowed) == nil; got != every {
			t.Errorf("%s\n%s: permitted %v, by all of them %v", about, what, got, every)
		}
	}
	for _, tool := range someTools {
		for _, toolset := range someToolsets {
			same(tool+" of "+toolset, func(p guard.Policy) error { return p.Offers(tool, toolset, someRisks[tool]) })
		}
	}
	for _, target := range someTargets {
		same(target.String(), func(p guard.Policy) error { return p.PermitsEach([]guard.Target{target}) })
		same("access to "+target.String(), func(p guard.Policy) error { return p.PermitsAccess(target) })
	}
	all = slices.Clone(all)
	for i := range all[1:] {
		all[i+1].MaxTargets = cmp.Or(all[i+1].MaxTargets, math.MaxInt) // who narrows without a number sets no limit
	}
	for n := range 12 {
		same(fmt.Sprint(n), func(p guard.Policy) error { return p.PermitsCount(n) })
	}
	same("all targets", func(p guard.Policy) error { return p.Permits(someTargets) })
}

func checkLevels(t *testing.T, about string, narrowed guard.Policy, all []guard.Policy) {
	t.Helper()
	for _, tool := range someTools {
		want := all[0].Level(tool, guard.DefaultLevel(someRisks[tool]))
		for _, by := range all[1:] {
			if level, set := by.Consent[tool]; set && rank(level) > rank(want) {
				want = level
			}
		}
		if got := narrowed.Level(tool, guard.DefaultLevel(someRisks[tool])); got != want {
			t.Errorf("%s\n%s needs %s, want %s", about, tool, got, want)
		}
	}
	if narrowed.NeverAsk != slices.ContainsFunc(all, func(p guard.Policy) bool { return p.NeverAsk }) {
		t.Errorf("%s\nNeverAsk %v", about, narrowed.NeverAsk)
	}
}

func TestNarrowedConsent(t *testing.T) {
	levels := func(l guard.Level) guard.Policy {
		if l == "" {
			return guard.Policy{}
		}
		return guard.Policy{Consent: map[string]guard.Level{"tool": l}}
	}
	for _, c := range []struct {
		operator, caller guard.Level
		risk             guard.Risk
		want             guard.Level
	}{
		{"", "", guard.Destructive, guard.Preview},
		{"", guard.Flag, guard.Destructive, guard.Preview}, // a caller lowers nothing
		{"", guard.Human, guard.Destructive, guard.Human},
		{"", guard.Preview, guard.Disruptive, guard.Preview},
		{guard.Flag, "", guard.Destructive, guard.Flag}, // the operator may
		{guard.Flag, guard.Flag, guard.Destructive, guard.Flag},
		{guard.Flag, guard.Human, guard.Destructive, guard.Human},
		{guard.Human, guard.Flag, guard.Destructive, guard.Human},
		{guard.Human, "", guard.Disruptive, guard.Human},
	} {
		if got := levels(c.operator).Narrow(levels(c.caller)).Level("tool", guard.DefaultLevel(c.risk)); got != c.want {
			t.Errorf("operator %q, caller %q: %s tools need %s, want %s", c.operator, c.caller, c.risk, got, c.want)
		}
	}
}

// Tool lists of which nothing is in common offer nothing, which nil would not.
func TestNarrowedToNothing(t *testing.T) {
	narrowed := guard.Policy{Toolsets: []string{"instances"}}.Narrow(guard.Policy{Toolsets: []string{"workspace"}})
	for _, toolset := range someToolsets {
		var refusal *guard.Refusal
		if err := narrowed.Offers("list", toolset, guard.Read); !errors.As(err, &refusal) || refusal.Rule != "toolsets" {
			t.Errorf("%s: %v", toolset, err)
		}
	}
}

// A policy that is asked again is the one of that moment, and there may be none any more.
func TestLive(t *testing.T) {
	var (
		narrower guard.Policy
		gone     error
	)
	live := guard.Fixed(guard.Policy{DisabledTools: []string{"list"}}).Narrow(func() (guard.Policy, error) { return narrower, gone })
	offers := func(tool string) bool {
		p, err := live()
		if err != nil {
			t.Fatal(err)
		}
		return p.Offers(tool, "instances", someRisks[tool]) == nil
	}
	if offers("list") || !offers("delete") {
		t.Error("both policies are not in force")
	}
	narrower.ReadOnly = true
	if offers("delete") {
		t.Error("the change is not in force")
	}
	gone = errors.New("removed")
	if _, err := live(); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, err := guard.Live(func() (guard.Policy, error) { return guard.Policy{}, gone }).Narrow(live)(); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}
