package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// afterDelete are the pauses between looks at what is still listed: the service may take a moment.
var afterDelete = []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second}

// settleTimeout bounds all of these looks together.
const settleTimeout = 15 * time.Second

// DeleteInstancesInput are the arguments of delete_instances.
type DeleteInstancesInput struct {
	InstanceIDs []string `json:"instance_ids" jsonschema:"minItems=1" jsonschema_description:"Instance ids"`
	Region      string   `json:"region,omitempty" jsonschema_description:"Region id or name"`
	Consent
}

func (DeleteInstancesInput) regional() {}

// DeleteInstancesOutput is the result of delete_instances.
type DeleteInstancesOutput struct {
	State   string          `json:"state" jsonschema:"enum=confirmation_required,enum=done,enum=partial,enum=failed,enum=unknown" jsonschema_description:"Outcome"`
	Targets []TargetOutcome `json:"targets" jsonschema_description:"deleted, still_listed, not_found, refused, failed or unknown"`
	Preview *Preview        `json:"preview,omitempty" jsonschema_description:"Before consent"`
}

func deleteInstances(mode Mode) Tool {
	return declareChange(Tool{
		Name:    "delete_instances",
		Title:   "Delete instances",
		Toolset: "instances",
		Risk:    guard.Destructive,
		Description: "Deletes instances for good, with all that is not in mounted storage. The first call shows a preview; the same with " +
			"confirm=true and its preview_token deletes.",
	}, mode, change[DeleteInstancesInput, DeleteInstancesOutput]{
		plan: planDelete,
		preview: func(_ DeleteInstancesInput, plan Plan, p *Preview) DeleteInstancesOutput {
			return DeleteInstancesOutput{State: stateConfirm, Targets: plan.previewed(), Preview: p}
		},
		question: askDelete,
		act:      runDelete,
		state:    func(out DeleteInstancesOutput) string { return out.State },
	})
}

func planDelete(ctx context.Context, service Service, in *DeleteInstancesInput) (Plan, error) {
	region, err := service.region(ctx, in.Region)
	if err != nil {
		return Plan{}, err
	}
	in.Region = region.ID
	targets, err := resolve(ctx, service, region, in.InstanceIDs)
	plan := Plan{Region: region, Targets: targets}
	if err != nil {
		return plan, err
	}
	in.InstanceIDs = plan.ids()
	for i := range plan.Targets {
		t := &plan.Targets[i]
		switch {
		case t.Instance == nil:
			t.Effect, t.Spared = "does not exist (any more)", true
		case active(t.Instance.Status):
			t.Effect = "deleted for good; its processes end"
		default:
			t.Effect = "deleted for good"
		}
	}
	plan.Effect = fmt.Sprintf("would delete %s for good in %s; what is not in mounted storage is lost.", text.Count(plan.changes(), "instance"), region)
	return plan, nil
}

func askDelete(_ DeleteInstancesInput, plan Plan) guard.Question {
	phrases := []string{fmt.Sprintf("delete %d", plan.changes()), fmt.Sprintf("删除 %d", plan.changes())}
	var b strings.Builder
	fmt.Fprintf(&b, "Delete %s in %s FOR GOOD? What is not in mounted storage is lost.\n", text.Count(plan.changes(), "instance"), plan.Region)
	for _, t := range plan.Targets {
		if !t.Spared {
			fmt.Fprintf(&b, "- %q (%s), %s\n", text.Field(t.Instance.Name), text.Field(t.ID), text.Field(string(t.Instance.Status)))
		}
	}
	fmt.Fprintf(&b, "Type %q to delete.", phrases[0])
	return guard.Question{Message: b.String(), Phrases: phrases}
}

func runDelete(ctx context.Context, _ Service, _ DeleteInstancesInput, plan Plan) (DeleteInstancesOutput, []audit.Outcome, error) {
	outcomes := make([]TargetOutcome, len(plan.Targets))
	var present []int // indices of the targets to delete
	for i, t := range plan.Targets {
		outcomes[i] = TargetOutcome{ID: text.Field(t.ID), Outcome: outcomeNotFound}
		if !t.Spared {
			outcomes[i].Name, outcomes[i].Status = text.Field(t.Instance.Name), text.Field(string(t.Instance.Status))
			present = append(present, i)
		}
	}
	chunks := slices.Collect(slices.Chunk(present, scnet.MaxDeleteIDs))
	done := 0
	result, err := rollout.Run(ctx, rollout.Plan{Targets: len(chunks), Concurrency: 1, MaxFailures: len(chunks)}, rollout.Steps{
		Do: func(ctx context.Context, i int) error {
			ids := make([]string, len(chunks[i]))
			for j, target := range chunks[i] {
				ids[j] = plan.Targets[target].ID
			}
			return plan.Region.Delete(ctx, ids...)
		},
		Done: func(i int, _ error, _, _ int) {
			done += len(chunks[i])
			ReportProgress(ctx, done, len(present), "deletions sent")
		},
	})
	if err != nil {
		return DeleteInstancesOutput{}, nil, err
	}
	logFaults(ctx, result)
	for i, chunk := range result.Targets {
		outcome, note := outcomeDeleted, ""
		switch {
		case !chunk.Attempted:
			outcome, note = outcomeFailed, "not sent: the call was cancelled or took too long"
		case chunk.Err != nil:
			outcome, note = writeOutcome(chunk.Err), briefly(chunk.Err)
		}
		for _, target := range chunks[i] {
			outcomes[target].Outcome, outcomes[target].Note = outcome, note
		}
	}
	settleDeletes(ctx, plan, outcomes, present)

	out := DeleteInstancesOutput{State: deleteState(outcomes), Targets: outcomes}
	return out, auditOutcomes(outcomes), nil
}

// settleDeletes looks at every target that something was sent for, until nothing is left or the pauses are used up. What
// the last look shows outranks what the delete call answered. It goes on after the caller has gone, because the audit log
// wants to know too.
func settleDeletes(ctx context.Context, plan Plan, outcomes []TargetOutcome, present []int) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), settleTimeout,
		fmt.Errorf("looking took longer than %s", settleTimeout))
	defer cancel()
	sent := slices.Clone(outcomes)
	left := slices.DeleteFunc(slices.Clone(present), func(i int) bool { return sent[i].Outcome == outcomeFailed })
	for _, pause := range afterDelete {
		if len(left) == 0 || !sleep(ctx, pause) {
			break
		}
		looks := make([]error, len(left))
		fault := lookUp(ctx, len(left), func(i int) error {
			_, looks[i] = plan.Region.Detail(ctx, plan.Targets[left[i]].ID)
			return nil
		})
		for i, target := range left {
			look := looks[i]
			if look == nil {
				look = fault
			}
			outcomes[target] = settled(sent[target], look)
		}
		left = slices.DeleteFunc(left, func(i int) bool {
			return outcomes[i].Outcome == outcomeDeleted || outcomes[i] == sent[i] // refused, and still there
		})
	}
}

// settled is what is known of a target after a look at it.
func settled(sent TargetOutcome, look error) TargetOutcome {
	o := sent
	accepted, gone := sent.Outcome == outcomeDeleted, errors.Is(look, scnet.ErrNotFound)
	switch {
	case gone && !accepted:
		o.Outcome, o.Note = outcomeDeleted, "gone afterwards, although: "+sent.Note
	case gone:
	case look != nil && accepted:
		o.Outcome, o.Note = outcomeUnknown, "the delete was accepted, but looking afterwards failed: "+briefly(look)
	case look != nil:
		o.Note = sent.Note + "; looking afterwards failed: " + briefly(look)
	case accepted:
		o.Outcome, o.Note = outcomeStillListed, "the delete was accepted, but it is still listed; look again with list_instances"
	case sent.Outcome == outcomeUnknown:
		o.Note = sent.Note + "; it is still listed"
	}
	return o
}

func deleteState(outcomes []TargetOutcome) string {
	settled := count(outcomes, outcomeDeleted, outcomeNotFound)
	switch {
	case settled == len(outcomes):
		return stateDone
	case count(outcomes, outcomeDeleted) > 0:
		return statePartial
	case count(outcomes, outcomeUnknown, outcomeStillListed) > 0:
		return stateUnknown
	}
	return stateFailed
}

func auditOutcomes(outcomes []TargetOutcome) []audit.Outcome {
	records := make([]audit.Outcome, len(outcomes))
	for i, o := range outcomes {
		records[i] = audit.Outcome{ID: o.ID, Outcome: o.Outcome, Code: o.Note}
	}
	return records
}

// Text tells what became of each target.
func (out DeleteInstancesOutput) Text() string {
	if out.Preview != nil {
		return out.Preview.Text()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d deleted, %d still listed, %d not found, %d refused, %d failed, %d unknown.\n", out.State,
		count(out.Targets, outcomeDeleted), count(out.Targets, outcomeStillListed), count(out.Targets, outcomeNotFound),
		count(out.Targets, outcomeRefused), count(out.Targets, outcomeFailed), count(out.Targets, outcomeUnknown))
	writeOutcomes(&b, out.Targets)
	if count(out.Targets, outcomeUnknown, outcomeStillListed) > 0 {
		b.WriteString("What is unknown or still listed was not sent again: look with list_instances before repeating.\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
