package guard

import "cmp"

// Limits are what a policy allows at most, together with those that narrow it.
type Limits struct {
	ReadOnly               bool
	MaxTargets             int // of one call
	MaxAccelerators        int // 0: no limit, as for the next
	MaxRunningAccelerators int
	AccessURLs             bool // access addresses may be shown
	ProtectsSome           bool // some instances must not be changed
	AllowsSomeOnly         bool // only some instances may be changed
}

// Limits returns the limits of p.
func (p Policy) Limits() Limits {
	limits := Limits{MaxTargets: cmp.Or(p.MaxTargets, DefaultMaxTargets), AccessURLs: true}
	_ = p.each(func(p Policy) error {
		limits.ReadOnly = limits.ReadOnly || p.ReadOnly
		limits.MaxTargets = min(limits.MaxTargets, cmp.Or(p.MaxTargets, DefaultMaxTargets))
		limits.MaxAccelerators = lower(limits.MaxAccelerators, p.MaxAccelerators)
		limits.MaxRunningAccelerators = lower(limits.MaxRunningAccelerators, p.MaxRunningAccelerators)
		limits.AccessURLs = limits.AccessURLs && p.AllowAccessURLs
		limits.ProtectsSome = limits.ProtectsSome || len(p.Protect) > 0
		limits.AllowsSomeOnly = limits.AllowsSomeOnly || len(p.Allow) > 0
		return nil
	})
	return limits
}

// lower returns the lower of two limits, of which 0 is none.
func lower(a, b int) int {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
