package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

const (
	defaultConcurrency = 5
)

// ExecuteScriptInput are the arguments of execute_script.
type ExecuteScriptInput struct {
	InstanceIDs       []string `json:"instance_ids" jsonschema:"minItems=1" jsonschema_description:"Instance ids, in order"`
	Script            string   `json:"script" jsonschema_description:"Shell script, at most 64 KiB"`
	Scope             string   `json:"scope,omitempty" jsonschema:"enum=all,enum=header" jsonschema_description:"All containers or the first"`
	Region            string   `json:"region,omitempty" jsonschema_description:"Region id or name"`
	Canary            int      `json:"canary,omitempty" jsonschema:"minimum=0" jsonschema_description:"First N alone"`
	CanaryWaitSeconds int      `json:"canary_wait_seconds,omitempty" jsonschema:"minimum=0,maximum=40" jsonschema_description:"Then wait, check they still run"`
	Concurrency       int      `json:"concurrency,omitempty" jsonschema:"minimum=1,maximum=10" jsonschema_description:"At once, default 5"`
	MaxFailures       int      `json:"max_failures,omitempty" jsonschema:"minimum=0" jsonschema_description:"Stop when exceeded"`
	Consent
}

func (ExecuteScriptInput) regional() {}

// ExecuteScriptOutput is the result of execute_script.
type ExecuteScriptOutput struct {
	State   string          `json:"state" jsonschema:"enum=confirmation_required,enum=done,enum=partial,enum=failed,enum=unknown" jsonschema_description:"Outcome"`
	Targets []TargetOutcome `json:"targets" jsonschema_description:"accepted, rejected, unknown, skipped_not_running or not_attempted"`
	Summary string          `json:"summary,omitempty" jsonschema_description:"Counts"`
	Preview *Preview        `json:"preview,omitempty" jsonschema_description:"Before consent"`
}

func executeScript(mode Mode) Tool {
	return declareChange(Tool{
		Name:    "execute_script",
		Title:   "Run a script",
		Toolset: "instances",
		Risk:    guard.Destructive,
		Description: "Runs a script in running instances, canaries first. The first call shows a preview; the same with confirm=true and its " +
			"preview_token runs. SCNet reports neither output nor exit code: accepted is not succeeded. Redirect output to a mounted directory.",
	}, mode, change[ExecuteScriptInput, ExecuteScriptOutput]{
		plan: planScript,
		preview: func(in ExecuteScriptInput, plan Plan, p *Preview) ExecuteScriptOutput {
			return ExecuteScriptOutput{State: stateConfirm, Targets: plan.previewed(), Preview: p}
		},
		question: askScript,
		act:      runScript,
		state:    func(out ExecuteScriptOutput) string { return out.State },
	})
}

func planScript(ctx context.Context, service Service, in *ExecuteScriptInput) (Plan, error) {
	if in.CanaryWaitSeconds > 0 && in.Canary == 0 {
		return Plan{}, errors.New("canary_wait_seconds is given without canary, so there is nothing to wait for. Nothing was sent; give canary too, or neither")
	}
	script, err := scnet.NormalizeScript(in.Script)
	if err != nil {
		return Plan{}, fmt.Errorf("%w. Nothing was sent", err)
	}
	in.Script = script
	if in.Scope == "" {
		in.Scope = "all"
	}
	if in.Concurrency == 0 {
		in.Concurrency = defaultConcurrency
	}
	digest := sha256.Sum256([]byte(script))
	plan := Plan{Script: &audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(script)}}
	if plan.Region, err = service.region(ctx, in.Region); err != nil {
		return plan, err
	}
	in.Region = plan.Region.ID
	if plan.Targets, err = resolve(ctx, service, plan.Region, in.InstanceIDs); err != nil {
		return plan, err
	}
	in.InstanceIDs = plan.ids()
	var missing []string
	position := 0
	for i := range plan.Targets {
		t := &plan.Targets[i]
		switch {
		case t.Instance == nil:
			missing = append(missing, text.Field(t.ID))
		case !t.Instance.Status.Is(scnet.Running):
			t.Effect, t.Spared = "skipped: not Running", true
		default:
			if position++; position <= in.Canary {
				t.Effect = "canary: runs it first"
			} else {
				t.Effect = "runs it"
			}
		}
	}
	if len(missing) > 0 {
		return plan, fmt.Errorf("%w in %s: %s. Nothing was sent. list_instances shows the ids",
			scnet.ErrNotFound, plan.Region, strings.Join(missing, ", "))
	}
	if in.Canary > len(plan.Targets) {
		return plan, fmt.Errorf("canary is %d, but there are only %d instances. Nothing was sent", in.Canary, len(plan.Targets))
	}
	plan.Effect = fmt.Sprintf("would run a script of %d bytes (SHA-256 %s…) in %s of %s in %s. Its output and exit code cannot be had.\n%s",
		plan.Script.Bytes, plan.Script.SHA256[:12], scopeText(in.Scope), text.Count(plan.changes(), "instance"), plan.Region, text.Excerpt(script))
	return plan, nil
}

func scopeText(scope string) string {
	if scope == "header" {
		return "the first container"
	}
	return "all containers"
}

func askScript(in ExecuteScriptInput, plan Plan) guard.Question {
	var b strings.Builder
	fmt.Fprintf(&b, "Run this script (%d bytes, SHA-256 %s…) in %s of %s in %s?\n%s\n", plan.Script.Bytes, plan.Script.SHA256[:12],
		scopeText(in.Scope), text.Count(plan.changes(), "instance"), plan.Region, text.Excerpt(in.Script))
	for _, t := range plan.Targets {
		if !t.Spared {
			fmt.Fprintf(&b, "- %q (%s): %s\n", text.Field(t.Instance.Name), text.Field(t.ID), t.Effect)
		}
	}
	return guard.Question{Message: b.String(), Choices: []string{"run it in " + text.Count(plan.changes(), "instance"), "do not run it"}}
}

func runScript(ctx context.Context, _ Service, in ExecuteScriptInput, plan Plan) (ExecuteScriptOutput, []audit.Outcome, error) {
	outcomes := make([]TargetOutcome, len(plan.Targets))
	var runnable []int
	for i, t := range plan.Targets {
		outcomes[i] = TargetOutcome{ID: text.Field(t.ID), Name: text.Field(t.Instance.Name), Status: text.Field(string(t.Instance.Status)), Outcome: outcomeSkipped}
		if !t.Spared {
			outcomes[i].Outcome = outcomeNotAttempted
			runnable = append(runnable, i)
		}
	}
	result, err := rollout.Run(ctx, rollout.Plan{
		Targets:     len(runnable),
		Canary:      min(in.Canary, len(runnable)),
		CanaryWait:  time.Duration(in.CanaryWaitSeconds) * time.Second,
		Concurrency: in.Concurrency,
		MaxFailures: in.MaxFailures,
	}, rollout.Steps{
		Do: func(ctx context.Context, i int) error {
			return plan.Region.ExecuteScript(ctx, plan.Targets[runnable[i]].ID, scnet.Script{Content: in.Script, Scope: in.Scope})
		},
		Check: func(ctx context.Context, i int) error {
			return stillRunning(ctx, plan.Region, plan.Targets[runnable[i]].ID)
		},
		Done: func(i int, err error, finished, total int) {
			ReportProgress(ctx, finished, total, outcomes[runnable[i]].ID+" "+scriptOutcome(err))
		},
	})
	if err != nil {
		return ExecuteScriptOutput{}, nil, err
	}
	logFaults(ctx, result)
	for i, target := range result.Targets {
		o := &outcomes[runnable[i]]
		if !target.Attempted {
			continue
		}
		o.Outcome = scriptOutcome(target.Err)
		switch {
		case target.Err != nil:
			o.Note = briefly(target.Err)
		case target.CheckErr != nil:
			o.Note = "after the wait: " + briefly(target.CheckErr)
		}
	}
	return ExecuteScriptOutput{
		State:   scriptState(outcomes, result),
		Targets: outcomes,
		Summary: scriptSummary(outcomes, result.Stopped, in.MaxFailures),
	}, auditOutcomes(outcomes), nil
}

func scriptSummary(outcomes []TargetOutcome, stop rollout.Stop, maxFailures int) string {
	summary := fmt.Sprintf("%d accepted, %d rejected, %d unknown, %d skipped, %d not attempted, of %d",
		count(outcomes, outcomeAccepted), count(outcomes, outcomeRejected), count(outcomes, outcomeUnknown),
		count(outcomes, outcomeSkipped), count(outcomes, outcomeNotAttempted), len(outcomes))
	switch stop {
	case rollout.CanaryFailed:
		summary += fmt.Sprintf("; stopped: more than %d failures among the canaries", maxFailures)
	case rollout.FailureLimit:
		summary += fmt.Sprintf("; stopped: more than %d failures", maxFailures)
	case rollout.Cancelled:
		summary += "; stopped: the call was cancelled or took too long"
	case rollout.NotStopped:
	}
	return summary
}

func scriptState(outcomes []TargetOutcome, result rollout.Result) string {
	accepted := count(outcomes, outcomeAccepted)
	switch {
	case accepted > 0 && result.Failures == 0 && result.Stopped == rollout.NotStopped:
		return stateDone
	case accepted > 0:
		return statePartial
	case count(outcomes, outcomeUnknown) > 0:
		return stateUnknown
	}
	return stateFailed
}

// logFaults logs what went wrong in the server itself; the result says only that something did.
func logFaults(ctx context.Context, result rollout.Result) {
	errs := []error{result.DoneErr}
	for _, target := range result.Targets {
		errs = append(errs, target.Err, target.CheckErr)
	}
	for _, err := range errs {
		var fault *rollout.PanicError
		if errors.As(err, &fault) {
			logger(ctx).Error().Err(fault).Bytes("stack", fault.Stack).Msg("a fault in the server during a rollout")
		}
	}
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
func scriptOutcome(err error) string {
	switch {
	case err == nil:
		return outcomeAccepted
	case uncertain(err):
		return outcomeUnknown
	}
	return outcomeRejected
}

// Text tells what became of each target.
func (out ExecuteScriptOutput) Text() string {
	if out.Preview != nil {
		return out.Preview.Text()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s.\n", out.State, out.Summary)
	writeOutcomes(&b, out.Targets)
	if count(out.Targets, outcomeAccepted) > 0 {
		b.WriteString("Accepted means that SCNet took the script. Whether it succeeded is not reported: look at what it wrote to a mounted directory.\n")
	}
	if count(out.Targets, outcomeUnknown) > 0 {
		b.WriteString("Unknown was sent and may have run; it was not sent again. Look inside the instance before repeating it.\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
