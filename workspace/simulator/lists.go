package simulator

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// scriptRef names a script.
type scriptRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// taskJSON is a task as page ListScriptTasks has it.
type taskJSON struct {
	ID              string          `json:"id"`
	TaskScripts     []scriptRef     `json:"task_scripts"`
	ResourceType    string          `json:"resource_type"`
	ResourceIDs     []string        `json:"resource_ids"`
	GrayResourceIDs []string        `json:"gray_resource_ids"`
	SuccessNum      int             `json:"success_num"`
	FailedNum       int             `json:"failed_num"`
	SkipNum         int             `json:"skip_num"`
	StartTime       string          `json:"start_time"`
	EndTime         json.RawMessage `json:"end_time,omitempty"`
	Status          string          `json:"status"`
}

// poolTaskJSON is a task as page ShowDesktopPoolsScriptExecTasks has it.
type poolTaskJSON struct {
	ID              string          `json:"id"`
	DesktopPoolID   string          `json:"desktop_pool_id"`
	DesktopPoolName string          `json:"desktop_pool_name"`
	Scripts         []scriptRef     `json:"scripts"`
	CommandContent  string          `json:"command_content,omitempty"`
	CommandType     string          `json:"command_type,omitempty"`
	StartTime       string          `json:"start_time"`
	EndTime         json.RawMessage `json:"end_time,omitempty"`
	Status          string          `json:"status"`
	SuccessNum      int             `json:"success_num"`
	FailedNum       int             `json:"failed_num"`
	SkipNum         int             `json:"skip_num"`
}

// future writes a time that has come, or one that has not come yet in the look that the quirks select.
func (c *call) future(t time.Time) json.RawMessage {
	if !c.now.Before(t) {
		return fakecloud.EncodeJSON(t.UTC().Format(timeForm))
	}
	switch c.quirks.EndTime {
	case EndNull:
		return json.RawMessage("null")
	case EndEmpty:
		return json.RawMessage(`""`)
	case EndAbsent:
	}
	return nil
}

func (t *task) refs() []scriptRef {
	refs := []scriptRef{}
	for _, s := range t.scripts {
		if s.ID != "" {
			refs = append(refs, scriptRef{s.ID, s.Name})
		}
	}
	return refs
}

// listTasks is page ListScriptTasks. The latest task comes first, which is an assumption, as is that the tasks of pools are
// among them.
func (c *call) listTasks() reply {
	p := c.query.page(10, 1, 100)
	keep := c.taskFilter()
	groups := c.query.list("resource_group_id")
	groupType := c.query.text("resource_group_type", 128)
	status := c.query.text("status", 128)
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	found := []taskJSON{}
	for _, t := range slices.Backward(c.sim.tasks) {
		if !keep(t) || !among(groups, func(g string) bool { return g == t.pool.ID }) ||
			groupType != "" && groupType != t.groupType() {
			continue
		}
		j := taskJSON{
			ID: t.id, TaskScripts: t.refs(), ResourceType: "DESKTOP",
			ResourceIDs: t.resources, GrayResourceIDs: append([]string{}, t.gray...),
			StartTime: t.created.Format(timeForm), EndTime: c.future(t.last().end),
			Status: c.quirks.word(t.state(c.now)),
		}
		j.SuccessNum, j.FailedNum, j.SkipNum = t.count(c.now)
		if status == "" || status == j.Status {
			found = append(found, j)
		}
	}
	return ok(map[string]any{"count": len(found), "script_tasks": cut(found, p)})
}

// poolWords are the words of the status filter of page ShowDesktopPoolsScriptExecTasks. Its answers have others.
var poolWords = map[string]string{
	"SUCCESS": StateFinish, "FAILED": StateFailed, "RUNNING": StateRunning, "WAITING": StateInit,
}

// listPoolTasks is page ShowDesktopPoolsScriptExecTasks.
func (c *call) listPoolTasks() reply {
	p := c.query.page(10, 0, 100)
	keep := c.taskFilter()
	pool := c.query.text("desktop_pool_id", 128)
	status := c.query.text("status", 128)
	if _, documented := poolWords[status]; status != "" && !documented {
		c.query.fail("status is %q", status)
	}
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	found := []poolTaskJSON{}
	for _, t := range slices.Backward(c.sim.tasks) {
		state := t.state(c.now)
		if t.pool.ID == "" || pool != "" && pool != t.pool.ID || !keep(t) || status != "" && poolWords[status] != state {
			continue
		}
		j := poolTaskJSON{
			ID: t.id, DesktopPoolID: t.pool.ID, DesktopPoolName: t.pool.Name, Scripts: t.refs(),
			StartTime: t.created.Format(timeForm), EndTime: c.future(t.last().end), Status: c.quirks.word(state),
		}
		if t.kind == typeCommand {
			j.CommandContent, j.CommandType = t.scripts[0].Content, t.scripts[0].Type
		}
		j.SuccessNum, j.FailedNum, j.SkipNum = t.count(c.now)
		found = append(found, j)
	}
	return ok(map[string]any{"total_count": len(found), "script_execution_tasks": cut(found, p)})
}

// taskFilter reads the filters that both lists of tasks have.
func (c *call) taskFilter() func(*task) bool {
	ids := c.query.list("task_id")
	script := c.query.text("script_id", 128)
	name := c.query.text("script_name", 128)
	kind := c.query.text("task_type", 128)
	within := c.span()
	return func(t *task) bool {
		return among(ids, func(id string) bool { return id == t.id }) &&
			(script == "" && name == "" || slices.ContainsFunc(t.scripts, func(s Script) bool {
				return (script == "" || s.ID == script) && strings.Contains(s.Name, name)
			})) &&
			(kind == "" || kind == t.kind) && within(t.created)
	}
}

// span reads execute_time_start and execute_time_end; both ends are assumed to be included. Times are compared to the second,
// as they are shown.
func (c *call) span() func(time.Time) bool {
	from, to := c.query.time("execute_time_start"), c.query.time("execute_time_end")
	return func(t time.Time) bool {
		t = t.Truncate(time.Second)
		return !t.Before(from) && (to.IsZero() || !t.After(to))
	}
}

// groupType is what resource_group_type calls where the desktops come from.
func (t *task) groupType() string {
	if t.pool.ID == "" {
		return ""
	}
	return "DESKTOP_POOL"
}

// recordJSON is a record as page ListScriptRecords has it; Output is in the answers of page ShowScriptRecordDetail only.
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

// listRecords is page ListScriptRecords. Records of later tasks come first, which is an assumption. What a retry in the same
// task has replaced is assumed to be the history that show_history is about.
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

// recordFilter reads the filters. A record that has not begun has no time to compare; its task's is used.
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

// showRecord is page ShowScriptRecordDetail. The output is there once the script has ended; how much of it the service keeps
// is not documented.
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
