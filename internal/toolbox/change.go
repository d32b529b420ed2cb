package toolbox

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/schemas"
)

// Consent are the arguments that let a call through. Embed it in the arguments of every change.
type Consent struct {
	Confirm      bool   `json:"confirm,omitempty" audit:"plain" jsonschema_description:"true carries it out; without it nothing changes"`
	PreviewToken string `json:"preview_token,omitempty" jsonschema_description:"From the preview the user agreed to"`
}

func (c *Consent) consent() *Consent { return c }

// consenting is a pointer to an argument struct that embeds Consent.
type consenting[In any] interface {
	*In
	consent() *Consent
}

// Changed is what the result of every change has. Embed it in the result struct. Act sets State, Targets
// and Next; in a preview the frame sets everything. The frame cleans the targets, and ends the text with Next.
type Changed struct {
	State   State     `json:"state" jsonschema:"enum=confirmation_required,enum=done,enum=partial,enum=failed,enum=unknown,enum=waiting" jsonschema_description:"confirmation_required: nothing was changed; waiting: accepted, not over yet; unknown: it may have happened"`
	Targets []Target  `json:"targets,omitempty" jsonschema_description:"What the call is about"`
	Preview *Preview  `json:"preview,omitempty" jsonschema_description:"Instead of acting, until there is consent"`
	Next    lang.Text `json:"next,omitzero" jsonschema_description:"The next step"`
}

func (c *Changed) changed() *Changed { return c } //nolint:unused // the constraint changing calls it

// changing is a pointer to a result struct that embeds Changed.
type changing[Out any] interface {
	*Out
	Output
	changed() *Changed
}

// Steps are what a tool that changes something consists of. The same plan serves preview and act. Work is what Plan
// resolved and Act needs.
type Steps[In, Work, Out any] struct {
	// Plan checks the arguments beyond their schema, puts them into their canonical form, which consent is bound to, and
	// resolves every target. It changes nothing. policy is the caller's, for refusing before much is looked up; the frame
	// checks the plan against it in any case.
	Plan func(ctx context.Context, policy guard.Policy, in *In) (Plan, Work, error)
	// Preview returns what the tool's result says besides Changed when it is a preview. Optional.
	Preview func(In, Plan) Out
	// Nothing is the result of a plan in which every target is spared; the frame adds the targets. It is needed if there can
	// be such a plan.
	Nothing func(In, Plan) Out
	// Ask is what a human is asked.
	Ask func(In, Plan) guard.Question
	// Act does it. An error says that nothing was changed; the targets of out tell the audit log what was attempted all the
	// same.
	Act func(ctx context.Context, in In, work Work) (out Out, err error)
}

// Change completes t, as Read does, for a tool that changes something: plan, consent, act, with an audit record for every
// attempt.
func Change[In, Work, Out any, InP consenting[In], OutP changing[Out]](
	t Tool, steps Steps[In, Work, Out], options ...schemas.Option,
) Tool {
	t.Input, t.Output = schemas.MustFor[In](options...), schemas.MustFor[Out]()
	c := change[In, Work, Out, InP, OutP]{tool: t, steps: steps}
	t.run = c.run
	return t
}

type change[In, Work, Out any, InP consenting[In], OutP changing[Out]] struct {
	tool  Tool
	steps Steps[In, Work, Out]
}

func (c change[In, Work, Out, InP, OutP]) run(ctx context.Context, b *Toolbox, call Call) ending {
	a := b.newAttempt(ctx, c.tool, call)
	var in In
	if err := c.tool.Input.Decode(call.Arguments, &in); err != nil {
		return a.refuseEarly(ctx, err, "arguments")
	}
	a.hold(InP(&in).consent().PreviewToken)
	plan, work, err := c.steps.Plan(ctx, b.rules.Policy, &in)
	a.describe(plan, in)
	if err != nil {
		return a.refuseEarly(ctx, err, "plan")
	}
	if err := plan.permitted(b.rules.Policy); err != nil {
		return a.refuseEarly(ctx, err, "")
	}
	if plan.Changes() == 0 {
		return c.answerNothing(ctx, a, in, plan)
	}
	if err := plan.Occupies.check(ctx, b.rules.Policy); err != nil {
		return a.refuseEarly(ctx, err, "")
	}

	consent := *InP(&in).consent()
	if consent.Confirm || call.Caller.AtTerminal { // before anybody is asked for a consent that could not be used
		if err := b.budget.Room(ctx, plan.Changes()); err != nil {
			return a.refuseEarly(ctx, err, "")
		}
	}
	bound := in
	*InP(&bound).consent() = Consent{}
	subject := plan.subject(c.tool.Name, call.Caller.Name, bound)
	decision := b.rules.Tokens.Decide(ctx, guard.Call{
		Level: b.rules.Policy.Level(c.tool.Name, c.tool.StandardConsent()), Subject: subject, Question: c.steps.Ask(in, plan),
		Confirm: consent.Confirm, Token: consent.PreviewToken, CanAsk: call.Caller.CanAsk && !b.rules.Policy.NeverAsk,
		Answer: call.Answer, AtTerminal: call.Caller.AtTerminal,
	})
	a.noteDecision(ctx, decision)
	switch decision.Verdict {
	case guard.Proceed:
		return c.act(ctx, a, in, plan, work)
	case guard.Show:
		return c.show(ctx, a, call, in, plan, decision)
	case guard.Ask:
		a.finish(ctx, audit.Previewed, NeedsConfirmation, nil) // the answer may never come
		preview := plan.preview(decision.Notice, b.rules.Now()).text(b.rules.Lang)
		return a.end(Result{Question: decision.Question, Text: preview}, nil)
	case guard.Declined:
		a.finish(ctx, audit.Declined, "", nil)
		return a.end(Result{}, &declinedError{notice: decision.Notice})
	case guard.Refused:
	}
	return a.refuse(ctx, &guard.Refusal{Rule: guard.ConsentRule, Reason: decision.Notice}, "")
}

// act does what there is consent for, between the two records that say so.
func (c change[In, Work, Out, InP, OutP]) act(ctx context.Context, a *attempt, in In, plan Plan, work Work) ending {
	if ctx.Err() != nil {
		return a.refuse(ctx, lang.Errorf("%w. Nothing was changed", context.Cause(ctx)), "cancelled")
	}
	if err := a.toolbox.stillPermitted(c.tool, plan); err != nil {
		return a.refuse(ctx, err, "")
	}
	changes := plan.Changes()
	receipt, err := a.toolbox.budget.Take(ctx, changes)
	if err != nil {
		return a.refuse(ctx, err, "")
	}
	if err := plan.Occupies.reserve(ctx, a.toolbox.live, a.toolbox.rules.Accelerators); err != nil {
		a.toolbox.giveBack(ctx, receipt, changes)
		return a.refuse(ctx, err, "cancelled")
	}
	if err := a.recordIntent(ctx); err != nil {
		plan.Occupies.over(ctx, true)
		a.toolbox.giveBack(ctx, receipt, changes)
		return a.end(Result{}, err)
	}
	out, err := recovered(func() (Out, error) { return c.steps.Act(a.toolbox.withPermission(ctx, c.tool, plan), in, work) })
	changed := OutP(&out).changed()
	plan.Occupies.over(ctx, nothingComes(err, changed.Targets))
	if err != nil {
		if !Uncertain(err) { // nothing was changed
			a.toolbox.giveBack(ctx, receipt, changes-attempted(changed.Targets))
		}
		a.recordFailure(ctx, err, changed.Targets, plan)
		return a.end(Result{}, err)
	}
	a.toolbox.giveBack(ctx, receipt, changes-attempted(changed.Targets))
	recorded := a.finish(ctx, audit.Result, changed.State, changed.Targets)
	result, err := c.render(a, out)
	if failure := (*internalError)(nil); errors.As(err, &failure) {
		failure.uncertain = true
	}
	if !recorded {
		result.Text += "\n" + a.toolbox.rules.Lang.Sprintf("Note: the audit log could not be written after the change.")
	}
	return a.end(result, err)
}

// show answers with a preview.
func (c change[In, Work, Out, InP, OutP]) show(
	ctx context.Context, a *attempt, call Call, in In, plan Plan, decision guard.Decision,
) ending {
	a.finish(ctx, audit.Previewed, NeedsConfirmation, nil)
	p := plan.preview(decision.Notice, a.toolbox.rules.Now())
	next := p.consentable(decision, call.Caller.AtShell)
	var out Out
	if c.steps.Preview != nil {
		out = c.steps.Preview(in, plan)
	}
	*OutP(&out).changed() = Changed{State: NeedsConfirmation, Targets: plan.previewed(), Preview: p, Next: next}
	result, err := c.render(a, out)
	result.NeedsConsent = true
	if call.Caller.AtShell { // the command says itself how to go on
		result.Text = a.mask(p.text(a.toolbox.rules.Lang))
	}
	return a.end(result, err)
}

// answerNothing answers a call for which there is nothing to do, without acting. An answer that came with it is consumed.
func (c change[In, Work, Out, InP, OutP]) answerNothing(ctx context.Context, a *attempt, in In, plan Plan) ending {
	a.consumeAnswer(ctx)
	if c.steps.Nothing == nil {
		return a.refuse(ctx, &internalError{what: lang.T("a plan without a target"), cause: errors.New(c.tool.Name)}, "plan")
	}
	out := c.steps.Nothing(in, plan)
	changed := OutP(&out).changed()
	changed.Targets = plan.Targets
	a.finish(ctx, audit.NothingToDo, changed.State, changed.Targets)
	result, err := c.render(a, out)
	return a.end(result, err)
}

// render renders the result of a change, a preview as its own text.
func (c change[In, Work, Out, InP, OutP]) render(a *attempt, out Out) (Result, error) {
	changed := OutP(&out).changed()
	for i, t := range changed.Targets {
		t = t.Shown()
		t.ID, t.Name, t.Status, t.Note = a.mask(t.ID), a.mask(t.Name), a.mask(t.Status), a.maskText(t.Note)
		if changed.Preview == nil {
			t.Effect = lang.Text{} // the outcome says what came of it
		}
		changed.Targets[i] = t
	}
	result, err := a.toolbox.render(c.tool.Output, OutP(&out))
	if err != nil {
		return result, err
	}
	result.State = changed.State
	if result.IsError() {
		result.Problem = problemOf(changed.Targets)
	}
	if changed.Preview != nil {
		result.Text = a.mask(changed.Preview.text(a.toolbox.rules.Lang))
	}
	if !changed.Next.IsZero() {
		result.Text = strings.TrimSuffix(result.Text, "\n") + "\n" + changed.Next.In(a.toolbox.rules.Lang)
	}
	return result, nil
}

// giveBack returns changes that were taken and not made.
func (b *Toolbox) giveBack(ctx context.Context, receipt guard.Receipt, changes int) {
	if err := b.budget.Return(ctx, receipt, changes); err != nil {
		Logger(ctx).Warn().Err(err).Int("changes", changes).Msg("changes that were not made stay counted")
	}
}

// recovered turns a panic in the middle of an act into an error that admits what is not known.
func recovered[Out any](act func() (Out, error)) (out Out, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			failure := &internalError{what: lang.T("a fault in the server"), uncertain: true,
				cause: fmt.Errorf("panic: %v\n%s", cause, debug.Stack())} // not said to people
			out, err = *new(Out), failure
		}
	}()
	return act()
}
