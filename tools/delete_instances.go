package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// afterDelete are the pauses between looks at what is still listed: the service may take a moment.
var afterDelete = []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second}

// settleTimeout bounds all of these looks together.
const settleTimeout = 15 * time.Second

// DeleteInstancesInput are the arguments of delete_instances.
type DeleteInstancesInput struct {
	InstanceIDs []string `json:"instance_ids" jsonschema:"minItems=1" jsonschema_description:"Instance ids"`
	Region      string   `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	toolbox.Consent
}

// DeleteInstancesOutput is the result of delete_instances.
type DeleteInstancesOutput struct{ toolbox.Changed }

func (s Instances) deleteInstances() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "delete_instances",
		Title:   "Delete instances",
		Toolset: InstancesToolset,
		Risk:    guard.Destructive,
		Description: "Deletes instances for good, with all that is not in mounted storage. The first call shows a preview; the same with " +
			"confirm=true and its preview_token deletes.",
	}, toolbox.Steps[DeleteInstancesInput, chosen, DeleteInstancesOutput]{
		Plan: s.planDelete,
		Nothing: func(DeleteInstancesInput, toolbox.Plan) DeleteInstancesOutput {
			return DeleteInstancesOutput{toolbox.Changed{State: toolbox.Done}}
		},
		Ask: askDelete,
		Act: actDelete,
	}, s.options()...)
}

func (s Instances) planDelete(ctx context.Context, policy guard.Policy, in *DeleteInstancesInput) (plan toolbox.Plan, work chosen, err error) {
	region, err := s.region(ctx, in.Region)
	if err != nil {
		return plan, work, err
	}
	in.Region = region.ID
	if plan.Targets, _, err = s.resolve(ctx, policy, region, in.InstanceIDs); err != nil {
		return plan, work, err
	}
	in.InstanceIDs = toolbox.IDs(plan.Targets)
	for i := range plan.Targets {
		t := &plan.Targets[i]
		switch {
		case !t.Exists:
			t.Effect = "does not exist (any more)"
		case active(scnet.Status(t.Status)):
			t.Effect = "deleted for good; its processes end"
		default:
			t.Effect = "deleted for good"
		}
	}
	plan.Effect = fmt.Sprintf("would delete %s for good in %s; what is not in mounted storage is lost.",
		text.Count(plan.Changes(), "instance"), region)
	return plan, chosen{region: region, targets: plan.Targets}, nil
}

func askDelete(_ DeleteInstancesInput, plan toolbox.Plan) guard.Question {
	phrases := []string{fmt.Sprintf("delete %d", plan.Changes()), fmt.Sprintf("删除 %d", plan.Changes())}
	var b strings.Builder
	fmt.Fprintf(&b, "Delete %s in %s FOR GOOD? What is not in mounted storage is lost.\n", text.Count(plan.Changes(), "instance"), plan.Where())
	for _, t := range plan.Targets {
		if !t.Spared() {
			fmt.Fprintf(&b, "- %s, %s\n", t, text.Field(t.Status))
		}
	}
	fmt.Fprintf(&b, "Type %q to delete.", phrases[0])
	return guard.Question{Message: b.String(), Phrases: phrases}
}

func actDelete(ctx context.Context, _ DeleteInstancesInput, work chosen) (DeleteInstancesOutput, error) {
	targets, present := slices.Clone(work.targets), work.present()
	chunks := slices.Collect(slices.Chunk(present, scnet.MaxDeleteIDs))
	done := 0
	result, err := rollout.Run(ctx, rollout.Plan{Targets: len(chunks), Concurrency: 1, MaxFailures: len(chunks)}, rollout.Steps{
		Do: func(ctx context.Context, i int) error {
			ids := make([]string, len(chunks[i]))
			for j, target := range chunks[i] {
				ids[j] = targets[target].ID
			}
			return work.region.Delete(ctx, ids...)
		},
		Permit: func(int) error { return toolbox.Permitted(ctx) },
		Done: func(i int, _ error, _, _ int) {
			done += len(chunks[i])
			toolbox.ReportProgress(ctx, done, len(present), "deletions sent")
		},
	})
	if err != nil {
		return DeleteInstancesOutput{}, err
	}
	logFaults(ctx, result)
	for i, chunk := range result.Targets {
		outcome, note := toolbox.Deleted, ""
		switch {
		case !chunk.Attempted:
			outcome, note = toolbox.OutcomeFailed, "not sent: the call was cancelled or took too long"
			if result.Forbidden != nil {
				note = "not sent: " + text.Field(result.Forbidden.Error())
			}
		case chunk.Err != nil:
			outcome, note = toolbox.OutcomeOf(chunk.Err), toolbox.Briefly(chunk.Err)
		}
		for _, target := range chunks[i] {
			targets[target].Outcome, targets[target].Note = outcome, note
		}
	}
	settleDeletes(ctx, work.region, targets, present)
	return DeleteInstancesOutput{toolbox.Changed{State: deleteState(targets), Targets: targets}}, nil
}

// settleDeletes looks at every target that something was sent for, until nothing is left or the pauses are used up. What
// the last look shows outranks what the delete call answered. It goes on after the caller has gone, because the audit log
// wants to know too.
func settleDeletes(ctx context.Context, region *scnet.Region, targets []toolbox.Target, present []int) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), settleTimeout,
		fmt.Errorf("looking took longer than %s", settleTimeout))
	defer cancel()
	sent := slices.Clone(targets)
	left := slices.DeleteFunc(slices.Clone(present), func(i int) bool { return sent[i].Outcome == toolbox.OutcomeFailed })
	for _, pause := range afterDelete {
		if len(left) == 0 || !upstream.Wait(ctx, pause) {
			break
		}
		looks := make([]error, len(left))
		fault := lookUp(ctx, len(left), func(i int) error {
			_, looks[i] = region.Detail(ctx, targets[left[i]].ID)
			return nil
		})
		for i, target := range left {
			look := looks[i]
			if look == nil {
				look = fault
			}
			targets[target].Outcome, targets[target].Note = settled(sent[target], look)
		}
		left = slices.DeleteFunc(left, func(i int) bool { // gone; or refused, and still there
			now, then := targets[i], sent[i]
			return now.Outcome == toolbox.Deleted || now.Outcome == then.Outcome && now.Note == then.Note
		})
	}
}

// settled is what is known of a target after a look at it.
func settled(sent toolbox.Target, look error) (toolbox.Outcome, string) {
	accepted, gone := sent.Outcome == toolbox.Deleted, errors.Is(look, scnet.ErrNotFound)
	switch {
	case gone && !accepted:
		return toolbox.Deleted, "gone afterwards, although: " + sent.Note
	case gone:
	case look != nil && accepted:
		return toolbox.OutcomeUnknown, "the delete was accepted, but looking afterwards failed: " + toolbox.Briefly(look)
	case look != nil:
		return sent.Outcome, sent.Note + "; looking afterwards failed: " + toolbox.Briefly(look)
	case accepted:
		return toolbox.StillListed, "the delete was accepted, but it is still listed; look again with list_instances"
	case sent.Outcome == toolbox.OutcomeUnknown:
		return sent.Outcome, sent.Note + "; it is still listed"
	}
	return sent.Outcome, sent.Note
}

func deleteState(targets []toolbox.Target) toolbox.State {
	settled := toolbox.Count(targets, toolbox.Deleted, toolbox.NotFound)
	switch {
	case settled == len(targets):
		return toolbox.Done
	case toolbox.Count(targets, toolbox.Deleted) > 0:
		return toolbox.Partial
	case toolbox.Count(targets, toolbox.OutcomeUnknown, toolbox.StillListed) > 0:
		return toolbox.Unknown
	}
	return toolbox.Failed
}

// Text tells what became of each target.
func (out DeleteInstancesOutput) Text() string {
	var b strings.Builder
	count := func(o toolbox.Outcome) int { return toolbox.Count(out.Targets, o) }
	fmt.Fprintf(&b, "%s: %d deleted, %d still listed, %d not found, %d refused, %d failed, %d unknown.\n", out.State, count(toolbox.Deleted),
		count(toolbox.StillListed), count(toolbox.NotFound), count(toolbox.RefusedByService), count(toolbox.OutcomeFailed), count(toolbox.OutcomeUnknown))
	toolbox.WriteOutcomes(&b, out.Targets)
	if toolbox.Count(out.Targets, toolbox.OutcomeUnknown, toolbox.StillListed) > 0 {
		b.WriteString("What is unknown or still listed was not sent again: look with list_instances before repeating.\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
