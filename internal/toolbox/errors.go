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
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
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

// Explain words err for a model: what happened, that nothing was changed, and the next step.
func Explain(err error) string {
	var (
		arguments *schemas.ArgumentError
		failure   *internalError
		refusal   *guard.Refusal
		declined  *declinedError
		service   *scnet.Error
		desktop   *workspace.Error
		region    *scnet.RegionError
	)
	switch {
	case errors.As(err, &arguments):
		return arguments.Error() + "\nNothing was sent. Correct the call and repeat it."
	case errors.As(err, &failure):
		words := fmt.Sprintf("%s (error id %s). The server's log has the details under this id.", failure.what, failure.id)
		if failure.uncertain {
			words += "\nIt happened in the middle of a change, which may be done, half-done or not done: look with list_instances or get_workspace_run before repeating anything."
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
	case errors.As(err, &region):
		return region.Error() + ".\nNothing was changed. Name one of them as region, or ask the user to set SCNET_CLUSTER_ID."
	case errors.As(err, &service):
		return paragraph(service.Error()+".", unchanged(service.Uncertain), service.Hint())
	case errors.As(err, &desktop):
		return paragraph(err.Error()+".", unchanged(desktop.Uncertain), desktop.Hint())
	case errors.Is(err, scnet.ErrConfig):
		return paragraph(err.Error()+".", "Nothing was sent.",
			"The user has to set SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY (or SCNET_TOKEN and SCNET_AI_URL) for this "+
				"server and start it again; `scnet-mcp doctor` checks them.")
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
	var service *scnet.Error
	var desktop *workspace.Error
	var failure *internalError
	var panicked *rollout.PanicError
	return errors.As(err, &service) && service.Uncertain || errors.As(err, &desktop) && desktop.Uncertain ||
		errors.As(err, &failure) && failure.uncertain || errors.As(err, &panicked)
}

// Briefly words an error for a table: the service's code and gloss, or the cause.
func Briefly(err error) string {
	var service *scnet.Error
	var panicked *rollout.PanicError
	if errors.As(err, &panicked) {
		return "a fault in the server, which its log explains"
	}
	var desktop *workspace.Error
	if errors.As(err, &desktop) {
		return text.Field(strings.TrimSpace(fmt.Sprintf("%v %s", desktop.Err, desktop.Code)))
	}
	if !errors.As(err, &service) {
		return text.Field(err.Error())
	}
	if service.Code == "" {
		return text.Field(service.Err.Error())
	}
	return text.Field(fmt.Sprintf("code %s %s", service.Code, service.Gloss()))
}

// OutcomeOf says what became of a target that something was to be sent for and that failed with err.
func OutcomeOf(err error) Outcome {
	var service *scnet.Error
	switch {
	case Uncertain(err):
		return OutcomeUnknown
	case errors.As(err, &service) && service.Delivery == scnet.Answered:
		return RefusedByService
	}
	return OutcomeFailed
}

// isWrong reports whether the call itself is wrong: no such tool, or arguments that break the schema or a client's rules.
func isWrong(err error) bool {
	var arguments *schemas.ArgumentError
	var desktop *workspace.ArgumentError
	return errors.Is(err, ErrUnknownTool) || errors.As(err, &arguments) || errors.As(err, &desktop)
}

// isFault reports whether err is a fault of ours.
func isFault(err error) bool {
	var failure *internalError
	var panicked *rollout.PanicError
	return errors.As(err, &failure) || errors.As(err, &panicked)
}
