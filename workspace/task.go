package workspace

import (
	"context"
	"net/http"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Task is what Execute makes (operation ListScriptTasks). Text is as the service sent it.
type Task struct {
	ID      string
	Scripts []TaskScript

	ResourceIDs     []string // all desktops
	GrayResourceIDs []string // those of the first batch

	// Records that are over, one for each script on each desktop: at most len(ResourceIDs) × len(Scripts) together.
	Succeeded, Failed int
	Skipped           int // never begun, for instance because the first batch failed

	Status string // the service's word; see State
	Start  Moment // not set before it starts
	End    Moment // not set before it ends
}

// TaskScript is a script of a task.
type TaskScript struct{ ID, Name string }

// Expected returns how many records the task comes to: desktops × scripts, which the service does not document.
func (t Task) Expected() int { return len(t.ResourceIDs) * len(t.Scripts) }

// Done reports whether nothing more will happen: an end time is set, or every record is counted. The status word has no
// say in it.
func (t Task) Done() bool {
	return t.End.IsSet() || t.Expected() > 0 && t.Succeeded+t.Failed+t.Skipped == t.Expected()
}

// State tells how the task stands. The counts beat the service's word, because its word for the end does not mean that
// everything has succeeded. A task with a failed record never is StateSucceeded. A task that is done has failed if any record
// has, and has succeeded if all have; it is StateUnknown if its word says that it still runs.
func (t Task) State() State {
	word := StateOf(t.Status)
	switch {
	case t.Failed > 0 && (t.Done() || word == StateSucceeded):
		return StateFailed
	case !t.Done():
		return word
	case t.Skipped == 0 && t.Expected() > 0 && t.Succeeded == t.Expected():
		return StateSucceeded
	case word == StatePending || word == StateRunning:
		return StateUnknown
	}
	return word
}

type taskRow struct {
	ID          text `json:"id"`
	TaskScripts list[struct {
		ID   text `json:"id"`
		Name text `json:"name"`
	}] `json:"task_scripts"`
	ResourceIDs     list[text] `json:"resource_ids"`
	GrayResourceIDs list[text] `json:"gray_resource_ids"`
	SuccessNum      number     `json:"success_num"`
	FailedNum       number     `json:"failed_num"`
	SkipNum         number     `json:"skip_num"`
	StartTime       Moment     `json:"start_time"`
	EndTime         Moment     `json:"end_time"`
	Status          text       `json:"status"`
}

func (row taskRow) task() Task {
	t := Task{
		ID: string(row.ID), ResourceIDs: texts(row.ResourceIDs), GrayResourceIDs: texts(row.GrayResourceIDs),
		Succeeded: int(row.SuccessNum), Failed: int(row.FailedNum), Skipped: int(row.SkipNum),
		Status: string(row.Status), Start: row.StartTime, End: row.EndTime,
	}
	for _, s := range row.TaskScripts {
		t.Scripts = append(t.Scripts, TaskScript{ID: string(s.ID), Name: string(s.Name)})
	}
	return t
}

// TaskFilter selects tasks (operation ListScriptTasks). Zero values leave a filter out.
type TaskFilter struct {
	IDs        []string // up to 100
	ScriptID   string
	ScriptName string
	Status     string    // a word of the service, which publishes none
	Since      time.Time // started after it, in whole seconds of the service's clock
	Until      time.Time // started before it
	Offset     int
	Limit      int // 1 to 100; 0 leaves it to the service, which documents 10
}

// Tasks lists tasks. Their order is not documented.
func (c *Client) Tasks(ctx context.Context, f TaskFilter) (Page[Task], error) {
	return c.tasks(ctx, "list the script tasks", f)
}

func (c *Client) tasks(ctx context.Context, op string, f TaskFilter) (Page[Task], error) {
	var p problems
	p.ids("task_id", f.IDs, 0, maxRows)
	p.optionalID("script_id", f.ScriptID)
	p.window(f.Offset, f.Limit, maxRows)
	p.filters(map[string]string{"script_name": f.ScriptName, "status": f.Status})
	if err := p.err(); err != nil {
		return Page[Task]{}, (&call{op: op}).invalid(err)
	}
	q := queryOf(f.Offset, f.Limit)
	q.set("task_id", f.IDs...)
	q.set("script_id", f.ScriptID)
	q.set("script_name", f.ScriptName)
	q.set("status", f.Status)
	q.period(f.Since, f.Until)
	call := &call{op: op, method: http.MethodGet, path: "/script-execution-tasks", query: q.values}
	return page(ctx, c, call, "script_tasks", f.Offset, func(row *taskRow) (Task, bool) {
		return row.task(), row.ID != ""
	})
}

func (q query) period(since, until time.Time) {
	if !since.IsZero() {
		q.set("execute_time_start", timestamp(since))
	}
	if !until.IsZero() {
		q.set("execute_time_end", timestamp(until))
	}
}

// Task returns one task. The service has no operation for that: it is the list of tasks with one id. An empty list gives
// ErrNotFound.
func (c *Client) Task(ctx context.Context, id string) (Task, error) {
	const op = "look up the task"
	var p problems
	if p.id("task_id", id); p.err() != nil {
		return Task{}, (&call{op: op}).invalid(p.err())
	}
	found, err := c.tasks(ctx, op, TaskFilter{IDs: []string{id}})
	if err != nil {
		return Task{}, err
	}
	for _, t := range found.Rows {
		if t.ID == id {
			return t, nil
		}
	}
	f := Error{
		Kind: upstream.NotFound, Delivery: upstream.Answered, Status: http.StatusOK, Err: lang.Errorf("%w: %s", ErrNotFound, id),
	}
	if len(found.Rows) > 0 {
		f.Kind, f.Err = upstream.Malformed, lang.Errorf("%w: other tasks than %s came back", ErrMalformed, id)
	}
	return Task{}, (&call{op: op}).fail(f)
}
