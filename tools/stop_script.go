package tools

import (
	"context"

	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// StopScriptInput are the arguments of stop_script.
type StopScriptInput struct {
	RunID     string `json:"run_id" audit:"plain" jsonschema_description:"The run_id that execute_script gave"`
	OutputDir string `json:"output_dir,omitempty" audit:"plain" jsonschema_description:"If execute_script was given one: the same"`
	Region    string `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name; default: all"`
	toolbox.Consent
}

// StopScriptOutput is the result of stop_script.
type StopScriptOutput struct {
	toolbox.Changed
	RunID string `json:"run_id" jsonschema_description:"Id of the run"`
}

// stopping is what a plan to stop a script resolved.
type stopping struct {
	run    *capture.Run
	target toolbox.Target
}

func (s Instances) stopScript() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "stop_script",
		Title:   "Stop, cancel, abort or kill a running script in a container (终止, 取消脚本, 中断, 停掉正在跑的脚本)",
		Example: "run_id=RUN",
		Toolset: InstancesToolset,
		Risk:    guard.Disruptive,
		Description: "Ends a script (终止脚本) that execute_script started: TERM within about 10 seconds, KILL 10 seconds later. What it did stays " +
			"done. Needs confirm=true.",
	}, toolbox.Steps[StopScriptInput, stopping, StopScriptOutput]{
		Plan: s.planStopScript,
		Preview: func(in StopScriptInput, _ toolbox.Plan) StopScriptOutput {
			return StopScriptOutput{RunID: in.RunID}
		},
		Ask: func(_ StopScriptInput, plan toolbox.Plan) guard.Question {
			return guard.Question{Message: lang.T("This call %s", plan.Effect),
				Choices: []lang.Text{lang.T("end the script"), lang.T("let it go on")}}
		},
		Act: func(ctx context.Context, in StopScriptInput, work stopping) (out StopScriptOutput, err error) {
			if err := work.run.Stop(ctx); err != nil {
				return out, err
			}
			target := work.target
			target.Outcome, target.Note = toolbox.Accepted, lang.T("the request to end it is on the storage")
			out = StopScriptOutput{Changed: toolbox.Changed{State: toolbox.Waiting, Targets: []toolbox.Target{target}},
				RunID: in.RunID}
			out.Next = lang.T("get_script_output with run_id %s and wait_seconds=30 shows how it ended.", in.RunID)
			return out, nil
		},
	}, s.options()...)
}

func (s Instances) planStopScript(
	ctx context.Context, policy guard.Policy, in *StopScriptInput,
) (plan toolbox.Plan, work stopping, err error) {
	region, run, err := s.lookUpRun(ctx, in.RunID, in.Region, in.OutputDir)
	if err != nil {
		return plan, work, err
	}
	in.RunID, in.Region = string(run.ID), region.ID
	l, err := s.chooseOne(ctx, policy, region.ID, run.InstanceID)
	if err != nil {
		return plan, work, err
	}
	target := instanceTarget(l, s.Now())
	target.Effect = lang.T("ends the script; what it did stays done")
	target.Bound = []string{in.RunID} // a restart meanwhile has ended it anyway
	plan.Targets = []toolbox.Target{target}
	plan.Effect = lang.T("would end the script of run %s in instance %s in %s.", in.RunID, target, region)
	return plan, stopping{run: run, target: target}, nil
}

// Text says that it was asked to end.
func (out StopScriptOutput) Text(l lang.Lang) string {
	return l.Sprintf("%s: run %s was asked to end. A script that runs gets TERM within about 10 seconds and KILL 10 seconds later; one that has not begun never will.",
		out.State, out.RunID)
}
