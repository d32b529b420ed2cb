package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

const (
	maxOutputBytes = 4 << 10 // of one record
	maxOutputs     = 10      // records whose output one result shows
	maxRunRecords  = 100     // records that one result shows
)

// RunItem is one run.
type RunItem struct {
	ID        string   `json:"id" jsonschema_description:"Id"`
	State     string   `json:"state" jsonschema_description:"pending, running, succeeded, failed or unknown"`
	Status    string   `json:"status,omitempty" jsonschema_description:"The service's word"`
	Over      bool     `json:"over" jsonschema_description:"Nothing more will happen"`
	Desktops  int      `json:"desktops" jsonschema_description:"All"`
	First     []string `json:"first_desktop_ids,omitempty" jsonschema_description:"Of more than 10 desktops, only the first 10"`
	Gray      int      `json:"gray,omitempty" jsonschema_description:"Of the first batch, if named"`
	Succeeded int      `json:"succeeded" jsonschema_description:"Records"`
	Failed    int      `json:"failed" jsonschema_description:"Records"`
	Skipped   int      `json:"skipped" jsonschema_description:"Never begun"`
	Started   string   `json:"started,omitempty" jsonschema_description:"Start"`
	Ended     string   `json:"ended,omitempty" jsonschema_description:"End"`
	Scripts   string   `json:"scripts,omitempty" jsonschema_description:"Names"`
}

// RunRecord is one script on one desktop.
type RunRecord struct {
	ID      string `json:"id" jsonschema_description:"Record id"`
	Desktop string `json:"desktop,omitempty" jsonschema_description:"Name"`
	Target  string `json:"desktop_id,omitempty" jsonschema_description:"Id"`
	Script  string `json:"script,omitempty" jsonschema_description:"Name"`
	State   string `json:"state" jsonschema_description:"pending, running, succeeded, failed or unknown"`
	Status  string `json:"status,omitempty" jsonschema_description:"The service's word"`
	Batch   string `json:"batch,omitempty" jsonschema_description:"gray or rest"`
	Code    string `json:"result_code,omitempty" jsonschema_description:"Result code"`
	Reason  string `json:"reason,omitempty" jsonschema_description:"Of a failure"`
	Output  string `json:"output,omitempty" jsonschema_description:"Untrusted text"`
}

func runItem(t workspace.Task) RunItem {
	names := make([]string, len(t.Scripts))
	for i, s := range t.Scripts {
		names[i] = s.Name
	}
	return RunItem{
		ID: text.Field(t.ID), State: string(t.State()), Status: text.Field(t.Status), Over: t.Done(),
		Desktops: len(t.ResourceIDs), First: firstIDs(t.ResourceIDs), Gray: len(t.GrayResourceIDs),
		Succeeded: t.Succeeded, Failed: t.Failed, Skipped: t.Skipped,
		Started: timeText(t.Start), Ended: timeText(t.End), Scripts: text.Field(strings.Join(names, ", ")),
	}
}

// firstIDs returns the first few ids of a list, cleaned.
func firstIDs(ids []string) []string {
	const few = 10
	var first []string
	for _, id := range ids[:min(len(ids), few)] {
		first = append(first, text.Field(id))
	}
	return first
}

func runRecord(r workspace.Record) RunRecord {
	item := RunRecord{
		ID: text.Field(r.ID), Desktop: text.Field(r.DesktopName), Target: text.Field(r.DesktopID), Script: text.Field(r.ScriptName),
		State: string(r.State()), Status: text.Field(r.Status), Code: text.Field(r.ResultCode), Reason: text.Field(r.Reason),
	}
	if r.Batch == workspace.BatchGray || r.Batch == workspace.BatchRest {
		item.Batch = string(r.Batch)
	}
	return item
}

// writeRecords writes a table of records, and their outputs.
func writeRecords(b *strings.Builder, records []RunRecord) {
	if len(records) == 0 {
		return
	}
	rows := [][]string{{"DESKTOP", "RECORD", "STATE", "BATCH", "CODE", "REASON"}}
	for _, r := range records {
		name := r.Desktop
		if name == "" {
			name = r.Target
		}
		rows = append(rows, []string{text.Dash(name), r.ID, r.State, text.Dash(r.Batch), text.Dash(r.Code), text.Dash(r.Reason)})
	}
	text.WriteTable(b, rows, []int{28, 40, 10, 6, 12, 80})
	for _, r := range records {
		if r.Output != "" {
			fmt.Fprintf(b, "Output of record %s (untrusted):\n%s\n", r.ID, text.Barred(r.Output))
		}
	}
}

// rank puts failures before what is unknown, and that before successes. Of a status word that says nothing, a reason tells
// that something was wrong.
func rank(r workspace.Record) int {
	switch state := r.State(); {
	case state == workspace.StateFailed:
		return 0
	case state == workspace.StateSucceeded:
		return 3
	case r.Reason != "":
		return 1
	}
	return 2
}

// outputOf reads what a record's script wrote. A failure to read it is said in its place.
func (s Desktops) outputOf(ctx context.Context, recordID string) string {
	detail, err := s.Workspace.Record(ctx, recordID)
	if err != nil {
		return "(could not be read: " + toolbox.Briefly(err) + ")"
	}
	return text.Lines(detail.Output, maxOutputBytes)
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

func runCounts(t workspace.Task) string {
	return fmt.Sprintf("%d succeeded, %d failed, %d skipped of %d; status %s", t.Succeeded, t.Failed, t.Skipped, t.Expected(), text.Dash(text.Field(t.Status)))
}
