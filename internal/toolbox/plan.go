package toolbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// Plan is what a call would do, resolved from the service.
type Plan struct {
	Place   Place
	Effect  string // what would happen, to go on from "This call"
	Targets []Target
	Script  *audit.Script
	Guarded []Target // what policy is checked against, if not Targets: a run's desktops

	Occupies *Occupation // what the call would occupy; nil for nothing that a policy limits
}

// Place is where targets are: a region.
type Place struct{ ID, Name string }

// String returns the name and the id, for people.
func (p Place) String() string {
	if p.Name == "" || p.Name == p.ID {
		return text.Line(p.ID, 40)
	}
	return fmt.Sprintf("%s (%s)", text.Line(p.Name, 40), text.Line(p.ID, 40))
}

// Target is one thing that a call is about: what the plan found, what would happen to it, and what became of it. What is
// encoded is a part of results; the frame cleans it there.
type Target struct {
	ID      string  `json:"id" jsonschema_description:"Id"`
	Name    string  `json:"name,omitempty" jsonschema_description:"Name"`
	Status  string  `json:"status,omitempty" jsonschema_description:"Status before the call"`
	Outcome Outcome `json:"outcome,omitempty" jsonschema_description:"What became of it; absent in a preview"`
	Note    string  `json:"note,omitempty" jsonschema_description:"Why, or in a preview what would happen to it"`

	Exists  bool      `json:"-"` // the service shows it
	Place   Place     `json:"-"`
	Owner   string    `json:"-"`
	Created time.Time `json:"-"`
	// Bound is what else must not change between preview and act: a restart shows in the start time and in the id of the
	// first container.
	Bound  []string `json:"-"`
	Effect string   `json:"-"` // what would happen to it
	NewID  string   `json:"-"` // what the service says that it became
}

// Spared reports whether nothing would happen to the target: its outcome is already known when the plan is made.
func (t Target) Spared() bool { return t.Outcome != "" }

// String returns the name and the id, for people.
func (t Target) String() string { return fmt.Sprintf("%q (%s)", text.Field(t.Name), text.Field(t.ID)) }

// Shown returns the target as a result shows it.
func (t Target) Shown() Target {
	return Target{
		ID: text.Field(t.ID), Name: text.Field(t.Name), Status: text.Field(t.Status), Outcome: t.Outcome, Note: t.Note,
	}
}

// asPolicySees returns the target as policy looks at it: as the service words it, because policy compares several forms.
func (t Target) asPolicySees() guard.Target {
	return guard.Target{ID: t.ID, Name: t.Name, Region: t.Place.ID, RegionName: t.Place.Name}
}

// IDs returns the ids of targets.
func IDs(targets []Target) []string {
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = t.ID
	}
	return ids
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

// subject binds consent to the call and to what every target looked like. in has no consent in it.
func (p Plan) subject(tool, caller string, in any) guard.Subject {
	type look struct {
		ID, Name, Status, Owner string
		Exists                  bool
		Created                 time.Time
		Bound                   []string
	}
	looks := make([]look, len(p.Targets))
	for i, t := range p.Targets {
		looks[i] = look{t.ID, t.Name, t.Status, t.Owner, t.Exists, t.Created, t.Bound}
	}
	arguments, _ := json.Marshal(in) // argument structs always encode, and so do looks
	state, _ := json.Marshal(looks)
	return guard.Subject{Tool: tool, Caller: caller, Region: p.Place.ID, Arguments: string(arguments), State: string(state)}
}

// previewed are the targets of a preview: no outcome yet, what would happen as the note.
func (p Plan) previewed() []Target {
	targets := make([]Target, len(p.Targets))
	for i, t := range p.Targets {
		targets[i] = t
		targets[i].Outcome, targets[i].Note = "", t.Effect
	}
	return targets
}

// table shows every target with what would happen to it.
func (p Plan) table(now time.Time) string {
	var b strings.Builder
	rows := [][]string{{"NAME", "ID", "STATUS", "AGE", "OWNER", "EFFECT"}}
	for _, t := range p.Targets {
		row := []string{"-", text.Field(t.ID), "not found", "-", "-", t.Effect}
		if t.Exists {
			row[0], row[2], row[4] = text.Dash(text.Field(t.Name)), text.Field(t.Status), text.Dash(text.Field(t.Owner))
			if !t.Created.IsZero() {
				row[3] = text.Age(now.Sub(t.Created))
			}
		}
		rows = append(rows, row)
	}
	text.WriteTable(&b, rows, []int{24, 40, 12, 6, 16, 70})
	return b.String()
}

// Preview is shown instead of acting, until there is consent. What would happen to each target is among the result's
// targets.
type Preview struct {
	PreviewToken string `json:"preview_token,omitempty" jsonschema_description:"For the confirming call, once"`
	ExpiresAt    string `json:"expires_at,omitempty" jsonschema_description:"When the token expires"`
	Effect       string `json:"effect,omitempty" jsonschema_description:"What would happen"`

	table string
}

// preview tells what the plan would do, without a way to consent to it.
func (p Plan) preview(notice string, now time.Time) *Preview {
	return &Preview{
		Effect: strings.TrimSpace(notice + " Nothing has been changed. This call " + p.Effect),
		table:  p.table(now),
	}
}

// text shows what would happen and how to go on.
func (p *Preview) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "PREVIEW. %s\n%s", p.Effect, p.table)
	if p.PreviewToken == "" {
		return strings.TrimSuffix(b.String(), "\n")
	}
	fmt.Fprintf(&b, "Show this to the user. If they agree, repeat the same call with confirm=true and preview_token=%s, once, before %s.",
		p.PreviewToken, p.ExpiresAt)
	return b.String()
}
