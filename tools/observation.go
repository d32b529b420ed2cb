package tools

import (
	"context"
	"errors"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// Observation is one call of a tool, for statistics. Tool, Outcome, Consent and Rule are from small closed sets, and Caller is
// what the operator named the caller, so that each can be a label.
type Observation struct {
	Tool   string // its name, or "unknown" when there is no such tool
	Caller string // Caller.Name

	// Outcome is how the call ended:
	//
	//	ok         done, or accepted and still under way
	//	preview    shown what would happen
	//	asked      a human has to be asked first; the answer comes with another call
	//	refused    by the policy, whose rule is in Rule
	//	declined   by a human, or for want of an answer
	//	invalid    wrong arguments, or no such tool
	//	failed     not done, or for no target
	//	partial    done for some of the targets
	//	unknown    it may or may not have been done
	//	cancelled  by the caller or by the time limit, before anything was done
	//	fault      a fault in this server
	Outcome string
	Consent string        // guard.Decision.Method; "" when the call did not get that far
	Rule    string        // guard.Refusal.Rule when Outcome is refused
	Took    time.Duration // by Service.Now
}

// The outcomes of an Observation.
const (
	endedOK        = "ok"
	endedPreview   = "preview"
	endedAsked     = "asked"
	endedRefused   = "refused"
	endedDeclined  = "declined"
	endedInvalid   = "invalid"
	endedFailed    = "failed"
	endedPartial   = "partial"
	endedUnknown   = "unknown"
	endedCancelled = "cancelled"
	endedFault     = "fault"
)

const unknownTool = "unknown"

// endedIn are the outcomes by the state of a result.
var endedIn = map[string]string{
	stateConfirm: endedPreview, stateDone: endedOK, stateWaiting: endedOK, statePartial: endedPartial, stateFailed: endedFailed,
	stateUnknown: endedUnknown,
}

// end notes how the call ended, unless the result's state has said it.
func (o *Observation) end(ctx context.Context, result Result, err error) {
	var refusal *guard.Refusal
	switch {
	case err != nil:
		o.Outcome = endedWith(ctx, err)
	case result.Question != nil:
		o.Outcome = endedAsked
	case result.NeedsConsent:
		o.Outcome = endedPreview
	case o.Outcome == "":
		o.Outcome = endedOK
	}
	if errors.As(err, &refusal) {
		o.Rule = refusal.Rule
	}
}

func endedWith(ctx context.Context, err error) string {
	var (
		arguments *schemas.ArgumentError
		desktop   *workspace.ArgumentError
		refusal   *guard.Refusal
		failure   *internalError
		fault     *rollout.PanicError
	)
	switch {
	case errors.As(err, &arguments), errors.As(err, &desktop), errors.Is(err, ErrUnknownTool):
		return endedInvalid
	case errors.As(err, &failure), errors.As(err, &fault):
		return endedFault
	case errors.As(err, &refusal):
		return endedRefused
	case errors.Is(err, ErrDeclined):
		return endedDeclined
	case uncertain(err):
		return endedUnknown
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return endedCancelled
	}
	return endedFailed
}
