package toolbox

import (
	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// State is where a change stands when its call ends.
type State string

// The states.
const (
	NeedsConfirmation State = "confirmation_required" // a preview; nothing was changed
	Done              State = "done"
	Partial           State = "partial"
	Failed            State = "failed"
	Unknown           State = "unknown" // it may or may not have happened
	Waiting           State = "waiting" // accepted, not finished
)

// States returns every state.
func States() []State { return []State{NeedsConfirmation, Done, Partial, Failed, Unknown, Waiting} }

// Outcome is what became of one target.
type Outcome string

// The outcomes.
const (
	Accepted          Outcome = "accepted" // the service took it; that is not yet a success
	Deleted           Outcome = "deleted"
	StillListed       Outcome = "still_listed" // accepted, but it does not show yet
	Created           Outcome = "created"
	Resized           Outcome = "resized"
	Stopped           Outcome = "stopped"
	StillActive       Outcome = "still_active" // the stop was accepted, but it is still on its way down
	RejectedByService Outcome = "rejected"     // the service did not take it
	RefusedByService  Outcome = "refused"      // the service answered no
	OutcomeUnknown    Outcome = "unknown"      // it may or may not have happened
	OutcomeFailed     Outcome = "failed"       // not sent
	NotFound          Outcome = "not_found"
	SkippedNotRunning Outcome = "skipped_not_running"
	AlreadyStopped    Outcome = "already_stopped"
	NotAttempted      Outcome = "not_attempted"
)

// Outcomes returns every outcome.
func Outcomes() []Outcome {
	return []Outcome{
		Accepted, Deleted, StillListed, Created, Resized, Stopped, StillActive, RejectedByService, RefusedByService, OutcomeUnknown,
		OutcomeFailed, NotFound, SkippedNotRunning, AlreadyStopped, NotAttempted,
	}
}

// sent reports whether something was sent for a target with this outcome.
func (o Outcome) sent() bool {
	switch o {
	case NotAttempted, SkippedNotRunning, AlreadyStopped, NotFound, OutcomeFailed:
		return false
	default:
		return true
	}
}

// Count counts the targets with one of the outcomes.
func Count(targets []Target, outcomes ...Outcome) int {
	n := 0
	for _, t := range targets {
		for _, o := range outcomes {
			if t.Outcome == o {
				n++
			}
		}
	}
	return n
}

// attempted counts the targets that something was sent for.
func attempted(targets []Target) int {
	n := 0
	for _, t := range targets {
		if t.Outcome.sent() {
			n++
		}
	}
	return n
}

func auditOutcomes(targets []Target) []audit.Outcome {
	if targets == nil {
		return nil
	}
	outcomes := make([]audit.Outcome, len(targets))
	for i, t := range targets {
		outcomes[i] = audit.Outcome{
			ID: text.Field(t.ID), Outcome: string(t.Outcome), Code: t.Note.String(), NewID: text.Field(t.NewID),
		}
	}
	return outcomes
}
