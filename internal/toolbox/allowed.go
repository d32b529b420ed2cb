package toolbox

import "github.com/scnet-mcp/scnet-mcp/internal/guard"

// Allowed is what a caller may do, for the caller. It tells what calls would tell one by one, and so names neither a tool
// that is not offered nor an instance.
type Allowed struct {
	ReadOnly               bool          `json:"read_only"`
	Tools                  []AllowedTool `json:"tools"`
	MaxTargets             int           `json:"max_targets"`
	MaxMutationsPerHour    int           `json:"max_mutations_per_hour"`
	MaxAccelerators        int           `json:"max_accelerators,omitempty"`
	MaxRunningAccelerators int           `json:"max_running_accelerators,omitempty"`
	AccessURLs             bool          `json:"access_urls"`
	ProtectsSome           bool          `json:"protects_some_instances"`
	AllowsSomeOnly         bool          `json:"allows_changes_of_some_instances_only"`
}

// AllowedTool is a tool that is offered.
type AllowedTool struct {
	Name    string      `json:"name"`
	Toolset string      `json:"toolset"`
	Risk    guard.Risk  `json:"risk"`
	Consent guard.Level `json:"consent,omitempty"` // that a change needs
}

// Allowed returns what the policy of this moment allows.
func (b *Toolbox) Allowed() (Allowed, error) {
	policy, err := b.live()
	if err != nil {
		return Allowed{}, err
	}
	limits := policy.Limits()
	allowed := Allowed{
		ReadOnly: limits.ReadOnly, Tools: []AllowedTool{}, MaxTargets: limits.MaxTargets,
		MaxMutationsPerHour: b.rules.MaxMutationsPerHour, MaxAccelerators: limits.MaxAccelerators,
		MaxRunningAccelerators: limits.MaxRunningAccelerators, AccessURLs: limits.AccessURLs,
		ProtectsSome: limits.ProtectsSome, AllowsSomeOnly: limits.AllowsSomeOnly,
	}
	for _, t := range b.Tools() {
		if policy.Offers(t.Name, t.Toolset, t.Risk) != nil {
			continue
		}
		one := AllowedTool{Name: t.Name, Toolset: t.Toolset, Risk: t.Risk}
		if t.Risk != guard.Read {
			one.Consent = policy.Level(t.Name, t.StandardConsent())
		}
		allowed.Tools = append(allowed.Tools, one)
	}
	return allowed, nil
}
