package tools_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// unsent are the outcomes that say that nothing was sent.
var unsent = []toolbox.Outcome{
	toolbox.NotAttempted, toolbox.AlreadyStopped, toolbox.NotFound, toolbox.OutcomeFailed, toolbox.SkippedNotRunning,
}

// judgeRecords demands that the audit log has an intent and a result for what was sent, about the same targets, and nothing of
// the kind otherwise. It returns the outcomes that the result records, by id. The caller holds l.mu.
func (l *life) judgeRecords(d *deed) map[string]audit.Outcome {
	var intents, results []sequel
	for _, r := range l.records {
		switch {
		case r.Client != d.name():
		case r.Event == audit.Intent:
			intents = append(intents, r)
		case r.Event == audit.Result:
			results = append(results, r)
		}
	}
	sent := map[string]bool{}
	for _, w := range d.writes {
		for _, id := range w.ids {
			sent[id] = true
		}
	}
	if len(intents) == 0 && len(results) == 0 {
		if len(sent) > 0 {
			l.breaks("audit", "%s sent %v, and there is no record", d.name(), d.writes)
		}
		return nil
	}
	if len(intents) != 1 || len(results) != 1 || intents[0].Call != results[0].Call {
		l.breaks("audit", "%s has %d intents and %d results", d.name(), len(intents), len(results))
		return nil
	}
	intent, result := intents[0], results[0]
	if intent.Consent == "" || intent.Consent != result.Consent || intent.Tool != d.tool || intent.Caller != d.party.name {
		l.breaks("audit", "%s has a record of consent %q of %s to %s", d.name(), intent.Consent, intent.Caller, intent.Tool)
	}
	if len(d.writes) > 0 && intent.sent > d.writes[0].number {
		l.breaks("audit", "the intent of %s came after its first write", d.name())
	}
	recorded, outcomes := map[string]bool{}, map[string]audit.Outcome{}
	for _, t := range intent.Targets {
		recorded[t.ID], recorded[t.Name] = true, true
	}
	for _, o := range result.Outcomes {
		outcomes[o.ID] = o
		ref := o.ID
		if d.tool == "create_instance" {
			ref = intent.Targets[0].Name
		}
		if was := !slices.Contains(unsent, toolbox.Outcome(o.Outcome)); was != sent[ref] {
			l.breaks("audit", "%s records %s of %s; that it was sent is %v", d.name(), o.Outcome, o.ID, sent[ref])
		}
		delete(sent, ref)
		if !recorded[o.ID] && d.tool != "create_instance" {
			l.breaks("audit", "%s records an outcome of %s, and no intent about it", d.name(), o.ID)
		}
	}
	if len(sent) > 0 {
		l.breaks("audit", "%s sent something for %v, and records no outcome of it", d.name(), sent)
	}
	return outcomes
}

// judgeOutcomes demands that the record says what the result says. The caller holds l.mu.
func (l *life) judgeOutcomes(d *deed, outcomes map[string]audit.Outcome) {
	if d.err != nil || d.reply.State == string(toolbox.NeedsConfirmation) {
		if len(d.writes) > 0 && d.err == nil {
			l.breaks("preview", "%s sent %v", d.name(), d.writes)
		}
		for _, o := range outcomes {
			l.seen[o.Outcome]++
		}
		return
	}
	for _, t := range d.reply.Targets {
		l.seen[string(t.Outcome)]++
		if o, ok := outcomes[t.ID]; outcomes != nil && (!ok || o.Outcome != string(t.Outcome)) {
			l.breaks("audit", "%s says %s of %s and records %q", d.name(), t.Outcome, t.ID, o.Outcome)
		}
	}
}

// effect is what became of an instance during a call that was alone.
type effect struct{ id, kind string }

// effects compares what there was before a call with what there is after it.
func (d *deed) effects() (all []effect) {
	for id, was := range d.before {
		is, there := d.after[id]
		switch {
		case !there:
			all = append(all, effect{id, "gone"})
			continue
		case was.HeaderNotebookID != is.HeaderNotebookID:
			all = append(all, effect{id, "started"})
		case !ends(was.Status) && was.Status != simulator.Stopping && (ends(is.Status) || is.Status == simulator.Stopping):
			all = append(all, effect{id, "stopped"})
		}
		if was.GPUNumber != is.GPUNumber || was.CPUNumber != is.CPUNumber || was.RAMSize != is.RAMSize || was.TaskNumber != is.TaskNumber {
			all = append(all, effect{id, "resized"})
		}
	}
	for id := range d.after {
		if _, there := d.before[id]; !there {
			all = append(all, effect{id, "created"})
		}
	}
	return all
}

// tells are the outcomes that tell an effect. An unknown one leaves it open.
var tells = map[string][]toolbox.Outcome{
	"gone": {toolbox.Deleted}, "started": {toolbox.Accepted}, "stopped": {toolbox.Stopped, toolbox.StillActive},
	"resized": {toolbox.Resized, toolbox.Accepted}, "created": {toolbox.Created},
}

// judgeEffects compares what a call told with what the simulator has. The caller holds l.mu.
func (l *life) judgeEffects(d *deed, recorded map[string]audit.Outcome) {
	happened := map[effect]bool{}
	for _, e := range d.effects() {
		happened[e] = true
	}
	told := map[string]toolbox.Outcome{}
	if d.err == nil && d.reply.State != string(toolbox.NeedsConfirmation) {
		for _, t := range d.reply.Targets {
			told[t.ID] = t.Outcome
			if problem := d.untrue(t, happened); problem != "" {
				l.breaks("truth", "%s says %s of %s, but %s", d.name(), t.Outcome, t.ID, problem)
			}
		}
		if problem := d.unfit(); problem != "" {
			l.breaks("state", "%s says %s, but %s", d.name(), d.reply.State, problem)
		}
	}
	for e := range happened {
		outcome, ok := told[e.id]
		if e.kind == "created" && !ok {
			outcome, ok = told[""] // nobody knows its id
		}
		if !ok || outcome != toolbox.OutcomeUnknown && !slices.Contains(tells[e.kind], outcome) {
			l.breaks("truth", "%s says %q of %s, which was %s (recorded: %+v, error: %v)", d.name(), outcome, e.id, e.kind, recorded, d.err)
		}
	}
}

// untrue says what is wrong with what was told of a target.
func (d *deed) untrue(t toolbox.Target, happened map[effect]bool) string {
	is, there := d.after[t.ID]
	was, existed := d.before[t.ID]
	wrote := slices.ContainsFunc(d.writes, func(w write) bool { return slices.Contains(w.ids, t.ID) || slices.Contains(w.ids, t.Name) })
	problem := func(wrong bool, words string) string {
		if wrong {
			return words
		}
		return ""
	}
	switch t.Outcome {
	case toolbox.Deleted:
		return problem(there, "it is there")
	case toolbox.Created:
		return problem(!happened[effect{t.ID, "created"}] || is.Name != t.Name || accelerators(is) != t.Accelerators, fmt.Sprintf("there is %+v", is))
	case toolbox.Stopped:
		return problem(there && !ends(is.Status), "it is "+is.Status)
	case toolbox.AlreadyStopped:
		return problem(!ends(was.Status) || wrote, "it was "+was.Status)
	case toolbox.StillActive:
		return problem(!happened[effect{t.ID, "stopped"}] && was.Status != simulator.Stopping, "it was not stopped")
	case toolbox.Resized:
		return problem(is.GPUNumber != d.args["accelerators"], fmt.Sprintf("it has %d", is.GPUNumber))
	case toolbox.Accepted:
		return problem(!happened[effect{t.ID, "started"}] && !happened[effect{t.ID, "resized"}], "nothing of it shows")
	case toolbox.NotFound:
		return problem(existed, "it was there")
	case toolbox.OutcomeUnknown:
		return problem(!wrote, "nothing was sent")
	case toolbox.OutcomeFailed, toolbox.NotAttempted, toolbox.RefusedByService, toolbox.RejectedByService:
		for e := range happened {
			if e.id == t.ID {
				return "it was " + e.kind
			}
		}
		return ""
	default:
		return "no law knows that outcome"
	}
}

// unfit says what is wrong with the state that a call told, beside what it told of each target.
func (d *deed) unfit() string {
	open := toolbox.Count(d.reply.Targets, toolbox.OutcomeUnknown, toolbox.OutcomeFailed, toolbox.NotAttempted, toolbox.RefusedByService)
	switch state := toolbox.State(d.reply.State); {
	case state == toolbox.Done && open > 0:
		return "not everything was done"
	case state == toolbox.Done && (d.tool == "create_instance" || d.tool == "restart_instance"):
		if is := d.after[d.reply.Targets[0].ID]; is.Status != simulator.Running {
			return "it is " + is.Status
		}
	case state == toolbox.Done && d.tool == "stop_instances":
		for _, t := range d.reply.Targets {
			if is, there := d.after[t.ID]; there && !ends(is.Status) {
				return t.ID + " is " + is.Status
			}
		}
	case state == toolbox.Failed && len(d.effects()) > 0 && !strings.Contains(d.reply.Note, "ended"):
		return fmt.Sprintf("there are %v", d.effects())
	case state == toolbox.Waiting && open > 0:
		return "nobody knows whether it was accepted"
	}
	return ""
}

// judgeRead demands that what is shown of an instance is what the simulator has, and that nothing was changed.
func (l *life) judgeRead(d *deed) {
	if len(d.writes) > 0 {
		l.breaks("reads", "%s sent %v", d.name(), d.writes)
	}
	if d.err != nil || d.tool != "get_instance" {
		return
	}
	shown := d.reply.Instance
	was, is := d.before[shown.ID], d.after[shown.ID]
	if shown.Name != is.Name || shown.Status != is.Status && shown.Status != was.Status || shown.Accelerators != accelerators(is) {
		l.breaks("truth", "%s shows %+v of %+v", d.name(), shown, is)
	}
}
