package simulator

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// defaultTimeout is the execution_timeout of the sibling operations (pages
// ExecuteScriptByDesktopTag, ExecuteDesktopPoolScript); that of
// ExecuteScriptOrCommand, also for 0, is assumed to be the same.
const defaultTimeout = 1

// executeBody is the body of ExecuteScriptOrCommand. It took commands until
// July 2025; such members are ignored now.
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

// groupBody is the body of ExecuteScriptByDesktopTag, which has no
// desktop_ids, and ExecuteDesktopPoolScript, which has no desktop_tag. The
// members pre_start and post_finish are ignored.
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

// decodeExecute reads the body of ExecuteScriptOrCommand. The page calls every
// member optional; that these three are needed is an assumption.
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

// executeByTag is page ExecuteScriptByDesktopTag. The form of desktop_tag,
// "key=value" as in the filters of desktops, is an assumption.
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

// executePool is page ExecuteDesktopPoolScript. Without desktop_ids all
// desktops of the pool are meant.
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
