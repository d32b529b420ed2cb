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
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
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
	CanaryWaitSeconds int      `json:"canary_wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=40" jsonschema_description:"Wait after the canaries, then go on only if they are still Running"`
	Concurrency       int      `json:"concurrency,omitempty" audit:"plain" jsonschema:"minimum=1,maximum=10" jsonschema_description:"Instances at the same time, default 5"`
	MaxFailures       int      `json:"max_failures,omitempty" audit:"plain" jsonschema:"minimum=0" jsonschema_description:"Start no more instances after more failures than this; default 0"`
	toolbox.Consent
}

// ExecuteScriptOutput is the result of execute_script.
type ExecuteScriptOutput struct {
	toolbox.Changed
	Summary string `json:"summary,omitempty" jsonschema_description:"How many had which outcome"`
}

func (s Instances) executeScript() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "execute_script",
		Title:   "Run a script or shell command in instances, exec (在容器实例里执行命令, 运行脚本)",
		Toolset: InstancesToolset,
		Risk:    guard.Destructive,
		Description: "Runs a script in running instances, canaries first. The first call shows a preview; the same with confirm=true and its " +
			"preview_token runs. SCNet reports neither output nor exit code: accepted is not succeeded. Redirect output to a mounted directory.",
	}, toolbox.Steps[ExecuteScriptInput, chosen, ExecuteScriptOutput]{
		Plan: s.planScript,
		Nothing: func(in ExecuteScriptInput, plan toolbox.Plan) ExecuteScriptOutput {
			return ExecuteScriptOutput{
				Changed: toolbox.Changed{State: toolbox.Failed},
				Summary: scriptSummary(plan.Targets, rollout.Result{}, in.MaxFailures),
			}
		},
		Ask: askScript,
		Act: actScript,
	}, s.options()...)
}

func (s Instances) planScript(ctx context.Context, policy guard.Policy, in *ExecuteScriptInput) (plan toolbox.Plan, work chosen, err error) {
	if in.CanaryWaitSeconds > 0 && in.Canary == 0 {
		return plan, work, errors.New("canary_wait_seconds is given without canary, so there is nothing to wait for. Nothing was sent; give canary too, or neither")
	}
	if in.Script, err = scnet.NormalizeScript(in.Script); err != nil {
		return plan, work, fmt.Errorf("%w. Nothing was sent", err)
	}
	in.Scope, in.Concurrency = cmp.Or(in.Scope, "all"), cmp.Or(in.Concurrency, defaultConcurrency)
	digest := sha256.Sum256([]byte(in.Script))
	plan.Script = &audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(in.Script)}
	work, err = s.choose(ctx, policy, in.Region, in.InstanceIDs)
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
	plan.Effect = fmt.Sprintf("would run a script of %d bytes (SHA-256 %s…) in %s of %s in %s. Its output and exit code cannot be had.\n%s",
		plan.Script.Bytes, plan.Script.SHA256[:12], scopeText(in.Scope), text.Count(plan.Changes(), "instance"), plan.Where(), text.Excerpt(in.Script))
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

func actScript(ctx context.Context, in ExecuteScriptInput, work chosen) (out ExecuteScriptOutput, err error) {
	targets, runnable := slices.Clone(work.targets), work.present()
	for _, i := range runnable {
		targets[i].Outcome = toolbox.NotAttempted
	}
	result, err := rollout.Run(ctx, rollout.Plan{
		Targets:     len(runnable),
		Canary:      min(in.Canary, len(runnable)),
		CanaryWait:  time.Duration(in.CanaryWaitSeconds) * time.Second,
		Concurrency: in.Concurrency,
		MaxFailures: in.MaxFailures,
	}, rollout.Steps{
		Do: func(ctx context.Context, i int) error {
			return work.found[runnable[i]].region.ExecuteScript(ctx, targets[runnable[i]].ID, scnet.Script{Content: in.Script, Scope: in.Scope})
		},
		Permit: func(int) error { return toolbox.Permitted(ctx) },
		Check: func(ctx context.Context, i int) error {
			return stillRunning(ctx, work.found[runnable[i]].region, targets[runnable[i]].ID)
		},
		Done: func(i int, err error, finished, total int) {
			toolbox.ReportProgress(ctx, finished, total, fmt.Sprintf("%s %s", text.Field(targets[runnable[i]].ID), scriptOutcome(err)))
		},
	})
	if err != nil {
		return out, err
	}
	logFaults(ctx, result)
	for i, target := range result.Targets {
		t := &targets[runnable[i]]
		if !target.Attempted {
			if result.Forbidden != nil {
				t.Note = text.Field(result.Forbidden.Error())
			}
			continue
		}
		t.Outcome = scriptOutcome(target.Err)
		switch {
		case target.Err != nil:
			t.Note = toolbox.Briefly(target.Err)
		case target.CheckErr != nil:
			t.Note = "after the wait: " + toolbox.Briefly(target.CheckErr)
		}
	}
	out.State, out.Targets = scriptState(targets, result), targets
	out.Summary = scriptSummary(targets, result, in.MaxFailures)
	return out, nil
}

func scriptSummary(targets []toolbox.Target, result rollout.Result, maxFailures int) string {
	count := func(o toolbox.Outcome) int { return toolbox.Count(targets, o) }
	summary := fmt.Sprintf("%d accepted, %d rejected, %d unknown, %d skipped, %d not attempted, of %d", count(toolbox.Accepted),
		count(toolbox.RejectedByService), count(toolbox.OutcomeUnknown), count(toolbox.SkippedNotRunning), count(toolbox.NotAttempted), len(targets))
	switch result.Stopped {
	case rollout.CanaryFailed:
		summary += fmt.Sprintf("; stopped: more than %d failures among the canaries", maxFailures)
	case rollout.FailureLimit:
		summary += fmt.Sprintf("; stopped: more than %d failures", maxFailures)
	case rollout.Cancelled:
		summary += "; stopped: the call was cancelled or took too long"
	case rollout.Forbidden:
		summary += fmt.Sprintf("; stopped: %v", result.Forbidden)
	case rollout.NotStopped:
	}
	return summary
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
	if toolbox.Count(out.Targets, toolbox.Accepted) > 0 {
		b.WriteString("Accepted means that SCNet took the script. Whether it succeeded is not reported: look at what it wrote to a mounted directory.\n")
	}
	if toolbox.Count(out.Targets, toolbox.OutcomeUnknown) > 0 {
		b.WriteString("Unknown was sent and may have run; it was not sent again. Look inside the instance before repeating it.\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
