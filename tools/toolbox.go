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
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
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

	Policy              guard.Policy
	MaxMutationsPerHour int           // 0: guard.DefaultMaxMutationsPerHour
	State               guard.State   // what replicas share; nil: a memory of its own
	Ledger              *guard.Ledger // of the budgets; default: on State
	Tokens              *guard.Tokens // default: on State, with a key of its own
	Audit               Recorder      // nil: nothing is recorded
	// AuditOptional lets changes through that the audit log could not record.
	AuditOptional bool
	Server        string // what this replica is called in audit records; may be ""
	// Observe, unless nil, is called once when a call ends, also when it panicked. Calls may overlap.
	Observe func(Observation)
}

// Recorder keeps audit records. *audit.Log is one.
type Recorder interface {
	Append(ctx context.Context, record audit.Record) error
}

// Toolbox runs the tools of one server. It is safe for concurrent use.
type Toolbox struct {
	service Service
	budget  *guard.Budget
	tools   []Tool
}

// NewToolbox returns a Toolbox that offers tools, for the user of the process itself.
func NewToolbox(service Service, tools []Tool) *Toolbox {
	if service.Now == nil {
		service.Now = time.Now
	}
	if service.MaxMutationsPerHour == 0 {
		service.MaxMutationsPerHour = guard.DefaultMaxMutationsPerHour
	}
	if service.State == nil {
		service.State = guard.NewMemory(service.Now)
	}
	if service.Ledger == nil {
		service.Ledger = guard.NewLedger(service.State, service.Now)
	}
	if service.Tokens == nil {
		service.Tokens, _ = guard.NewTokens(nil, service.State, service.Now) // fails only for a short key
	}
	return newToolbox(service, "local", tools)
}

func newToolbox(service Service, account string, tools []Tool) *Toolbox {
	budget := service.Ledger.Budget(account, service.MaxMutationsPerHour)
	return &Toolbox{service: service, budget: budget, tools: tools}
}

// Narrowed returns a Toolbox for one caller, which allows what b and policy both allow and has a budget of its own under
// account. 0 in policy.MaxTargets or as maxMutationsPerHour leaves b's limit; a higher one than b's has no effect. Clients,
// tokens and the audit log are those of b. Toolboxes of one account share their budget.
func (b *Toolbox) Narrowed(account string, policy guard.Policy, maxMutationsPerHour int) *Toolbox {
	service := b.service
	if policy.MaxTargets == 0 {
		policy.MaxTargets = service.Policy.MaxTargets
	}
	service.Policy = service.Policy.Narrow(policy)
	if maxMutationsPerHour != 0 {
		service.MaxMutationsPerHour = min(service.MaxMutationsPerHour, maxMutationsPerHour)
	}
	return newToolbox(service, account, b.tools)
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
	seen := Observation{Tool: unknownTool, Caller: call.Caller.Name}
	call.seen = &seen
	log := zerolog.Ctx(ctx).With()
	started := b.service.Now()
	i := slices.IndexFunc(b.tools, func(t Tool) bool { return t.Name == call.Tool })
	if i >= 0 {
		seen.Tool = call.Tool
		log = log.Str("tool", call.Tool)
	}
	if call.Caller.Name != "" {
		log = log.Str("caller", call.Caller.Name)
	}
	ctx, cancel := context.WithTimeoutCause(log.Logger().WithContext(ctx), callTimeout,
		fmt.Errorf("the call took longer than %s and was ended", callTimeout))
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			failure := &internalError{what: "a fault in the server", cause: fmt.Errorf("panic: %v\n%s", cause, debug.Stack())}
			result, err = Result{}, failure
		}
		seen.Took = b.service.Now().Sub(started)
		seen.end(ctx, result, err)
		logCall(ctx, seen, err)
		if b.service.Observe != nil {
			b.service.Observe(seen)
		}
	}()
	if i < 0 {
		return Result{}, b.unknown(call.Tool)
	}
	if err := b.offers(b.tools[i]); err != nil {
		return Result{}, b.newAttempt(ctx, b.tools[i], call).refused(ctx, err, "")
	}
	return b.tools[i].run(ctx, b, call)
}

func (b *Toolbox) unknown(tool string) error {
	var names []string
	for _, t := range b.Tools() {
		names = append(names, t.Name)
	}
	return fmt.Errorf("%w %q; the tools are: %s", ErrUnknownTool, tool, strings.Join(names, ", "))
}

// logCall gives a fault of ours the id that the caller is told.
func logCall(ctx context.Context, seen Observation, err error) {
	log := logger(ctx)
	var failure *internalError
	if errors.As(err, &failure) {
		failure.id = rand.Text()[:10]
		log.Error().Str("error_id", failure.id).AnErr("cause", failure.cause).Msg(failure.what)
	}
	var refusal *guard.Refusal
	if errors.As(err, &refusal) && refusal.Cause != nil {
		log.Error().AnErr("cause", refusal.Cause).Str("rule", refusal.Rule).Msg("a limit cannot be checked")
	}
	log.Info().Dur("took", seen.Took).Str("outcome", seen.Outcome).AnErr("error", withoutArguments(err)).Msg("tool call")
}

// logger returns the log of ctx with the trace of ctx. It does not go back into ctx, because the clients of the services
// add the trace to their lines themselves.
func logger(ctx context.Context) *zerolog.Logger {
	log := zerolog.Ctx(ctx)
	if id := trace.From(ctx).ID(); id != "" {
		traced := log.With().Str("trace_id", id).Logger()
		return &traced
	}
	return log
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
