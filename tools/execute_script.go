package tools

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
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
	InstanceIDs       []string `json:"instance_ids" jsonschema:"minItems=1" jsonschema_description:"Instances to run it in, in this order: ids or unique names"`
	Script            string   `json:"script" jsonschema_description:"Shell script to run, at most 64 KiB"`
	Scope             string   `json:"scope,omitempty" audit:"plain" jsonschema:"enum=all,enum=header" jsonschema_description:"Run it in all containers of an instance, or only in the first (header)"`
	Region            string   `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	Canary            int      `json:"canary,omitempty" audit:"plain" jsonschema:"minimum=0" jsonschema_description:"Run it in the first N instances before the rest"`
	Capture           string   `json:"capture,omitempty" audit:"plain" jsonschema:"enum=auto,enum=off,enum=required" jsonschema_description:"Exit code and output by shared storage; auto: where possible, and the preview says where; off: none"`
	WaitSeconds       *int     `json:"wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=40" jsonschema_description:"Seconds to wait for the end, all instances together; default 30"`
	TimeoutSeconds    int      `json:"timeout_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=604800" jsonschema_description:"Kill the script after so many seconds; default never"`
	OutputDir         string   `json:"output_dir,omitempty" audit:"plain" jsonschema_description:"Directory of the region's storage that the instance mounts; default: a mount or the home"`
	Shell             string   `json:"shell,omitempty" audit:"plain" jsonschema:"pattern=^[a-z0-9]+$" jsonschema_description:"Shell that runs it; default bash, else sh"`
	CanaryWaitSeconds int      `json:"canary_wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=40" jsonschema_description:"Wait after the canaries, then go on only if they are still Running"`
	Concurrency       int      `json:"concurrency,omitempty" audit:"plain" jsonschema:"minimum=1,maximum=10" jsonschema_description:"Instances at the same time, default 5"`
	MaxFailures       int      `json:"max_failures,omitempty" audit:"plain" jsonschema:"minimum=0" jsonschema_description:"Start no more instances after more failures than this; default 0"`
	toolbox.Consent
}

// ExecuteScriptOutput is the result of execute_script.
type ExecuteScriptOutput struct {
	toolbox.Changed
	Summary *ScriptCounts `json:"summary,omitempty" jsonschema_description:"Instances by what became of the script; absent in a preview"`
	Stopped string        `json:"stopped,omitempty" jsonschema:"enum=canary_failed,enum=failure_limit,enum=cancelled,enum=forbidden" jsonschema_description:"Why instances were held back; absent: none was"`
	Note    lang.Text     `json:"note,omitzero" jsonschema_description:"What to know"`
	Runs    []ScriptRun   `json:"runs,omitempty" jsonschema_description:"What became of the script, for each instance that it was captured in"`
}

func (s Instances) executeScript() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name: "execute_script",
		Title: "Run a script or shell command in a container, in all containers or instances, exec " +
			"(在容器实例里, 在所有实例上执行命令, 运行脚本)",
		Example: "instance_ids=qwen-finetune-01 instance_ids=rstudio-统计分析 script=@check.sh canary=1",
		Toolset: InstancesToolset,
		Risk:    guard.Destructive,
		Description: "Runs a script (执行脚本、命令) in running instances, canaries first, and gets exit code and output (退出码、输出) where the " +
			"instance shares storage. A canary that fails stops the rest. The first call shows a preview; the same with confirm=true and its " +
			"preview_token runs. Without capture accepted is not succeeded.",
	}, toolbox.Steps[ExecuteScriptInput, scripting, ExecuteScriptOutput]{
		Plan: s.planScript,
		Nothing: func(_ ExecuteScriptInput, plan toolbox.Plan) ExecuteScriptOutput {
			return ExecuteScriptOutput{
				Changed: toolbox.Changed{State: toolbox.Failed, Next: afterNothingRan(plan.Targets)},
				Summary: countScripts(plan.Targets, nil),
			}
		},
		Ask: askScript,
		Act: s.actScript,
	}, s.options()...)
}

func (s Instances) planScript(
	ctx context.Context, policy guard.Policy, in *ExecuteScriptInput,
) (plan toolbox.Plan, work scripting, err error) {
	if err := in.settleCapture(); err != nil {
		return plan, work, err
	}
	if in.CanaryWaitSeconds > 0 && in.Canary == 0 {
		return plan, work, lang.Errorf("canary_wait_seconds is given without canary, so there is nothing to wait for. Nothing was sent; give canary too, or neither")
	}
	if in.Script, err = scnet.NormalizeScript(in.Script); err != nil {
		return plan, work, lang.Errorf("%w. Nothing was sent", err)
	}
	in.Scope, in.Concurrency = cmp.Or(in.Scope, "all"), cmp.Or(in.Concurrency, defaultConcurrency)
	digest := sha256.Sum256([]byte(in.Script))
	plan.Script = &audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(in.Script)}
	work.chosen, err = s.choose(ctx, policy, in.Region, in.InstanceIDs)
	if plan.Targets = work.targets; err != nil {
		return plan, work, err
	}
	in.Region, in.InstanceIDs = "", toolbox.IDs(plan.Targets) // each target says where it is
	if missing := planCanaries(plan.Targets, in.Canary); len(missing) > 0 {
		return plan, work, notFound(missing)
	}
	if in.Canary > len(plan.Targets) {
		return plan, work, lang.Errorf("canary is %d, but there are only %d instances. Nothing was sent", in.Canary, len(plan.Targets))
	}
	work.places = make([]*capture.Place, len(plan.Targets))
	if in.Capture != captureOff {
		if err := s.findPlaces(ctx, *in, plan.Targets, work); err != nil {
			return plan, work, err
		}
	}
	plan.Effect = lang.T("would run a script of %d bytes (SHA-256 %s…) in %s of %s in %s. %s\n%s", plan.Script.Bytes, plan.Script.SHA256[:12],
		scopeText(in.Scope), lang.Count(plan.Changes(), "instance"), plan.Where(),
		in.captureText(work.places, plan.Targets), text.Excerpt(in.Script))
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
			t.Effect, t.Outcome = lang.T("skipped: not Running"), toolbox.SkippedNotRunning
		default:
			t.Effect = lang.T("runs it")
			if position++; position <= canaries {
				t.Effect = lang.T("canary: runs it first")
			}
		}
	}
	return missing
}

func scopeText(scope string) lang.Text {
	if scope == "header" {
		return lang.T("the first container")
	}
	return lang.T("all containers")
}

func askScript(in ExecuteScriptInput, plan toolbox.Plan) guard.Question {
	count := lang.Count(plan.Changes(), "instance")
	lines := []lang.Text{lang.T("Run this script (%d bytes, SHA-256 %s…) in %s of %s in %s?", plan.Script.Bytes, plan.Script.SHA256[:12],
		scopeText(in.Scope), count, plan.Where()), text.Excerpt(in.Script)}
	for _, t := range plan.Targets {
		if !t.Spared() {
			lines = append(lines, lang.T("- %s: %s", t, t.Effect))
		}
	}
	return guard.Question{Message: lang.Lines(lines...),
		Choices: []lang.Text{lang.T("run it in %s", count), lang.T("do not run it")}}
}

// countScripts counts the instances: where the script was captured by how it came out, elsewhere by what became of its
// request.
func countScripts(targets []toolbox.Target, runs []ScriptRun) *ScriptCounts {
	captured := map[string]ScriptState{}
	for _, r := range runs {
		captured[r.InstanceID] = r.State
	}
	counts := &ScriptCounts{}
	for _, t := range targets {
		state, known := captured[text.Field(t.ID)]
		switch {
		case known:
			counts.Add(state)
		case t.Outcome == toolbox.Accepted:
			counts.Total++
			counts.Accepted++
		case t.Outcome == toolbox.OutcomeUnknown:
			counts.Add(ScriptUnknown)
		default:
			counts.Add(ScriptNotRun)
		}
	}
	return counts
}

// noteOnScripts says why instances were held back, and what "accepted" is worth.
func noteOnScripts(counts ScriptCounts, result rollout.Result, maxFailures int) lang.Text {
	var words []lang.Text
	switch result.Stopped {
	case rollout.CanaryFailed:
		words = append(words, lang.T("Stopped: more than %s among the canaries.", lang.Count(maxFailures, "failure")))
	case rollout.FailureLimit:
		words = append(words, lang.T("Stopped: more than %s.", lang.Count(maxFailures, "failure")))
	case rollout.Cancelled:
		words = append(words, lang.T("Stopped: the call was cancelled or took too long."))
	case rollout.Forbidden:
		words = append(words, lang.T("Stopped: %s.", toolbox.Briefly(result.Forbidden)))
	case rollout.NotStopped:
	}
	if counts.Accepted > 0 {
		words = append(words, lang.T("Accepted means that SCNet took the script. Whether it succeeded is not reported: look at what it wrote to a "+
			"mounted directory."))
	}
	return lang.Sentences(words...)
}

// Text tells what became of each target.
func (out ExecuteScriptOutput) Text(l lang.Lang) string {
	var b strings.Builder
	l.Fprintf(&b, "%s: %s.\n", out.State, out.Summary)
	toolbox.WriteOutcomes(l, &b, out.Targets)
	names := map[string]string{}
	for _, t := range out.Targets {
		names[t.ID] = t.String()
	}
	for _, r := range out.Runs {
		r.write(l, &b, names[r.InstanceID])
	}
	b.WriteString(out.Note.In(l))
	return strings.TrimSuffix(b.String(), "\n")
}

// afterNothingRan is the next step where no instance could run the script.
func afterNothingRan(targets []toolbox.Target) lang.Text {
	for _, t := range targets {
		switch {
		case t.Outcome != toolbox.SkippedNotRunning:
		case ended(scnet.Status(t.Status)):
			return lang.T("Start %s with restart_instance, or choose instances that are Running; then repeat the call.", t)
		default:
			return lang.T("%s, which waits for it; then repeat the call.", lookAt(t.ID, "Running"))
		}
	}
	return lang.Text{}
}

// nextOfScripts is the next step after scripts that are not over, or of which it is not known whether they ran: the read that
// tells, or, where none can, where to look.
func nextOfScripts(targets []toolbox.Target, runs []ScriptRun) lang.Text {
	captured := map[string]bool{}
	for _, r := range runs {
		captured[r.InstanceID] = true
		if r.goesOn() {
			return lang.T("Call get_script_output with run_id=%s and wait_seconds=40 to see how it goes on, and likewise for every other run that is "+
				"not over; stop_script ends one. Do not run the script again.", r.RunID)
		}
	}
	for _, t := range targets {
		if t.Outcome == toolbox.OutcomeUnknown && !captured[text.Field(t.ID)] {
			return lang.T("The script may have run in %s, and SCNet has no record that tells. Look inside the instance for what the script writes "+
				"(get_instance with instance_id=%s and show_access=true says how to get there), and run it again only if it did not run.", t, text.Field(t.ID))
		}
	}
	return lang.Text{}
}
