package tools

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

const (
	defaultConcurrency = 5
)

// ExecuteScriptInput are the arguments of execute_script.
type ExecuteScriptInput struct {
	InstanceIDs       []string `json:"instance_ids" jsonschema:"minItems=1" jsonschema_description:"Instance ids, in order"`
	Script            string   `json:"script" jsonschema_description:"Shell script, at most 64 KiB"`
	Scope             string   `json:"scope,omitempty" audit:"plain" jsonschema:"enum=all,enum=header" jsonschema_description:"Run it in all containers of an instance, or only in the first (header)"`
	Region            string   `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	Canary            int      `json:"canary,omitempty" audit:"plain" jsonschema:"minimum=0" jsonschema_description:"Run it in the first N instances before the rest"`
	Capture           string   `json:"capture,omitempty" audit:"plain" jsonschema:"enum=auto,enum=off,enum=required" jsonschema_description:"Exit code and output by shared storage; auto: where possible, and the preview says where; off: none"`
	WaitSeconds       *int     `json:"wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=40" jsonschema_description:"Wait for the end, all instances together; default 30"`
	TimeoutSeconds    int      `json:"timeout_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=604800" jsonschema_description:"Kill the script after this; default never"`
	OutputDir         string   `json:"output_dir,omitempty" audit:"plain" jsonschema_description:"Directory of the region's storage that the instance mounts; default: a mount or the home"`
	Shell             string   `json:"shell,omitempty" audit:"plain" jsonschema:"pattern=^[a-z0-9]+$" jsonschema_description:"Default bash, else sh"`
	CanaryWaitSeconds int      `json:"canary_wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=40" jsonschema_description:"Wait after the canaries, then go on only if they are still Running"`
	Concurrency       int      `json:"concurrency,omitempty" audit:"plain" jsonschema:"minimum=1,maximum=10" jsonschema_description:"Instances at the same time, default 5"`
	MaxFailures       int      `json:"max_failures,omitempty" audit:"plain" jsonschema:"minimum=0" jsonschema_description:"Start no more instances after more failures than this; default 0"`
	toolbox.Consent
}

// ExecuteScriptOutput is the result of execute_script.
type ExecuteScriptOutput struct {
	toolbox.Changed
	Summary *ScriptCounts `json:"summary,omitempty" jsonschema_description:"Instances by what became of the script; absent in a preview"`
	Stopped string        `json:"stopped,omitempty" jsonschema:"enum=canary_failed,enum=failure_limit,enum=cancelled,enum=forbidden" jsonschema_description:"Why instances were held back; absent: none was"`
	Note    string        `json:"note,omitempty" jsonschema_description:"What to know"`
	Runs    []ScriptRun   `json:"runs,omitempty" jsonschema_description:"What became of the script, for each instance that it was captured in"`
}

func (s Instances) executeScript() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "execute_script",
		Title:   "Run a script or shell command in instances, exec (在容器实例里执行命令, 运行脚本)",
		Toolset: InstancesToolset,
		Risk:    guard.Destructive,
		Description: "Runs a script (执行脚本、命令) in running instances, canaries first, and gets exit code and output (退出码、输出) where the " +
			"instance shares storage. A canary that fails stops the rest. The first call shows a preview; the same with confirm=true and its " +
			"preview_token runs. Without capture accepted is not succeeded.",
	}, toolbox.Steps[ExecuteScriptInput, scripting, ExecuteScriptOutput]{
		Plan: s.planScript,
		Nothing: func(_ ExecuteScriptInput, plan toolbox.Plan) ExecuteScriptOutput {
			return ExecuteScriptOutput{
				Changed: toolbox.Changed{State: toolbox.Failed, Next: nothingRan}, Summary: countScripts(plan.Targets, nil),
			}
		},
		Ask: askScript,
		Act: s.actScript,
	}, s.options()...)
}

func (s Instances) planScript(ctx context.Context, policy guard.Policy, in *ExecuteScriptInput) (plan toolbox.Plan, work scripting, err error) {
	if err := in.settleCapture(); err != nil {
		return plan, work, err
	}
	if in.CanaryWaitSeconds > 0 && in.Canary == 0 {
		return plan, work, errors.New("canary_wait_seconds is given without canary, so there is nothing to wait for. Nothing was sent; give canary too, or neither")
	}
	if in.Script, err = scnet.NormalizeScript(in.Script); err != nil {
		return plan, work, fmt.Errorf("%w. Nothing was sent", err)
	}
	in.Scope, in.Concurrency = cmp.Or(in.Scope, "all"), cmp.Or(in.Concurrency, defaultConcurrency)
	digest := sha256.Sum256([]byte(in.Script))
	plan.Script = &audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(in.Script)}
	work.chosen, err = s.choose(ctx, policy, in.Region, in.InstanceIDs)
	if plan.Targets = work.targets; err != nil {
		return plan, work, err
	}
	in.Region, in.InstanceIDs = "", toolbox.IDs(plan.Targets) // each target says where it is
	if missing := planCanaries(plan.Targets, in.Canary); len(missing) > 0 {
		return plan, work, notFound(missing)
	}
	if in.Canary > len(plan.Targets) {
		return plan, work, fmt.Errorf("canary is %d, but there are only %d instances. Nothing was sent", in.Canary, len(plan.Targets))
	}
	work.places = make([]*capture.Place, len(plan.Targets))
	if in.Capture != captureOff {
		if err := s.findPlaces(ctx, *in, plan.Targets, work); err != nil {
			return plan, work, err
		}
	}
	plan.Effect = fmt.Sprintf("would run a script of %d bytes (SHA-256 %s…) in %s of %s in %s. %s\n%s", plan.Script.Bytes, plan.Script.SHA256[:12],
		scopeText(in.Scope), text.Count(plan.Changes(), "instance"), plan.Where(), in.captureText(work.places, plan.Targets), text.Excerpt(in.Script))
	return plan, work, nil
}

// planCanaries says what would happen to each target, and returns the ids of those that do not exist.
func planCanaries(targets []toolbox.Target, canaries int) (missing []string) {
	position := 0
	for i := range targets {
		t := &targets[i]
		switch {
		case !t.Exists:
			missing = append(missing, text.Field(t.ID))
		case !scnet.Status(t.Status).Is(scnet.Running):
			t.Effect, t.Outcome = "skipped: not Running", toolbox.SkippedNotRunning
		default:
			t.Effect = "runs it"
			if position++; position <= canaries {
				t.Effect = "canary: runs it first"
			}
		}
	}
	return missing
}

func scopeText(scope string) string {
	if scope == "header" {
		return "the first container"
	}
	return "all containers"
}

func askScript(in ExecuteScriptInput, plan toolbox.Plan) guard.Question {
	var b strings.Builder
	count := text.Count(plan.Changes(), "instance")
	fmt.Fprintf(&b, "Run this script (%d bytes, SHA-256 %s…) in %s of %s in %s?\n%s\n", plan.Script.Bytes, plan.Script.SHA256[:12],
		scopeText(in.Scope), count, plan.Where(), text.Excerpt(in.Script))
	for _, t := range plan.Targets {
		if !t.Spared() {
			fmt.Fprintf(&b, "- %s: %s\n", t, t.Effect)
		}
	}
	return guard.Question{Message: b.String(), Choices: []string{"run it in " + count, "do not run it"}}
}

// actScript runs the script in stages. What it finds out about one instance decides whether the next is begun.
func (s Instances) actScript(ctx context.Context, in ExecuteScriptInput, work scripting) (out ExecuteScriptOutput, err error) {
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
			toolbox.ReportProgress(ctx, finished, total, fmt.Sprintf("%s %s", text.Field(targets[runnable[i]].ID), stage.words(i, err)))
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
				t.Note = text.Field(result.Forbidden.Error())
			}
			continue
		}
		stage.outcome(i, t, target.Err)
		if target.Err == nil && target.CheckErr != nil {
			t.Note = strings.TrimPrefix(t.Note+"; after the wait: "+toolbox.Briefly(target.CheckErr), "; ")
		}
	}
	out.Runs = stage.results()
	out.State, out.Targets = stage.state(targets, result), targets
	out.Summary, out.Stopped = countScripts(targets, out.Runs), string(result.Stopped)
	out.Note = noteOnScripts(*out.Summary, result, in.MaxFailures)
	out.Next = nextOfScripts(targets, out.Runs)
	return out, nil
}

// countScripts counts the instances: where the script was captured by how it came out, elsewhere by what became of its request.
func countScripts(targets []toolbox.Target, runs []ScriptRun) *ScriptCounts {
	captured := map[string]ScriptState{}
	for _, r := range runs {
		captured[r.InstanceID] = r.State
	}
	counts := &ScriptCounts{}
	for _, t := range targets {
		state, known := captured[text.Field(t.ID)]
		switch {
		case known:
			counts.Add(state)
		case t.Outcome == toolbox.Accepted:
			counts.Total++
			counts.Accepted++
		case t.Outcome == toolbox.OutcomeUnknown:
			counts.Add(ScriptUnknown)
		default:
			counts.Add(ScriptNotRun)
		}
	}
	return counts
}

// noteOnScripts says why instances were held back, and what "accepted" is worth.
func noteOnScripts(counts ScriptCounts, result rollout.Result, maxFailures int) string {
	var words []string
	switch result.Stopped {
	case rollout.CanaryFailed:
		words = append(words, fmt.Sprintf("Stopped: more than %s among the canaries.", text.Count(maxFailures, "failure")))
	case rollout.FailureLimit:
		words = append(words, fmt.Sprintf("Stopped: more than %s.", text.Count(maxFailures, "failure")))
	case rollout.Cancelled:
		words = append(words, "Stopped: the call was cancelled or took too long.")
	case rollout.Forbidden:
		words = append(words, fmt.Sprintf("Stopped: %s.", text.Field(result.Forbidden.Error())))
	case rollout.NotStopped:
	}
	if counts.Accepted > 0 {
		words = append(words, "Accepted means that SCNet took the script. Whether it succeeded is not reported: look at what it wrote to a "+
			"mounted directory.")
	}
	return strings.Join(words, " ")
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
		return fmt.Errorf("it left Running and is %s", text.Field(string(in.Status)))
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

// Text tells what became of each target.
func (out ExecuteScriptOutput) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s.\n", out.State, out.Summary)
	toolbox.WriteOutcomes(&b, out.Targets)
	names := map[string]string{}
	for _, t := range out.Targets {
		names[t.ID] = t.String()
	}
	for _, r := range out.Runs {
		r.write(&b, names[r.InstanceID])
	}
	b.WriteString(out.Note)
	return strings.TrimSuffix(b.String(), "\n")
}

// The ways to capture what became of a script.
const (
	captureAuto     = "auto"
	captureOff      = "off"
	captureRequired = "required"
)

// scripting is what a plan to run a script resolved.
type scripting struct {
	chosen
	places []*capture.Place // by target; nil where output cannot be captured
}

// settleCapture puts the arguments about capturing into their canonical form.
func (in *ExecuteScriptInput) settleCapture() error {
	in.Capture, in.Shell = cmp.Or(in.Capture, captureAuto), cmp.Or(in.Shell, "auto")
	if in.Capture == captureOff {
		if in.WaitSeconds != nil || in.TimeoutSeconds != 0 || in.OutputDir != "" || in.Shell != "auto" {
			return errors.New("wait_seconds, timeout_seconds, output_dir and shell have no effect with capture=off. Nothing was sent; leave them out, or capture")
		}
		return nil
	}
	most := int(maxWait.Seconds()) - in.CanaryWaitSeconds
	if in.WaitSeconds == nil {
		in.WaitSeconds = new(min(int(defaultWait.Seconds()), most))
	}
	switch {
	case *in.WaitSeconds > most:
		return fmt.Errorf("canary_wait_seconds and wait_seconds are more than %d together. Nothing was sent", int(maxWait.Seconds()))
	case in.Canary > 0 && *in.WaitSeconds == 0:
		return errors.New("with canaries and wait_seconds=0 nothing would be known of them, so the rest would never begin. Nothing was sent; wait, or use capture=off")
	}
	if in.OutputDir != "" {
		if err := capture.CheckBase(in.OutputDir); err != nil {
			return fmt.Errorf("output_dir: %w. Nothing was sent", err)
		}
	}
	return nil
}

// findPlaces looks where each target can leave its output, and says so in what would happen to it. Consent is bound to it.
func (s Instances) findPlaces(ctx context.Context, in ExecuteScriptInput, targets []toolbox.Target, work scripting) error {
	return lookUp(ctx, len(targets), func(i int) error {
		t := &targets[i]
		if t.Spared() {
			return nil
		}
		var place capture.Place
		var err error
		if len(in.Script) > capture.MaxScript {
			err = fmt.Errorf("the script is larger than %d KiB", capture.MaxScript>>10)
		} else {
			place, err = capture.Find(ctx, work.found[i].region, work.found[i].instance, in.Scope, in.OutputDir)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			work.places[i] = &place
			t.Effect += "; output through " + text.Field(place.Base())
			t.Bound = append(t.Bound, "output", place.Base())
		case in.Capture == captureRequired:
			t.Outcome, t.Note = toolbox.OutcomeFailed, "not sent: no output could be captured: "+briefly(err)
			t.Effect = "skipped: " + t.Note
		default:
			t.Effect += "; no output: " + briefly(err)
			t.Bound = append(t.Bound, "no output")
		}
		return nil
	})
}

// captureText says before consent what will be known afterwards.
func (in ExecuteScriptInput) captureText(places []*capture.Place, targets []toolbox.Target) string {
	var with, without int
	for i, t := range targets {
		switch {
		case t.Spared():
		case places[i] != nil:
			with++
		default:
			without++
		}
	}
	var words []string
	if with > 0 {
		words = append(words, fmt.Sprintf("Exit code and output of %s come back through a directory on the region's storage; the script runs only where "+
			"the container sees it.", text.Count(with, "instance")))
	}
	if without > 0 {
		if with == 0 {
			words = append(words, "The plain script is sent. Its output and exit code cannot be had.")
		} else {
			words = append(words, fmt.Sprintf("The plain script is sent to %s, of which output and exit code cannot be had.", text.Count(without, "instance")))
		}
		if !strings.Contains(in.Script, ">") && !strings.Contains(in.Script, "tee ") {
			words = append(words, "It redirects nothing, so what it prints is lost.")
		}
	}
	return strings.Join(words, " ")
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

func (e *runError) Error() string { return "the script is " + string(e.state) }

// do sends the script to one target and waits for its end: a canary as long as there is time, another one for its share.
func (st *stage) do(ctx context.Context, i int) error {
	target := st.work.targets[st.runnable[i]]
	place := st.work.places[st.runnable[i]]
	until := st.share(i)
	if place == nil {
		return st.work.found[st.runnable[i]].region.ExecuteScript(ctx, target.ID, scnet.Script{Content: st.in.Script, Scope: st.in.Scope})
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
	for c := range st.canaries {
		if r := st.reports[c]; i >= st.canaries && r != nil && (r.State == capture.Running || r.State == capture.Accepted) {
			return fmt.Errorf("the canary %s is not over yet, so nothing is known of it", text.Field(st.work.targets[st.runnable[c]].ID))
		}
	}
	return toolbox.Permitted(st.call)
}

// settle waits for what still runs, for as long as there is time.
func (st *stage) settle() {
	_, _ = rollout.Run(st.call, rollout.Plan{Targets: len(st.runs), Concurrency: lookups}, rollout.Steps{
		Do: func(_ context.Context, i int) error {
			if r := st.reports[i]; r != nil && (r.State == capture.Running || r.State == capture.Accepted) && st.tools.Now().Before(st.until) {
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
		t.Outcome, t.Note = toolbox.Accepted, string(stateOf(report.State))
		if len(report.Containers) == 1 {
			t.Note = report.Containers[0].String()
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

// nothingRan is the next step where no instance could run the script.
const nothingRan = "Start a stopped instance with restart_instance, or wait for one with get_instance and wait_for=Running; then repeat the call."

// nextOfScripts is the next step after scripts that are not over, or of which it is not known whether they ran: the read that
// tells, or, where none can, where to look.
func nextOfScripts(targets []toolbox.Target, runs []ScriptRun) string {
	captured := map[string]bool{}
	for _, r := range runs {
		captured[r.InstanceID] = true
		if r.goesOn() {
			return fmt.Sprintf("get_script_output with run_id=%s shows how it goes on, likewise for every other run that is not over; stop_script ends "+
				"one. Do not run the script again.", r.RunID)
		}
	}
	for _, t := range targets {
		if t.Outcome == toolbox.OutcomeUnknown && !captured[text.Field(t.ID)] {
			return fmt.Sprintf("The script may have run in %s, and SCNet has no record that tells. Look inside the instance for what the script writes "+
				"(get_instance with show_access=true says how to get there), and run it again only if it did not run.", t)
		}
	}
	return ""
}
