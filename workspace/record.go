package workspace

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Batch tells in which batch of its task a record runs.
type Batch string

// The batches (operation ListScriptRecords, execute_order).
const (
	BatchNone    Batch = "none"    // 0, or not given: the task has no first batch
	BatchGray    Batch = "gray"    // 1, the first batch
	BatchRest    Batch = "rest"    // 2, after the first
	BatchUnknown Batch = "unknown" // a number that is not documented
)

// Record is one script on one desktop (operation ListScriptRecords). Text is as the service sent it.
type Record struct {
	ID          string
	TaskID      string
	ScriptID    string
	ScriptName  string
	DesktopID   string
	DesktopName string

	Status string // the service's word; see StateOf
	Start  Moment // not set before it starts
	End    Moment // not set before it ends
	Batch  Batch

	ResultCode string // what the codes mean is not documented
	Reason     string
}

// State reads the status word.
func (r Record) State() State { return StateOf(r.Status) }

// RecordDetail is a record with what the script wrote (operation ShowScriptRecordDetail).
type RecordDetail struct {
	Record
	Output string // as the service sent it; output and errors are not told apart, and may hold passwords
}

type recordRow struct {
	ID           text   `json:"id"`
	ScriptID     text   `json:"script_id"`
	ScriptName   text   `json:"script_name"`
	ScriptTaskID text   `json:"script_task_id"`
	ResourceID   text   `json:"resource_id"`
	ResourceName text   `json:"resource_name"`
	StartTime    Moment `json:"start_time"`
	EndTime      Moment `json:"end_time"`
	Status       text   `json:"status"`
	ExecuteOrder text   `json:"execute_order"`
	ResultCode   text   `json:"result_code"`
	Reason       text   `json:"reason"`
	Output       text   `json:"output"`
}

func (row recordRow) record() Record {
	batch := BatchUnknown
	switch row.ExecuteOrder {
	case "", "0":
		batch = BatchNone
	case "1":
		batch = BatchGray
	case "2":
		batch = BatchRest
	}
	return Record{
		ID: string(row.ID), TaskID: string(row.ScriptTaskID), ScriptID: string(row.ScriptID), ScriptName: string(row.ScriptName),
		DesktopID: string(row.ResourceID), DesktopName: string(row.ResourceName), Status: string(row.Status),
		Start: row.StartTime, End: row.EndTime, Batch: batch,
		ResultCode: string(row.ResultCode), Reason: string(row.Reason),
	}
}

// RecordFilter selects records (operation ListScriptRecords). Zero values leave a filter out.
type RecordFilter struct {
	TaskID     string
	DesktopIDs []string // up to 100
	ScriptIDs  []string // up to 100
	Status     string   // a word of the service, which publishes none
	FirstBatch *bool    // true selects the first batch, false the rest
	Since      time.Time
	Until      time.Time
	Offset     int
	Limit      int // 1 to 100; 0 leaves it to the service, which documents 10
}

const opRecords = "list the script records"

// Records lists records. Their order is not documented.
func (c *Client) Records(ctx context.Context, f RecordFilter) (Page[Record], error) {
	const op = opRecords
	var p problems
	p.optionalID("script_task_id", f.TaskID)
	p.ids("resource_id", f.DesktopIDs, 0, maxRows)
	p.ids("script_id", f.ScriptIDs, 0, maxRows)
	p.window(f.Offset, f.Limit, maxRows)
	p.filters(map[string]string{"status": f.Status})
	if err := p.err(); err != nil {
		return Page[Record]{}, (&call{op: op}).invalid(err)
	}
	q := queryOf(f.Offset, f.Limit)
	q.set("script_task_id", f.TaskID)
	q.set("resource_id", f.DesktopIDs...)
	q.set("script_id", f.ScriptIDs...)
	q.set("status", f.Status)
	if f.FirstBatch != nil {
		q.set("is_first_order", strconv.FormatBool(*f.FirstBatch))
	}
	q.period(f.Since, f.Until)
	call := &call{op: op, method: http.MethodGet, path: "/script-execution-records", query: q.values}
	return page(ctx, c, call, "script_records", f.Offset, func(row *recordRow) (Record, bool) {
		return row.record(), row.ID != ""
	})
}

// AllRecords yields every record that f selects, from f.Offset on, each once; f.Limit does not matter. An error ends it; see
// upstream.Walk. Records of a task that still runs may be added while it goes on, and be missed.
func (c *Client) AllRecords(ctx context.Context, f RecordFilter) iter.Seq2[Record, error] {
	fetch := func(start, limit int) (Page[Record], error) {
		f.Offset, f.Limit = start, cmp.Or(limit, maxRows)
		return c.Records(ctx, f)
	}
	return rows(opRecords, upstream.Walk(f.Offset, fetch, func(r Record) string { return r.ID }))
}

// Record returns one record with its output. An id that does not exist gives ErrNotFound; an output that makes the answer
// larger than 4 MiB cannot be read.
func (c *Client) Record(ctx context.Context, id string) (RecordDetail, error) {
	const op = "look up the script record"
	var p problems
	if p.id("record_id", id); p.err() != nil {
		return RecordDetail{}, (&call{op: op}).invalid(p.err())
	}
	call := &call{op: op, method: http.MethodGet, path: "/script-execution-records/" + id, maxBody: maxTextBody}
	resp, err := c.do(ctx, call)
	if err != nil {
		return RecordDetail{}, err
	}
	var row recordRow
	if lenient.Unmarshal(resp.Body, &row) != nil || row.ID == "" {
		return RecordDetail{}, call.answerError(resp)
	}
	if string(row.ID) != id {
		return RecordDetail{}, another(call, id)
	}
	return RecordDetail{Record: row.record(), Output: string(row.Output)}, nil
}
