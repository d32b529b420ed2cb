package tools

import (
	"cmp"
	"context"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// ResizeInstanceInput are the arguments of resize_instance.
type ResizeInstanceInput struct {
	InstanceID   string `json:"instance_id" jsonschema_description:"Instance id or unique name"`
	Region       string `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	Accelerators *int   `json:"accelerators,omitempty" audit:"plain" jsonschema_description:"Accelerators of each container; default: as before"`
	CPUs         int    `json:"cpus,omitempty" audit:"plain" jsonschema_description:"CPU cores of each container; default: as before"`
	MemoryMB     int    `json:"memory_mb,omitempty" audit:"plain" jsonschema_description:"Memory of each container in MB; default: as before"`
	toolbox.Consent

	before scnet.Size // what the plan has found
}

// ResizeInstanceOutput is the result of resize_instance.
type ResizeInstanceOutput struct {
	toolbox.Changed
	Before *SizeItem `json:"before,omitempty" jsonschema_description:"Of one container, before the call"`
	After  *SizeItem `json:"after,omitempty" jsonschema_description:"Of one container, as asked for"`
	Seen   *SizeItem `json:"seen,omitempty" jsonschema_description:"Of one container, as the service shows it after the call"`
	Note   lang.Text `json:"note,omitzero" jsonschema_description:"What to know"`
}

// SizeItem is what each container of an instance has.
type SizeItem struct {
	CPUs         int `json:"cpus" jsonschema_description:"CPU cores"`
	Accelerators int `json:"accelerators" jsonschema_description:"Accelerators"`
	MemoryMB     int `json:"memory_mb" jsonschema_description:"Memory"`
}

func sizeItem(s scnet.Size) *SizeItem {
	return &SizeItem{CPUs: s.CPUs, Accelerators: s.Accelerators, MemoryMB: s.MemoryMB}
}

// String says it in English.
func (s SizeItem) String() string { return s.In(lang.English) }

// In says it in a language.
func (s SizeItem) In(l lang.Lang) string {
	return l.Sprintf("%s, %s, %d MB", lang.Count(s.Accelerators, "accelerator"), lang.Count(s.CPUs, "CPU core"), s.MemoryMB)
}

// changes words what of a size changes.
func changes(from, to scnet.Size) lang.Text {
	var words []lang.Text
	for _, each := range []struct {
		from, to int
		what     lang.Text
	}{
		{from.Accelerators, to.Accelerators, lang.T("accelerators")}, {from.CPUs, to.CPUs, lang.T("CPU cores")},
		{from.MemoryMB, to.MemoryMB, lang.T("MB of memory")},
	} {
		if each.from != each.to {
			words = append(words, lang.T("%d instead of %d %s", each.to, each.from, each.what))
		}
	}
	return lang.Parts(words...)
}

func sizeOf(in scnet.Instance) scnet.Size {
	return scnet.Size{CPUs: in.CPUs, Accelerators: in.Accelerators, MemoryMB: in.MemoryMB}
}

func (s Instances) resizeInstance() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name: "resize_instance",
		Title: "Resize an instance: more GPUs instead of fewer, cards, CPU cores, memory " +
			"(调整实例配置, 改成几张卡, 给实例加卡, 加几张卡, 增加内存, 扩容, 缩容)",
		Example:     "instance_id=bert-train accelerators=2",
		Toolset:     ProvisionToolset,
		Risk:        guard.Disruptive,
		Consent:     guard.Preview,
		Description: "Changes accelerators, CPU cores and memory of a stopped instance (扩容, 缩容). It stays stopped. The first call shows a preview.",
	}, toolbox.Steps[ResizeInstanceInput, resize, ResizeInstanceOutput]{
		Plan: s.planResize,
		Preview: func(in ResizeInstanceInput, _ toolbox.Plan) ResizeInstanceOutput {
			after := scnet.Size{CPUs: in.CPUs, Accelerators: *in.Accelerators, MemoryMB: in.MemoryMB}
			return ResizeInstanceOutput{Before: sizeItem(in.before), After: sizeItem(after)}
		},
		Nothing: func(_ ResizeInstanceInput, plan toolbox.Plan) ResizeInstanceOutput {
			return ResizeInstanceOutput{Changed: toolbox.Changed{State: toolbox.Done}, Note: lang.T("It has that size already.")}
		},
		Ask: askResize,
		Act: s.actResize,
	}, s.options()...)
}

// resize is the instance to resize, what it looked like before, and what it is to have.
type resize struct {
	region *scnet.Region
	target toolbox.Target
	before scnet.Instance
	size   scnet.Size
}

func (s Instances) planResize(
	ctx context.Context, policy guard.Policy, in *ResizeInstanceInput,
) (plan toolbox.Plan, work resize, err error) {
	l, err := s.chooseOne(ctx, policy, in.Region, in.InstanceID)
	if err != nil {
		plan.Targets = []toolbox.Target{{ID: strings.TrimSpace(in.InstanceID)}}
		return plan, work, err
	}
	region, before := l.region, l.instance
	plan.Targets = []toolbox.Target{instanceTarget(l, s.Now())}
	t := &plan.Targets[0]
	in.Region, in.InstanceID = "", t.ID // the target says where it is
	if !ended(before.Status) {
		return plan, work, lang.Errorf("%s is %s, and only a stopped instance can be resized. Nothing was changed. Stop it with stop_instances, which ends its processes, wait with get_instance and wait_for=Terminated, and repeat this call",
			t, text.Field(t.Status))
	}
	size := scnet.Size{CPUs: cmp.Or(in.CPUs, before.CPUs), Accelerators: before.Accelerators,
		MemoryMB: cmp.Or(in.MemoryMB, before.MemoryMB)}
	if in.Accelerators != nil {
		size.Accelerators = *in.Accelerators
	}
	var asked request
	if in.CPUs == 0 && in.MemoryMB == 0 && in.Accelerators == nil {
		asked.wrong("accelerators", "give what is to change: accelerators, cpus or memory_mb")
	} else if size.CPUs < 1 || size.MemoryMB < 1 || size.Accelerators < 0 {
		asked.wrong("cpus", "at least 1 CPU core, 1 MB of memory and 0 accelerators are needed")
	} else if err := asked.checkGroup(ctx, region, before.AcceleratorType, before.ResourceGroup, size, ""); err != nil {
		return plan, work, err
	}
	if err := asked.err(); err != nil {
		return plan, work, err
	}
	was := sizeOf(before)
	in.CPUs, in.MemoryMB, in.Accelerators, in.before = size.CPUs, size.MemoryMB, &size.Accelerators, was
	t.Bound = append(t.Bound, sizeItem(was).String())
	total := size.Accelerators * max(before.Containers, 1)
	t.Effect = changes(was, size)
	if before.Containers > 1 {
		t.Effect = lang.T("each of its %d containers: %s", before.Containers, t.Effect)
	}
	if size == was {
		t.Effect, t.Outcome = lang.T("has that size already"), toolbox.Resized
	}
	plan.Effect = lang.T("would resize 1 instance in %s to %s in all. The instance stays stopped; the next start takes and bills the new size.",
		region, lang.Count(total, "accelerator"))
	for _, note := range asked.notes {
		plan.Effect = lang.Sentences(plan.Effect, lang.T("Note: %s", note))
	}
	plan.Occupies = s.occupation(total, 0)
	return plan, resize{region: region, target: *t, before: before, size: size}, nil
}

func askResize(_ ResizeInstanceInput, plan toolbox.Plan) guard.Question {
	t := plan.Targets[0]
	return guard.Question{
		Message: lang.T("Resize %s in %s? %s.", t, plan.Where(), t.Effect),
		Choices: []lang.Text{lang.T("resize it"), lang.T("do not resize it")},
	}
}

func (s Instances) actResize(ctx context.Context, _ ResizeInstanceInput, work resize) (ResizeInstanceOutput, error) {
	t := work.target
	out := ResizeInstanceOutput{Before: sizeItem(sizeOf(work.before)), After: sizeItem(work.size)}
	if err := unchanged(ctx, work.region, work.before); err != nil { // a restart may have come in between
		t.Outcome, t.Note = toolbox.OutcomeFailed, toolbox.Briefly(err)
		out.Targets = []toolbox.Target{t}
		return out, err
	}
	// A write that is cut off has an unknown outcome, so cancelling waits for this one.
	err := work.region.Resize(context.WithoutCancel(ctx), t.ID, work.size)
	t.Outcome = toolbox.Resized
	if err != nil {
		t.Fail(toolbox.OutcomeOf(err), err)
		if !toolbox.Uncertain(err) {
			out.Targets = []toolbox.Target{t}
			return out, err
		}
	}
	out.State = toolbox.Done
	seen, look := work.look(ctx)
	switch {
	case look != nil:
		out.Note = lang.T("Looking afterwards failed: %s.", toolbox.Briefly(look))
	default:
		out.Seen = sizeItem(seen)
	}
	switch shown := look == nil && seen == work.size; {
	case shown && err != nil:
		out.Note = lang.T("Its new size shows, although: %s.", t.Note)
		t.Outcome, t.Note, t.Code = toolbox.Resized, lang.Text{}, ""
	case shown:
	case err != nil:
		out.State = toolbox.Unknown
		out.Note = lang.Sentences(lang.T("The resize may or may not have happened, and was not repeated: %s.", t.Note), out.Note)
	default:
		t.Outcome, out.State = toolbox.Accepted, toolbox.Waiting
		out.Note = lang.Sentences(lang.T("The resize was accepted, but the new size does not show yet."), out.Note)
	}
	switch out.State {
	case toolbox.Waiting:
		out.Next = lang.T("%s until the new size shows, before it is started.", lookAt(t.ID, ""))
	case toolbox.Unknown:
		out.Next = lang.T("%s for its size. If it still has the old one after a minute, the resize did not happen, and can be repeated.", lookAt(t.ID, ""))
	default:
	}
	out.Targets = []toolbox.Target{t}
	return out, nil
}

// look reads the size until it is the new one, or the pauses are used up.
func (r resize) look(ctx context.Context) (seen scnet.Size, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	for _, pause := range afterChange {
		if !upstream.Wait(ctx, pause) {
			break
		}
		var in scnet.Instance
		if in, err = r.region.Detail(ctx, r.target.ID); err != nil {
			continue
		}
		if seen = sizeOf(in); seen == r.size {
			break
		}
	}
	return seen, err
}

// Text tells what came of it.
func (out ResizeInstanceOutput) Text(l lang.Lang) string {
	words := lang.T("%s: resize", out.State)
	for _, t := range out.Targets {
		words = lang.T("%s: %s, resize of %s", out.State, t.Outcome, t)
		if !t.Note.IsZero() && !strings.Contains(out.Note.String(), t.Note.String()) {
			out.Note = lang.Sentences(out.Note, lang.T("%s.", t.Note))
		}
	}
	if out.Before != nil && out.After != nil {
		words = lang.T("%s from %s to %s in each container", words, out.Before, out.After)
	}
	return lang.Sentences(lang.T("%s.", words), out.Note).In(l)
}
