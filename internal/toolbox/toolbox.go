package toolbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// callTimeout ends a call before the usual MCP client gives up on it, which it does after about 60 seconds.
const callTimeout = 55 * time.Second

// Rules are what every call is held to, and where it is recorded.
type Rules struct {
	Policy              guard.Policy
	MaxMutationsPerHour int                 // 0: guard.DefaultMaxMutationsPerHour
	State               guard.State         // what replicas share; nil: a memory of its own
	Ledger              *guard.Ledger       // of the budgets; default: on State
	Tokens              *guard.Tokens       // default: on State, with a key of its own
	Accelerators        *guard.Accelerators // default: on State
	Audit               Recorder            // nil: nothing is recorded
	// AuditOptional lets changes through that the audit log could not record.
	AuditOptional bool
	// TrustResults lets results out unchecked. What a result is encoded from and its schema are made of the same Go type, so
	// that a mismatch is a fault in the code, which every test finds: they leave this unset. A served program only spends a
	// quarter of its time on it.
	TrustResults bool
	Server       string // what this replica is called in audit records; may be ""
	// Missing tells of tools that other settings would add why they are not there, by their names.
	Missing map[string]error
	Now     func() time.Time
	Lang    lang.Lang // of what is said to people and models
	// Observe, unless nil, is called when a call begins, and what it returns when the call ends, also when it panicked. Calls
	// may overlap.
	Observe func() (ended func(Observation))
}

// Recorder keeps audit records. *audit.Log is one.
type Recorder interface {
	Append(context.Context, audit.Record) error
}

// Toolbox runs the tools of one server. It is safe for concurrent use.
type Toolbox struct {
	rules  Rules
	live   guard.Live // the policy as it is now, which work under way is held to
	budget *guard.Budget
	tools  []Tool
}

// New returns a Toolbox that offers tools, for the user of the process itself.
func New(rules Rules, tools []Tool) *Toolbox {
	if rules.Now == nil {
		rules.Now = time.Now
	}
	if rules.MaxMutationsPerHour == 0 {
		rules.MaxMutationsPerHour = guard.DefaultMaxMutationsPerHour
	}
	if rules.State == nil {
		rules.State = guard.NewMemory(rules.Now)
	}
	if rules.Ledger == nil {
		rules.Ledger = guard.NewLedger(rules.State, rules.Now)
	}
	if rules.Tokens == nil {
		rules.Tokens, _ = guard.NewTokens(nil, rules.State, rules.Now) // fails only for a short key
	}
	if rules.Accelerators == nil {
		rules.Accelerators = guard.NewAccelerators(rules.State, rules.Now)
	}
	if rules.Observe == nil {
		rules.Observe = func() func(Observation) { return func(Observation) {} }
	}
	return newToolbox(rules, guard.Fixed(rules.Policy), guard.Local, tools)
}

func newToolbox(rules Rules, live guard.Live, account string, tools []Tool) *Toolbox {
	budget := rules.Ledger.Budget(account, rules.MaxMutationsPerHour)
	return &Toolbox{rules: rules, live: live, budget: budget, tools: tools}
}

// ForCaller returns a Toolbox for one caller, which allows what b and policy both allow and has a budget of its own under
// account. 0 in policy.MaxTargets or as maxMutationsPerHour leaves b's limit; a higher one than b's has no effect. Tools,
// tokens and the audit log are those of b. Toolboxes of one account share their budget. live is
// the policy as it is at any time, which is asked before each act and each of its targets.
func (b *Toolbox) ForCaller(account string, policy guard.Policy, live guard.Live, maxMutationsPerHour int) *Toolbox {
	rules := b.rules
	rules.Policy = rules.Policy.Narrow(policy)
	if maxMutationsPerHour != 0 {
		rules.MaxMutationsPerHour = min(rules.MaxMutationsPerHour, maxMutationsPerHour)
	}
	return newToolbox(rules, b.live.Narrow(live), account, b.tools)
}

// Lang returns the language of what is said.
func (b *Toolbox) Lang() lang.Lang { return b.rules.Lang }

// Tools returns the tools that the policy offers.
func (b *Toolbox) Tools() []Tool {
	return slices.DeleteFunc(slices.Clone(b.tools), func(t Tool) bool { return b.offers(t) != nil })
}

// Withheld returns the tools that the policy does not offer. Call refuses them with the reason.
func (b *Toolbox) Withheld() []Tool {
	return slices.DeleteFunc(slices.Clone(b.tools), func(t Tool) bool { return b.offers(t) == nil })
}

func (b *Toolbox) offers(t Tool) error { return b.rules.Policy.Offers(t.Name, t.Toolset, t.Risk) }

func (b *Toolbox) inScope(t Tool) error { return b.rules.Policy.PermitsScope(t.Name, t.Risk) }

// Lacking returns the scopes that a call of an offered tool needs, if the caller's access token does not have them.
func (b *Toolbox) Lacking(tool string) (scopes []string) {
	for _, t := range b.tools {
		if t.Name == tool && b.offers(t) == nil && b.inScope(t) != nil {
			return guard.ScopesFor(t.Risk)
		}
	}
	return nil
}

// LackingToRead is Lacking for what reads and is not a tool.
func (b *Toolbox) LackingToRead() (scopes []string) {
	if b.rules.Policy.PermitsScope("", guard.Read) != nil {
		return guard.ScopesFor(guard.Read)
	}
	return nil
}

// Call runs one tool. Explain words its errors for a model. A panic in a tool comes back as an error with an id that the
// log explains.
func (b *Toolbox) Call(ctx context.Context, call Call) (result Result, err error) {
	ended, started := b.rules.Observe(), b.rules.Now()
	caller := call.Caller // what runs when the call ends must not keep its arguments
	name, log := UnknownTool, zerolog.Ctx(ctx).With()
	i := slices.IndexFunc(b.tools, func(t Tool) bool { return t.Name == call.Tool })
	if i >= 0 {
		name, log = call.Tool, log.Str("tool", call.Tool)
	}
	if caller.Name != "" {
		log = log.Str("caller", caller.Name)
	}
	ctx, cancel := context.WithTimeoutCause(log.Logger().WithContext(ctx), callTimeout,
		lang.Errorf("the call took longer than %s and was ended", callTimeout))
	defer cancel()
	var e ending
	defer func() {
		if cause := recover(); cause != nil {
			panicked := fmt.Errorf("panic: %v\n%s", cause, debug.Stack()) // not said to people
			e = ending{err: &internalError{what: lang.T("a fault in the server"), cause: panicked}}
		}
		seen := e.observe(ctx, name, caller, b.rules.Now().Sub(started))
		logCall(ctx, seen, e.err)
		ended(seen)
		result, err = e.result, e.err
	}()
	switch {
	case i < 0:
		e.err = b.unknown(call.Tool)
	case b.offers(b.tools[i]) != nil:
		e = b.newAttempt(ctx, b.tools[i], call).refuse(ctx, b.offers(b.tools[i]), "")
	case b.inScope(b.tools[i]) != nil:
		e = b.newAttempt(ctx, b.tools[i], call).refuse(ctx, b.inScope(b.tools[i]), "")
	default:
		e = b.tools[i].run(ctx, b, call)
	}
	return e.result, e.err
}

func (b *Toolbox) unknown(tool string) error {
	if err := b.rules.Missing[tool]; err != nil {
		return lang.Errorf("%s is not offered: %w", tool, err)
	}
	var names []string
	for _, t := range b.Tools() {
		names = append(names, t.Name)
	}
	return lang.Errorf("%w %q; the tools are: %s", ErrUnknownTool, tool, lang.Names(names))
}

// logCall gives a fault of ours the id that the caller is told.
func logCall(ctx context.Context, seen Observation, err error) {
	log := Logger(ctx)
	var failure *internalError
	if errors.As(err, &failure) {
		failure.id = rand.Text()[:10]
		log.Error().Str("error_id", failure.id).AnErr("cause", failure.cause).Msg(failure.Error())
	}
	var refusal *guard.Refusal
	if errors.As(err, &refusal) && refusal.Cause != nil {
		log.Error().AnErr("cause", refusal.Cause).Str("rule", refusal.Rule).Msg("a limit cannot be checked")
	}
	log.Info().Int64("duration_ms", seen.Took.Milliseconds()).Str("outcome", string(seen.Ending)).
		AnErr("error", withoutArguments(err)).Msg("tool call")
}

// Logger returns the log of ctx with the trace of ctx. It does not go back into ctx, because the clients of the services
// add the trace to their lines themselves.
func Logger(ctx context.Context) *zerolog.Logger {
	log := zerolog.Ctx(ctx)
	if id := trace.From(ctx).ID(); id != "" {
		traced := log.With().Str("trace_id", id).Logger()
		return &traced
	}
	return log
}
