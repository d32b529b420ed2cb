package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

const (
	firstPoll = time.Second
	maxPoll   = 5 * time.Second
)

// RestartInstanceInput are the arguments of restart_instance.
type RestartInstanceInput struct {
	InstanceID  string `json:"instance_id" jsonschema_description:"Instance id"`
	Region      string `json:"region,omitempty" jsonschema_description:"Region id or name"`
	Force       bool   `json:"force,omitempty" jsonschema_description:"Also when active"`
	WaitSeconds int    `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=50" jsonschema_description:"Wait for Running"`
	Consent
}

func (RestartInstanceInput) regional() {}

// RestartInstanceOutput is the result of restart_instance.
type RestartInstanceOutput struct {
	State         string   `json:"state" jsonschema:"enum=confirmation_required,enum=done,enum=waiting,enum=failed,enum=unknown" jsonschema_description:"Outcome"`
	Instance      Ref      `json:"instance" jsonschema_description:"Before"`
	ReturnedID    string   `json:"returned_id,omitempty" jsonschema_description:"The service's answer"`
	LastStatus    string   `json:"last_status,omitempty" jsonschema_description:"Last seen"`
	WaitedSeconds int      `json:"waited_seconds" jsonschema_description:"Waited"`
	Note          string   `json:"note,omitempty" jsonschema_description:"What to know"`
	Preview       *Preview `json:"preview,omitempty" jsonschema_description:"Before consent"`
}

// Ref names an instance.
type Ref struct {
	ID     string `json:"id" jsonschema_description:"Id"`
	Name   string `json:"name,omitempty" jsonschema_description:"Name"`
	Status string `json:"status,omitempty" jsonschema_description:"Status"`
}

func restartInstance(mode Mode) Tool {
	return declareChange(Tool{
		Name:    "restart_instance",
		Title:   "Restart an instance",
		Toolset: "instances",
		Risk:    guard.Disruptive,
		Description: "Starts a stopped, failed or completed instance; billing resumes. An active one only with force, which ends its processes. " +
			"Needs confirm=true. waiting: accepted, still queueing.",
	}, mode, change[RestartInstanceInput, RestartInstanceOutput]{
		plan: planRestart,
		preview: func(in RestartInstanceInput, plan Plan, p *Preview) RestartInstanceOutput {
			return RestartInstanceOutput{State: stateConfirm, Instance: ref(plan.Targets[0]), Preview: p}
		},
		question: askRestart,
		act:      runRestart,
		state:    func(out RestartInstanceOutput) string { return out.State },
	})
}

func ref(t PlannedTarget) Ref {
	return Ref{ID: text.Field(t.Instance.ID), Name: text.Field(t.Instance.Name), Status: text.Field(string(t.Instance.Status))}
}

// active reports whether an instance in this status is up or on its way up.
func active(s scnet.Status) bool {
	return s.Is(scnet.Running) || s.Is(scnet.Deploying) || s.Is(scnet.Waiting)
}

func planRestart(ctx context.Context, service Service, in *RestartInstanceInput) (Plan, error) {
	region, err := service.region(ctx, in.Region)
	if err != nil {
		return Plan{}, err
	}
	in.Region, in.InstanceID = region.ID, strings.TrimSpace(in.InstanceID)
	targets, err := resolve(ctx, service, region, []string{in.InstanceID})
	plan := Plan{Region: region, Targets: targets}
	if err != nil {
		return plan, err
	}
	t := &plan.Targets[0]
	if t.Instance == nil {
		return plan, fmt.Errorf("%w: %s in %s. Nothing was changed. list_instances shows the ids; the instance may also be in another region",
			scnet.ErrNotFound, text.Field(t.ID), region)
	}
	status := t.Instance.Status
	if active(status) && !in.Force {
		advice := "If it must be restarted all the same, repeat the call with force=true; its processes end."
		if !status.Is(scnet.Running) {
			advice = "It is on its way: " + describeStatus(status) + " Wait and look again with list_instances; force=true would start over."
		}
		return plan, fmt.Errorf("%q (%s) is %s, so there is nothing to start. Nothing was changed. %s",
			text.Field(t.Instance.Name), text.Field(t.ID), text.Field(string(status)), advice)
	}
	t.Effect = "starts; billing resumes"
	if active(status) {
		t.Effect = "processes end, then it starts again"
	}
	plan.Effect = fmt.Sprintf("would restart 1 instance in %s.", region)
	return plan, nil
}

func describeStatus(s scnet.Status) string {
	switch {
	case s.Is(scnet.Waiting):
		return "Waiting means queueing for cards, not broken."
	case s.Is(scnet.Deploying):
		return "Deploying means that its containers are being set up."
	}
	return ""
}

func askRestart(_ RestartInstanceInput, plan Plan) guard.Question {
	t := plan.Targets[0]
	return guard.Question{
		Message: fmt.Sprintf("Restart %q (%s) in %s? It is %s now: %s.",
			text.Field(t.Instance.Name), text.Field(t.ID), plan.Region, text.Field(string(t.Instance.Status)), t.Effect),
		Choices: []string{"restart it", "do not restart it"},
	}
}

func runRestart(ctx context.Context, service Service, in RestartInstanceInput, plan Plan) (RestartInstanceOutput, []audit.Outcome, error) {
	t := plan.Targets[0]
	out := RestartInstanceOutput{Instance: ref(t), LastStatus: text.Field(string(t.Instance.Status))}
	// A write that is cut off has an unknown outcome, so cancelling waits for this one.
	returned, err := plan.Region.Restart(context.WithoutCancel(ctx), t.ID)
	if err != nil {
		if !uncertain(err) {
			return out, []audit.Outcome{{ID: text.Field(t.ID), Outcome: writeOutcome(err), Code: briefly(err)}}, err
		}
		out.State = stateUnknown
		out.Note = briefly(err) + ". The restart may or may not have happened, and was not repeated. See its status with list_instances before anything else."
		return out, []audit.Outcome{{ID: text.Field(t.ID), Outcome: outcomeUnknown, Code: briefly(err)}}, nil
	}
	out.ReturnedID = text.Field(returned)
	w := watch{region: plan.Region, id: t.ID, returnedID: returned, before: *t.Instance}
	w.until(ctx, service, time.Duration(in.WaitSeconds)*time.Second)
	out.LastStatus, out.WaitedSeconds = text.Field(string(w.status)), int(w.waited/time.Second)
	switch {
	case w.status.Is(scnet.Running) && w.moved:
		out.State = stateDone
	case w.final():
		out.State = stateFailed
		out.Note = "The restart was accepted, but the instance ended again."
	case w.status.Is(scnet.Running):
		out.State = stateWaiting
		out.Note = "The restart was accepted, but does not show yet. Look again with list_instances."
	default:
		out.State = stateWaiting
		out.Note = strings.TrimSpace("The restart was accepted; it is not Running yet. " + describeStatus(w.status) + " Look again with list_instances.")
	}
	if returned != "" && returned != t.ID {
		out.Note = strings.TrimSpace(out.Note + " The service answered with another id than it was sent; the status is that of " + text.Field(w.id) + ".")
	}
	if w.err != nil {
		out.Note = strings.TrimSpace(out.Note + " Its status could not be read: " + briefly(w.err) + ".")
	}
	return out, []audit.Outcome{{ID: text.Field(t.ID), Outcome: outcomeAccepted, NewID: out.ReturnedID}}, nil
}

// watch follows an instance after a restart.
type watch struct {
	region     *scnet.Region
	id         string
	returnedID string // some answers carry a new id
	before     scnet.Instance

	status  scnet.Status
	endedAt time.Time
	moved   bool // the restart shows: before that, the old status is still being answered
	waited  time.Duration
	err     error // of the last look
}

// until looks at the instance until it is Running, has ended again, or limit is over. It looks at least once.
func (w *watch) until(ctx context.Context, service Service, limit time.Duration) {
	started := service.Now()
	w.status = w.before.Status
	for pause := firstPoll; ; pause = min(pause*2, maxPoll) {
		w.look(ctx)
		w.waited = service.Now().Sub(started)
		left := limit - w.waited
		if (w.status.Is(scnet.Running) && w.moved) || w.final() || left <= 0 {
			return
		}
		ReportProgress(ctx, int(w.waited/time.Second), int(limit/time.Second), "status "+text.Field(string(w.status)))
		if !sleep(ctx, min(pause, left)) {
			w.waited = service.Now().Sub(started)
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

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Text tells what came of it.
func (out RestartInstanceOutput) Text() string {
	if out.Preview != nil {
		return out.Preview.Text()
	}
	text := fmt.Sprintf("%s: restart of %q (%s), status %s", out.State, out.Instance.Name, out.Instance.ID, out.LastStatus)
	if out.WaitedSeconds > 0 {
		text += fmt.Sprintf(" after %d s", out.WaitedSeconds)
	}
	if out.ReturnedID != "" {
		text += ", the service returned id " + out.ReturnedID
	}
	return strings.TrimSpace(text + ". " + out.Note)
}
