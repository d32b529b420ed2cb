package simulator

import "net/http"

// controlBody is the body of RetryScriptExecution and StopScriptExecution.
type controlBody struct {
	check
	RecordID string `json:"record_id"`
	TaskID   string `json:"task_id"`
}

// target is what a retry or a stop is about: a task, or one record of it. That
// one of the two ids is needed, and not both, is an assumption.
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

// stop is page StopScriptExecution. What has ended stays as it is, what is
// running is assumed to fail, what has not begun is skipped. Stopping what has
// ended changes nothing.
func (c *call) stop() reply {
	t, records, out := c.target()
	if t == nil {
		return out
	}
	t.stop(c.now, records)
	return reply{status: http.StatusOK}
}

// retry is page RetryScriptExecution. It is assumed to need a task that has
// ended, and to execute once more, without a gray batch, what failed or was
// skipped. Whether the task it answers with is the same is not documented.
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

// include lists a record's desktop and script in the task. Not every desktop
// of a retry has to do with every script of it.
func (t *task) include(rec *record) {
	t.resources = unique(append(t.resources, rec.desktop.ID))
	for _, s := range t.scripts {
		if s.ID == rec.script.ID {
			return
		}
	}
	t.scripts = append(t.scripts, rec.script)
}
