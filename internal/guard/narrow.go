package guard

import (
	"math"
	"slices"
)

// Narrow returns a policy that allows what both p and by allow, with p the operator's and by a caller's. A refusal names the
// one that refuses. Consent in by can only raise the level that a tool has under p; a tool that by does not name keeps that
// level, also where p lowers it. A MaxTargets of 0 in by does not limit.
func (p Policy) Narrow(by Policy) Policy {
	if by.MaxTargets == 0 {
		by.MaxTargets = math.MaxInt
	}
	p.NeverAsk = p.NeverAsk || by.NeverAsk
	p.narrowedBy = append(slices.Clip(p.narrowedBy), by)
	return p
}

// Live returns a policy that may change while a call runs. Its error, usually a *Refusal, says that there is none any more,
// and that nothing may be changed. It is asked before every target, so it must be quick.
type Live func() (Policy, error)

// Fixed returns a policy that does not change.
func Fixed(p Policy) Live { return func() (Policy, error) { return p, nil } }

// Narrow is as Policy.Narrow, with both policies as they are when it is asked.
func (l Live) Narrow(by Live) Live {
	return func() (Policy, error) {
		p, err := l()
		if err != nil {
			return Policy{}, err
		}
		narrower, err := by()
		if err != nil {
			return Policy{}, err
		}
		return p.Narrow(narrower), nil
	}
}
