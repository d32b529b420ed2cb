package tools

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// callTimeout ends a call before the usual MCP client gives up on it, which it does after about 60 seconds.
const callTimeout = 55 * time.Second

// Service is what the tools work on.
type Service struct {
	SCNet *scnet.Client
	// Unconfigured tells why SCNet is nil. The server starts all the same, so that a client can list the tools and a
	// person is told what to set.
	Unconfigured error
	Workspace    *workspace.Client // nil: its tools are not offered
	// WorkspaceUnconfigured tells why Workspace is nil although there are settings for it.
	WorkspaceUnconfigured error
	Now                   func() time.Time

	Policy guard.Policy
	Budget *guard.Budget // default: DefaultMaxMutationsPerHour
	Tokens *guard.Tokens // default: with a key of its own
	Audit  Recorder      // nil: nothing is recorded
	// AuditOptional lets changes through that the audit log could not record.
	AuditOptional bool
}

// Recorder keeps audit records. *audit.Log is one.
type Recorder interface {
	Append(audit.Record) error
}

// Toolbox runs the tools of one server. It is safe for concurrent use.
type Toolbox struct {
	service Service
	tools   []Tool
}

// NewToolbox returns a Toolbox that offers tools.
func NewToolbox(service Service, tools []Tool) *Toolbox {
	if service.Now == nil {
		service.Now = time.Now
	}
	if service.Budget == nil {
		service.Budget = guard.NewBudget(0, service.Now)
	}
	if service.Tokens == nil {
		service.Tokens = guard.NewTokens(nil, service.Now)
	}
	return &Toolbox{service: service, tools: tools}
}

// ModeOf returns the mode that service implies.
func ModeOf(service Service) Mode {
	return Mode{SingleRegion: service.SCNet != nil && service.SCNet.SingleRegion(), Workspace: service.Workspace != nil}
}

// Tools returns the tools that the policy offers.
func (b *Toolbox) Tools() []Tool {
	return slices.DeleteFunc(slices.Clone(b.tools), func(t Tool) bool { return b.offers(t) != nil })
}

// Withheld returns the tools that the policy does not offer. Call refuses them with the reason.
func (b *Toolbox) Withheld() []Tool {
	return slices.DeleteFunc(slices.Clone(b.tools), func(t Tool) bool { return b.offers(t) == nil })
}

func (b *Toolbox) offers(t Tool) error { return b.service.Policy.Offers(t.Name, t.Toolset, t.Risk) }

// ErrUnknownTool is wrapped by Call's error for a name that is not offered.
var ErrUnknownTool = errors.New("unknown tool")

// Call runs one tool. Explain words its errors for a model. A panic in a tool comes back as an error with an id that the
// log explains.
func (b *Toolbox) Call(ctx context.Context, call Call) (result Result, err error) {
	i := slices.IndexFunc(b.tools, func(t Tool) bool { return t.Name == call.Tool })
	if i < 0 {
		var names []string
		for _, t := range b.Tools() {
			names = append(names, t.Name)
		}
		return Result{}, fmt.Errorf("%w %q; the tools are: %s", ErrUnknownTool, call.Tool, strings.Join(names, ", "))
	}
	log := zerolog.Ctx(ctx).With().Str("tool", call.Tool).Logger()
	ctx, cancel := context.WithTimeoutCause(log.WithContext(ctx), callTimeout,
		fmt.Errorf("the call took longer than %s and was ended", callTimeout))
	defer cancel()
	started := b.service.Now()
	defer func() {
		if cause := recover(); cause != nil {
			failure := &internalError{what: "a fault in the server", cause: fmt.Errorf("panic: %v\n%s", cause, debug.Stack())}
			result, err = Result{}, failure
		}
		var failure *internalError
		if errors.As(err, &failure) {
			failure.id = rand.Text()[:10]
			log.Error().Str("error_id", failure.id).AnErr("cause", failure.cause).Msg(failure.what)
		}
		log.Info().Dur("took", b.service.Now().Sub(started)).AnErr("error", withoutArguments(err)).Msg("tool call")
	}()
	if err := b.offers(b.tools[i]); err != nil {
		return Result{}, b.newAttempt(b.tools[i], call).refused(ctx, err, "")
	}
	return b.tools[i].run(ctx, b, call)
}

// withoutArguments is err for a log: the text of wrong arguments shows what was sent, which may be part of a script.
func withoutArguments(err error) error {
	var arguments *schemas.ArgumentError
	if errors.As(err, &arguments) {
		return fmt.Errorf("%d arguments are wrong", len(arguments.Problems))
	}
	return err
}

// internalError is a fault of ours. Its cause may hold anything, so only the log shows it.
type internalError struct {
	what      string
	cause     error
	id        string
	uncertain bool // in the middle of a change
}

func (e *internalError) Error() string { return e.what }

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
		text := fmt.Sprintf("%s (error id %s). The server's log has the details under this id.", failure.what, failure.id)
		if failure.uncertain {
			text += "\nIt happened in the middle of a change, which may be done, half-done or not done: look with list_instances or get_workspace_run before repeating anything."
		}
		return text
	case errors.As(err, &refusal):
		return paragraph("Refused: "+refusal.Reason+".", "Nothing was changed. Only the operator of this server can change that.")
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

type progressKey struct{}

// Progress receives how much of total is done. Calls on one context must not overlap.
type Progress func(done, total int, message string)

// WithProgress returns a context whose tool calls report to progress.
func WithProgress(ctx context.Context, progress Progress) context.Context {
	return context.WithValue(ctx, progressKey{}, progress)
}

// ReportProgress reports to the caller, if it asked for it.
func ReportProgress(ctx context.Context, done, total int, message string) {
	if progress, ok := ctx.Value(progressKey{}).(Progress); ok {
		progress(done, total, message)
	}
}

// region picks the region that a call names.
func (s Service) region(ctx context.Context, selector string) (*scnet.Region, error) {
	if s.SCNet == nil {
		return nil, s.Unconfigured
	}
	return s.SCNet.Region(ctx, selector)
}
