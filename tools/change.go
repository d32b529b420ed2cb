package tools

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// The states of a result.
const (
	stateConfirm = "confirmation_required" // a preview; nothing was changed
	stateDone    = "done"
	statePartial = "partial"
	stateFailed  = "failed"
	stateUnknown = "unknown" // it may or may not have happened
	stateWaiting = "waiting" // accepted, not finished
)

// Consent are the arguments that let a call through. Every tool that changes something has them.
type Consent struct {
	Confirm      bool   `json:"confirm,omitempty" jsonschema_description:"true to act"`
	PreviewToken string `json:"preview_token,omitempty" jsonschema_description:"From the preview"`
}

func (c *Consent) consent() *Consent { return c }

// consenting is a pointer to an argument struct that embeds Consent.
type consenting[In any] interface {
	*In
	consent() *Consent
}

// Plan is what a call would do, resolved from the service.
type Plan struct {
	Region  *scnet.Region // of instances
	Place   string        // of everything else: a Huawei Cloud region
	Effect  string        // what would happen, to go on from "This call"
	Targets []PlannedTarget
	Script  *audit.Script
	// Behind are the things that the targets stand for, where policy is about those: the desktops of a run.
	Behind []guard.Target
}

// PlannedTarget is one thing that the call is about, with what would happen to it.
type PlannedTarget struct {
	ID       string          // as the call named it
	Seen     *Seen           // as the service shows it; nil when it does not exist
	Instance *scnet.Instance // what was seen, if it is an instance
	Effect   string
	Spared   bool // nothing would happen to it
}

// Seen is a target as the service shows it. Text is not cleaned.
type Seen struct {
	Name, Status, Owner string
	Created             time.Time
	// State holds what else must not change between preview and act: a restart shows in the start time and in the id of the
	// first container.
	State []string
}

func seenInstance(in scnet.Instance) *Seen {
	return &Seen{
		Name: in.Name, Status: string(in.Status), Owner: in.Owner, Created: in.CreatedAt,
		State: []string{in.HeaderTaskID, in.StartedAt.String()},
	}
}

// place returns where the targets are, as id and name.
func (p Plan) place() (id, name string) {
	if p.Region != nil {
		return p.Region.ID, p.Region.Name
	}
	return p.Place, p.Place
}

// Preview is shown instead of acting, until there is consent. What would happen to each target is among the result's
// targets.
type Preview struct {
	PreviewToken string `json:"preview_token,omitempty" jsonschema_description:"For the confirming call"`
	ExpiresAt    string `json:"expires_at,omitempty" jsonschema_description:"Its end"`
	Effect       string `json:"effect,omitempty" jsonschema_description:"What would happen"`

	table string
}

// change is what a tool that changes something consists of. The same plan serves preview and act.
type change[In any, Out output] struct {
	// plan checks the arguments beyond their schema, puts them into their canonical form, and resolves every target. It
	// changes nothing.
	plan func(context.Context, Service, *In) (Plan, error)
	// preview wraps a Preview in the tool's result.
	preview func(In, Plan, *Preview) Out
	// question is what a human is asked.
	question func(In, Plan) guard.Question
	// act does it. An error says that nothing was changed; outcomes tell the audit log what was attempted all the same.
	act func(context.Context, Service, In, Plan) (out Out, outcomes []audit.Outcome, err error)
	// state returns the state of a result.
	state func(Out) string
}

// declareChange completes t, as Declare does, for a tool that changes something: plan, consent, act, with an audit record
// for every attempt.
func declareChange[In any, Out output, P consenting[In]](t Tool, mode Mode, c change[In, Out]) Tool {
	input, result := schemasOf[In, Out](mode)
	t.Input, t.Output = input, result
	t.run = func(ctx context.Context, b *Toolbox, call Call) (Result, error) {
		a := b.newAttempt(ctx, t, call)
		var in In
		if err := input.Decode(call.Arguments, &in); err != nil {
			return Result{}, a.unplanned(ctx, err, "arguments", call.Answer)
		}
		plan, err := c.plan(ctx, b.service, &in)
		a.planned(plan, in)
		if err != nil {
			return Result{}, a.unplanned(ctx, err, "plan", call.Answer)
		}
		if err := plan.permitted(b.service.Policy); err != nil {
			return Result{}, a.unplanned(ctx, err, "", call.Answer)
		}
		if plan.isEmpty() {
			out, outcomes, err := c.act(ctx, b.service, in, plan)
			if err != nil {
				return Result{}, a.refused(ctx, err, "act")
			}
			a.record.Rule = "nothing_to_do"
			a.finished(ctx, audit.Refused, c.state(out), outcomes)
			rendered, err := render(result, out)
			rendered.State = c.state(out)
			return rendered, err
		}

		consent := *P(&in).consent()
		changes := plan.changes()
		if consent.Confirm || call.Caller.AtTerminal { // before anybody is asked for a consent that could not be used
			if err := b.budget.Room(ctx, changes); err != nil {
				return Result{}, a.unplanned(ctx, err, "", call.Answer)
			}
		}
		subject := subjectOf[In, P](t.Name, call.Caller.Name, plan, in)
		decision := b.service.Tokens.Decide(ctx, guard.Call{
			Level: b.service.Policy.Level(t.Name, t.standardConsent()), Subject: subject, Question: c.question(in, plan),
			Confirm: consent.Confirm, Token: consent.PreviewToken, CanAsk: call.Caller.CanAsk && !b.service.Policy.NeverAsk, Answer: call.Answer,
			AtTerminal: call.Caller.AtTerminal,
		})
		a.decided(ctx, decision)
		switch decision.Verdict {
		case guard.Proceed:
		case guard.Ask:
			a.finished(ctx, audit.Previewed, stateConfirm, nil) // the answer may never come
			return Result{Question: decision.Question, Text: plan.preview(decision.Notice, b.service.Now()).Text()}, nil
		case guard.Declined:
			a.finished(ctx, audit.Declined, "", nil)
			return Result{}, &declinedError{notice: decision.Notice}
		case guard.Refused:
			return Result{}, a.refused(ctx, &guard.Refusal{Rule: guard.ConsentRule, Reason: decision.Notice}, "")
		case guard.Show:
			p := b.newPreview(plan, decision)
			a.finished(ctx, audit.Previewed, stateConfirm, nil)
			shown, err := render(result, c.preview(in, plan, p))
			shown.NeedsConsent, shown.State = true, stateConfirm
			return shown, err
		}

		if ctx.Err() != nil {
			return Result{}, a.refused(ctx, fmt.Errorf("%w. Nothing was changed", context.Cause(ctx)), "cancelled")
		}
		receipt, err := b.budget.Take(ctx, changes)
		if err != nil {
			return Result{}, a.refused(ctx, err, "")
		}
		if err := a.intent(ctx); err != nil {
			b.giveBack(ctx, receipt, changes)
			return Result{}, err
		}
		out, outcomes, err := recovered(func() (Out, []audit.Outcome, error) { return c.act(ctx, b.service, in, plan) })
		if err != nil {
			if !uncertain(err) { // nothing was changed
				b.giveBack(ctx, receipt, changes-attempted(outcomes))
			}
			a.failed(ctx, err, outcomes, plan)
			return Result{}, err
		}
		b.giveBack(ctx, receipt, changes-attempted(outcomes))
		note := a.finished(ctx, audit.Result, c.state(out), outcomes)
		rendered, err := render(result, out)
		if failure := (*internalError)(nil); errors.As(err, &failure) {
			failure.uncertain = true
		}
		rendered.Text += note
		rendered.State = c.state(out)
		return rendered, err
	}
	return t
}

// giveBack returns changes that were taken and not made.
func (b *Toolbox) giveBack(ctx context.Context, receipt guard.Receipt, changes int) {
	if err := b.budget.Return(ctx, receipt, changes); err != nil {
		logger(ctx).Warn().Err(err).Int("changes", changes).Msg("changes that were not made stay counted")
	}
}

// recovered turns a panic in the middle of an act into an error that admits what is not known.
func recovered[Out any](act func() (Out, []audit.Outcome, error)) (out Out, outcomes []audit.Outcome, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &internalError{what: "a fault in the server", uncertain: true, cause: fmt.Errorf("panic: %v\n%s", cause, debug.Stack())}
		}
	}()
	return act()
}

// attempted counts the outcomes of targets that something was sent for.
func attempted(outcomes []audit.Outcome) int {
	n := 0
	for _, o := range outcomes {
		switch o.Outcome {
		case outcomeNotAttempted, outcomeSkipped, outcomeNotFound, outcomeFailed:
		default:
			n++
		}
	}
	return n
}

// ErrDeclined is wrapped by the error of a call that a human said no to.
var ErrDeclined = errors.New("declined")

type declinedError struct{ notice string }

func (e *declinedError) Error() string { return e.notice }

func (e *declinedError) Unwrap() error { return ErrDeclined }

// isEmpty reports whether nothing would happen to any target.
func (p Plan) isEmpty() bool { return p.changes() == 0 }

func (p Plan) ids() []string {
	ids := make([]string, len(p.Targets))
	for i, t := range p.Targets {
		ids[i] = t.ID
	}
	return ids
}

func (p Plan) changes() int {
	n := 0
	for _, t := range p.Targets {
		if !t.Spared {
			n++
		}
	}
	return n
}

// permitted asks the policy about the targets, or about what they stand for: the limit on targets is for what a call names.
func (p Plan) permitted(policy guard.Policy) error {
	if p.Behind != nil {
		return policy.PermitsEach(p.Behind)
	}
	return policy.Permits(p.policyTargets())
}

// policyTargets are the targets as the service shows them; what does not exist cannot be protected. Names are cleaned but
// not cut: a pattern may be about their end.
func (p Plan) policyTargets() []guard.Target {
	region, regionName := p.place()
	var targets []guard.Target
	for _, t := range p.Targets {
		if t.Seen != nil {
			targets = append(targets, guard.Target{ID: t.ID, Name: text.Line(t.Seen.Name, 0), Region: region, RegionName: regionName})
		}
	}
	return targets
}

// subjectOf binds consent to the call and to what every target looked like.
func subjectOf[In any, P consenting[In]](tool, caller string, plan Plan, in In) guard.Subject {
	*P(&in).consent() = Consent{}
	arguments, _ := json.Marshal(in) // argument structs always encode, and so do these
	type target struct {
		ID   string
		Seen *Seen
	}
	targets := make([]target, len(plan.Targets))
	for i, t := range plan.Targets {
		targets[i] = target{t.ID, t.Seen}
	}
	state, _ := json.Marshal(targets)
	region, _ := plan.place()
	return guard.Subject{Tool: tool, Caller: caller, Region: region, Arguments: string(arguments), State: string(state)}
}

func (b *Toolbox) newPreview(plan Plan, decision guard.Decision) *Preview {
	p := plan.preview(decision.Notice, b.service.Now())
	if decision.Token != "" {
		p.PreviewToken, p.ExpiresAt = decision.Token, decision.Expires.UTC().Format(time.RFC3339)
	}
	return p
}

// preview tells what the plan would do, without a way to consent to it.
func (p Plan) preview(notice string, now time.Time) *Preview {
	return &Preview{
		Effect: strings.TrimSpace(notice + " Nothing has been changed. This call " + p.Effect),
		table:  p.table(now),
	}
}

// table shows every target with what would happen to it.
func (p Plan) table(now time.Time) string {
	var b strings.Builder
	rows := [][]string{{"NAME", "ID", "STATUS", "AGE", "OWNER", "EFFECT"}}
	for _, t := range p.Targets {
		row := []string{"-", text.Field(t.ID), "not found", "-", "-", t.Effect}
		if in := t.Seen; in != nil {
			row[0], row[2], row[4] = text.Dash(text.Field(in.Name)), text.Field(in.Status), text.Dash(text.Field(in.Owner))
			if !in.Created.IsZero() {
				row[3] = text.Age(now.Sub(in.Created))
			}
		}
		rows = append(rows, row)
	}
	text.WriteTable(&b, rows, []int{24, 40, 12, 6, 16, 70})
	return b.String()
}

// previewed are the targets of a preview: no outcome yet, what would happen as the note.
func (p Plan) previewed() []TargetOutcome {
	targets := make([]TargetOutcome, len(p.Targets))
	for i, t := range p.Targets {
		targets[i] = TargetOutcome{ID: text.Field(t.ID), Note: t.Effect}
		if t.Seen != nil {
			targets[i].Name, targets[i].Status = text.Field(t.Seen.Name), text.Field(t.Seen.Status)
		}
	}
	return targets
}

// Text shows what would happen and how to go on.
func (p *Preview) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "PREVIEW. %s\n%s", p.Effect, p.table)
	if p.PreviewToken == "" {
		return strings.TrimSuffix(b.String(), "\n")
	}
	fmt.Fprintf(&b, "Show this to the user. If they agree, repeat the same call with confirm=true and preview_token=%s, once, before %s.",
		p.PreviewToken, p.ExpiresAt)
	return b.String()
}

// attempt is the audit record of one call in the making.
type attempt struct {
	toolbox *Toolbox
	seen    *Observation
	record  audit.Record
	started time.Time
}

func (b *Toolbox) newAttempt(ctx context.Context, t Tool, call Call) *attempt {
	return &attempt{toolbox: b, seen: call.seen, started: b.service.Now(), record: audit.Record{
		Call: rand.Text()[:16], Tool: t.Name, Risk: string(t.Risk),
		Caller: call.Caller.Name, Client: call.Caller.Client, ClientVersion: call.Caller.ClientVersion, Transport: call.Caller.Transport,
		Server: b.service.Server, Trace: string(trace.From(ctx)),
	}}
}

// planned notes what the call is about.
func (a *attempt) planned(plan Plan, in any) {
	if a.record.Region = plan.Place; plan.Region != nil {
		a.record.Region = plan.Region.String()
	}
	for _, t := range plan.Targets {
		target := audit.Target{ID: text.Field(t.ID)}
		if t.Seen != nil {
			target.Name, target.Status = text.Field(t.Seen.Name), text.Field(t.Seen.Status)
		}
		a.record.Targets = append(a.record.Targets, target)
	}
	a.record.Script = plan.Script
	a.record.Arguments = auditArguments(in)
}

func (a *attempt) decided(ctx context.Context, d guard.Decision) {
	a.record.Consent, a.record.Token = d.Method, d.TokenID
	a.seen.Consent = d.Method
	if d.Fault != nil {
		logger(ctx).Error().AnErr("cause", d.Fault).Str("token", d.TokenID).Msg("the use of a preview token cannot be shared")
	}
}

// refused records that the call was not carried out, and returns err.
func (a *attempt) refused(ctx context.Context, err error, rule string) error {
	var refusal *guard.Refusal
	if errors.As(err, &refusal) {
		rule = refusal.Rule
	}
	a.record.Event, a.record.Rule, a.record.Error = audit.Refused, rule, text.Field(withoutArguments(err).Error())
	a.write(ctx)
	return err
}

// unplanned is refused for a call that did not get as far as consent. A human's answer is used up all the same, and a no
// stays a no: otherwise the token that it was given for could still be used from elsewhere.
func (a *attempt) unplanned(ctx context.Context, err error, rule string, answer *guard.Answer) error {
	if answer == nil {
		return a.refused(ctx, err, rule)
	}
	decision := a.toolbox.service.Tokens.Decline(ctx, *answer)
	if !answer.IsNo() {
		return a.refused(ctx, err, rule)
	}
	a.decided(ctx, decision)
	a.finished(ctx, audit.Declined, "", nil)
	return &declinedError{notice: decision.Notice}
}

// intent records that the call is about to be carried out. Its error means that it must not be.
func (a *attempt) intent(ctx context.Context) error {
	record := a.record
	record.Event, record.Time = audit.Intent, a.toolbox.service.Now()
	if a.toolbox.service.Audit == nil {
		return nil
	}
	err := a.toolbox.service.Audit.Append(ctx, record)
	if err == nil {
		return nil
	}
	logger(ctx).Error().Err(err).Msg("the audit log cannot be written")
	if a.toolbox.service.AuditOptional {
		return nil
	}
	return errors.New("the audit log cannot be written, so nothing was done: the operator wants every change recorded. Nothing was changed. The server's log has the cause")
}

// failed records that the act ended with an error. After a fault of ours nothing is known of any target.
func (a *attempt) failed(ctx context.Context, err error, outcomes []audit.Outcome, plan Plan) {
	a.record.State, a.record.Error, a.record.Outcomes = stateFailed, text.Field(err.Error()), outcomes
	if uncertain(err) {
		a.record.State = stateUnknown
		for _, t := range plan.Targets {
			if !t.Spared {
				a.record.Outcomes = append(a.record.Outcomes, audit.Outcome{ID: text.Field(t.ID), Outcome: outcomeUnknown})
			}
		}
	}
	a.record.Event = audit.Result
	a.write(ctx)
}

// finished records an event with its outcome. It returns a note for the result when the record could not be written.
func (a *attempt) finished(ctx context.Context, event audit.Event, state string, outcomes []audit.Outcome) (note string) {
	a.record.Event, a.record.State, a.record.Outcomes = event, state, outcomes
	a.seen.Outcome = endedIn[state]
	if !a.write(ctx) && event == audit.Result {
		return "\nNote: the audit log could not be written after the change."
	}
	return ""
}

// recordTime is how long the record of a call that is over may take. The call itself may have been ended.
const recordTime = 5 * time.Second

func (a *attempt) write(ctx context.Context) bool {
	if a.toolbox.service.Audit == nil {
		return true
	}
	a.record.Time = a.toolbox.service.Now()
	a.record.DurationMS = a.record.Time.Sub(a.started).Milliseconds()
	// A call that was ended is recorded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := a.toolbox.service.Audit.Append(ctx, a.record); err != nil {
		logger(ctx).Error().Err(err).Str("event", string(a.record.Event)).Msg("the audit log cannot be written")
		return false
	}
	return true
}

// uncertain reports whether what failed with err may have happened all the same, as after a fault of ours in the middle.
func uncertain(err error) bool {
	var service *scnet.Error
	var failure *internalError
	var fault *rollout.PanicError
	var desktop *workspace.Error
	return errors.As(err, &service) && service.Uncertain || errors.As(err, &desktop) && desktop.Uncertain || errors.As(err, &failure) && failure.uncertain || errors.As(err, &fault)
}
