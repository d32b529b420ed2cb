package tools

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// StopInstancesInput are the arguments of stop_instances.
type StopInstancesInput struct {
	InstanceIDs []string `json:"instance_ids" jsonschema:"minItems=1" jsonschema_description:"Instances to stop: ids or unique names"`
	Region      string   `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	WaitSeconds int      `json:"wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=50" jsonschema_description:"Seconds to wait until they have stopped"`
	toolbox.Consent
}

// StopInstancesOutput is the result of stop_instances.
type StopInstancesOutput struct {
	toolbox.Changed
	WaitedSeconds int `json:"waited_seconds" jsonschema_description:"Seconds waited"`
}

func (s Instances) stopInstances() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "stop_instances",
		Title:   "Stop, shut down or power off an instance or container, and keep it (停止, 停掉, 关掉实例, 关机, 暂停, 释放显卡, 不删除)",
		Example: "instance_ids=qwen-finetune-01 wait_seconds=30",
		Toolset: InstancesToolset,
		Risk:    guard.Disruptive,
		Consent: guard.Preview,
		Description: "Stops instances and keeps them (停止, 释放加速卡): processes end, accelerators are freed, files outside mounts may be lost. " +
			"restart_instance starts them again. Use this to free cards, not delete_instances. The first call shows a preview.",
	}, toolbox.Steps[StopInstancesInput, chosen, StopInstancesOutput]{
		Plan: s.planStop,
		Nothing: func(StopInstancesInput, toolbox.Plan) StopInstancesOutput {
			return StopInstancesOutput{Changed: toolbox.Changed{State: toolbox.Done}}
		},
		Ask: askStop,
		Act: s.actStop,
	}, s.options()...)
}

func (s Instances) planStop(
	ctx context.Context, policy guard.Policy, in *StopInstancesInput,
) (plan toolbox.Plan, work chosen, err error) {
	work, err = s.choose(ctx, policy, in.Region, in.InstanceIDs)
	if plan.Targets = work.targets; err != nil {
		return plan, work, err
	}
	in.Region, in.InstanceIDs = "", toolbox.IDs(plan.Targets) // each target says where it is
	freed, queueing := 0, 0
	for i := range plan.Targets {
		t := &plan.Targets[i]
		switch {
		case !t.Exists:
			t.Effect = lang.T("does not exist (any more)")
		case ended(work.found[i].instance.Status):
			t.Effect, t.Outcome = lang.T("has ended already"), toolbox.AlreadyStopped
		default:
			t.Effect = stopEffect(*t, work.found[i].instance)
			if work.found[i].instance.Status.Is(scnet.Waiting) { // it holds none yet
				queueing++
			} else {
				freed += t.Accelerators
			}
		}
	}
	plan.Effect = lang.T("would stop %s in %s: processes end, %s freed, and the instances stay. What is not in mounted storage may be lost.",
		lang.Count(plan.Changes(), "instance"), plan.Where(), lang.Count(freed, "accelerator"))
	if queueing > 0 && queueing == plan.Changes() {
		plan.Effect = lang.T("would take %s in %s out of the queue: no accelerator is freed, because none is held yet, and the instances stay.",
			lang.Count(queueing, "instance"), plan.Where())
	}
	return plan, work, nil
}

// stopEffect says what a stop ends.
func stopEffect(t toolbox.Target, in scnet.Instance) lang.Text {
	effect := lang.T("its processes end")
	if in.Status.Is(scnet.Waiting) {
		effect = lang.T("leaves the queue and loses its place in it")
	}
	if len(t.Mounts) == 0 && !in.Status.Is(scnet.Waiting) {
		effect = lang.Clauses(effect, lang.T("it has no mounts, so its files may be lost"))
	}
	return effect
}

func askStop(_ StopInstancesInput, plan toolbox.Plan) guard.Question {
	lines := []lang.Text{lang.T("Stop %s in %s? What is not in mounted storage may be lost.", lang.Count(plan.Changes(), "instance"), plan.Where())}
	for _, t := range plan.Targets {
		if !t.Spared() {
			lines = append(lines, lang.T("- %s, %s: %s", t, text.Field(t.Status), t.Effect))
		}
	}
	return guard.Question{Message: lang.Lines(lines...), Choices: []lang.Text{lang.T("stop"), lang.T("do not stop")}}
}

func (s Instances) actStop(ctx context.Context, in StopInstancesInput, work chosen) (StopInstancesOutput, error) {
	targets, present := slices.Clone(work.targets), work.present()
	for _, chunk := range work.chunks(present, scnet.MaxStopIDs) {
		err := context.Cause(ctx)
		if err == nil {
			err = toolbox.Permitted(ctx)
		}
		if err != nil {
			for _, i := range chunk {
				targets[i].Outcome, targets[i].Note = toolbox.NotAttempted, toolbox.Briefly(err)
			}
			continue
		}
		ids := make([]string, len(chunk))
		for j, i := range chunk {
			ids[j] = targets[i].ID
		}
		// A write that is cut off has an unknown outcome, so cancelling waits for this one.
		err = work.found[chunk[0]].region.Stop(context.WithoutCancel(ctx), ids...)
		for _, i := range chunk {
			targets[i].Outcome = toolbox.StillActive
			if err != nil {
				targets[i].Fail(toolbox.OutcomeOf(err), err)
			}
		}
	}
	w := stopWatch{found: work.found, targets: targets, sent: slices.Clone(targets), now: s.Now}
	for _, i := range present {
		if targets[i].Outcome == toolbox.StillActive || targets[i].Outcome == toolbox.OutcomeUnknown {
			w.left = append(w.left, i)
		}
	}
	w.until(ctx, time.Duration(in.WaitSeconds)*time.Second)
	out := StopInstancesOutput{Changed: toolbox.Changed{State: stopState(targets), Targets: targets},
		WaitedSeconds: int(w.waited / time.Second)}
	out.Next = afterStop(targets)
	return out, nil
}

// afterStop is the next step for what a stop has left.
func afterStop(targets []toolbox.Target) lang.Text {
	if look := lookAtEach(targets, "Terminated", toolbox.StillActive, toolbox.OutcomeUnknown); !look.IsZero() {
		return lang.T("%s: it waits for the end. What still runs then was not stopped, and can be stopped again.", look)
	}
	if look := lookAtEach(targets, "", toolbox.RefusedByService); !look.IsZero() {
		return lang.T("%s: SCNet refused to stop it, and its status may say why.", look)
	}
	if toolbox.Count(targets, toolbox.NotAttempted, toolbox.OutcomeFailed) > 0 {
		return lang.T("Repeat the call for the instances that nothing was sent for.")
	}
	return lang.Text{}
}

// stopWatch follows instances that a stop was sent for.
type stopWatch struct {
	found   []located
	targets []toolbox.Target
	sent    []toolbox.Target // as the stop left them
	left    []int            // those that are not known to have stopped
	now     func() time.Time
	waited  time.Duration
}

// until looks until all have stopped or the time is over. It looks at least once, and once more when the caller has gone,
// because the audit log wants to know too.
func (w *stopWatch) until(ctx context.Context, limit time.Duration) {
	started := w.now()
	limit = max(limit, leastLook)
	look := context.WithoutCancel(ctx)
	for pause := firstPoll; len(w.left) > 0; pause = min(pause*2, maxPoll) {
		bounded, cancel := context.WithTimeout(look, settleTimeout)
		w.look(bounded)
		cancel()
		w.waited = w.now().Sub(started)
		rest := limit - w.waited
		if len(w.left) == 0 || rest <= 0 {
			return
		}
		toolbox.ReportProgress(ctx, int(w.waited/time.Second), int(limit/time.Second),
			lang.T("%d not stopped yet", len(w.left)))
		if !upstream.Wait(ctx, min(pause, rest)) {
			return
		}
	}
}

func (w *stopWatch) look(ctx context.Context) {
	seen, looks := make([]scnet.Instance, len(w.left)), make([]error, len(w.left))
	fault := lookUp(ctx, len(w.left), func(i int) error {
		seen[i], looks[i] = w.found[w.left[i]].region.Detail(ctx, w.targets[w.left[i]].ID)
		return nil
	})
	var left []int
	for i, at := range w.left {
		err := looks[i]
		if err == nil {
			err = fault
		}
		if !w.settle(at, seen[i], err) {
			left = append(left, at)
		}
	}
	w.left = left
}

// settle notes what a look has shown of a target, and reports whether that is final. It outranks what the stop answered.
func (w *stopWatch) settle(at int, in scnet.Instance, err error) bool {
	t, sent := &w.targets[at], w.sent[at]
	switch {
	case errors.Is(err, scnet.ErrNotFound):
		t.Outcome, t.Note = toolbox.Stopped, lang.T("it does not exist any more")
		return true
	case err == nil && ended(in.Status):
		t.Outcome, t.Note, t.Code = toolbox.Stopped, lang.T("now %s", text.Field(string(in.Status))), ""
		if sent.Outcome == toolbox.OutcomeUnknown {
			t.Note = lang.T("%s, although: %s", t.Note, sent.Note)
		}
		return true
	case err != nil && sent.Outcome == toolbox.StillActive:
		t.Fail(toolbox.OutcomeUnknown, err)
		t.Note = lang.T("the stop was accepted, but looking afterwards failed: %s", t.Note)
	case err != nil:
		t.Note = lang.Clauses(sent.Note, lang.T("looking afterwards failed: %s", toolbox.Briefly(err)))
	case sent.Outcome == toolbox.StillActive:
		t.Outcome, t.Note = toolbox.StillActive, lang.T("the stop was accepted; now %s", text.Field(string(in.Status)))
	default:
		t.Note = lang.Clauses(sent.Note, lang.T("it is %s", text.Field(string(in.Status))))
	}
	return false
}

func stopState(targets []toolbox.Target) toolbox.State {
	settled := toolbox.Count(targets, toolbox.Stopped, toolbox.AlreadyStopped, toolbox.NotFound)
	active := toolbox.Count(targets, toolbox.StillActive)
	switch {
	case settled == len(targets):
		return toolbox.Done
	case settled+active == len(targets):
		return toolbox.Waiting
	case toolbox.Count(targets, toolbox.Stopped, toolbox.StillActive) > 0:
		return toolbox.Partial
	case toolbox.Count(targets, toolbox.OutcomeUnknown) > 0:
		return toolbox.Unknown
	}
	return toolbox.Failed
}

// Text tells what became of each target.
func (out StopInstancesOutput) Text(l lang.Lang) string {
	var b strings.Builder
	count := func(o ...toolbox.Outcome) int { return toolbox.Count(out.Targets, o...) }
	said := lang.T("%s: %d stopped, %d still active, %d had ended already, %d not found, %d refused, %d not sent, %d unknown",
		out.State, count(toolbox.Stopped), count(toolbox.StillActive), count(toolbox.AlreadyStopped), count(toolbox.NotFound),
		count(toolbox.RefusedByService), count(toolbox.OutcomeFailed, toolbox.NotAttempted), count(toolbox.OutcomeUnknown))
	l.Fprintf(&b, "%s.\n", afterSeconds(said, out.WaitedSeconds))
	toolbox.WriteOutcomes(l, &b, out.Targets)
	return strings.TrimSuffix(b.String(), "\n")
}
