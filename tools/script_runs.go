package tools

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
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
	Reason        lang.Text         `json:"reason,omitzero" jsonschema_description:"What is known beyond the state"`
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
	r := ScriptResult{State: stateOf(c.State), Truncated: c.Stdout.Truncated || c.Stderr.Truncated, Reason: c.Text()}
	keep := func(name lang.Text, from capture.Stream, to *string, size **int) {
		if *to = from.Text; !from.Unread {
			*size = new(int(from.Bytes))
		} else if c.State != capture.Unreadable {
			r.Reason = lang.Clauses(r.Reason, lang.T("its %s could not be read", name))
		}
	}
	keep(lang.T("output"), c.Stdout, &r.Stdout, &r.StdoutBytes)
	keep(lang.T("standard error"), c.Stderr, &r.Stderr, &r.StderrBytes)
	if c.HasExit {
		r.ExitCode = new(c.ExitCode)
	}
	if c.Took > 0 || c.HasExit {
		r.DurationSeconds = new(int(c.Took.Seconds()))
	}
	return ScriptContainer{Name: text.Field(c.Name), ScriptResult: r}
}

// claim words what is known of a run, and no more than that.
func claim(run *capture.Run, report capture.Report) lang.Text {
	var words []lang.Text
	say := func(format string, args ...any) { words = append(words, lang.T(format, args...)) }
	if what := claimOfState(run, report); !what.IsZero() {
		words = append(words, what)
	}
	if report.Err != nil && report.State != capture.Unreadable {
		say("It could not be looked at: %s", toolbox.Briefly(report.Err))
	}
	if report.Status != "" && !report.Status.Is(scnet.Running) {
		say("The instance is %s", text.Field(string(report.Status)))
	}
	if n := report.Finished(); run.Containers > 1 && n < run.Containers {
		say("%d of %d containers finished", n, run.Containers)
	}
	if report.Left != "" && !report.Why.IsZero() {
		say("Its directory stays: %s", report.Why)
	}
	return stops(words)
}

// claimOfState is what follows from the state alone, "" where the containers tell.
func claimOfState(run *capture.Run, report capture.Report) lang.Text {
	waited := lang.T("%d s", int(report.Waited.Seconds()))
	missing := lang.T("%d of %d containers", report.Missing, run.Containers)
	none := report.Missing == run.Containers
	switch state := report.State; {
	case state == capture.NotSeen && report.TooLate && none:
		return lang.T("No container reported in within %s, and none can any more: the script was not run", waited)
	case state == capture.NotSeen && report.TooLate:
		return lang.T("%s did not report in within %s, and cannot any more: there the script was not run", missing, waited)
	case state == capture.NotSeen && none:
		return lang.T("SCNet accepted the script, but no container reported in within %s. Either it has not been scheduled yet, or the "+
			"container does not see %s; in that case the script was not run. Mount a directory when the instance is created, name output_dir, "+
			"or use capture=off", waited, text.Field(run.Dir))
	case state == capture.Accepted && none:
		return lang.T("SCNet accepted the script; no container has reported in within %s", waited)
	case state == capture.NotSeen, state == capture.Accepted:
		return lang.T("Within %s, %s did not report in", waited, missing)
	case state == capture.Running:
		return lang.T("Still running after %s; this is not an error. Do not run it again", waited)
	case state == capture.Unknown && report.Err == nil:
		return lang.T("Whether SCNet took the script is not known, and no container has reported in. It was not sent again")
	case state == capture.Unreadable:
		return lang.T("The file service may not read %s (911030); look there over SSH or Jupyter", text.Field(run.Dir))
	case state == capture.Interrupted:
		return lang.T("It started, then the instance stopped or started again; exit code unknown")
	case state == capture.Lost:
		return lang.T("It started, and there is no sign of life any more; exit code unknown")
	}
	return lang.Text{}
}

// goesOn reports whether more can become known of the run.
func (r ScriptRun) goesOn() bool {
	open := func(c ScriptContainer) bool { return !c.State.Over() }
	return r.Left != "" && (!r.State.Over() || r.NotSeen > 0 || slices.ContainsFunc(r.Containers, open))
}

// stops joins sentences of which the last is to be ended by whoever shows them.
func stops(parts []lang.Text) lang.Text {
	if len(parts) == 0 {
		return lang.Text{}
	}
	all := make([]lang.Text, len(parts))
	for i, part := range parts {
		if all[i] = part; i < len(parts)-1 {
			all[i] = lang.T("%s.", part)
		}
	}
	return lang.Sentences(all...)
}

// writeRun writes what became of a script in one instance.
func (r ScriptRun) write(l lang.Lang, b *strings.Builder, name string) {
	words := []lang.Text{lang.T("%s: %s", name, r.State)}
	if r.RunID != "" {
		words[0] = lang.T("%s: %s, run_id %s", name, r.State, r.RunID)
	}
	if !r.Reason.IsZero() {
		words = append(words, r.Reason)
	}
	if r.Left != "" {
		words = append(words, lang.T("Left on the storage: %s", r.Left))
	}
	l.Fprintf(b, "%s.\n", stops(words))
	for _, c := range r.Containers {
		l.Fprintf(b, "- container %s: %s, %s\n", c.Name, c.State, c.Reason)
		c.writeOutput(l, b, lang.Verbatim(c.Name))
	}
}

// lookUpRun finds a run by its id, in one region or in every usable one.
func (s Instances) lookUpRun(ctx context.Context, runID, region, outputDir string) (*scnet.Region, *capture.Run, error) {
	id, ok := capture.ParseID(strings.TrimSpace(runID))
	if !ok {
		return nil, nil, lang.Errorf("%q is not a run_id of execute_script. Nothing was sent", text.Field(runID))
	}
	if outputDir != "" {
		if err := capture.CheckBase(outputDir); err != nil {
			return nil, nil, lang.Errorf("output_dir: %w. Nothing was sent", err)
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
	var unseen []lang.Text
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
				unseen = append(unseen, lang.T("in %s %s", each, toolbox.Briefly(err)))
			}
		case !errors.Is(err, scnet.ErrNoContainers) && !errors.Is(err, scnet.ErrNoFiles):
			unseen = append(unseen, lang.T("%s could not be asked (%s)", each, toolbox.Briefly(err)))
		}
	}
	return nil, nil, noRun(id, unseen, s.Now())
}

// noRun says that a run was not found, and what speaks against there being none.
func noRun(id capture.ID, unseen []lang.Text, now time.Time) error {
	words := lang.T("there is no run %s", id)
	if len(unseen) > 0 {
		words = lang.T("run %s was not found; but %s", id, lang.Clauses(unseen...))
	}
	if now.Sub(id.Time()) < time.Minute {
		words = lang.T("%s. It was sent less than a minute ago, and the file service may show it late: try once more", words)
	}
	return lang.Errorf("%s. Its directory is removed once all of its output has been read; if execute_script was given output_dir "+
		"or a region, give the same", words)
}
