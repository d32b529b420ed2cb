package tools

import (
	"context"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// StopWorkspaceRunInput are the arguments of stop_workspace_run.
type StopWorkspaceRunInput struct {
	RunID string `json:"run_id" audit:"plain" jsonschema:"minLength=1" jsonschema_description:"Id of the run, from run_workspace_script or get_workspace_run"`
	toolbox.Consent
}

// StopWorkspaceRunOutput is the result of stop_workspace_run.
type StopWorkspaceRunOutput struct {
	toolbox.Changed
	RunID   string        `json:"run_id" jsonschema_description:"Id of the run"`
	Status  string        `json:"status,omitempty" jsonschema_description:"The service's word for the run"`
	Summary *ScriptCounts `json:"summary,omitempty" jsonschema_description:"Records by what became of them; absent: they could not be read"`
	Note    lang.Text     `json:"note,omitzero" jsonschema_description:"What to know"`
}

func (s Desktops) stopWorkspaceRun() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:        "stop_workspace_run",
		Title:       "Stop or cancel a task on desktops (停止, 取消云桌面上的脚本任务)",
		Example:     "run_id=RUN",
		Toolset:     WorkspaceToolset,
		Risk:        guard.Disruptive,
		Description: "Stops what is left of a script run on cloud desktops (停止执行). What already ran stays done. Needs confirm=true.",
	}, toolbox.Steps[StopWorkspaceRunInput, toolbox.Target, StopWorkspaceRunOutput]{
		Plan: s.planStop,
		Preview: func(in StopWorkspaceRunInput, _ toolbox.Plan) StopWorkspaceRunOutput {
			return StopWorkspaceRunOutput{RunID: text.Field(in.RunID)}
		},
		Ask: func(_ StopWorkspaceRunInput, plan toolbox.Plan) guard.Question {
			return guard.Question{Message: lang.T("This call %s", plan.Effect),
				Choices: []lang.Text{lang.T("stop the run"), lang.T("let it go on")}}
		},
		Act: s.actStop,
	})
}

func (s Desktops) planStop(
	ctx context.Context, _ guard.Policy, in *StopWorkspaceRunInput,
) (plan toolbox.Plan, run toolbox.Target, err error) {
	in.RunID = strings.TrimSpace(in.RunID)
	task, err := s.Workspace.Task(ctx, in.RunID)
	if err != nil {
		return plan, run, err
	}
	if task.Done() {
		return plan, run, lang.Errorf("run %s is over: %s. Nothing was changed", text.Field(task.ID), progressOf(task))
	}
	found, err := s.find(ctx, task.ResourceIDs)
	if err != nil {
		return plan, run, err
	}
	plan.Guarded = []toolbox.Target{}
	for _, id := range task.ResourceIDs {
		plan.Guarded = append(plan.Guarded, s.target(id, found[id]))
	}
	if len(plan.Guarded) == 0 { // the service does not say which; a rule about any may be about these
		plan.Guarded = []toolbox.Target{{Place: s.place()}}
	}
	// The counts move while it runs, so consent is not bound to them.
	run = toolbox.Target{ID: task.ID, Place: s.place(), Exists: true, Name: runItem(task).scriptNames().String(),
		Effect: lang.T("what has not begun is not run")}
	plan.Targets = []toolbox.Target{run}
	plan.Effect = lang.T("would stop run %s on %s in %s: %s.",
		text.Field(task.ID), lang.Count(len(task.ResourceIDs), "desktop"), plan.Where(), progressOf(task))
	return plan, run, nil
}

func (s Desktops) actStop(ctx context.Context, in StopWorkspaceRunInput, run toolbox.Target) (StopWorkspaceRunOutput, error) {
	out := StopWorkspaceRunOutput{RunID: text.Field(in.RunID)}
	err := s.Workspace.StopTask(context.WithoutCancel(ctx), in.RunID)
	if err != nil && !toolbox.Uncertain(err) {
		return out, err
	}
	run.Outcome = toolbox.Accepted
	if err != nil {
		run.Fail(toolbox.OutcomeUnknown, err)
		out.Note = lang.T("The answer to the stop was lost: %s. It was not sent again.", toolbox.Briefly(err))
	}
	out.Targets = []toolbox.Target{run}
	task, lookErr := s.Workspace.Task(ctx, in.RunID)
	if lookErr == nil {
		out.Status, out.Summary = text.Field(task.Status), new(runCounts(task))
	}
	if lookErr != nil || !task.Done() {
		out.Next = lookAgain(out.RunID)
	}
	switch {
	case lookErr != nil:
		out.State = toolbox.Unknown
		out.Note = lang.Sentences(out.Note, lang.T("The run could not be looked at: %s.", toolbox.Briefly(lookErr)))
	case task.Done():
		out.State = toolbox.Done
	case err != nil:
		out.State = toolbox.Unknown
		out.Next = lang.Sentences(out.Next, lang.T("If it still runs, stop it again: that does no harm."))
	default:
		out.State = toolbox.Waiting
		out.Note = lang.T("The stop was accepted; what is running is not over yet.")
	}
	return out, nil
}

// Text tells what already ran.
func (out StopWorkspaceRunOutput) Text(l lang.Lang) string {
	words := lang.T("%s: run %s", out.State, out.RunID)
	if out.Summary != nil {
		words = lang.Parts(words, lang.T("%s; status %s", out.Summary, text.Dash(out.Status)))
	}
	return lang.Sentences(lang.T("%s.", words), out.Note).In(l)
}
