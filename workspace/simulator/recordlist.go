package simulator

import (
	"encoding/json"
	"slices"
	"strings"
)

// recordJSON is a record as page ListScriptRecords has it; Output is in the
// answers of page ShowScriptRecordDetail only.
type recordJSON struct {
	ID           string          `json:"id"`
	ScriptID     string          `json:"script_id,omitempty"`
	ScriptName   string          `json:"script_name,omitempty"`
	ScriptTaskID string          `json:"script_task_id"`
	ResourceID   string          `json:"resource_id"`
	ResourceName string          `json:"resource_name"`
	ResourceType string          `json:"resource_type"`
	StartTime    json.RawMessage `json:"start_time,omitempty"`
	EndTime      json.RawMessage `json:"end_time,omitempty"`
	Status       string          `json:"status"`
	ExecuteOrder int             `json:"execute_order"`
	ResultCode   string          `json:"result_code,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Output       *string         `json:"output,omitempty"`
}

func (c *call) recordJSON(rec *record) recordJSON {
	state := rec.state(c.now)
	j := recordJSON{
		ID: rec.id, ScriptID: rec.script.ID, ScriptName: rec.script.Name, ScriptTaskID: rec.task.id,
		ResourceID: rec.desktop.ID, ResourceName: rec.desktop.Name, ResourceType: "DESKTOP",
		StartTime: c.future(rec.start), EndTime: c.future(rec.end),
		Status: c.quirks.word(state), ExecuteOrder: rec.order,
	}
	if state == StateSkipped {
		j.StartTime = nil // it never began
	}
	if state == rec.final {
		j.ResultCode, j.Reason = rec.code, rec.reason
	}
	return j
}

// listRecords is page ListScriptRecords. Records of later tasks come first,
// which is an assumption. What a retry in the same task has replaced is
// assumed to be the history that show_history is about.
func (c *call) listRecords() reply {
	p := c.query.page(10, 1, 100)
	taskID := c.query.text("script_task_id", 128)
	keep := c.recordFilter()
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	found := []*record{}
	for _, t := range slices.Backward(c.sim.tasks) {
		if taskID != "" && taskID != t.id {
			continue
		}
		for _, r := range t.rounds {
			for _, rec := range r.records {
				if keep(rec) {
					found = append(found, rec)
				}
			}
		}
	}
	list := []recordJSON{}
	for _, rec := range cut(found, p) {
		list = append(list, c.recordJSON(rec))
	}
	return ok(map[string]any{"count": len(found), "script_records": list})
}

// recordFilter reads the filters. A record that has not begun has no time to
// compare; its task's is used.
func (c *call) recordFilter() func(*record) bool {
	resources := c.query.list("resource_id")
	groups := c.query.list("resource_group_id")
	scripts := c.query.list("script_id")
	names := c.query.list("script_name")
	status := c.query.text("status", 128)
	first, firstSet := c.query.flag("is_first_order")
	kind := c.query.text("task_type", 128)
	history, _ := c.query.flag("show_history")
	if history && (len(resources) == 0 || len(scripts) == 0) {
		c.query.fail("show_history needs resource_id and script_id")
	}
	within := c.span()
	return func(rec *record) bool {
		at := rec.start
		if c.now.Before(at) {
			at = rec.task.created
		}
		return (history || !rec.replaced) && !c.hidden(rec) &&
			among(resources, func(id string) bool { return id == rec.desktop.ID }) &&
			among(groups, func(id string) bool { return id == rec.task.pool.ID }) &&
			among(scripts, func(id string) bool { return id == rec.script.ID }) &&
			among(names, func(n string) bool { return strings.Contains(rec.script.Name, n) }) &&
			(status == "" || status == c.quirks.word(rec.state(c.now))) &&
			(!firstSet || first == (rec.order == orderGray)) &&
			(kind == "" || kind == rec.task.kind) && within(at)
	}
}

// hidden reports whether answers do not show a record.
func (c *call) hidden(rec *record) bool {
	return c.quirks.HideSkipped && rec.final == StateSkipped
}

// showRecord is page ShowScriptRecordDetail. The output is there once the
// script has ended; how much of it the service keeps is not documented.
func (c *call) showRecord() reply {
	c.query.length("record_id", c.id, 1, 128)
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	rec := c.sim.record(c.id)
	if rec == nil || c.hidden(rec) {
		return missing("record", c.id)
	}
	j := c.recordJSON(rec)
	output := ""
	if rec.printed && rec.state(c.now) == rec.final {
		output = rec.ending.text()
	}
	j.Output = &output
	return ok(j)
}
