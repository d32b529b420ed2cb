package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// StopWorkspaceRunInput are the arguments of stop_workspace_run.
type StopWorkspaceRunInput struct {
	RunID string `json:"run_id" jsonschema:"minLength=1" jsonschema_description:"Id of the run"`
	Consent
}

// StopWorkspaceRunOutput is the result of stop_workspace_run.
type StopWorkspaceRunOutput struct {
	State   string   `json:"state" jsonschema:"enum=confirmation_required,enum=done,enum=waiting,enum=unknown" jsonschema_description:"Outcome"`
	RunID   string   `json:"run_id" jsonschema_description:"Id of the run"`
	Counts  string   `json:"counts,omitempty" jsonschema_description:"What already ran"`
	Note    string   `json:"note,omitempty" jsonschema_description:"What to know"`
	Preview *Preview `json:"preview,omitempty" jsonschema_description:"Before consent"`
}

func stopWorkspaceRun(mode Mode) Tool {
	return declareChange(Tool{
		Name:        "stop_workspace_run",
		Title:       "Stop a script run",
		Toolset:     WorkspaceToolset,
		Risk:        guard.Disruptive,
		Description: "Stops what is left of a run of run_workspace_script. What already ran stays done. Needs confirm=true.",
	}, mode, change[StopWorkspaceRunInput, StopWorkspaceRunOutput]{
		plan: planStop,
		preview: func(in StopWorkspaceRunInput, _ Plan, p *Preview) StopWorkspaceRunOutput {
			return StopWorkspaceRunOutput{State: stateConfirm, RunID: text.Field(in.RunID), Preview: p}
		},
		question: func(_ StopWorkspaceRunInput, plan Plan) guard.Question {
			return guard.Question{Message: "This call " + plan.Effect, Choices: []string{"stop the run", "let it go on"}}
		},
		act:   actStop,
		state: func(out StopWorkspaceRunOutput) string { return out.State },
	})
}

func planStop(ctx context.Context, service Service, in *StopWorkspaceRunInput) (Plan, error) {
	plan := Plan{Place: service.Workspace.Place()}
	in.RunID = strings.TrimSpace(in.RunID)
	task, err := service.Workspace.Task(ctx, in.RunID)
	if err != nil {
		return plan, err
	}
	if task.Done() {
		return plan, fmt.Errorf("run %s is over: %s. Nothing was changed", text.Field(task.ID), runCounts(task))
	}
	if len(task.ResourceIDs) == 0 && len(service.Policy.Allow)+len(service.Policy.Protect) > 0 {
		return plan, fmt.Errorf("the service does not say which desktops run %s is on, so whether it may be stopped cannot be told. Nothing was changed", text.Field(task.ID))
	}
	found, err := desktops(ctx, service.Workspace, task.ResourceIDs)
	if err != nil {
		return plan, err
	}
	plan.Behind = []guard.Target{}
	for _, id := range task.ResourceIDs {
		plan.Behind = append(plan.Behind, guard.Target{ID: id, Name: text.Line(found[id].ComputerName, 0), Region: plan.Place, RegionName: plan.Place})
	}
	// The counts move while it runs, so consent is not bound to them.
	plan.Targets = []PlannedTarget{{ID: task.ID, Seen: &Seen{Name: runItem(task).Scripts}, Effect: "what has not begun is not run"}}
	plan.Effect = fmt.Sprintf("would stop run %s on %s in %s: %s.", text.Field(task.ID), text.Count(len(task.ResourceIDs), "desktop"), plan.Place, runCounts(task))
	return plan, nil
}

func actStop(ctx context.Context, service Service, in StopWorkspaceRunInput, _ Plan) (StopWorkspaceRunOutput, []audit.Outcome, error) {
	out := StopWorkspaceRunOutput{RunID: text.Field(in.RunID)}
	outcome := outcomeAccepted
	err := service.Workspace.StopTask(context.WithoutCancel(ctx), in.RunID)
	if err != nil && !uncertain(err) {
		return out, nil, err
	}
	if err != nil {
		outcome = outcomeUnknown
		out.Note = "The answer to the stop was lost: " + briefly(err) + ". It was not sent again."
	}
	task, lookErr := service.Workspace.Task(ctx, in.RunID)
	switch {
	case lookErr != nil:
		out.State = stateUnknown
		out.Note = strings.TrimSpace(out.Note + " The run could not be looked at: " + briefly(lookErr) + ". Look with get_workspace_run.")
	case task.Done():
		out.State, out.Counts = stateDone, runCounts(task)
	case err != nil:
		out.State, out.Counts = stateUnknown, runCounts(task)
		out.Note += " Look with get_workspace_run."
	default:
		out.State, out.Counts = stateWaiting, runCounts(task)
		out.Note = "The stop was accepted; what is running is not over yet. Look with get_workspace_run."
	}
	return out, []audit.Outcome{{ID: text.Field(in.RunID), Outcome: outcome}}, nil
}

// Text tells what already ran.
func (out StopWorkspaceRunOutput) Text() string {
	if out.Preview != nil {
		return out.Preview.Text()
	}
	text := fmt.Sprintf("%s: run %s", out.State, out.RunID)
	if out.Counts != "" {
		text += ", " + out.Counts
	}
	return strings.TrimSpace(text + ". " + out.Note)
}
