package tools

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

const (
	firstRunPoll = 2 * time.Second
	maxRunPoll   = 10 * time.Second
	// inlineScript stands for the id of a script that does not exist yet, where the rules are checked.
	inlineScript = "inline"
)

// RunWorkspaceScriptInput are the arguments of run_workspace_script. The names of the staged execution are the service's.
type RunWorkspaceScriptInput struct {
	DesktopIDs        []string `json:"desktop_ids" jsonschema:"minItems=1" jsonschema_description:"Desktops, up to 1000: ids, or computer names that exactly one desktop bears"`
	ScriptIDs         []string `json:"script_ids,omitempty" audit:"plain" jsonschema_description:"1 to 10 stored scripts. Give these or script, not both"`
	Script            string   `json:"script,omitempty" jsonschema_description:"Script text, up to 100,000 characters. It is stored for the run and removed afterwards"`
	ScriptType        string   `json:"script_type,omitempty" audit:"plain" jsonschema:"enum=SHELL,enum=POWERSHELL,enum=BAT" jsonschema_description:"Language of script. SHELL is for Linux, the others are for Windows"`
	KeepScript        bool     `json:"keep_script,omitempty" audit:"plain" jsonschema_description:"Keep script stored after the run"`
	GrayCount         *int     `json:"gray_count,omitempty" audit:"plain" jsonschema:"minimum=1" jsonschema_description:"Run on this many desktops before the rest (灰度). The service chooses them; gray_resource_ids lets you choose"`
	GrayResourceIDs   []string `json:"gray_resource_ids,omitempty" jsonschema_description:"The desktops to run on before the rest, some of desktop_ids"`
	GrayFailThreshold *int     `json:"gray_fail_threshold,omitempty" audit:"plain" jsonschema:"minimum=1" jsonschema_description:"Do not run on the rest if this many desktops of the first batch fail. Must be less than its size; without it, failures stop nothing"`
	ExecutionTimeout  *int     `json:"execution_timeout,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=600" jsonschema_description:"Minutes (not seconds) after which the service gives a script up"`
	WaitSeconds       int      `json:"wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=50" jsonschema_description:"Seconds to wait for the end. The run goes on after them"`
	toolbox.Consent
}

// RunWorkspaceScriptOutput is the result of run_workspace_script.
type RunWorkspaceScriptOutput struct {
	toolbox.Changed
	RunID          string        `json:"run_id,omitempty" jsonschema_description:"Id of the run, for get_workspace_run"`
	Status         string        `json:"status,omitempty" jsonschema_description:"The service's word for the run"`
	Summary        *ScriptCounts `json:"summary,omitempty" jsonschema_description:"Records by what became of them; absent: they could not be read"`
	Records        []RunRecord   `json:"records,omitempty" jsonschema_description:"One for each desktop and script, those that failed first. Only the first 10 have their output"`
	RecordsOmitted int           `json:"records_omitted,omitempty" jsonschema_description:"How many more records there are"`
	StoredScriptID string        `json:"stored_script_id,omitempty" jsonschema_description:"The script text is still stored under this id; absent: it is not, or there was none"`
	Note           lang.Text     `json:"note,omitzero" jsonschema_description:"What to know"`
}

func (s Desktops) runWorkspaceScript() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name: "run_workspace_script",
		Title: "Run a script on cloud desktops: execute PowerShell or stored scripts on desktops " +
			"(在云桌面上批量执行脚本, 云桌面跑脚本)",
		Example: "desktop_ids=dev-linux-02 script=@check.sh execution_timeout=10 wait_seconds=30",
		Toolset: WorkspaceToolset,
		Risk:    guard.Destructive,
		Description: "Runs stored scripts, or a script text, on Huawei Cloud Workspace desktops (在云桌面上执行脚本), on all at once or on a first (gray, 灰度) batch " +
			"before the rest, and returns what each printed. The first call changes nothing and shows a preview; the same call with " +
			"confirm=true and its preview_token runs.",
	}, toolbox.Steps[RunWorkspaceScriptInput, batch, RunWorkspaceScriptOutput]{
		Plan: s.planRun,
		Ask:  askRun,
		Act:  s.actRun,
	})
}

// batch is what a run is on, and the digest of what it runs.
type batch struct {
	targets []toolbox.Target
	script  *audit.Script
}

// accepted returns the targets of a run that the service took.
func (b batch) accepted(runID string) []toolbox.Target {
	targets := slices.Clone(b.targets)
	for i := range targets {
		targets[i].Outcome, targets[i].NewID = toolbox.Accepted, runID
	}
	return targets
}

// failed returns the targets with one outcome, of which err is the cause.
func (b batch) failed(outcome toolbox.Outcome, err error) []toolbox.Target {
	targets := slices.Clone(b.targets)
	for i := range targets {
		targets[i].Fail(outcome, err)
	}
	return targets
}

func (s Desktops) actRun(
	ctx context.Context, in RunWorkspaceScriptInput, work batch,
) (out RunWorkspaceScriptOutput, err error) {
	whole := context.WithoutCancel(ctx) // a write that is cut off has an unknown outcome
	scripts, stored := in.ScriptIDs, ""
	if in.Script != "" {
		script := in.newScript(work.script)
		id, err := s.Workspace.CreateScript(whole, script)
		if err != nil && toolbox.Uncertain(err) {
			out.State, out.Targets = toolbox.Failed, work.failed(toolbox.NotAttempted, err)
			out.Note = lang.T("Nothing was run: storing the script failed (%s).", toolbox.Briefly(err))
			out.Next = lang.T("The script may be stored all the same: list_workspace_scripts with name=%s shows it. The run can be tried again.", script.Name)
			return out, nil
		}
		if err != nil {
			return out, err
		}
		scripts, stored = []string{id}, id
	}
	began := s.Now()
	runID, err := s.Workspace.Execute(whole, in.execution(scripts))
	switch {
	case err != nil && !toolbox.Uncertain(err):
		left := s.deleteStored(whole, stored)
		if left.IsZero() {
			return out, err
		}
		out.State, out.Targets, out.StoredScriptID = toolbox.Failed, work.failed(toolbox.RefusedByService, err), text.Field(stored)
		out.Note = lang.T("Nothing was run: %s. %s", toolbox.Briefly(err), left)
		return out, nil
	case err != nil:
		out.State, out.Targets, out.StoredScriptID = toolbox.Unknown, work.failed(toolbox.OutcomeUnknown, err), text.Field(stored)
		out.Note = lang.Sentences(lang.T("%s. It may or may not run, and was not sent again.", toolbox.Briefly(err)), storedNote(stored))
		out.Next = lang.T("Call get_workspace_run without run_id: a run on these desktops that began at %s or just after is this one. If there is none "+
			"after a minute, it was not started.", began.UTC().Format(time.RFC3339))
		return out, nil
	}
	out, over := s.watchRun(ctx, runID, time.Duration(in.WaitSeconds)*time.Second)
	out.Targets = work.accepted(runID)
	switch {
	case stored == "":
	case in.KeepScript:
		out.StoredScriptID = text.Field(stored)
		out.Note = lang.Sentences(out.Note, lang.T("The script is kept as %s.", out.StoredScriptID))
	case !over:
		out.StoredScriptID = text.Field(stored)
		out.Note = lang.Sentences(out.Note, storedNote(stored))
	default:
		if left := s.deleteStored(whole, stored); !left.IsZero() {
			out.StoredScriptID = text.Field(stored)
			out.Note = lang.Sentences(out.Note, left)
		}
	}
	return out, nil
}

// storedNote says that the text is still stored: what runs later must still find it.
func storedNote(id string) lang.Text {
	if id == "" {
		return lang.Text{}
	}
	return lang.T("The script is stored as %s and was not removed, because the run may still need it.", text.Field(id))
}

// deleteStored deletes the script stored for this run; left says that it could not be.
func (s Desktops) deleteStored(ctx context.Context, id string) (left lang.Text) {
	if id == "" {
		return lang.Text{}
	}
	if err := s.Workspace.DeleteScript(ctx, id); err != nil {
		return lang.T("The script that was stored as %s could not be removed: %s.", text.Field(id), toolbox.Briefly(err))
	}
	return lang.Text{}
}

// watchRun looks at a run until it is over or limit is. It looks at least once.
func (s Desktops) watchRun(ctx context.Context, runID string, limit time.Duration) (out RunWorkspaceScriptOutput, over bool) {
	out.State, out.RunID = toolbox.Waiting, text.Field(runID)
	out.Next = lookAgain(out.RunID)
	started, reported := s.Now(), -1
	for pause := firstRunPoll; ; pause = min(pause*3/2, maxRunPoll) {
		task, err := s.Workspace.Task(ctx, runID)
		left := limit - s.Now().Sub(started)
		switch {
		case err != nil:
			out.Note = lang.T("The run was accepted, but its state could not be read: %s.", toolbox.Briefly(err))
		case task.Done():
			return s.endedRun(ctx, task), true
		default:
			out.Status, out.Summary = text.Field(task.Status), new(runCounts(task))
			out.Note = lang.T("The run was accepted and is not over.")
			if ended := task.Succeeded + task.Failed + task.Skipped; ended > reported {
				reported = ended
				toolbox.ReportProgress(ctx, ended, max(task.Expected(), ended), lang.T("status %s", text.Dash(text.Field(task.Status))))
			}
		}
		if left <= 0 || !upstream.Wait(ctx, min(pause, left)) {
			return out, false
		}
	}
}

// endedRun is the result of a run that is over, with the output of failures first.
func (s Desktops) endedRun(ctx context.Context, task workspace.Task) (out RunWorkspaceScriptOutput) {
	out.State, out.RunID = runState(task), text.Field(task.ID)
	out.Status, out.Summary = text.Field(task.Status), new(runCounts(task))
	var records []workspace.Record
	for r, err := range s.Workspace.AllRecords(ctx, workspace.RecordFilter{TaskID: task.ID}) {
		if err != nil {
			out.Note = lang.T("Not all records could be read: %s.", toolbox.Briefly(err))
			out.Next = lookAgain(out.RunID)
			break
		}
		records = append(records, r)
	}
	slices.SortStableFunc(records, func(a, b workspace.Record) int { return rank(a) - rank(b) })
	for i, r := range records[:min(len(records), maxRunRecords)] {
		item := runRecord(r)
		if i < maxOutputs {
			s.readOutput(ctx, r.ID, &item)
		}
		out.Records = append(out.Records, item)
	}
	if out.RecordsOmitted = len(records) - len(out.Records); out.RecordsOmitted > 0 {
		out.Note = lang.Sentences(out.Note, lang.T("%d of %d records are shown.", len(out.Records), len(records)))
	}
	if len(records) > maxOutputs {
		out.Note = lang.Sentences(out.Note, lang.T("Outputs of the first %d records are shown.", maxOutputs))
		out.Next = lang.T("get_workspace_run with run_id=%s shows all records, and with output_of the output of others.", out.RunID)
	}
	return out
}

// Text tells what became of each desktop.
func (out RunWorkspaceScriptOutput) Text(l lang.Lang) string {
	var b strings.Builder
	what := lang.T("%s: run %s", out.State, out.RunID)
	if out.RunID == "" { // it is not known whether it became a run
		on := make([]string, len(out.Targets))
		for i, t := range out.Targets {
			on[i] = t.String()
		}
		what = lang.T("%s: a run on %s", out.State, lang.Some(on))
	}
	if out.Summary != nil {
		what = lang.Parts(what, lang.T("%s; status %s", out.Summary, text.Dash(out.Status)))
	}
	l.Fprintf(&b, "%s.\n", what)
	writeRecords(l, &b, out.Records)
	b.WriteString(out.Note.In(l))
	return strings.TrimSpace(b.String())
}
