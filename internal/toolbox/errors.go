package toolbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/schemas"
)

// ErrUnknownTool is wrapped by Call's error for a name that is not offered.
var ErrUnknownTool = errors.New("unknown tool")

// ErrDeclined is wrapped by the error of a call that a human said no to.
var ErrDeclined = errors.New("declined")

type declinedError struct{ notice string }

func (e *declinedError) Error() string { return e.notice }

func (e *declinedError) Unwrap() error { return ErrDeclined }

// internalError is a fault of ours. Its cause may hold anything, so only the log shows it.
type internalError struct {
	what      string
	cause     error
	id        string
	uncertain bool // in the middle of a change
}

func (e *internalError) Error() string { return e.what }

// Fault is the error of a panic that a rollout caught: a fault of ours, whose stack only the log shows.
func Fault(panicked *rollout.PanicError) error {
	return &internalError{what: "a fault in the server", cause: fmt.Errorf("%w\n%s", panicked, panicked.Stack)}
}

// withoutArguments is err for a log: the text of wrong arguments shows what was sent, which may be part of a script.
func withoutArguments(err error) error {
	if errors.Is(err, ErrUnknownTool) {
		return ErrUnknownTool
	}
	var arguments *schemas.ArgumentError
	if errors.As(err, &arguments) {
		return fmt.Errorf("%d arguments are wrong", len(arguments.Problems))
	}
	return err
}

// Explain words err for a model: what happened, that nothing was changed, and the next step. It is "" without an error.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	var (
		arguments *schemas.ArgumentError
		failure   *internalError
		refusal   *guard.Refusal
		declined  *declinedError
		failed    *upstream.Failure
	)
	switch {
	case errors.As(err, &arguments):
		return arguments.Error() + "\nNothing was sent. Correct the call and repeat it."
	case errors.As(err, &failure):
		words := fmt.Sprintf("%s (error id %s). The server's log has the details under this id.", failure.what, failure.id)
		if failure.uncertain {
			words += "\nIt happened in the middle of a change, which may be done, half-done or not done: read what it was about again before repeating anything."
		}
		return words
	case errors.As(err, &refusal):
		next := "Nothing was changed. Only the operator of this server can change that."
		if refusal.Temporary {
			next = "Nothing was changed. The same call may be let through later."
		}
		return paragraph("Refused: "+refusal.Reason+".", next)
	case errors.As(err, &declined):
		return paragraph(declined.notice, "Nothing was changed. Do not repeat the call unless the user asks for it.")
	case errors.As(err, &failed) && failed.Op == "" && failed.Kind == upstream.Argument: // it says that nothing was sent
	case errors.As(err, &failed):
		return paragraph(strings.TrimSuffix(err.Error(), ".")+".", unchanged(failed.Uncertain), failed.Hint.English)
	case errors.Is(err, context.Canceled):
		return "The call was cancelled."
	}
	return strings.TrimSuffix(err.Error(), ".") + "."
}

func unchanged(uncertain bool) string {
	if uncertain {
		return "It may have happened all the same, and was not sent again: look before repeating it."
	}
	return "Nothing was changed."
}

func paragraph(sentences ...string) string {
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), "\n")
}

// Uncertain reports whether what failed with err may have happened all the same, as after a fault of ours in the middle.
func Uncertain(err error) bool {
	var failed *upstream.Failure
	var failure *internalError
	var panicked *rollout.PanicError
	return errors.As(err, &failed) && failed.Uncertain || errors.As(err, &failure) && failure.uncertain ||
		errors.As(err, &panicked)
}

// Briefly words an error for a table: the service's code and what it means, or the cause.
func Briefly(err error) string {
	if err == nil {
		return ""
	}
	var failed *upstream.Failure
	var panicked *rollout.PanicError
	switch {
	case errors.As(err, &panicked):
		return "a fault in the server, which its log explains"
	case errors.As(err, &failed):
		return text.Field(failed.Brief())
	}
	return text.Field(err.Error())
}

// OutcomeOf says what became of a target that something was to be sent for and that failed with err.
func OutcomeOf(err error) Outcome {
	var failed *upstream.Failure
	switch {
	case Uncertain(err):
		return OutcomeUnknown
	case errors.As(err, &failed) && failed.Delivery == upstream.Answered:
		return RefusedByService
	}
	return OutcomeFailed
}

// isWrong reports whether the call itself is wrong: no such tool, or arguments that break the schema or a client's rules.
func isWrong(err error) bool {
	var arguments *schemas.ArgumentError
	var failed *upstream.Failure
	return errors.Is(err, ErrUnknownTool) || errors.As(err, &arguments) ||
		errors.As(err, &failed) && failed.Kind == upstream.Argument
}

// isFault reports whether err is a fault of ours.
func isFault(err error) bool {
	var failure *internalError
	var panicked *rollout.PanicError
	return errors.As(err, &failure) || errors.As(err, &panicked)
}
