package toolbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/schemas"
)

// ErrUnknownTool is wrapped by Call's error for a name that is not offered.
var ErrUnknownTool = lang.Errorf("unknown tool")

// ErrDeclined is wrapped by the error of a call that a human said no to.
var ErrDeclined = errors.New("declined")

type declinedError struct{ notice lang.Text }

func (e *declinedError) Error() string { return e.notice.String() }

func (e *declinedError) In(l lang.Lang) string { return e.notice.In(l) }

func (e *declinedError) Unwrap() error { return ErrDeclined }

// internalError is a fault of ours. Its cause may hold anything, so only the log shows it.
type internalError struct {
	what      lang.Text
	cause     error
	id        string
	uncertain bool // in the middle of a change
}

func (e *internalError) Error() string { return e.what.String() }

func (e *internalError) In(l lang.Lang) string { return e.what.In(l) }

// Fault is the error of a panic that a rollout caught: a fault of ours, whose stack only the log shows.
func Fault(panicked *rollout.PanicError) error {
	return &internalError{what: lang.T("a fault in the server"), cause: fmt.Errorf("%w\n%s", panicked, panicked.Stack)}
}

// withoutArguments is err for a log: the text of wrong arguments shows what was sent, which may be part of a script.
func withoutArguments(err error) error {
	if errors.Is(err, ErrUnknownTool) {
		return ErrUnknownTool
	}
	var arguments *schemas.ArgumentError
	if errors.As(err, &arguments) {
		return fmt.Errorf("%d arguments are wrong", len(arguments.Problems)) // not said to people
	}
	return err
}

// Explain words err for a model, in a language: what happened, that nothing was changed, and the next step.
func Explain(l lang.Lang, err error) string {
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
		return l.Sprintf("%v\nNothing was sent. Correct the call and repeat it.", arguments)
	case errors.As(err, &failure):
		words := l.Sprintf("%s (error id %s). The server's log has the details under this id.", failure.what, failure.id)
		if failure.uncertain {
			words = paragraph(words, l.Sprintf("It happened in the middle of a change, which may be done, half-done or not done: read what it was about again before repeating anything."))
		}
		return words
	case errors.As(err, &refusal):
		next := lang.T("Nothing was changed. Only the operator of this server can change that.")
		if refusal.Temporary {
			next = lang.T("Nothing was changed. The same call may be let through later.")
		}
		return paragraph(l.Sprintf("Refused: %s.", refusal.Reason), next.In(l))
	case errors.As(err, &declined):
		return paragraph(declined.notice.In(l), l.Sprintf("Nothing was changed. Do not repeat the call unless the user asks for it."))
	case errors.As(err, &failed) && failed.Op == "" && failed.Kind == upstream.Argument: // it says that nothing was sent
	case errors.As(err, &failed):
		return paragraph(sentence(l, err), l.Sprintf("%s", unchanged(failed.Uncertain)), failed.Hint.In(l))
	case errors.Is(err, context.Canceled):
		return l.Sprintf("The call was cancelled.")
	}
	return sentence(l, err)
}

// sentence says an error as a sentence. Some end one already.
func sentence(l lang.Lang, err error) string {
	return l.Sprintf("%s.", strings.TrimRight(l.Say(err), ".。"))
}

func unchanged(uncertain bool) lang.Text {
	if uncertain {
		return lang.T("It may have happened all the same, and was not sent again: look before repeating it.")
	}
	return lang.T("Nothing was changed.")
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
func Briefly(err error) lang.Text {
	if err == nil {
		return lang.Text{}
	}
	var failed *upstream.Failure
	var panicked *rollout.PanicError
	switch {
	case errors.As(err, &panicked):
		return lang.T("a fault in the server, which its log explains")
	case errors.As(err, &failed):
		return failed.Brief().Map(text.Field)
	}
	return lang.ErrorText(err).Map(text.Field)
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
