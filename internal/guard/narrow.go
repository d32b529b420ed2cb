package guard

import "slices"

// Narrow returns a policy that allows what both p and by allow, with p the operator's and by a caller's. Consent in by can
// only raise the level that a tool has under p; a tool that by does not name keeps that level, also where p lowers it. A
// MaxTargets of 0 counts as DefaultMaxTargets in either.
func (p Policy) Narrow(by Policy) Policy {
	return Policy{
		ReadOnly:      p.ReadOnly || by.ReadOnly,
		Toolsets:      both(p.Toolsets, by.Toolsets),
		DisabledTools: slices.Concat(p.DisabledTools, by.DisabledTools),
		Allow:         slices.Concat(p.Allow, by.Allow),
		Protect:       slices.Concat(p.Protect, by.Protect),
		MaxTargets:    min(p.maxTargets(), by.maxTargets()),
		Consent:       p.Consent,
		NeverAsk:      p.NeverAsk || by.NeverAsk,
		raised:        slices.Concat(p.raised, []map[string]Level{by.Consent}, by.raised),
	}
}

// both returns what is in both lists, of which nil stands for everything. It is not nil when nothing is left.
func both(a, b []string) []string {
	switch {
	case a == nil:
		return slices.Clone(b)
	case b == nil:
		return slices.Clone(a)
	}
	common := []string{}
	for _, item := range a {
		if slices.Contains(b, item) {
			common = append(common, item)
		}
	}
	return common
}
