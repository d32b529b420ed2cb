package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

const (
	firstPoll = time.Second
	maxPoll   = 5 * time.Second
)

// RestartInstanceInput are the arguments of restart_instance.
type RestartInstanceInput struct {
	InstanceID  string `json:"instance_id" jsonschema_description:"Instance id"`
	Region      string `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	Force       bool   `json:"force,omitempty" audit:"plain" jsonschema_description:"Restart an active instance too; its processes end"`
	WaitSeconds int    `json:"wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=50" jsonschema_description:"Seconds to wait for Running"`
	toolbox.Consent
}

// RestartInstanceOutput is the result of restart_instance.
type RestartInstanceOutput struct {
	toolbox.Changed
	Instance      toolbox.Target `json:"instance" jsonschema_description:"The instance before the call"`
	ReturnedID    string         `json:"returned_id,omitempty" jsonschema_description:"The id in the service's answer"`
	LastStatus    string         `json:"last_status,omitempty" jsonschema_description:"The status last seen"`
	WaitedSeconds int            `json:"waited_seconds" jsonschema_description:"Seconds waited"`
	Note          string         `json:"note,omitempty" jsonschema_description:"What to know"`
}

func (s Instances) restartInstance() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "restart_instance",
		Title:   "Restart an instance",
		Toolset: InstancesToolset,
		Risk:    guard.Disruptive,
		Description: "Starts a stopped, failed or completed instance; billing resumes. An active one only with force, which ends its processes. " +
			"Needs confirm=true. waiting: accepted, still queueing.",
	}, toolbox.Steps[RestartInstanceInput, restart, RestartInstanceOutput]{
		Plan: s.planRestart,
		Preview: func(_ RestartInstanceInput, plan toolbox.Plan) RestartInstanceOutput {
			return RestartInstanceOutput{Instance: plan.Targets[0].Shown()}
		},
		Ask: askRestart,
		Act: s.actRestart,
	}, s.options()...)
}

// restart is the instance to start and what it looked like before.
type restart struct {
	region *scnet.Region
	target toolbox.Target
	before scnet.Instance
}

func (s Instances) planRestart(ctx context.Context, policy guard.Policy, in *RestartInstanceInput) (plan toolbox.Plan, work restart, err error) {
	region, err := s.region(ctx, in.Region)
	if err != nil {
		return plan, work, err
	}
	in.Region, in.InstanceID = region.ID, strings.TrimSpace(in.InstanceID)
	targets, found, err := s.resolve(ctx, policy, region, []string{in.InstanceID})
	plan.Targets = targets
	if err != nil {
		return plan, work, err
	}
	t := &plan.Targets[0]
	if !t.Exists {
		return plan, work, fmt.Errorf("%w: %s in %s. Nothing was changed. list_instances shows the ids; the instance may also be in another region",
			scnet.ErrNotFound, text.Field(t.ID), region)
	}
	status := found[0].Status
	if active(status) && !in.Force {
		advice := "If it must be restarted all the same, repeat the call with force=true; its processes end."
		if !status.Is(scnet.Running) {
			advice = "It is on its way: " + describeStatus(status) + " Wait and look again with list_instances; force=true would start over."
		}
		return plan, work, fmt.Errorf("%s is %s, so there is nothing to start. Nothing was changed. %s", t, text.Field(t.Status), advice)
	}
	t.Effect = "starts; billing resumes"
	if active(status) {
		t.Effect = "processes end, then it starts again"
	}
	plan.Effect = fmt.Sprintf("would restart 1 instance in %s.", region)
	return plan, restart{region: region, target: *t, before: found[0]}, nil
}

func askRestart(_ RestartInstanceInput, plan toolbox.Plan) guard.Question {
	t := plan.Targets[0]
	return guard.Question{
		Message: fmt.Sprintf("Restart %s in %s? It is %s now: %s.", t, plan.Where(), text.Field(t.Status), t.Effect),
		Choices: []string{"restart it", "do not restart it"},
	}
}

func (s Instances) actRestart(ctx context.Context, in RestartInstanceInput, work restart) (RestartInstanceOutput, error) {
	t := work.target
	out := RestartInstanceOutput{Instance: t.Shown(), LastStatus: text.Field(t.Status)}
	// A write that is cut off has an unknown outcome, so cancelling waits for this one.
	returned, err := work.region.Restart(context.WithoutCancel(ctx), t.ID)
	if err != nil {
		t.Outcome, t.Note = toolbox.OutcomeOf(err), toolbox.Briefly(err)
		out.Targets = []toolbox.Target{t}
		if !toolbox.Uncertain(err) {
			return out, err
		}
		out.State = toolbox.Unknown
		out.Note = t.Note + ". The restart may or may not have happened, and was not repeated. See its status with list_instances before anything else."
		return out, nil
	}
	t.Outcome, t.NewID = toolbox.Accepted, returned
	out.Targets, out.ReturnedID = []toolbox.Target{t}, text.Field(returned)
	w := watch{restart: work, id: t.ID, returnedID: returned, now: s.Now}
	w.until(ctx, time.Duration(in.WaitSeconds)*time.Second)
	out.LastStatus, out.WaitedSeconds = text.Field(string(w.status)), int(w.waited/time.Second)
	out.State, out.Note = w.verdict()
	return out, nil
}

// verdict says what the watch saw.
func (w *watch) verdict() (state toolbox.State, note string) {
	switch {
	case w.status.Is(scnet.Running) && w.moved:
		state = toolbox.Done
	case w.final():
		state, note = toolbox.Failed, "The restart was accepted, but the instance ended again."
	case w.status.Is(scnet.Running):
		state, note = toolbox.Waiting, "The restart was accepted, but does not show yet. Look again with list_instances."
	default:
		state = toolbox.Waiting
		note = strings.TrimSpace("The restart was accepted; it is not Running yet. " + describeStatus(w.status) + " Look again with list_instances.")
	}
	if w.returnedID != "" && w.returnedID != w.target.ID {
		note = strings.TrimSpace(note + " The service answered with another id than it was sent; the status is that of " + text.Field(w.id) + ".")
	}
	if w.err != nil {
		note = strings.TrimSpace(note + " Its status could not be read: " + toolbox.Briefly(w.err) + ".")
	}
	return state, note
}

// watch follows an instance after a restart.
type watch struct {
	restart
	id         string
	returnedID string // some answers carry a new id
	now        func() time.Time

	status  scnet.Status
	endedAt time.Time
	moved   bool // the restart shows: before that, the old status is still being answered
	waited  time.Duration
	err     error // of the last look
}

// until looks at the instance until it is Running, has ended again, or limit is over. It looks at least once.
func (w *watch) until(ctx context.Context, limit time.Duration) {
	started := w.now()
	w.status = w.before.Status
	for pause := firstPoll; ; pause = min(pause*2, maxPoll) {
		w.look(ctx)
		w.waited = w.now().Sub(started)
		left := limit - w.waited
		if (w.status.Is(scnet.Running) && w.moved) || w.final() || left <= 0 {
			return
		}
		toolbox.ReportProgress(ctx, int(w.waited/time.Second), int(limit/time.Second), "status "+text.Field(string(w.status)))
		if !upstream.Wait(ctx, min(pause, left)) {
			w.waited = w.now().Sub(started)
			return
		}
	}
}

func (w *watch) look(ctx context.Context) {
	in, err := w.region.Detail(ctx, w.id)
	if errors.Is(err, scnet.ErrNotFound) && w.returnedID != "" && w.returnedID != w.id {
		if in, err = w.region.Detail(ctx, w.returnedID); err == nil {
			w.id, w.moved = w.returnedID, true
		}
	}
	if w.err = err; err != nil {
		return
	}
	w.status, w.endedAt = in.Status, in.EndedAt
	// An active instance has to go down first, so there another status alone says nothing.
	if !in.StartedAt.Equal(w.before.StartedAt) || in.HeaderTaskID != w.before.HeaderTaskID ||
		!in.Status.Is(w.before.Status) && !active(w.before.Status) {
		w.moved = true
	}
}

// final reports whether the instance has ended again, which is more than that it still shows how it ended before.
func (w *watch) final() bool {
	ended := w.status.Is(scnet.Terminated) || w.status.Is(scnet.Failed) || w.status.Is(scnet.Completed)
	return w.moved && ended && (!w.status.Is(w.before.Status) || w.endedAt.After(w.before.EndedAt))
}

// Text tells what came of it.
func (out RestartInstanceOutput) Text() string {
	words := fmt.Sprintf("%s: restart of %q (%s), status %s", out.State, out.Instance.Name, out.Instance.ID, out.LastStatus)
	if out.WaitedSeconds > 0 {
		words += fmt.Sprintf(" after %d s", out.WaitedSeconds)
	}
	if out.ReturnedID != "" {
		words += ", the service returned id " + out.ReturnedID
	}
	return strings.TrimSpace(words + ". " + out.Note)
}
