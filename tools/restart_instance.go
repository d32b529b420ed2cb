package tools

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// settleRestart is how long a restart whose outcome is not known is looked at.
const settleRestart = 5 * time.Second

// RestartInstanceInput are the arguments of restart_instance.
type RestartInstanceInput struct {
	InstanceID  string `json:"instance_id" jsonschema_description:"Instance id or unique name"`
	Region      string `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	WaitSeconds int    `json:"wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=50" jsonschema_description:"Seconds to wait for Running"`
	toolbox.Consent
}

// RestartInstanceOutput is the result of restart_instance.
type RestartInstanceOutput struct {
	toolbox.Changed
	ReturnedID    string    `json:"returned_id,omitempty" jsonschema_description:"The id in the answer, which SCNet does not explain; the instance keeps its own unless note says otherwise"`
	LastStatus    string    `json:"last_status,omitempty" jsonschema_description:"The status last seen"`
	WaitedSeconds int       `json:"waited_seconds" jsonschema_description:"Seconds waited"`
	Note          lang.Text `json:"note,omitzero" jsonschema_description:"What to know"`
}

func (s Instances) restartInstance() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name: "restart_instance",
		Title: "Start a stopped or failed container again, start an instance, restart, reboot, power on " +
			"(启动实例, 重启, 开机, 开起来)",
		Example: "instance_id=bert-train wait_seconds=30",
		Toolset: InstancesToolset,
		Risk:    guard.Disruptive,
		Description: "Starts (启动/重启) a stopped, failed or completed container instance again; billing resumes. One that is running has to be " +
			"stopped first, which ends its processes. Needs confirm=true. waiting means accepted and still queueing for accelerators.",
	}, toolbox.Steps[RestartInstanceInput, restart, RestartInstanceOutput]{
		Plan: s.planRestart,
		Ask:  askRestart,
		Act:  s.actRestart,
	}, s.options()...)
}

// restart is the instance to start and what it looked like before.
type restart struct {
	region *scnet.Region
	target toolbox.Target
	before scnet.Instance

	occupation *toolbox.Occupation
}

func (s Instances) planRestart(
	ctx context.Context, policy guard.Policy, in *RestartInstanceInput,
) (plan toolbox.Plan, work restart, err error) {
	l, err := s.chooseOne(ctx, policy, in.Region, in.InstanceID)
	if err != nil {
		plan.Targets = []toolbox.Target{{ID: strings.TrimSpace(in.InstanceID)}}
		return plan, work, err
	}
	t, status := instanceTarget(l, s.Now()), l.instance.Status
	in.Region, in.InstanceID = "", t.ID // the target says where it is
	t.Effect = lang.T("starts; billing resumes")
	plan.Targets = []toolbox.Target{t}
	if active(status) {
		return plan, work, notStartable(t, status).Error()
	}
	plan.Effect = lang.T("would restart 1 instance in %s.", plan.Where())
	if !ended(status) {
		t.Effect = lang.T("may be refused until it has stopped; if it starts, billing goes on")
		plan.Targets[0] = t
		plan.Effect = lang.Sentences(plan.Effect, lang.T("It has not stopped yet (status %s), and SCNet does not document what a restart does then. "+
			"To be sure, wait for that first. %s.", text.Field(t.Status), lookAt(text.Field(t.ID), "Terminated")))
	}
	total := l.instance.TotalAccelerators()
	plan.Occupies = s.occupation(total, total)
	return plan, restart{region: l.region, target: t, before: l.instance, occupation: plan.Occupies}, nil
}

// notStartable says what to do with an instance that is up, or on its way up.
func notStartable(t toolbox.Target, status scnet.Status) lang.Text {
	words := lang.T("%s is %s, so there is nothing to start. Nothing was changed.", t, text.Field(t.Status))
	if !status.Is(scnet.Running) {
		return lang.Sentences(words, lang.T("It is on its way: %s", describeStatus(status)), lang.T("get_instance with wait_for=Running waits for it"))
	}
	return lang.Sentences(words, lang.T("To start it anew, stop it (stop_instances), which ends its processes; wait until it is Terminated "+
		"(get_instance with wait_for=Terminated); then repeat this call"))
}

func askRestart(_ RestartInstanceInput, plan toolbox.Plan) guard.Question {
	t := plan.Targets[0]
	return guard.Question{
		Message: lang.T("Restart %s in %s? It is %s now: %s.", t, plan.Where(), text.Field(t.Status), t.Effect),
		Choices: []lang.Text{lang.T("restart it"), lang.T("do not restart it")},
	}
}

func (s Instances) actRestart(ctx context.Context, in RestartInstanceInput, work restart) (RestartInstanceOutput, error) {
	t := work.target
	out := RestartInstanceOutput{LastStatus: text.Field(t.Status)}
	if err := unchanged(ctx, work.region, work.before); err != nil { // a resize may have come in between
		t.Outcome, t.Note = toolbox.OutcomeFailed, toolbox.Briefly(err)
		out.Targets = []toolbox.Target{t}
		return out, err
	}
	// A write that is cut off has an unknown outcome, so cancelling waits for this one.
	returned, err := work.region.Restart(context.WithoutCancel(ctx), t.ID)
	if err != nil && !toolbox.Uncertain(err) {
		t.Fail(toolbox.OutcomeOf(err), err)
		out.Targets = []toolbox.Target{t}
		return out, err
	}
	t.Outcome, t.NewID = toolbox.Accepted, returned
	w := watch{restart: work, id: t.ID, returnedID: returned, now: s.Now}
	limit := time.Duration(in.WaitSeconds) * time.Second
	if err != nil { // a look settles it, also for a caller that has gone
		limit = max(limit, settleRestart)
		ctx = context.WithoutCancel(ctx)
	}
	w.until(ctx, limit)
	out.LastStatus, out.ReturnedID = text.Field(string(w.status)), text.Field(returned)
	out.WaitedSeconds = int(w.waited / time.Second)
	out.State, out.Note = w.verdict()
	switch {
	case err != nil && !w.moved:
		t.Fail(toolbox.OutcomeUnknown, err)
		out.State = toolbox.Unknown
		out.Note = lang.T("%s. The restart may or may not have happened, and was not repeated; nothing of it shows yet.", t.Note)
	case err != nil:
		out.Note = lang.Sentences(lang.T("The answer was lost (%s), but the instance shows that it was restarted.", toolbox.Briefly(err)), out.Note)
	}
	switch out.State {
	case toolbox.Waiting:
		out.Next = lang.T("%s, which waits for it.", lookAt(w.id, "Running"))
	case toolbox.Unknown:
		out.Next = lang.T("%s. If it still is %s then, the restart did not happen, and can be repeated.", lookAt(w.id, "Running"), text.Field(t.Status))
	case toolbox.Failed:
		out.Next = lang.T("%s for what is known about why.", lookAt(w.id, ""))
	default:
	}
	out.Targets = []toolbox.Target{t}
	return out, nil
}

// verdict says what the watch saw.
func (w *watch) verdict() (state toolbox.State, note lang.Text) {
	switch {
	case w.status.Is(scnet.Running) && w.moved:
		state = toolbox.Done
	case w.final():
		state, note = toolbox.Failed, lang.T("The restart was accepted, but the instance ended again.")
	case w.status.Is(scnet.Running):
		state, note = toolbox.Waiting, lang.T("The restart was accepted, but does not show yet.")
	default:
		state = toolbox.Waiting
		note = lang.Sentences(lang.T("The restart was accepted; it is not Running yet."), describeStatus(w.status))
	}
	if w.id != w.target.ID {
		note = lang.Sentences(note, lang.T("It goes on under another id: use %s from now on.", text.Field(w.id)))
	}
	if w.err != nil {
		note = lang.Sentences(note, lang.T("Its status could not be read: %s.", toolbox.Briefly(w.err)))
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
		status := lang.T("status %s", text.Field(string(w.status)))
		toolbox.ReportProgress(ctx, int(w.waited/time.Second), int(limit/time.Second), status)
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
	// One that was still stopping ends by itself, which says nothing about the restart.
	stopped := !ended(w.before.Status) && ended(in.Status)
	if !in.StartedAt.Equal(w.before.StartedAt) || in.HeaderTaskID != w.before.HeaderTaskID || !in.Status.Is(w.before.Status) &&
		!stopped {
		w.moved = true
	}
	if w.moved {
		w.occupation.Shows(ctx)
	}
}

// final reports whether the instance has ended again, which is more than that it still shows how it ended before.
func (w *watch) final() bool {
	ended := w.status.Is(scnet.Terminated) || w.status.Is(scnet.Failed) || w.status.Is(scnet.Completed)
	return w.moved && ended && (!w.status.Is(w.before.Status) || w.endedAt.After(w.before.EndedAt))
}

// Text tells what came of it.
func (out RestartInstanceOutput) Text(l lang.Lang) string {
	words := lang.T("%s: restart", out.State)
	for _, t := range out.Targets {
		words = lang.T("%s: restart of %s in %s", out.State, t, t.Place)
	}
	words = lang.Parts(words, afterSeconds(lang.T("status %s", out.LastStatus), out.WaitedSeconds))
	return lang.Sentences(lang.T("%s.", words), out.Note).In(l)
}
