package guard_test

import (
	"errors"
	"fmt"
	"slices"
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

// A refusal is short and clean however many targets there are and whatever their names hold.
func TestRefusalsAreShort(t *testing.T) {
	var targets []guard.Target
	for i := range 100 {
		targets = append(targets, guard.Target{ID: fmt.Sprint(i), Name: strings.Repeat("\x1b[31m\u202ex", 500)})
	}
	for rule, policy := range map[string]guard.Policy{
		"protect": {Protect: []guard.Pattern{pattern(t, "name:*")}}, "allow": {Allow: [][]guard.Pattern{{}}},
	} {
		err := policy.PermitsEach(targets)
		checkRule(t, rule, err, rule)
		if text := err.Error(); len(text) > 700 || strings.ContainsAny(text, "\x1b\u202e") || !strings.HasSuffix(text, "(4), and 95 more") {
			t.Errorf("%d bytes: %s", len(text), text)
		}
	}
	err := guard.Policy{Protect: []guard.Pattern{pattern(t, "name:x")}}.PermitsEach([]guard.Target{{}})
	if want := "the operator has protected one that the service does not name"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// A caller is told whose policy forbids it, and that the others do not.
func TestRefusalsNameTheOwner(t *testing.T) {
	ci := guard.Policy{
		Caller: "ci", ReadOnly: true, Toolsets: []string{"instances"}, DisabledTools: []string{"list"}, MaxTargets: 1,
		Protect: []guard.Pattern{pattern(t, "a")}, Allow: [][]guard.Pattern{{pattern(t, "id:a")}},
	}
	a, b := guard.Target{ID: "a", Name: "x"}, guard.Target{ID: "b", Name: "y"}
	for want, ask := range map[string]func(guard.Policy) error{
		"the policy of caller ci is read-only, and delete changes something": func(p guard.Policy) error {
			return p.Offers("delete", "instances", guard.Destructive)
		},
		"the policy of caller ci has not enabled the toolset workspace, to which look belongs": func(p guard.Policy) error {
			return p.Offers("look", "workspace", guard.Read)
		},
		"the policy of caller ci has disabled list": func(p guard.Policy) error { return p.Offers("list", "instances", guard.Read) },
		"2 targets in one call; the policy of caller ci allows 1": func(p guard.Policy) error {
			return p.Permits([]guard.Target{a, b})
		},
		`the policy of caller ci has protected "x" (a)`:             func(p guard.Policy) error { return p.PermitsEach([]guard.Target{a}) },
		`the policy of caller ci does not allow changes of "y" (b)`: func(p guard.Policy) error { return p.PermitsEach([]guard.Target{b}) },
	} {
		if err := ask(guard.Policy{}.Narrow(ci)); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
		if err := ask(guard.Policy{}); err != nil {
			t.Errorf("the operator: %v", err)
		}
	}
	if err := (guard.Policy{ReadOnly: true}).Narrow(ci).Offers("delete", "instances", guard.Destructive); err == nil ||
		!strings.HasPrefix(err.Error(), "the server runs read-only") {
		t.Errorf("%v", err)
	}
}

func TestExplain(t *testing.T) {
	a, b := guard.Target{ID: "a", Name: "Prod-1", Region: "x"}, guard.Target{ID: "b", Region: "x"}
	policy := guard.Policy{
		Protect: []guard.Pattern{pattern(t, " name: prod-* "), pattern(t, "none")}, Allow: [][]guard.Pattern{{pattern(t, "region:x")}},
	}.Narrow(guard.Policy{Caller: "ci", Allow: [][]guard.Pattern{{pattern(t, "a"), pattern(t, "c")}}})
	var got []string
	for _, c := range policy.Explain([]guard.Target{a, b}) {
		line := c.Caller + "|" + c.Rule + "|" + c.Pattern.String()
		for _, target := range c.Targets {
			line += "|" + target.ID
		}
		got = append(got, line)
	}
	want := []string{
		"|protect|name: prod-*|a|b", "|protect|none|b", "|allow|region:x|a|b",
		"ci|allow|a|a", "ci|allow|c",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Every refusal has one of the rules that there are.
func TestRules(t *testing.T) {
	for _, rule := range []string{"read-only", "toolsets", "disable-tools", "allow", "protect", "max-targets", "max-mutations-per-hour",
		"max-accelerators", "max-running-accelerators", "allow-access-urls",
		guard.ConsentRule, guard.CallerRule} {
		if !slices.Contains(guard.Rules(), rule) {
			t.Errorf("%s is not among %v", rule, guard.Rules())
		}
	}
}

func TestPermitsAccess(t *testing.T) {
	allowed, target := guard.Policy{AllowAccessURLs: true}, guard.Target{ID: "a", Name: "prod-1"}
	if err := allowed.PermitsAccess(target); err != nil {
		t.Error(err)
	}
	for name, p := range map[string]guard.Policy{
		"zero": {}, "caller": allowed.Narrow(guard.Policy{}), "operator": guard.Policy{}.Narrow(allowed),
	} {
		checkRule(t, name, p.PermitsAccess(target), "allow-access-urls")
	}
	allowed.Protect = []guard.Pattern{pattern(t, "prod-*")}
	checkRule(t, "protected", allowed.PermitsAccess(target), "protect")
}
