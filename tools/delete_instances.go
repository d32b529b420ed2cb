package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// DeleteInstancesInput are the arguments of delete_instances.
type DeleteInstancesInput struct {
	InstanceIDs []string `json:"instance_ids" jsonschema:"minItems=1" jsonschema_description:"Instances to delete: ids or unique names"`
	Region      string   `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	toolbox.Consent
}

// DeleteInstancesOutput is the result of delete_instances.
type DeleteInstancesOutput struct{ toolbox.Changed }

func (s Instances) deleteInstances() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name: "delete_instances",
		Title: "Delete, remove, terminate, destroy or get rid of an instance or container permanently " +
			"(永久删除, 删掉实例, 销毁容器, 清理)",
		Example: "instance_ids=bert-train instance_ids=Instances_2204208761",
		Toolset: InstancesToolset,
		Risk:    guard.Destructive,
		Description: "Deletes instances for good, with all that is not in mounted storage. The first call shows a preview; the same with " +
			"confirm=true and its preview_token deletes.",
	}, toolbox.Steps[DeleteInstancesInput, chosen, DeleteInstancesOutput]{
		Plan: s.planDelete,
		Nothing: func(DeleteInstancesInput, toolbox.Plan) DeleteInstancesOutput {
			return DeleteInstancesOutput{toolbox.Changed{State: toolbox.Failed,
				Next: lang.T("Nothing was deleted: no region knows these ids. They may have been deleted before; list_instances shows what there is.")}}
		},
		Ask: askDelete,
		Act: actDelete,
	}, s.options()...)
}

func (s Instances) planDelete(
	ctx context.Context, policy guard.Policy, in *DeleteInstancesInput,
) (plan toolbox.Plan, work chosen, err error) {
	work, err = s.choose(ctx, policy, in.Region, in.InstanceIDs)
	if plan.Targets = work.targets; err != nil {
		return plan, work, err
	}
	in.Region, in.InstanceIDs = "", toolbox.IDs(plan.Targets) // each target says where it is
	for i := range plan.Targets {
		t := &plan.Targets[i]
		if t.Effect = lang.T("does not exist (any more)"); t.Exists {
			t.Effect = deletion(*t)
		}
	}
	plan.Effect = lang.T("would delete %s for good in %s; what is not in mounted storage is lost.",
		lang.Count(plan.Changes(), "instance"), plan.Where())
	return plan, work, nil
}

// deletion says what deleting an instance ends and loses.
func deletion(t toolbox.Target) lang.Text {
	var ends lang.Text
	switch status := scnet.Status(t.Status); {
	case status.Is(scnet.Running):
		ends = lang.T("its processes end")
	case active(status):
		ends = lang.T("it will not start")
	}
	lost := lang.T("what is not in its mounted directories is lost")
	if len(t.Mounts) == 0 {
		lost = lang.T("nothing is mounted: everything in it is lost")
	}
	return lang.Clauses(lang.T("deleted for good"), ends, lost)
}

func askDelete(_ DeleteInstancesInput, plan toolbox.Plan) guard.Question {
	phrase := fmt.Sprintf("delete %d", plan.Changes()) // not said to people: in both languages at once
	phrases := []string{phrase, fmt.Sprintf("删除 %d", plan.Changes())}
	lines := []lang.Text{lang.T("Delete %s in %s FOR GOOD? What is not in mounted storage is lost.", lang.Count(plan.Changes(), "instance"), plan.Where())}
	for _, t := range plan.Targets {
		if t.Spared() {
			continue
		}
		line := lang.T("- %s, %s: %s", t, text.Field(t.Status), t.Effect)
		if len(t.Mounts) > 0 {
			line = lang.T("%s (mounted: %s)", line, mountList(t.Mounts))
		}
		lines = append(lines, line)
	}
	lines = append(lines, lang.T("Type %q to delete.", phraseIn{phrases}))
	return guard.Question{Message: lang.Lines(lines...), Phrases: phrases}
}

// phraseIn is the phrase of each language, English first.
type phraseIn struct{ phrases []string }

func (p phraseIn) In(l lang.Lang) string { return p.phrases[min(int(l), len(p.phrases)-1)] }

func (p phraseIn) String() string { return p.In(lang.English) }

func mountList(mounts []toolbox.Mount) lang.Text {
	words := make([]lang.Text, len(mounts))
	for i, m := range mounts {
		words[i] = lang.T("%s", m)
	}
	return lang.List(words...)
}

func actDelete(ctx context.Context, _ DeleteInstancesInput, work chosen) (DeleteInstancesOutput, error) {
	targets, present := slices.Clone(work.targets), work.present()
	chunks := work.chunks(present, scnet.MaxDeleteIDs)
	done := 0
	result, err := rollout.Run(ctx, rollout.Plan{Targets: len(chunks), Concurrency: 1, MaxFailures: len(chunks)}, rollout.Steps{
		Do: func(ctx context.Context, i int) error {
			ids := make([]string, len(chunks[i]))
			for j, target := range chunks[i] {
				ids[j] = targets[target].ID
			}
			return work.found[chunks[i][0]].region.Delete(ctx, ids...)
		},
		Permit: func(int) error { return toolbox.Permitted(ctx) },
		Done: func(i int, _ error, _, _ int) {
			done += len(chunks[i])
			toolbox.ReportProgress(ctx, done, len(present), lang.T("deletions sent"))
		},
	})
	if err != nil {
		return DeleteInstancesOutput{}, err
	}
	logFaults(ctx, result)
	for i, chunk := range result.Targets {
		for _, target := range chunks[i] {
			t := &targets[target]
			switch {
			case !chunk.Attempted:
				t.Outcome, t.Note = toolbox.OutcomeFailed, lang.T("not sent: the call was cancelled or took too long")
				if result.Forbidden != nil {
					t.Note = lang.T("not sent: %s", toolbox.Briefly(result.Forbidden))
				}
			case chunk.Err != nil:
				t.Fail(toolbox.OutcomeOf(chunk.Err), chunk.Err)
			default:
				t.Outcome = toolbox.Deleted
			}
		}
	}
	settleDeletes(ctx, work, targets, present)
	out := DeleteInstancesOutput{toolbox.Changed{State: deleteState(targets), Targets: targets}}
	if look := lookAtEach(targets, "", toolbox.OutcomeUnknown, toolbox.StillListed); !look.IsZero() {
		out.Next = lang.T("%s: \"no such instance\" means that it is deleted. What is still there after a minute can be deleted again.", look)
	}
	return out, nil
}

// settleDeletes looks at every target that something was sent for, until nothing is left or the pauses are used up. What
// the last look shows outranks what the delete call answered. It goes on after the caller has gone, because the audit log
// wants to know too.
func settleDeletes(ctx context.Context, work chosen, targets []toolbox.Target, present []int) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), settleTimeout,
		lang.Errorf("looking took longer than %s", settleTimeout))
	defer cancel()
	sent := slices.Clone(targets)
	left := slices.DeleteFunc(slices.Clone(present), func(i int) bool { return sent[i].Outcome == toolbox.OutcomeFailed })
	for _, pause := range afterChange {
		if len(left) == 0 || !upstream.Wait(ctx, pause) {
			break
		}
		looks := make([]error, len(left))
		fault := lookUp(ctx, len(left), func(i int) error {
			_, looks[i] = work.found[left[i]].region.Detail(ctx, targets[left[i]].ID)
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
			return now.Outcome == toolbox.Deleted || now.Outcome == then.Outcome && now.Note.String() == then.Note.String()
		})
	}
}

// settled is what is known of a target after a look at it.
func settled(sent toolbox.Target, look error) (toolbox.Outcome, lang.Text) {
	accepted, gone := sent.Outcome == toolbox.Deleted, errors.Is(look, scnet.ErrNotFound)
	switch {
	case gone && !accepted:
		return toolbox.Deleted, lang.T("gone afterwards, although: %s", sent.Note)
	case gone:
	case look != nil && accepted:
		return toolbox.OutcomeUnknown, lang.T("the delete was accepted, but looking afterwards failed: %s", toolbox.Briefly(look))
	case look != nil:
		return sent.Outcome, lang.Clauses(sent.Note, lang.T("looking afterwards failed: %s", toolbox.Briefly(look)))
	case accepted:
		return toolbox.StillListed, lang.T("the delete was accepted, but it is still listed")
	case sent.Outcome == toolbox.OutcomeUnknown:
		return sent.Outcome, lang.Clauses(sent.Note, lang.T("it is still listed"))
	}
	return sent.Outcome, sent.Note
}

func deleteState(targets []toolbox.Target) toolbox.State {
	deleted := toolbox.Count(targets, toolbox.Deleted)
	switch {
	case deleted > 0 && deleted+toolbox.Count(targets, toolbox.NotFound) == len(targets):
		return toolbox.Done
	case toolbox.Count(targets, toolbox.Deleted) > 0:
		return toolbox.Partial
	case toolbox.Count(targets, toolbox.OutcomeUnknown, toolbox.StillListed) > 0:
		return toolbox.Unknown
	}
	return toolbox.Failed
}

// Text tells what became of each target.
func (out DeleteInstancesOutput) Text(l lang.Lang) string {
	var b strings.Builder
	count := func(o toolbox.Outcome) int { return toolbox.Count(out.Targets, o) }
	l.Fprintf(&b, "%s: %d deleted, %d still listed, %d not found, %d refused, %d failed, %d unknown.\n", out.State, count(toolbox.Deleted),
		count(toolbox.StillListed), count(toolbox.NotFound), count(toolbox.RefusedByService),
		count(toolbox.OutcomeFailed), count(toolbox.OutcomeUnknown))
	toolbox.WriteOutcomes(l, &b, out.Targets)
	return strings.TrimSuffix(b.String(), "\n")
}
