package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

const (
	// WorkspaceToolset names the tools for Huawei Cloud Workspace.
	WorkspaceToolset = "workspace"

	workspaceBatch = 100 // ids that one look-up takes

	maxOutputBytes = 4 << 10 // of one record
	maxOutputs     = 10      // records whose output one result shows
	maxRunRecords  = 100     // records that one result shows
	maxScriptBytes = 16 << 10
)

// desktops looks desktops up by id, at most workspaceBatch at a time. One that does not exist is missing from the answer.
func desktops(ctx context.Context, client *workspace.Client, ids []string) (map[string]workspace.Desktop, error) {
	found := make(map[string]workspace.Desktop, len(ids))
	for batch := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), workspaceBatch) {
		page, err := client.Desktops(ctx, workspace.DesktopFilter{IDs: batch, Limit: workspaceBatch})
		if err != nil {
			return nil, err
		}
		for _, d := range page.Rows {
			found[d.ID] = d
		}
	}
	return found, nil
}

func seenDesktop(d workspace.Desktop) *Seen {
	return &Seen{Name: d.ComputerName, Status: d.Status, Owner: strings.Join(d.Users, ", "), State: []string{string(d.System), d.TaskStatus}}
}

// shown cleans a text of several lines that others wrote.
func shown(output string) string { return text.Lines(output, maxOutputBytes) }

// opaque returns one of the service's times, which it words in several ways.
func opaque(t *string) string {
	if t == nil {
		return ""
	}
	return text.Field(*t)
}

// pageText words which rows a list shows.
func pageText(what string, start, returned int, total *int) string {
	switch {
	case returned == 0:
		return "No " + what
	case total != nil:
		return fmt.Sprintf("%s %d-%d of %d", what, start+1, start+returned, *total)
	}
	return fmt.Sprintf("%s %d-%d, total unknown", what, start+1, start+returned)
}

// following returns where the next page starts, 0 at the end.
func following[T any](page workspace.Page[T], limit int) (total *int, next int) {
	end := page.Offset + len(page.Rows)
	if page.Total >= 0 {
		total = &page.Total
	}
	if len(page.Rows) > 0 && (page.Total > end || page.Total < 0 && len(page.Rows) == limit) {
		next = end
	}
	return total, next
}

// writeNext tells how to go on.
func writeNext(b *strings.Builder, next int) {
	if next > 0 {
		fmt.Fprintf(b, "More follow: call again with start=%d.\n", next)
	}
}
