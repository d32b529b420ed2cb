package toolbox

import (
	"context"
	"errors"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Problem says for programs what went wrong. Kind is always there: one of upstream.Kinds, or of the other kinds below.
type Problem struct {
	Code       string `json:"code,omitempty" jsonschema_description:"The service's, or the rule of the policy that refused"`
	Kind       string `json:"kind" jsonschema_description:"What it is about"`
	HTTPStatus int    `json:"http_status,omitempty" jsonschema_description:"Of the service's answer"`
	Retryable  bool   `json:"retryable" jsonschema_description:"The same call may work later, and cannot happen twice by it"`
}

// The kinds of problems that are not of a service.
const (
	kindPolicy   = "policy"   // the operator's, which refuses
	kindDeclined = "declined" // by a human, or because no answer came
	kindFault    = "fault"    // in this server
	kindOther    = "other"    // the call does not fit what it is about; its text says how
)

// ProblemOf returns what err means to a program.
func ProblemOf(err error) Problem {
	var failed *upstream.Failure
	var refusal *guard.Refusal
	switch {
	case isFault(err):
		return Problem{Kind: kindFault}
	case errors.As(err, &refusal):
		return Problem{Code: refusal.Rule, Kind: kindPolicy, Retryable: refusal.Temporary}
	case errors.Is(err, ErrDeclined):
		return Problem{Kind: kindDeclined}
	case errors.As(err, &failed):
		return Problem{Code: failed.Code, Kind: string(failed.Kind), HTTPStatus: failed.Status, Retryable: failed.Retryable}
	case isWrong(err):
		return Problem{Kind: string(upstream.Argument)}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Problem{Kind: string(upstream.Cancelled)}
	}
	return Problem{Kind: kindOther}
}

// problemOf returns why the first target failed that did, or nil.
func problemOf(targets []Target) *Problem {
	for _, t := range targets {
		if t.cause != nil {
			problem := ProblemOf(t.cause)
			return &problem
		}
	}
	return nil
}
