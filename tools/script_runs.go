package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

const (
	defaultWait = 30 * time.Second
	// maxWait leaves a call the time to plan and to read what there is.
	maxWait = 40 * time.Second

	maxShown = 48 << 10 // bytes of output in one result
	minShown = 1 << 10  // of one stream
)

// ScriptRun is what became of a script in one instance.
type ScriptRun struct {
	InstanceID    string            `json:"instance_id" jsonschema_description:"Instance"`
	RunID         string            `json:"run_id,omitempty" jsonschema_description:"For get_script_output and stop_script; absent: nothing can be asked for later"`
	State         ScriptState       `json:"state" jsonschema:"enum=pending,enum=running,enum=succeeded,enum=failed,enum=timeout,enum=cancelled,enum=not_run,enum=rejected,enum=not_seen,enum=lost,enum=unknown" jsonschema_description:"The worst of its containers"`
	Containers    []ScriptContainer `json:"per_container,omitempty" jsonschema_description:"Those that have reported in"`
	NotSeen       int               `json:"not_seen,omitempty" jsonschema_description:"Containers that have not reported in"`
	WaitedSeconds int               `json:"waited_seconds" jsonschema_description:"Since the script was sent"`
	Left          string            `json:"left,omitempty" jsonschema_description:"Directory on the region's storage that is still there"`
	Reason        string            `json:"reason,omitempty" jsonschema_description:"What is known beyond the state"`
}

// ScriptContainer is what became of a script in one container.
type ScriptContainer struct {
	Name string `json:"name" jsonschema_description:"Container"`
	ScriptResult
}

// stateOf gives the state of a run the word that every cloud's scripts have.
func stateOf(s capture.State) ScriptState {
	switch s {
	case capture.Succeeded:
		return ScriptSucceeded
	case capture.Failed:
		return ScriptFailed
	case capture.TimedOut:
		return ScriptTimeout
	case capture.Cancelled:
		return ScriptCancelled
	case capture.Running:
		return ScriptRunning
	case capture.Accepted:
		return ScriptPending
	case capture.NotSeen:
		return ScriptNotSeen
	case capture.Corrupt, capture.NoShell, capture.Unwritable:
		return ScriptNotRun
	case capture.Interrupted, capture.Lost, capture.NoRecord:
		return ScriptLost
	case capture.Unknown, capture.Unreadable:
	}
	return ScriptUnknown
}

// watch is how runs are waited for until a time, of which as many streams are shown as there are containers.
func (s Instances) watch(until time.Time, containers int) capture.Watch {
	show := max(maxShown/max(2*containers, 1), minShown)
	return capture.Watch{Until: until, Now: s.Now, Show: show, Redact: s.SCNet.Redact}
}

// scriptRun is a report as a result shows it.
func scriptRun(run *capture.Run, report capture.Report) ScriptRun {
	out := ScriptRun{
		InstanceID: text.Field(run.InstanceID), RunID: string(run.ID), State: stateOf(report.State), NotSeen: report.Missing,
		WaitedSeconds: int(report.Waited.Seconds()), Reason: claim(run, report),
	}
	if report.Left != "" {
		out.Left = text.Field(report.Left)
	}
	for _, c := range report.Containers {
		out.Containers = append(out.Containers, scriptContainer(c))
	}
	return out
}

func scriptContainer(c capture.Container) ScriptContainer {
	r := ScriptResult{
		State: stateOf(c.State), Stdout: c.Stdout.Text, StdoutBytes: new(int(c.Stdout.Bytes)), Stderr: c.Stderr.Text,
		StderrBytes: new(int(c.Stderr.Bytes)), Truncated: c.Stdout.Truncated || c.Stderr.Truncated, Reason: c.String(),
	}
	if c.HasExit {
		r.ExitCode = new(c.ExitCode)
	}
	if c.State.Over() {
		r.DurationSeconds = new(int(c.Took.Seconds()))
	}
	return ScriptContainer{Name: text.Field(c.Name), ScriptResult: r}
}

// claim words what is known of a run, and no more than that.
func claim(run *capture.Run, report capture.Report) string {
	waited := fmt.Sprintf("%d s", int(report.Waited.Seconds()))
	var words []string
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch report.State {
	case capture.NotSeen:
		switch {
		case report.Left == "":
			say("No container reported in within %s, and none can any more: the script was not run", waited)
		case report.Missing == run.Containers:
			say("SCNet accepted the script, but no container reported in within %s. Either it has not been scheduled yet, or the container "+
				"does not see the directory; in that case the script was not run. Mount a directory when the instance is created, name "+
				"output_dir, or use capture=off", waited)
		default:
			say("%d of %d containers have not reported in within %s", report.Missing, run.Containers, waited)
		}
	case capture.Accepted:
		say("SCNet accepted the script; %d of %d containers have not reported in within %s", report.Missing, run.Containers, waited)
	case capture.Running:
		say("Still running after %s; this is not an error. Do not run it again", waited)
	case capture.Unknown:
		if report.Err == nil {
			say("Whether SCNet took the script is not known, and no container has reported in. It was not sent again")
		}
	case capture.Unreadable:
		say("The file service may not read %s; look there over SSH or Jupyter", text.Field(run.Dir))
	case capture.Interrupted:
		say("It started, then the instance stopped or started again; exit code unknown")
	case capture.Lost:
		say("It started, and there is no sign of life any more; exit code unknown")
	default: // the containers tell
	}
	if report.Err != nil {
		say("It could not be looked at: %s", briefly(report.Err))
	}
	if report.Status != "" && !report.Status.Is(scnet.Running) {
		say("The instance is %s", text.Field(string(report.Status)))
	}
	if n := report.Finished(); run.Containers > 1 && n < run.Containers {
		say("%d of %d containers finished", n, run.Containers)
	}
	if report.Left != "" && report.Why != "" {
		say("Its directory stays: %s", report.Why)
	}
	return strings.Join(words, ". ")
}

func briefly(err error) string {
	var failed *scnet.Error
	if errors.As(err, &failed) {
		return text.Field(failed.Brief())
	}
	return text.Field(err.Error())
}

// writeRun writes what became of a script in one instance.
func (r ScriptRun) write(b *strings.Builder, name string) {
	fmt.Fprintf(b, "%s: %s", name, r.State)
	if r.RunID != "" {
		fmt.Fprintf(b, ", run_id %s", r.RunID)
	}
	if r.Reason != "" {
		fmt.Fprintf(b, ". %s", r.Reason)
	}
	if r.Left != "" {
		fmt.Fprintf(b, ". Left on the storage: %s", r.Left)
	}
	b.WriteString(".\n")
	for _, c := range r.Containers {
		fmt.Fprintf(b, "- container %s: %s, %s\n", c.Name, c.State, c.Reason)
		c.writeOutput(b, c.Name)
	}
}

// lookUpRun finds a run by its id, in one region or in every usable one.
func (s Instances) lookUpRun(ctx context.Context, runID, region, outputDir string) (*scnet.Region, *capture.Run, error) {
	id, ok := capture.ParseID(strings.TrimSpace(runID))
	if !ok {
		return nil, nil, fmt.Errorf("%q is not a run_id of execute_script. Nothing was sent", text.Field(runID))
	}
	if outputDir != "" {
		if err := capture.CheckBase(outputDir); err != nil {
			return nil, nil, fmt.Errorf("output_dir: %w. Nothing was sent", err)
		}
	}
	if s.SCNet == nil {
		return nil, nil, s.Unconfigured
	}
	var regions []*scnet.Region
	if region != "" || s.SCNet.SingleRegion() {
		one, err := s.region(ctx, region)
		if err != nil {
			return nil, nil, err
		}
		regions = []*scnet.Region{one}
	} else {
		all, err := s.SCNet.Regions(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, each := range all {
			if !each.Suspended {
				regions = append(regions, each)
			}
		}
	}
	var failed []string
	for _, each := range regions {
		run, err := capture.Lookup(ctx, each, id, outputDir)
		switch {
		case err == nil:
			return each, run, nil
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case !errors.Is(err, capture.ErrNoRun) && !errors.Is(err, scnet.ErrNoContainers) && !errors.Is(err, scnet.ErrNoFiles):
			failed = append(failed, fmt.Sprintf("%s could not be asked (%s)", each, briefly(err)))
		}
	}
	words := "there is no run " + string(id)
	if len(failed) > 0 {
		words += ", and " + strings.Join(failed, ", ")
	}
	return nil, nil, fmt.Errorf("%s. Its directory is removed once all of its output has been read; if execute_script was given output_dir "+
		"or a region, give the same", words)
}
