package tools

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

const (
	maxOutputBytes = 4 << 10 // of one record
	maxOutputs     = 10      // records whose output one result shows
	maxRunRecords  = 100     // records that one result shows
	maxRunDesktops = 10      // desktops of a run that one result names
)

// RunItem is one run on cloud desktops.
type RunItem struct {
	ID            string       `json:"id" jsonschema_description:"Id, run_id of other tools"`
	State         ScriptState  `json:"state" jsonschema:"enum=pending,enum=running,enum=succeeded,enum=failed,enum=unknown" jsonschema_description:"What the counts and the service's word together mean; failed: at least one record has failed"`
	Status        string       `json:"status,omitempty" jsonschema_description:"The service's word"`
	Over          bool         `json:"over" jsonschema_description:"Nothing more will happen"`
	Summary       ScriptCounts `json:"summary" jsonschema_description:"Records by what became of them"`
	Desktops      int          `json:"desktops" jsonschema_description:"How many desktops it is on"`
	DesktopIDs    []string     `json:"desktop_ids,omitempty" jsonschema_description:"Of more than 10 desktops, only the first 10"`
	GrayDesktops  int          `json:"gray_desktops,omitempty" jsonschema_description:"How many desktops are in the first batch, if the service tells"`
	Scripts       []RunScript  `json:"scripts,omitempty" jsonschema_description:"What is run"`
	StartedAt     time.Time    `json:"started_at,omitzero" jsonschema_description:"Start"`
	StartedAtText string       `json:"started_at_text,omitempty" jsonschema_description:"Start as the service words it, where started_at cannot be told"`
	EndedAt       time.Time    `json:"ended_at,omitzero" jsonschema_description:"End"`
	EndedAtText   string       `json:"ended_at_text,omitempty" jsonschema_description:"End as the service words it, where ended_at cannot be told"`
}

// RunScript is a script of a run.
type RunScript struct {
	ID   string `json:"id" jsonschema_description:"Id, script_id of other tools"`
	Name string `json:"name,omitempty" jsonschema_description:"Name"`
}

// runCounts counts the records of a run, of which there is one for each script on each desktop.
func runCounts(t workspace.Task) ScriptCounts {
	c := ScriptCounts{Succeeded: t.Succeeded, Failed: t.Failed, NotRun: t.Skipped}
	counted := c.Succeeded + c.Failed + c.NotRun
	c.Total = max(t.Expected(), counted)
	if t.Done() {
		c.Unknown = c.Total - counted
	} else {
		c.Running = c.Total - counted
	}
	return c
}

// progressOf words how far a run is.
func progressOf(t workspace.Task) lang.Text {
	return lang.T("%s; status %s", runCounts(t), text.Dash(text.Field(t.Status)))
}

// lookAgain is the next step for a run that is not over, or could not be looked at.
func lookAgain(runID string) lang.Text {
	return lang.T("Call get_workspace_run with run_id=%s to see how it goes on.", runID)
}

// RunRecord is one script on one desktop.
type RunRecord struct {
	ID          string `json:"id" jsonschema_description:"Record id, for output_of of get_workspace_run"`
	DesktopID   string `json:"desktop_id,omitempty" jsonschema_description:"Desktop"`
	DesktopName string `json:"desktop_name,omitempty" jsonschema_description:"Computer name"`
	ScriptID    string `json:"script_id,omitempty" jsonschema_description:"Script"`
	ScriptName  string `json:"script_name,omitempty" jsonschema_description:"Name of the script"`
	Batch       string `json:"batch,omitempty" jsonschema:"enum=gray,enum=rest" jsonschema_description:"gray: the first batch; absent: the run has none"`
	Status      string `json:"status,omitempty" jsonschema_description:"The service's word"`
	ResultCode  string `json:"result_code,omitempty" jsonschema_description:"The service's code; what it means is not documented, so it is not taken for an exit code"`
	ScriptResult
	StartedAtText string    `json:"started_at_text,omitempty" jsonschema_description:"Start as the service words it, where started_at cannot be told"`
	EndedAtText   string    `json:"ended_at_text,omitempty" jsonschema_description:"End as the service words it, where ended_at cannot be told"`
	OutputError   lang.Text `json:"output_error,omitzero" jsonschema_description:"Why the output could not be read"`
}

func runItem(t workspace.Task) RunItem {
	item := RunItem{
		ID: text.Field(t.ID), State: commonState(t.State()), Status: text.Field(t.Status), Over: t.Done(), Summary: runCounts(t),
		Desktops: len(t.ResourceIDs), GrayDesktops: len(t.GrayResourceIDs),
		StartedAt: t.Start.At, StartedAtText: unread(t.Start), EndedAt: t.End.At, EndedAtText: unread(t.End),
	}
	for _, id := range t.ResourceIDs[:min(len(t.ResourceIDs), maxRunDesktops)] {
		item.DesktopIDs = append(item.DesktopIDs, text.Field(id))
	}
	for _, s := range t.Scripts {
		item.Scripts = append(item.Scripts, RunScript{ID: text.Field(s.ID), Name: text.Field(s.Name)})
	}
	return item
}

// unread returns a time as the service words it when it could not be read.
func unread(m workspace.Moment) string {
	if m.At.IsZero() {
		return text.Field(m.Raw)
	}
	return ""
}

// scriptNames joins the names of what a run runs.
func (r RunItem) scriptNames() lang.Text {
	names := make([]string, len(r.Scripts))
	for i, s := range r.Scripts {
		names[i] = s.Name
		if s.Name == "" {
			names[i] = s.ID
		}
	}
	return lang.Some(names)
}

// where names the desktops that a run is on, as far as the result does.
func (r RunItem) where() lang.Text {
	words := lang.Names(r.DesktopIDs)
	if more := r.Desktops - len(r.DesktopIDs); more > 0 && len(r.DesktopIDs) > 0 {
		return lang.T("%s and %d more", words, more)
	}
	return words
}

// timeWords shows a time to people, or what the service says in its place.
func timeWords(at time.Time, raw string) string {
	if at.IsZero() {
		return text.Dash(raw)
	}
	return at.Format(time.RFC3339)
}

// commonState is a state of Workspace in the words that all clouds share.
func commonState(s workspace.State) ScriptState {
	switch s {
	case workspace.StatePending:
		return ScriptPending
	case workspace.StateRunning:
		return ScriptRunning
	case workspace.StateSucceeded:
		return ScriptSucceeded
	case workspace.StateFailed:
		return ScriptFailed
	case workspace.StateUnknown:
	}
	return ScriptUnknown
}

// runRecord is a record of a run. The service keeps no exit code apart, and its code is not documented, so none is told.
func runRecord(r workspace.Record) RunRecord {
	item := RunRecord{
		ID: text.Field(r.ID), DesktopID: text.Field(r.DesktopID), DesktopName: text.Field(r.DesktopName),
		ScriptID: text.Field(r.ScriptID), ScriptName: text.Field(r.ScriptName), Status: text.Field(r.Status),
		ResultCode:    text.Field(r.ResultCode),
		ScriptResult:  ScriptResult{State: commonState(r.State()), Reason: lang.Verbatim(text.Field(r.Reason))},
		StartedAtText: unread(r.Start), EndedAtText: unread(r.End),
	}
	item.SetTimes(r.Start.At, r.End.At)
	if r.Batch == workspace.BatchGray || r.Batch == workspace.BatchRest {
		item.Batch = string(r.Batch)
	}
	return item
}

// place names the desktop for people.
func (r RunRecord) place() string {
	if r.DesktopName != "" {
		return r.DesktopName
	}
	return r.DesktopID
}

// writeRecords writes a table of records, and their outputs. A column that says nothing of any record is left out.
func writeRecords(l lang.Lang, b *strings.Builder, records []RunRecord) {
	if len(records) == 0 {
		return
	}
	columns := []struct {
		head  string
		width int
		cell  func(RunRecord) string
	}{
		{l.Word("DESKTOP"), 24, func(r RunRecord) string { return r.DesktopName }},
		{l.Word("DESKTOP ID"), 40, func(r RunRecord) string { return r.DesktopID }},
		{l.Word("RECORD"), 40, func(r RunRecord) string { return r.ID }},
		{l.Word("SCRIPT"), 24, func(r RunRecord) string { return r.ScriptName }},
		{l.Word("STATE"), 10, func(r RunRecord) string { return string(r.State) }},
		{l.Word("STATUS"), 12, func(r RunRecord) string { return r.Status }},
		{l.Word("BATCH"), 6, func(r RunRecord) string { return r.Batch }},
		{l.Word("CODE"), 12, func(r RunRecord) string { return r.ResultCode }},
		{l.Word("TOOK"), 10, func(r RunRecord) string { return r.took() }},
		{l.Word("REASON"), 80, func(r RunRecord) string { return r.Reason.In(l) }},
	}
	rows, widths := make([][]string, len(records)+1), []int{}
	for _, c := range columns {
		if !slices.ContainsFunc(records, func(r RunRecord) bool { return c.cell(r) != "" }) {
			continue
		}
		widths = append(widths, c.width)
		rows[0] = append(rows[0], c.head)
		for i, r := range records {
			rows[i+1] = append(rows[i+1], text.Dash(c.cell(r)))
		}
	}
	text.WriteTable(b, rows, widths)
	for _, r := range records {
		r.writeOutput(l, b, lang.T("record %s on %s", r.ID, text.Dash(r.place())))
		if !r.OutputError.IsZero() {
			l.Fprintf(b, "The output of record %s could not be read: %s.\n", r.ID, r.OutputError)
		}
	}
}

// rank puts failures before what is unknown, and that before successes. Of a status word that says nothing, a reason tells
// that something was wrong.
func rank(r workspace.Record) int {
	switch {
	case r.State() == workspace.StateFailed:
		return 0
	case r.State() == workspace.StateSucceeded:
		return 3
	case r.Reason != "":
		return 1
	}
	return 2
}

// readOutput reads what the record's script wrote.
func (s Desktops) readOutput(ctx context.Context, id string, r *RunRecord) {
	detail, err := s.Workspace.Record(ctx, id)
	if err != nil {
		r.OutputError = toolbox.Briefly(err)
		return
	}
	r.SetStdout(detail.Output, maxOutputBytes)
}

func runState(t workspace.Task) toolbox.State {
	switch {
	case t.Failed == 0 && t.Skipped == 0 && t.State() == workspace.StateSucceeded:
		return toolbox.Done
	case t.Succeeded > 0:
		return toolbox.Partial
	case t.Failed > 0 || t.Skipped > 0 || t.State() == workspace.StateFailed:
		return toolbox.Failed
	}
	return toolbox.Unknown
}
