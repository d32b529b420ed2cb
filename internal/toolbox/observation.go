package toolbox

import (
	"context"
	"errors"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// Observation is one call of a tool, for statistics. Tool, Ending, Consent and Rule are from small closed sets, and Caller is
// what the operator named the caller, so that each can be a label.
type Observation struct {
	Tool    string // its name, or UnknownTool
	Caller  string // Caller.Name
	Ending  Ending
	Consent string        // guard.Decision.Method; "" when the call did not get that far
	Rule    string        // guard.Refusal.Rule when Ending is EndedRefused
	Took    time.Duration // by Rules.Now
}

// UnknownTool stands for the name of a tool that there is not.
const UnknownTool = "unknown"

// Ending is how a call ended.
type Ending string

// The endings.
const (
	EndedOK        Ending = "ok"        // done, or accepted and still under way
	EndedPreview   Ending = "preview"   // shown what would happen
	EndedAsked     Ending = "asked"     // a human has to be asked first; the answer comes with another call
	EndedRefused   Ending = "refused"   // by the policy, whose rule is in Observation.Rule
	EndedDeclined  Ending = "declined"  // by a human, or because no answer came
	EndedInvalid   Ending = "invalid"   // wrong arguments, or no such tool
	EndedFailed    Ending = "failed"    // not done, or for no target
	EndedPartial   Ending = "partial"   // done for some of the targets
	EndedUnknown   Ending = "unknown"   // it may or may not have been done
	EndedCancelled Ending = "cancelled" // by the caller or by the time limit, before anything was done
	EndedFault     Ending = "fault"     // a fault in this server
)

// Endings returns every ending.
func Endings() []Ending {
	return []Ending{
		EndedOK, EndedPreview, EndedAsked, EndedRefused, EndedDeclined, EndedInvalid, EndedFailed, EndedPartial, EndedUnknown,
		EndedCancelled, EndedFault,
	}
}

// endings are the endings by the state of a result. A tool that only reads has none.
var endings = map[State]Ending{
	"": EndedOK, NeedsConfirmation: EndedPreview, Done: EndedOK, Waiting: EndedOK, Partial: EndedPartial, Failed: EndedFailed,
	Unknown: EndedUnknown,
}

// observe words how a call ended.
func (e ending) observe(ctx context.Context, tool string, caller Caller, took time.Duration) Observation {
	o := Observation{Tool: tool, Caller: caller.Name, Ending: endings[e.result.State], Consent: e.consent, Took: took}
	var refusal *guard.Refusal
	if errors.As(e.err, &refusal) {
		o.Rule = refusal.Rule
	}
	switch {
	case e.err != nil:
		o.Ending = endedWith(ctx, e.err)
	case e.result.Question != nil:
		o.Ending = EndedAsked
	}
	return o
}

func endedWith(ctx context.Context, err error) Ending {
	var refusal *guard.Refusal
	switch {
	case isWrong(err):
		return EndedInvalid
	case isFault(err):
		return EndedFault
	case errors.As(err, &refusal):
		return EndedRefused
	case errors.Is(err, ErrDeclined):
		return EndedDeclined
	case Uncertain(err):
		return EndedUnknown
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return EndedCancelled
	}
	return EndedFailed
}
