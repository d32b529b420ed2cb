package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	RunID         string            `json:"run_id,omitempty" jsonschema_description:"For get_script_output and stop_script, as long as there is something left"`
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
	r := ScriptResult{State: stateOf(c.State), Truncated: c.Stdout.Truncated || c.Stderr.Truncated, Reason: c.String()}
	keep := func(name string, from capture.Stream, to *string, size **int) {
		if *to = from.Text; !from.Unread {
			*size = new(int(from.Bytes))
		} else if c.State != capture.Unreadable {
			r.Reason += "; its " + name + " could not be read"
		}
	}
	keep("output", c.Stdout, &r.Stdout, &r.StdoutBytes)
	keep("standard error", c.Stderr, &r.Stderr, &r.StderrBytes)
	if c.HasExit {
		r.ExitCode = new(c.ExitCode)
	}
	if c.Took > 0 || c.HasExit {
		r.DurationSeconds = new(int(c.Took.Seconds()))
	}
	return ScriptContainer{Name: text.Field(c.Name), ScriptResult: r}
}

// claim words what is known of a run, and no more than that.
func claim(run *capture.Run, report capture.Report) string {
	var words []string
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if what := claimOfState(run, report); what != "" {
		words = append(words, what)
	}
	if report.Err != nil && report.State != capture.Unreadable {
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

// claimOfState is what follows from the state alone, "" where the containers tell.
func claimOfState(run *capture.Run, report capture.Report) string {
	waited := fmt.Sprintf("%d s", int(report.Waited.Seconds()))
	missing := fmt.Sprintf("%d of %d containers", report.Missing, run.Containers)
	none := report.Missing == run.Containers
	switch state := report.State; {
	case state == capture.NotSeen && report.TooLate && none:
		return fmt.Sprintf("No container reported in within %s, and none can any more: the script was not run", waited)
	case state == capture.NotSeen && report.TooLate:
		return fmt.Sprintf("%s did not report in within %s, and cannot any more: there the script was not run", missing, waited)
	case state == capture.NotSeen && none:
		return fmt.Sprintf("SCNet accepted the script, but no container reported in within %s. Either it has not been scheduled yet, or the "+
			"container does not see %s; in that case the script was not run. Mount a directory when the instance is created, name output_dir, "+
			"or use capture=off", waited, text.Field(run.Dir))
	case state == capture.Accepted && none:
		return fmt.Sprintf("SCNet accepted the script; no container has reported in within %s", waited)
	case state == capture.NotSeen, state == capture.Accepted:
		return fmt.Sprintf("Within %s, %s did not report in", waited, missing)
	case state == capture.Running:
		return fmt.Sprintf("Still running after %s; this is not an error. Do not run it again", waited)
	case state == capture.Unknown && report.Err == nil:
		return "Whether SCNet took the script is not known, and no container has reported in. It was not sent again"
	case state == capture.Unreadable:
		return fmt.Sprintf("The file service may not read %s (911030); look there over SSH or Jupyter", text.Field(run.Dir))
	case state == capture.Interrupted:
		return "It started, then the instance stopped or started again; exit code unknown"
	case state == capture.Lost:
		return "It started, and there is no sign of life any more; exit code unknown"
	}
	return ""
}

// goesOn reports whether more can become known of the run.
func (r ScriptRun) goesOn() bool {
	open := func(c ScriptContainer) bool { return !c.State.Over() }
	return r.Left != "" && (!r.State.Over() || r.NotSeen > 0 || slices.ContainsFunc(r.Containers, open))
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
	var unseen []string
	for _, each := range regions {
		run, err := capture.Lookup(ctx, each, id, outputDir)
		var none *capture.NoRunError
		switch {
		case err == nil:
			return each, run, nil
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case errors.As(err, &none):
			if len(none.Closed) > 0 {
				unseen = append(unseen, fmt.Sprintf("in %s %s", each, text.Field(err.Error())))
			}
		case !errors.Is(err, scnet.ErrNoContainers) && !errors.Is(err, scnet.ErrNoFiles):
			unseen = append(unseen, fmt.Sprintf("%s could not be asked (%s)", each, briefly(err)))
		}
	}
	return nil, nil, noRun(id, unseen, s.Now())
}

// noRun says that a run was not found, and what speaks against there being none.
func noRun(id capture.ID, unseen []string, now time.Time) error {
	words := fmt.Sprintf("there is no run %s", id)
	if len(unseen) > 0 {
		words = fmt.Sprintf("run %s was not found; but %s", id, strings.Join(unseen, ", and "))
	}
	if now.Sub(id.Time()) < time.Minute {
		words += ". It was sent less than a minute ago, and the file service may show it late: try once more"
	}
	return fmt.Errorf("%s. Its directory is removed once all of its output has been read; if execute_script was given output_dir "+
		"or a region, give the same", words)
}
