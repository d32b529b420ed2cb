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
	Note           string        `json:"note,omitempty" jsonschema_description:"What to know"`
}

func (s Desktops) runWorkspaceScript() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "run_workspace_script",
		Title:   "Run a script on cloud desktops (在云桌面上批量执行脚本, 云桌面跑脚本)",
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
	check := workspace.Execution.CheckNamed
	if !slices.ContainsFunc(slices.Concat(in.DesktopIDs, in.GrayResourceIDs), isName) {
		check = workspace.Execution.Check
	}
	if err := renamed(check(in.execution(scripts))); err != nil {
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

func isName(ref string) bool { return !desktopID.MatchString(ref) }

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

func (s Desktops) planRun(ctx context.Context, policy guard.Policy, in *RunWorkspaceScriptInput) (plan toolbox.Plan, work batch, err error) {
	for _, refs := range [][]string{in.DesktopIDs, in.GrayResourceIDs} {
		for i := range refs {
			refs[i] = strings.TrimSpace(refs[i])
		}
	}
	scripts, err := in.scripts()
	if err != nil {
		return plan, work, err
	}
	if err := in.check(scripts); err != nil {
		return plan, work, err
	}
	if err := policy.PermitsCount(len(in.DesktopIDs)); err != nil {
		return plan, work, err
	}
	named, err := s.resolve(ctx, in.DesktopIDs)
	if err != nil {
		return plan, work, err
	}
	in.identify(named)
	if err := renamed(in.execution(scripts).Check()); err != nil {
		return plan, work, err
	}
	found := make(map[string]workspace.Desktop, len(named))
	for _, d := range named {
		found[d.ID] = d
	}
	for _, id := range in.DesktopIDs {
		t := s.target(id, found[id])
		t.Effect = in.effectOn(found[id])
		plan.Targets = append(plan.Targets, t)
	}
	described, excerpts, err := s.planScripts(ctx, in, &plan, found)
	if err != nil {
		return plan, work, err
	}
	plan.Effect = fmt.Sprintf("would run %s on %s in %s%s.%s%s\n%s", described, text.Count(len(plan.Targets), "desktop"), plan.Where(),
		in.stages(plan.Targets), in.timeLimit(), idle(plan.Targets), excerpts)
	return plan, batch{targets: plan.Targets, script: plan.Script}, nil
}

// identify puts ids in the place of names. A desktop of the first batch can be named in another way than among the desktops.
func (in *RunWorkspaceScriptInput) identify(named map[string]workspace.Desktop) {
	for i, ref := range in.DesktopIDs {
		in.DesktopIDs[i] = named[ref].ID
	}
	for i, ref := range in.GrayResourceIDs {
		if d, ok := named[ref]; ok {
			in.GrayResourceIDs[i] = d.ID
			continue
		}
		for _, d := range named {
			if d.ComputerName == ref {
				in.GrayResourceIDs[i] = d.ID
			}
		}
	}
}

// scripts returns the ids of what is to run, after a look at what excludes what.
func (in RunWorkspaceScriptInput) scripts() ([]string, error) {
	switch {
	case in.Script != "" && len(in.ScriptIDs) > 0:
		return nil, errors.New("script and script_ids are both given; give one. Nothing was sent")
	case in.Script == "" && len(in.ScriptIDs) == 0:
		return nil, errors.New("neither script nor script_ids is given. Nothing was sent; list_workspace_scripts shows the stored ones")
	case in.Script == "" && (in.ScriptType != "" || in.KeepScript):
		return nil, errors.New("script_type and keep_script are about script, which is not given. Nothing was sent")
	case in.Script != "":
		return []string{inlineScript}, nil
	}
	return in.ScriptIDs, nil
}

// idle names the desktops that will probably fail.
func idle(targets []toolbox.Target) string {
	var names []string
	for _, t := range targets {
		if !isActive(t.Status) {
			names = append(names, fmt.Sprintf("%q (%s)", text.Field(t.Name), text.Dash(text.Field(t.Status))))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " Not ACTIVE, so it will probably fail there: " + text.Some(names) + "."
}

// effectOn says what would happen to one desktop, and in which batch as far as that can be known.
func (in RunWorkspaceScriptInput) effectOn(d workspace.Desktop) string {
	effect := "runs it"
	switch {
	case slices.Contains(in.GrayResourceIDs, d.ID):
		effect = "runs it in the first batch"
	case len(in.GrayResourceIDs) > 0:
		effect = "runs it after the first batch"
	case in.GrayCount != nil && *in.GrayCount < len(in.DesktopIDs):
		effect = "runs it in a batch the service chooses"
	}
	if !isActive(d.Status) {
		effect += "; not ACTIVE: probably fails"
	}
	if strings.EqualFold(d.LoginStatus, "CONNECTED") {
		effect += "; in use"
	}
	return effect
}

// stages words the first batch: who is in it, and what keeps the rest from running.
func (in RunWorkspaceScriptInput) stages(targets []toolbox.Target) string {
	var words string
	switch {
	case len(in.GrayResourceIDs) > 0:
		var names []string
		for _, t := range targets {
			if slices.Contains(in.GrayResourceIDs, t.ID) {
				names = append(names, t.String())
			}
		}
		words = ", first on " + text.Some(names)
	case in.GrayCount != nil:
		words = fmt.Sprintf(", first on %d of them, which the service chooses (gray_resource_ids would let you choose)", *in.GrayCount)
	default:
		return ""
	}
	if in.GrayFailThreshold != nil {
		return words + fmt.Sprintf(", and on the rest unless %d or more of these fail", *in.GrayFailThreshold)
	}
	return words + ", and then on the rest whatever fails"
}

// timeLimit words how long a script may run.
func (in RunWorkspaceScriptInput) timeLimit() string {
	if in.ExecutionTimeout == nil || *in.ExecutionTimeout == 0 {
		return " How long a script may run is up to the service."
	}
	return fmt.Sprintf(" The service gives a script up after %s.", text.Count(*in.ExecutionTimeout, "minute"))
}

// planScripts looks at what would run, and returns it described and in excerpts. Stored scripts become part of what consent
// is bound to: one that is changed after the preview is another script.
func (s Desktops) planScripts(
	ctx context.Context, in *RunWorkspaceScriptInput, plan *toolbox.Plan, found map[string]workspace.Desktop,
) (described, excerpts string, err error) {
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
		script, err := s.Workspace.Script(ctx, id)
		if err != nil {
			return "", "", err
		}
		if err := checkSystems(script.Type, text.Field(script.Name), found); err != nil {
			return "", "", err
		}
		size += len(script.Content)
		_, _ = all.Write([]byte(script.Content)) // never fails
		if len(in.ScriptIDs) > 1 {
			texts = append(texts, fmt.Sprintf("%q:", text.Field(script.Name)))
		}
		texts = append(texts, text.Excerpt(script.Content))
		digest := sha256.Sum256([]byte(script.Content))
		names = append(names, fmt.Sprintf("%q (%s, %s, SHA-256 %s…)", text.Field(script.Name), text.Field(script.ID), text.Field(string(script.Type)), hex.EncodeToString(digest[:6])))
		for i := range plan.Targets {
			plan.Targets[i].Bound = append(plan.Targets[i].Bound, script.ID, hex.EncodeToString(digest[:]))
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

func askRun(in RunWorkspaceScriptInput, plan toolbox.Plan) guard.Question {
	var b strings.Builder
	b.WriteString("This call " + plan.Effect + "\n")
	for _, t := range plan.Targets {
		fmt.Fprintf(&b, "- %s, %s: %s\n", t, text.Field(t.Status), t.Effect)
	}
	return guard.Question{Message: b.String(), Choices: []string{"run it on " + text.Count(len(in.DesktopIDs), "desktop"), "do not run it"}}
}

func (s Desktops) actRun(ctx context.Context, in RunWorkspaceScriptInput, work batch) (out RunWorkspaceScriptOutput, err error) {
	whole := context.WithoutCancel(ctx) // a write that is cut off has an unknown outcome
	scripts, stored := in.ScriptIDs, ""
	if in.Script != "" {
		script := in.newScript(work.script)
		id, err := s.Workspace.CreateScript(whole, script)
		if err != nil && toolbox.Uncertain(err) {
			out.State, out.Targets = toolbox.Failed, work.failed(toolbox.NotAttempted, err)
			out.Note = fmt.Sprintf("Nothing was run: storing the script failed (%s).", toolbox.Briefly(err))
			out.Next = fmt.Sprintf("The script may be stored all the same: list_workspace_scripts with name=%s shows it. The run can be tried again.", script.Name)
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
		if left == "" {
			return out, err
		}
		out.State, out.Targets, out.StoredScriptID = toolbox.Failed, work.failed(toolbox.RefusedByService, err), text.Field(stored)
		out.Note = fmt.Sprintf("Nothing was run: %s. %s", toolbox.Briefly(err), left)
		return out, nil
	case err != nil:
		out.State, out.Targets, out.StoredScriptID = toolbox.Unknown, work.failed(toolbox.OutcomeUnknown, err), text.Field(stored)
		out.Note = toolbox.Briefly(err) + ". It may or may not run, and was not sent again." + storedNote(stored)
		out.Next = fmt.Sprintf("Call get_workspace_run without run_id: a run on these desktops that began at %s or just after is this one. If there is none "+
			"after a minute, it was not started.", began.UTC().Format(time.RFC3339))
		return out, nil
	}
	out, over := s.watchRun(ctx, runID, time.Duration(in.WaitSeconds)*time.Second)
	out.Targets = work.accepted(runID)
	switch {
	case stored == "":
	case in.KeepScript:
		out.StoredScriptID = text.Field(stored)
		out.Note += fmt.Sprintf(" The script is kept as %s.", out.StoredScriptID)
	case !over:
		out.StoredScriptID = text.Field(stored)
		out.Note += storedNote(stored)
	default:
		if left := s.deleteStored(whole, stored); left != "" {
			out.StoredScriptID = text.Field(stored)
			out.Note += " " + left
		}
	}
	out.Note = strings.TrimSpace(out.Note)
	return out, nil
}

// storedNote says that the text is still stored: what runs later must still find it.
func storedNote(id string) string {
	if id == "" {
		return ""
	}
	return fmt.Sprintf(" The script is stored as %s and was not removed, because the run may still need it.", text.Field(id))
}

// deleteStored deletes the script stored for this run; left says that it could not be.
func (s Desktops) deleteStored(ctx context.Context, id string) (left string) {
	if id == "" {
		return ""
	}
	if err := s.Workspace.DeleteScript(ctx, id); err != nil {
		return fmt.Sprintf("The script that was stored as %s could not be removed: %s.", text.Field(id), toolbox.Briefly(err))
	}
	return ""
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
			out.Note = "The run was accepted, but its state could not be read: " + toolbox.Briefly(err) + "."
		case task.Done():
			return s.endedRun(ctx, task), true
		default:
			out.Status, out.Summary = text.Field(task.Status), new(runCounts(task))
			out.Note = "The run was accepted and is not over."
			if ended := task.Succeeded + task.Failed + task.Skipped; ended > reported {
				reported = ended
				toolbox.ReportProgress(ctx, ended, max(task.Expected(), ended), "status "+text.Dash(text.Field(task.Status)))
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
			out.Note = "Not all records could be read: " + toolbox.Briefly(err) + "."
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
		out.Note += fmt.Sprintf(" %d of %d records are shown.", len(out.Records), len(records))
	}
	if len(records) > maxOutputs {
		out.Note += fmt.Sprintf(" Outputs of the first %d records are shown.", maxOutputs)
		out.Next = fmt.Sprintf("get_workspace_run with run_id=%s shows all records, and with output_of the output of others.", out.RunID)
	}
	out.Note = strings.TrimSpace(out.Note)
	return out
}

// Text tells what became of each desktop.
func (out RunWorkspaceScriptOutput) Text() string {
	var b strings.Builder
	if out.RunID == "" { // it is not known whether it became a run
		on := make([]string, len(out.Targets))
		for i, t := range out.Targets {
			on[i] = t.String()
		}
		fmt.Fprintf(&b, "%s: a run on %s", out.State, text.Some(on))
	} else {
		fmt.Fprintf(&b, "%s: run %s", out.State, out.RunID)
	}
	if out.Summary != nil {
		fmt.Fprintf(&b, ", %s; status %s", out.Summary, text.Dash(out.Status))
	}
	b.WriteString(".\n")
	writeRecords(&b, out.Records)
	b.WriteString(out.Note)
	return strings.TrimSpace(b.String())
}
