package simulator

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"time"
)

// defaultTimeout is the execution_timeout of the sibling operations (pages ExecuteScriptByDesktopTag,
// ExecuteDesktopPoolScript); that of ExecuteScriptOrCommand, also for 0, is assumed to be the same.
const defaultTimeout = 1

// executeBody is the body of ExecuteScriptOrCommand. It took commands until July 2025; such members are ignored now.
type executeBody struct {
	check
	ResourceType      string   `json:"resource_type"`
	ResourceIDs       []string `json:"resource_ids"`
	ScriptIDs         []string `json:"script_ids"`
	GrayCount         *int     `json:"gray_count"`
	GrayResourceIDs   []string `json:"gray_resource_ids"`
	GrayFailThreshold *int     `json:"gray_fail_threshold"`
	ExecutionTimeout  *int     `json:"execution_timeout"`
}

// groupBody is the body of ExecuteScriptByDesktopTag, which has no desktop_ids, and ExecuteDesktopPoolScript, which has no
// desktop_tag. The members pre_start and post_finish are ignored.
type groupBody struct {
	check
	DesktopTag        *string  `json:"desktop_tag"`
	DesktopIDs        []string `json:"desktop_ids"`
	ScriptIDs         []string `json:"script_ids"`
	CommandContent    *string  `json:"command_content"`
	CommandType       string   `json:"command_type"`
	GrayCount         *int     `json:"gray_count"`
	GrayDesktopIDs    []string `json:"gray_desktop_ids"`
	GrayFailThreshold *int     `json:"gray_fail_threshold"`
	ExecutionTimeout  *int     `json:"execution_timeout"`
}

// rollout is what the three operations have in common.
type rollout struct {
	desktops  []string
	scripts   []string
	command   *Script // instead of scripts
	gray      gray
	timeout   int // minutes
	pool      Pool
	resources string // what the desktops are called in messages
}

// decodeExecute reads the body of ExecuteScriptOrCommand. The page calls every member optional; that these three are needed
// is an assumption.
func decodeExecute(body []byte) (rollout, *check) {
	var b executeBody
	b.decode(body, &b)
	b.length("resource_type", b.ResourceType, 1, 255)
	if b.ResourceType != "" {
		b.word("resource_type", b.ResourceType, "DESKTOP")
	}
	b.list("resource_ids", b.ResourceIDs, 1000, 1, 255)
	b.list("script_ids", b.ScriptIDs, 10, 1, 255)
	b.list("gray_resource_ids", b.GrayResourceIDs, 1000, 1, 255)
	if len(b.ResourceIDs) == 0 {
		b.fail("resource_ids is empty")
	}
	if len(b.ScriptIDs) == 0 {
		b.fail("script_ids is empty")
	}
	r := rollout{
		desktops: unique(b.ResourceIDs),
		scripts:  unique(b.ScriptIDs),
		gray: gray{
			count:     b.between("gray_count", b.GrayCount, 0, math.MaxInt32),
			ids:       unique(b.GrayResourceIDs),
			threshold: b.between("gray_fail_threshold", b.GrayFailThreshold, 0, math.MaxInt32),
		},
		timeout:   b.between("execution_timeout", b.ExecutionTimeout, 0, 600),
		resources: "resource_ids",
	}
	r.gray.limits(&b.check)
	return r, &b.check
}

// decodeGroup reads the body of the sibling operations.
func decodeGroup(body []byte) (rollout, groupBody) {
	var b groupBody
	b.decode(body, &b)
	b.list("script_ids", b.ScriptIDs, 10, 1, 255)
	b.list("desktop_ids", b.DesktopIDs, 1000, 1, 255)
	b.list("gray_desktop_ids", b.GrayDesktopIDs, 1000, 1, 255)
	r := rollout{
		desktops: unique(b.DesktopIDs),
		scripts:  unique(b.ScriptIDs),
		gray: gray{
			count:     b.between("gray_count", b.GrayCount, 0, 1000),
			ids:       unique(b.GrayDesktopIDs),
			threshold: b.between("gray_fail_threshold", b.GrayFailThreshold, 1, 1000),
		},
		timeout:   b.between("execution_timeout", b.ExecutionTimeout, 1, 600),
		resources: "the desktops",
	}
	switch {
	case (b.CommandContent != nil) == (len(b.ScriptIDs) > 0):
		b.fail("one of script_ids and command_content is needed, not both")
	case b.CommandContent != nil:
		b.length("command_content", *b.CommandContent, 1, 1000)
		b.word("command_type", b.CommandType, PowerShell, Bat, Shell)
		r.command = &Script{Content: *b.CommandContent, Type: b.CommandType}
	}
	r.gray.limits(&b.check)
	return r, b
}

// execute is page ExecuteScriptOrCommand.
func (c *call) execute() reply {
	r, problems := decodeExecute(c.body)
	if out, ok := problems.verdict(); !ok {
		return out
	}
	return c.start(r)
}

// executeByTag is page ExecuteScriptByDesktopTag. The form of desktop_tag, "key=value" as in the filters of desktops, is an
// assumption.
func (c *call) executeByTag() reply {
	r, b := decodeGroup(c.body)
	if b.DesktopTag == nil || *b.DesktopTag == "" {
		b.fail("desktop_tag is missing")
	}
	if out, ok := b.verdict(); !ok {
		return out
	}
	r.desktops = nil
	for _, d := range c.sim.desktops {
		if d.tagged(*b.DesktopTag) {
			r.desktops = append(r.desktops, d.ID)
		}
	}
	if len(r.desktops) == 0 {
		return fail(codeMissing, "No desktop has the tag %s.", *b.DesktopTag)
	}
	return c.start(r)
}

// executePool is page ExecuteDesktopPoolScript. Without desktop_ids all desktops of the pool are meant.
func (c *call) executePool() reply {
	r, b := decodeGroup(c.body)
	if out, ok := b.verdict(); !ok {
		return out
	}
	i := slices.IndexFunc(c.sim.pools, func(p Pool) bool { return p.ID == c.id })
	if i < 0 {
		return missing("desktop pool", c.id)
	}
	r.pool = c.sim.pools[i]
	var members []string
	for _, d := range c.sim.desktops {
		if d.PoolID == c.id {
			members = append(members, d.ID)
		}
	}
	if len(r.desktops) == 0 {
		r.desktops = members
	}
	for _, id := range r.desktops {
		if !slices.Contains(members, id) {
			return fail(codeMissing, "The desktop %s is not in the pool %s.", id, c.id)
		}
	}
	return c.start(r)
}

// start makes the task.
func (c *call) start(r rollout) reply {
	if bad := r.gray.outsider(r.desktops); bad != "" && !c.quirks.GrayOutsiders {
		return fail(codeParameter, "Invalid parameter: the gray desktop %s is not among %s.", bad, r.resources)
	}
	order := r.gray.orders(r.desktops)
	desktops := make([]*Desktop, len(order))
	for i, o := range order {
		if desktops[i] = c.sim.desktop(o.desktop); desktops[i] == nil {
			return missing("desktop", o.desktop)
		}
	}
	t := &task{kind: typeScript, resources: r.desktops, pool: r.pool}
	for _, id := range r.scripts {
		script := c.sim.script(id)
		if script == nil {
			return missing("script", id)
		}
		t.scripts = append(t.scripts, *script)
	}
	if r.command != nil {
		t.kind, t.scripts = typeCommand, []Script{*r.command}
	}
	timeout := time.Duration(cmp.Or(r.timeout, defaultTimeout)) * time.Minute
	round := &round{threshold: r.gray.threshold, byRecord: c.quirks.ThresholdByRecord}
	for i, o := range order {
		if o.order == orderGray {
			t.gray = append(t.gray, o.desktop)
		}
		for _, script := range t.scripts {
			round.records = append(round.records, &record{
				script: script, desktop: *desktops[i], order: o.order,
				timeout: timeout, ending: c.sim.ending(desktops[i], script, timeout),
			})
		}
	}
	c.sim.newTask(t, c.now)
	c.sim.addRound(t, c.now, round)
	return ok(map[string]string{"task_id": t.id})
}

// unique drops what is there twice: a desktop is assumed to run a script once.
func unique(ids []string) []string {
	var out []string
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// gray is the part of a rollout that goes first.
type gray struct {
	count     int // wins over ids
	ids       []string
	threshold int
}

// limits checks what does not depend on the desktops. That the threshold is less than the count is documented; with ids
// instead of a count, their number is assumed to be meant. A threshold of 0 is assumed to be none.
func (g gray) limits(c *check) {
	size := g.count
	if size == 0 {
		size = len(g.ids)
	}
	if g.threshold > 0 && g.threshold >= size {
		c.fail("gray_fail_threshold is %d, which is not less than the number of gray resources, %d", g.threshold, size)
	}
}

// outsider returns a gray desktop that is not among the desktops, if there is one. With a count, the ids do not matter.
func (g gray) outsider(desktops []string) string {
	if g.count > 0 {
		return ""
	}
	for _, id := range g.ids {
		if !slices.Contains(desktops, id) {
			return id
		}
	}
	return ""
}

// ordered is a desktop with its execute_order.
type ordered struct {
	desktop string
	order   int
}

// orders deals the desktops into batches, the gray one first. Which desktops a count selects is not documented: it is assumed
// to be the first ones of the list, or all of them when it exceeds their number.
func (g gray) orders(desktops []string) []ordered {
	first := g.ids
	if g.count > 0 {
		first = desktops[:min(g.count, len(desktops))]
	}
	rest := orderPlain
	if len(first) > 0 {
		rest = orderRest
	}
	var all []ordered
	for _, id := range first {
		all = append(all, ordered{id, orderGray})
	}
	for _, id := range desktops {
		if !slices.Contains(first, id) {
			all = append(all, ordered{id, rest})
		}
	}
	return all
}

// controlBody is the body of RetryScriptExecution and StopScriptExecution.
type controlBody struct {
	check
	RecordID string `json:"record_id"`
	TaskID   string `json:"task_id"`
}

// target is what a retry or a stop is about: a task, or one record of it. That one of the two ids is needed, and not both, is
// an assumption.
func (c *call) target() (*task, []*record, reply) {
	var b controlBody
	b.decode(c.body, &b)
	b.length("record_id", b.RecordID, 0, 255)
	b.length("task_id", b.TaskID, 0, 255)
	if (b.RecordID == "") == (b.TaskID == "") {
		b.fail("one of record_id and task_id is needed, not both")
	}
	if out, ok := b.verdict(); !ok {
		return nil, nil, out
	}
	if b.RecordID != "" {
		rec := c.sim.record(b.RecordID)
		if rec == nil {
			return nil, nil, missing("record", b.RecordID)
		}
		return rec.task, []*record{rec}, reply{}
	}
	t := c.sim.task(b.TaskID)
	if t == nil {
		return nil, nil, missing("task", b.TaskID)
	}
	return t, t.current(), reply{}
}

// stop is page StopScriptExecution. What has ended stays as it is, what is running is assumed to fail, what has not begun is
// skipped. Stopping what has ended changes nothing.
func (c *call) stop() reply {
	t, records, out := c.target()
	if t == nil {
		return out
	}
	t.stop(c.now, records)
	return reply{status: http.StatusOK}
}

// retry is page RetryScriptExecution. It is assumed to need a task that has ended, and to execute once more, without a gray
// batch, what failed or was skipped. Whether the task it answers with is the same is not documented.
func (c *call) retry() reply {
	t, records, out := c.target()
	if t == nil {
		return out
	}
	if c.now.Before(t.last().end) {
		return fail(codeParameter, "Invalid parameter: the task %s has not ended.", t.id)
	}
	again := &round{}
	next := &task{kind: t.kind, pool: t.pool}
	for _, old := range records {
		if old.final == StateSuccess || old.replaced {
			continue
		}
		rec := &record{script: old.script, desktop: old.desktop, timeout: old.timeout}
		if d := c.sim.desktop(rec.desktop.ID); d != nil {
			rec.desktop = *d
		}
		rec.ending = c.sim.ending(&rec.desktop, rec.script, rec.timeout)
		again.records = append(again.records, rec)
		next.include(rec)
	}
	if len(again.records) == 0 {
		return fail(codeParameter, "Invalid parameter: there is nothing to retry.")
	}
	if c.quirks.RetrySameTask {
		for _, old := range records {
			old.replaced = old.replaced || old.final != StateSuccess
		}
		next = t
	} else {
		c.sim.newTask(next, c.now)
	}
	c.sim.addRound(next, c.now, again)
	return ok(map[string]string{"task_id": next.id})
}

// include lists a record's desktop and script in the task. Not every desktop of a retry has to do with every script of it.
func (t *task) include(rec *record) {
	t.resources = unique(append(t.resources, rec.desktop.ID))
	for _, s := range t.scripts {
		if s.ID == rec.script.ID {
			return
		}
	}
	t.scripts = append(t.scripts, rec.script)
}
