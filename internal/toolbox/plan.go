package toolbox

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Plan is what a call would do, resolved from the service. Its targets may be in several regions.
type Plan struct {
	Effect  lang.Text // what would happen, to go on from "This call"
	Targets []Target
	Script  *audit.Script
	Guarded []Target // what policy is checked against, if not Targets: a run's desktops

	Occupies *Occupation // what the call would occupy; nil for nothing that a policy limits
}

// Changes counts the targets that something would happen to.
func (p Plan) Changes() int {
	n := 0
	for _, t := range p.Targets {
		if !t.Spared() {
			n++
		}
	}
	return n
}

// Where names the regions of the targets, for people.
func (p Plan) Where() string { return whereOf(p.Targets) }

func whereOf(targets []Target) string {
	var names []string
	for _, place := range placesOf(targets) {
		names = append(names, place.String())
	}
	return strings.Join(names, ", ")
}

// placesOf returns the regions of targets, each once, in the order of their ids. That of a target that was not found is not
// known.
func placesOf(targets []Target) []Place {
	var places []Place
	for _, t := range targets {
		if t.Place.ID != "" {
			places = append(places, t.Place)
		}
	}
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(places, func(a, b Place) bool { return a.ID == b.ID })
}

// permitted asks the policy about the targets, or about what they stand for: the limit on targets is for what a call names.
func (p Plan) permitted(policy guard.Policy) error {
	if p.Guarded != nil {
		guarded := make([]guard.Target, len(p.Guarded))
		for i, t := range p.Guarded {
			guarded[i] = t.asPolicySees()
		}
		return policy.PermitsEach(guarded)
	}
	var targets []guard.Target
	for _, t := range p.Targets {
		if t.Exists { // what does not exist cannot be protected
			targets = append(targets, t.asPolicySees())
		}
	}
	return policy.Permits(targets)
}

// subject binds consent to the call and to what every target looked like, wherever it is. in has no consent in it.
func (p Plan) subject(tool, caller string, in any) guard.Subject {
	type look struct {
		ID, Name, Region, Status, Owner string
		Exists                          bool
		Created                         time.Time
		Accelerators                    int
		Mounts                          []Mount
		Bound                           []string
	}
	looks := make([]look, len(p.Targets))
	for i, t := range p.Targets {
		looks[i] = look{t.ID, t.Name, t.Place.ID, t.Status, t.Owner, t.Exists, t.Created, t.Accelerators, t.Mounts, t.Bound}
	}
	arguments, _ := json.Marshal(in) // argument structs always encode, and so do looks
	state, _ := json.Marshal(looks)
	var regions []string
	for _, place := range placesOf(p.Targets) {
		regions = append(regions, place.ID)
	}
	return guard.Subject{
		Tool: tool, Caller: caller, Region: strings.Join(regions, ","), Arguments: string(arguments), State: string(state),
	}
}

// previewed are the targets of a preview: no outcome yet.
func (p Plan) previewed() []Target {
	targets := slices.Clone(p.Targets)
	for i := range targets {
		targets[i].Outcome = ""
	}
	return targets
}
