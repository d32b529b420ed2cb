package tools

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
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
	DesktopIDs        []string `json:"desktop_ids" jsonschema:"minItems=1" jsonschema_description:"Desktop ids, up to 1000"`
	ScriptIDs         []string `json:"script_ids,omitempty" jsonschema_description:"1 to 10 stored scripts, or give script"`
	Script            string   `json:"script,omitempty" jsonschema_description:"Script text, up to 100,000 characters"`
	ScriptType        string   `json:"script_type,omitempty" jsonschema:"enum=SHELL,enum=POWERSHELL,enum=BAT" jsonschema_description:"Of script; SHELL is for Linux"`
	KeepScript        bool     `json:"keep_script,omitempty" jsonschema_description:"Keep script stored after the run"`
	GrayCount         *int     `json:"gray_count,omitempty" jsonschema:"minimum=1" jsonschema_description:"Desktops of a first batch"`
	GrayResourceIDs   []string `json:"gray_resource_ids,omitempty" jsonschema_description:"The first batch by id"`
	GrayFailThreshold *int     `json:"gray_fail_threshold,omitempty" jsonschema:"minimum=1" jsonschema_description:"Failures (>=) in the first batch that stop the rest; below its size"`
	ExecutionTimeout  *int     `json:"execution_timeout,omitempty" jsonschema:"minimum=0,maximum=600" jsonschema_description:"Minutes"`
	WaitSeconds       int      `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=50" jsonschema_description:"Wait for the end"`
	Consent
}

// RunWorkspaceScriptOutput is the result of run_workspace_script.
type RunWorkspaceScriptOutput struct {
	State   string      `json:"state" jsonschema:"enum=confirmation_required,enum=done,enum=partial,enum=failed,enum=unknown,enum=waiting" jsonschema_description:"Outcome"`
	RunID   string      `json:"run_id,omitempty" jsonschema_description:"For get_workspace_run"`
	Counts  string      `json:"counts,omitempty" jsonschema_description:"Succeeded, failed, skipped"`
	Records []RunRecord `json:"records,omitempty" jsonschema_description:"One a desktop and script"`
	Note    string      `json:"note,omitempty" jsonschema_description:"What to know"`
	Preview *Preview    `json:"preview,omitempty" jsonschema_description:"Before consent"`
}

func runWorkspaceScript(mode Mode) Tool {
	return declareChange(Tool{
		Name:    "run_workspace_script",
		Title:   "Run scripts on cloud desktops",
		Toolset: WorkspaceToolset,
		Risk:    guard.Destructive,
		Description: "Runs stored scripts, or a text, on Huawei Cloud Workspace desktops, optionally on a first (gray) batch before the rest. The " +
			"first call shows a preview; the same with confirm=true and its preview_token runs. A text is stored for the run.",
	}, mode, change[RunWorkspaceScriptInput, RunWorkspaceScriptOutput]{
		plan: planRun,
		preview: func(_ RunWorkspaceScriptInput, _ Plan, p *Preview) RunWorkspaceScriptOutput {
			return RunWorkspaceScriptOutput{State: stateConfirm, Preview: p}
		},
		question: askRun,
		act:      actRun,
		state:    func(out RunWorkspaceScriptOutput) string { return out.State },
	})
}

// execution is the batch as the service takes it.
func (in RunWorkspaceScriptInput) execution(scripts []string) workspace.Execution {
	return workspace.Execution{
		Desktops: in.DesktopIDs, Scripts: scripts, GrayCount: in.GrayCount, GrayDesktops: in.GrayResourceIDs,
		GrayFailThreshold: in.GrayFailThreshold, TimeoutMinutes: in.ExecutionTimeout,
	}
}

// check looks at everything that needs no look-up.
func (in RunWorkspaceScriptInput) check(scripts []string) error {
	if ids := len(in.GrayResourceIDs); ids > 0 && in.GrayCount != nil && *in.GrayCount != ids {
		return fmt.Errorf("gray_count is %d, but gray_resource_ids names %d; give one of them. Nothing was sent", *in.GrayCount, ids)
	}
	if err := renamed(in.execution(scripts).Check()); err != nil {
		return err
	}
	if in.Script == "" {
		return nil
	}
	kind := workspace.ScriptType(in.ScriptType)
	if kind == "" {
		kind = workspace.Shell // whatever it comes to be, the other rules are the same
	}
	return renamed(workspace.NewScript{Name: inlineScript, Type: kind, Content: in.Script}.Check())
}

// argumentNames are ours for the service's.
var argumentNames = map[string]string{"resource_ids": "desktop_ids", "content": "script", "type": "script_type"}

var resourceIDs = regexp.MustCompile(`\bresource_ids\b`)

// renamed words a broken rule with the names of our arguments.
func renamed(err error) error {
	var broken *workspace.ArgumentError
	if !errors.As(err, &broken) {
		return err
	}
	ours := &workspace.ArgumentError{}
	for _, p := range broken.Problems {
		if name, ok := argumentNames[p.Field]; ok {
			p.Field = name
		}
		p.Message = resourceIDs.ReplaceAllString(p.Message, "desktop_ids")
		ours.Problems = append(ours.Problems, p)
	}
	return fmt.Errorf("%w. Nothing was sent", ours)
}

func planRun(ctx context.Context, service Service, in *RunWorkspaceScriptInput) (Plan, error) {
	plan := Plan{Place: service.Workspace.Place()}
	scripts := in.ScriptIDs
	switch {
	case in.Script != "" && len(in.ScriptIDs) > 0:
		return plan, errors.New("script and script_ids are both given; give one. Nothing was sent")
	case in.Script == "" && len(in.ScriptIDs) == 0:
		return plan, errors.New("neither script nor script_ids is given. Nothing was sent; list_workspace_scripts shows the stored ones")
	case in.Script == "" && (in.ScriptType != "" || in.KeepScript):
		return plan, errors.New("script_type and keep_script are about script, which is not given. Nothing was sent")
	case in.Script != "":
		scripts = []string{inlineScript}
	}
	if err := in.check(scripts); err != nil {
		return plan, err
	}
	if err := service.Policy.PermitsCount(len(in.DesktopIDs)); err != nil {
		return plan, err
	}
	found, err := desktops(ctx, service.Workspace, in.DesktopIDs)
	if err != nil {
		return plan, err
	}
	var missing []string
	for _, id := range in.DesktopIDs {
		d, exists := found[id]
		if !exists {
			missing = append(missing, text.Field(id))
			continue
		}
		plan.Targets = append(plan.Targets, PlannedTarget{ID: id, Seen: seenDesktop(d), Effect: in.effectOn(d)})
	}
	if len(missing) > 0 {
		return plan, fmt.Errorf("no such desktop: %s. Nothing was sent. list_workspace_desktops shows the ids", text.Some(missing))
	}
	described, excerpts, err := planScripts(ctx, service, in, &plan, found)
	if err != nil {
		return plan, err
	}
	plan.Effect = fmt.Sprintf("would run %s on %s in %s%s.%s\n%s", described, text.Count(len(plan.Targets), "desktop"), plan.Place, in.stages(),
		idle(plan.Targets), excerpts)
	return plan, nil
}

// idle names the desktops that will probably fail.
func idle(targets []PlannedTarget) string {
	var names []string
	for _, t := range targets {
		if !isActive(t.Seen.Status) {
			names = append(names, fmt.Sprintf("%q (%s)", text.Field(t.Seen.Name), text.Dash(text.Field(t.Seen.Status))))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " Not ACTIVE, so it will probably fail there: " + text.Some(names) + "."
}

func isActive(status string) bool { return strings.EqualFold(status, "ACTIVE") }

func (in RunWorkspaceScriptInput) effectOn(d workspace.Desktop) string {
	effect := "runs it"
	if slices.Contains(in.GrayResourceIDs, d.ID) {
		effect = "runs it in the first batch"
	}
	if !isActive(d.Status) {
		effect += "; not ACTIVE, so it will probably fail"
	}
	return effect
}

// stages words the first batch.
func (in RunWorkspaceScriptInput) stages() string {
	size := len(in.GrayResourceIDs)
	if in.GrayCount != nil {
		size = *in.GrayCount
	}
	if size == 0 {
		return ""
	}
	text := fmt.Sprintf(", on %d of them first", size)
	if in.GrayFailThreshold != nil {
		text += fmt.Sprintf(" and on the rest unless %d or more of these fail", *in.GrayFailThreshold)
	}
	return text
}

// planScripts looks at what would run, and returns it described and in excerpts. Stored scripts become part of what consent
// is bound to: one that is changed after the preview is another script.
func planScripts(ctx context.Context, service Service, in *RunWorkspaceScriptInput, plan *Plan, found map[string]workspace.Desktop) (described, shown string, err error) {
	if in.Script != "" {
		kind, err := in.inlineType(found)
		if err != nil {
			return "", "", err
		}
		in.ScriptType = string(kind)
		if kind == workspace.Shell { // the others want the line ends of Windows
			in.Script = strings.ReplaceAll(in.Script, "\r\n", "\n")
		}
		digest := sha256.Sum256([]byte(in.Script))
		plan.Script = &audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(in.Script)}
		described = fmt.Sprintf("a %s script of %d bytes (SHA-256 %s…)", kind, len(in.Script), plan.Script.SHA256[:12])
		return described, text.Excerpt(in.Script), checkSystems(kind, "the script", found)
	}
	var names, texts []string
	all, size := sha256.New(), 0
	for _, id := range in.ScriptIDs {
		s, err := service.Workspace.Script(ctx, id)
		if err != nil {
			return "", "", err
		}
		if err := checkSystems(s.Type, text.Field(s.Name), found); err != nil {
			return "", "", err
		}
		size += len(s.Content)
		_, _ = all.Write([]byte(s.Content)) // never fails
		if len(in.ScriptIDs) > 1 {
			texts = append(texts, fmt.Sprintf("%q:", text.Field(s.Name)))
		}
		texts = append(texts, text.Excerpt(s.Content))
		digest := sha256.Sum256([]byte(s.Content))
		names = append(names, fmt.Sprintf("%q (%s, %s, SHA-256 %s…)", text.Field(s.Name), text.Field(s.ID), text.Field(string(s.Type)), hex.EncodeToString(digest[:6])))
		for i := range plan.Targets {
			plan.Targets[i].Seen.State = append(plan.Targets[i].Seen.State, s.ID, hex.EncodeToString(digest[:]))
		}
	}
	plan.Script = &audit.Script{SHA256: hex.EncodeToString(all.Sum(nil)), Bytes: size}
	return strings.Join(names, ", "), strings.Join(texts, "\n"), nil
}

// newScript is the text as it is stored. Its name is used once, in case the service wants names to be unique.
func (in RunWorkspaceScriptInput) newScript(digest *audit.Script) workspace.NewScript {
	return workspace.NewScript{
		Name: "scnet-mcp-" + digest.SHA256[:12] + "-" + strings.ToLower(rand.Text()[:8]), Type: workspace.ScriptType(in.ScriptType),
		Content: in.Script, Description: "Stored by scnet-mcp for one run",
	}
}

// inlineType is the given type of the text, or the one that fits the desktops.
func (in RunWorkspaceScriptInput) inlineType(found map[string]workspace.Desktop) (workspace.ScriptType, error) {
	if in.ScriptType != "" {
		return workspace.ScriptType(in.ScriptType), nil
	}
	systems := map[workspace.System]bool{}
	for _, d := range found {
		systems[d.System] = true
	}
	if len(systems) == 1 && systems[workspace.Linux] {
		return workspace.Shell, nil
	}
	return "", errors.New("script_type is missing: the desktops are not all known to run Linux. Nothing was sent; give SHELL, POWERSHELL or BAT")
}

// checkSystems refuses a script on a desktop that is known to run another system.
func checkSystems(kind workspace.ScriptType, name string, found map[string]workspace.Desktop) error {
	var wrong []string
	for _, d := range found {
		if d.System != "" && kind.System() != "" && d.System != kind.System() {
			wrong = append(wrong, fmt.Sprintf("%q (%s, %s)", text.Field(d.ComputerName), text.Field(d.ID), d.System))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%s is %s, which is for %s, and cannot run on %s. Nothing was sent", name, text.Field(string(kind)), kind.System(), text.Some(wrong))
}

func askRun(in RunWorkspaceScriptInput, plan Plan) guard.Question {
	var b strings.Builder
	b.WriteString("This call " + plan.Effect + "\n")
	for _, t := range plan.Targets {
		fmt.Fprintf(&b, "- %q (%s), %s: %s\n", text.Field(t.Seen.Name), text.Field(t.ID), text.Field(t.Seen.Status), t.Effect)
	}
	return guard.Question{Message: b.String(), Choices: []string{"run it on " + text.Count(len(in.DesktopIDs), "desktop"), "do not run it"}}
}

func actRun(ctx context.Context, service Service, in RunWorkspaceScriptInput, plan Plan) (RunWorkspaceScriptOutput, []audit.Outcome, error) {
	client := service.Workspace
	work := context.WithoutCancel(ctx) // a write that is cut off has an unknown outcome
	scripts, stored := in.ScriptIDs, ""
	if in.Script != "" {
		script := in.newScript(plan.Script)
		id, err := client.CreateScript(work, script)
		if err != nil && uncertain(err) {
			out := RunWorkspaceScriptOutput{State: stateFailed, Note: fmt.Sprintf("Nothing was run: storing the script failed (%s). "+
				"It may be stored all the same: list_workspace_scripts with name=%s shows it.", briefly(err), script.Name)}
			return out, runOutcomes(plan, outcomeNotAttempted, ""), nil
		}
		if err != nil {
			return RunWorkspaceScriptOutput{}, nil, err
		}
		scripts, stored = []string{id}, id
	}
	taskID, err := client.Execute(work, in.execution(scripts))
	if err != nil && !uncertain(err) {
		left := removeStored(work, client, stored)
		if left == "" {
			return RunWorkspaceScriptOutput{}, nil, err
		}
		out := RunWorkspaceScriptOutput{State: stateFailed, Note: fmt.Sprintf("Nothing was run: %s. %s", briefly(err), left)}
		return out, runOutcomes(plan, outcomeRefused, ""), nil
	}
	if err != nil {
		out := RunWorkspaceScriptOutput{State: stateUnknown, Note: briefly(err) + ". It may or may not run, and was not sent again. " +
			"get_workspace_run without run_id lists the latest runs: one with these desktops that began now is it." + storedNote(stored)}
		return out, runOutcomes(plan, outcomeUnknown, ""), nil
	}
	out, over := watchRun(ctx, service, taskID, time.Duration(in.WaitSeconds)*time.Second)
	switch {
	case stored == "":
	case in.KeepScript:
		out.Note += fmt.Sprintf(" The script is kept as %s.", text.Field(stored))
	case !over:
		out.Note += storedNote(stored)
	default:
		out.Note += " " + removeStored(work, client, stored)
	}
	out.Note = strings.TrimSpace(out.Note)
	return out, runOutcomes(plan, outcomeAccepted, taskID), nil
}

// storedNote says that the text is still stored: what runs later must still find it.
func storedNote(id string) string {
	if id == "" {
		return ""
	}
	return fmt.Sprintf(" The script is stored as %s and was not removed, because the run may still need it.", text.Field(id))
}

// removeStored removes the script of a text again, and says so where it cannot.
func removeStored(ctx context.Context, client *workspace.Client, id string) (note string) {
	if id == "" {
		return ""
	}
	if err := client.DeleteScript(ctx, id); err != nil {
		return fmt.Sprintf("The script that was stored as %s could not be removed: %s.", text.Field(id), briefly(err))
	}
	return ""
}

func runOutcomes(plan Plan, outcome, runID string) []audit.Outcome {
	outcomes := make([]audit.Outcome, len(plan.Targets))
	for i, t := range plan.Targets {
		outcomes[i] = audit.Outcome{ID: text.Field(t.ID), Outcome: outcome, NewID: text.Field(runID)}
	}
	return outcomes
}

// watchRun looks at a run until it is over or limit is. It looks at least once.
func watchRun(ctx context.Context, service Service, taskID string, limit time.Duration) (out RunWorkspaceScriptOutput, over bool) {
	out = RunWorkspaceScriptOutput{State: stateWaiting, RunID: text.Field(taskID)}
	started, reported := service.Now(), -1
	for pause := firstRunPoll; ; pause = min(pause*3/2, maxRunPoll) {
		task, err := service.Workspace.Task(ctx, taskID)
		left := limit - service.Now().Sub(started)
		switch {
		case err != nil:
			out.Note = "The run was accepted, but its state could not be read: " + briefly(err) + ". Look again with get_workspace_run."
		case task.Done():
			return endedRun(ctx, service, task), true
		default:
			out.Counts = runCounts(task)
			out.Note = "The run was accepted and is not over. Look again with get_workspace_run."
			if ended := task.Succeeded + task.Failed + task.Skipped; ended > reported {
				reported = ended
				ReportProgress(ctx, ended, max(task.Expected(), ended), "status "+text.Dash(text.Field(task.Status)))
			}
		}
		if left <= 0 || !sleep(ctx, min(pause, left)) {
			return out, false
		}
	}
}

// endedRun is the result of a run that is over, with the output of failures first.
func endedRun(ctx context.Context, service Service, task workspace.Task) RunWorkspaceScriptOutput {
	out := RunWorkspaceScriptOutput{State: runState(task), RunID: text.Field(task.ID), Counts: runCounts(task)}
	var records []workspace.Record
	for r, err := range service.Workspace.AllRecords(ctx, workspace.RecordFilter{TaskID: task.ID}) {
		if err != nil {
			out.Note = "Not all records could be read: " + briefly(err) + ". Look again with get_workspace_run."
			break
		}
		records = append(records, r)
	}
	slices.SortStableFunc(records, func(a, b workspace.Record) int { return rank(a) - rank(b) })
	for i, r := range records[:min(len(records), maxRunRecords)] {
		item := runRecord(r)
		if i < maxOutputs {
			item.Output = outputOf(ctx, service, r.ID)
		}
		out.Records = append(out.Records, item)
	}
	if len(records) > maxRunRecords {
		out.Note += fmt.Sprintf(" %d of %d records are shown; get_workspace_run shows all.", maxRunRecords, len(records))
	}
	if len(records) > maxOutputs {
		out.Note = strings.TrimSpace(out.Note + fmt.Sprintf(" Outputs of the first %d records are shown; get_workspace_run gives others by record id.", maxOutputs))
	}
	return out
}

// rank puts failures before what is unknown, and that before successes. Of a status word that says nothing, a reason tells
// that something was wrong.
func rank(r workspace.Record) int {
	switch state := r.State(); {
	case state == workspace.StateFailed:
		return 0
	case state == workspace.StateSucceeded:
		return 3
	case r.Reason != "":
		return 1
	}
	return 2
}

// outputOf reads what a record's script wrote. A failure to read it is said in its place.
func outputOf(ctx context.Context, service Service, recordID string) string {
	detail, err := service.Workspace.Record(ctx, recordID)
	if err != nil {
		return "(could not be read: " + briefly(err) + ")"
	}
	return shown(detail.Output)
}

func runState(t workspace.Task) string {
	switch {
	case t.Failed == 0 && t.Skipped == 0 && t.State() == workspace.StateSucceeded:
		return stateDone
	case t.Succeeded > 0:
		return statePartial
	case t.Failed > 0 || t.Skipped > 0 || t.State() == workspace.StateFailed:
		return stateFailed
	}
	return stateUnknown
}

func runCounts(t workspace.Task) string {
	return fmt.Sprintf("%d succeeded, %d failed, %d skipped of %d; status %s", t.Succeeded, t.Failed, t.Skipped, t.Expected(), text.Dash(text.Field(t.Status)))
}

// Text tells what became of each desktop.
func (out RunWorkspaceScriptOutput) Text() string {
	if out.Preview != nil {
		return out.Preview.Text()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: run %s", out.State, text.Dash(out.RunID))
	if out.Counts != "" {
		fmt.Fprintf(&b, ", %s", out.Counts)
	}
	b.WriteString(".\n")
	writeRecords(&b, out.Records)
	b.WriteString(out.Note)
	return strings.TrimSpace(b.String())
}
