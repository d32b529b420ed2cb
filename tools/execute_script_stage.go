package tools

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// actScript runs the script in stages. What it finds out about one instance decides whether the next is begun.
func (s Instances) actScript(
	ctx context.Context, in ExecuteScriptInput, work scripting,
) (out ExecuteScriptOutput, err error) {
	targets, runnable := slices.Clone(work.targets), work.present()
	for _, i := range runnable {
		targets[i].Outcome = toolbox.NotAttempted
	}
	stage := s.newStage(ctx, in, work, runnable)
	result, err := rollout.Run(ctx, rollout.Plan{
		Targets:     len(runnable),
		Canary:      stage.canaries,
		CanaryWait:  time.Duration(in.CanaryWaitSeconds) * time.Second,
		Concurrency: in.Concurrency,
		MaxFailures: in.MaxFailures,
	}, rollout.Steps{
		Do:     stage.do,
		Permit: stage.permit,
		Check: func(ctx context.Context, i int) error {
			return stillRunning(ctx, work.found[runnable[i]].region, targets[runnable[i]].ID)
		},
		Done: func(i int, err error, finished, total int) {
			toolbox.ReportProgress(ctx, finished, total,
				lang.T("%s %s", text.Field(targets[runnable[i]].ID), stage.words(i, err)))
		},
	})
	if err != nil {
		return out, err
	}
	logFaults(ctx, result)
	stage.settle()
	for i, target := range result.Targets {
		t := &targets[runnable[i]]
		if !target.Attempted {
			if result.Forbidden != nil {
				t.Note = toolbox.Briefly(result.Forbidden)
			}
			continue
		}
		stage.outcome(i, t, target.Err)
		if target.Err == nil && target.CheckErr != nil {
			t.Note = lang.Clauses(t.Note, lang.T("after the wait: %s", toolbox.Briefly(target.CheckErr)))
		}
	}
	out.Runs = stage.results()
	out.State, out.Targets = stage.state(targets, result), targets
	out.Summary, out.Stopped = countScripts(targets, out.Runs), string(result.Stopped)
	out.Note = noteOnScripts(*out.Summary, result, in.MaxFailures)
	out.Next = nextOfScripts(targets, out.Runs)
	return out, nil
}

func scriptState(targets []toolbox.Target, result rollout.Result) toolbox.State {
	accepted := toolbox.Count(targets, toolbox.Accepted)
	switch {
	case accepted > 0 && result.Failures == 0 && result.Stopped == rollout.NotStopped:
		return toolbox.Done
	case accepted > 0:
		return toolbox.Partial
	case toolbox.Count(targets, toolbox.OutcomeUnknown) > 0:
		return toolbox.Unknown
	}
	return toolbox.Failed
}

// stillRunning is the look at a canary after the wait.
func stillRunning(ctx context.Context, region *scnet.Region, id string) error {
	in, err := region.Detail(ctx, id)
	if err != nil {
		return err
	}
	if !in.Status.Is(scnet.Running) {
		return lang.Errorf("it left Running and is %s", text.Field(string(in.Status)))
	}
	return nil
}

// scriptOutcome says what an attempt gave.
func scriptOutcome(err error) toolbox.Outcome {
	switch {
	case err == nil:
		return toolbox.Accepted
	case toolbox.Uncertain(err):
		return toolbox.OutcomeUnknown
	}
	return toolbox.RejectedByService
}

// stage is one staged run of a script. What belongs to one target is written by its own step only.
type stage struct {
	tools    Instances
	call     context.Context // whose end ends the waiting
	in       ExecuteScriptInput
	work     scripting
	runnable []int
	canaries int
	until    time.Time // when the waiting is over

	runs    []*capture.Run // by position
	reports []*capture.Report
	unsent  []error // what Start gave

	mu      sync.Mutex
	started int
}

func (s Instances) newStage(ctx context.Context, in ExecuteScriptInput, work scripting, runnable []int) *stage {
	n := len(runnable)
	st := &stage{
		tools: s, call: ctx, in: in, work: work, runnable: runnable, canaries: min(in.Canary, n),
		runs: make([]*capture.Run, n), reports: make([]*capture.Report, n), unsent: make([]error, n),
	}
	if in.WaitSeconds != nil {
		st.until = s.Now().Add(time.Duration(*in.WaitSeconds+in.CanaryWaitSeconds) * time.Second)
	}
	return st
}

// runError is what became of a script that did not succeed.
type runError struct{ state capture.State }

func (e *runError) Error() string { return e.In(lang.English) }

func (e *runError) In(l lang.Lang) string { return l.Sprintf("the script is %s", string(e.state)) }

// do sends the script to one target and waits for its end: a canary as long as there is time, another one for its share.
func (st *stage) do(ctx context.Context, i int) error {
	target := st.work.targets[st.runnable[i]]
	place := st.work.places[st.runnable[i]]
	until := st.share(i)
	if place == nil {
		return st.work.found[st.runnable[i]].region.ExecuteScript(ctx, target.ID,
			scnet.Script{Content: st.in.Script, Scope: st.in.Scope})
	}
	run, err := place.Start(ctx, capture.Script{
		Content: st.in.Script, Shell: st.in.Shell, Timeout: time.Duration(st.in.TimeoutSeconds) * time.Second,
	}, st.tools.Now())
	st.runs[i], st.unsent[i] = run, err
	if run == nil {
		return err
	}
	st.await(i, until)
	return st.verdict(i)
}

// share returns until when a target is waited for before another one begins.
func (st *stage) share(i int) time.Time {
	st.mu.Lock()
	defer st.mu.Unlock()
	left := len(st.runnable) - st.started
	st.started++
	if i < st.canaries {
		return st.until
	}
	rounds := (left + st.in.Concurrency - 1) / st.in.Concurrency
	now := st.tools.Now()
	return now.Add(max(st.until.Sub(now), 0) / time.Duration(max(rounds, 1)))
}

func (st *stage) await(i int, until time.Time) {
	report := st.runs[i].Await(st.call, st.tools.watch(until, st.runs[i].Containers*len(st.runnable)))
	st.reports[i] = &report
}

// verdict says whether a script failed, as far as that is known: one that runs has not.
func (st *stage) verdict(i int) error {
	switch state := st.reports[i].State; state {
	case capture.Succeeded, capture.Running, capture.Accepted:
		return nil
	default:
		return &runError{state}
	}
}

// permit lets the rest begin only once every canary has succeeded.
func (st *stage) permit(i int) error {
	if i < st.canaries { // while others of them are still being looked at
		return toolbox.Permitted(st.call)
	}
	for c := range st.canaries {
		if r := st.reports[c]; r != nil && r.GoesOn() && st.verdict(c) == nil {
			return lang.Errorf("the canary %s is not over yet, so nothing is known of it", text.Field(st.work.targets[st.runnable[c]].ID))
		}
	}
	return toolbox.Permitted(st.call)
}

// settle waits for what still runs, for as long as there is time.
func (st *stage) settle() {
	_, _ = rollout.Run(st.call, rollout.Plan{Targets: len(st.runs), Concurrency: lookups}, rollout.Steps{
		Do: func(_ context.Context, i int) error {
			if r := st.reports[i]; r != nil && r.GoesOn() && st.tools.Now().Before(st.until) {
				st.await(i, st.until)
			}
			return nil
		},
	})
}

// words is what is reported of a target while others are under way.
func (st *stage) words(i int, err error) string {
	if r := st.reports[i]; r != nil {
		return string(stateOf(r.State))
	}
	return string(scriptOutcome(err))
}

// outcome notes what became of a target.
func (st *stage) outcome(i int, t *toolbox.Target, err error) {
	report := st.reports[i]
	switch {
	case report != nil && report.State == capture.Unknown && st.unsent[i] != nil:
		t.Outcome, t.Note = toolbox.OutcomeUnknown, toolbox.Briefly(st.unsent[i])
	case report != nil: // it reported in, or was accepted
		state := string(stateOf(report.State))
		t.Outcome, t.Note = toolbox.Accepted, lang.T("script %s", state)
		if len(report.Containers) != 1 {
			break
		}
		only := report.Containers[0].Text()
		if ended := report.State == capture.Succeeded || report.State == capture.Failed; ended {
			t.Note = lang.T("script %s, %s", state, only) // beside "accepted", an exit code alone says too little
		} else {
			t.Note = only
		}
	case errors.Is(err, capture.ErrNoStorage):
		t.Fail(toolbox.OutcomeFailed, err)
	case err != nil:
		t.Fail(scriptOutcome(err), err)
	default:
		t.Outcome = toolbox.Accepted
	}
}

// results returns what became of the script where it was captured.
func (st *stage) results() (runs []ScriptRun) {
	for i, report := range st.reports {
		if report != nil {
			runs = append(runs, scriptRun(st.runs[i], *report))
		}
	}
	return runs
}

// state is where the call stands: what was captured counts by how it came out.
func (st *stage) state(targets []toolbox.Target, result rollout.Result) toolbox.State {
	var good, open, bad int
	for _, report := range st.reports {
		switch {
		case report == nil:
		case report.State == capture.Succeeded:
			good++
		case report.State == capture.Running || report.State == capture.Accepted:
			open++
		default:
			bad++
		}
	}
	plain := toolbox.Count(targets, toolbox.Accepted, toolbox.OutcomeUnknown) - good - open - bad
	switch {
	case good+open+bad == 0:
		return scriptState(targets, result)
	case result.Failures+bad == 0 && result.Stopped == rollout.NotStopped && open == 0:
		return toolbox.Done
	case result.Failures+bad == 0 && (result.Stopped == rollout.NotStopped || good+plain == 0):
		return toolbox.Waiting
	case good+open+max(plain, 0) > 0:
		return toolbox.Partial
	}
	for _, report := range st.reports {
		if report != nil && stateOf(report.State) != ScriptUnknown && stateOf(report.State) != ScriptNotSeen {
			return toolbox.Failed
		}
	}
	return toolbox.Unknown
}
