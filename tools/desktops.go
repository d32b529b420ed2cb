package tools

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// WorkspaceToolset names the tools for Huawei Cloud Workspace.
const WorkspaceToolset = "workspace"

const (
	workspaceBatch = 100 // ids that one look-up takes
	maxScriptBytes = 16 << 10
)

// Desktops are the tools for cloud desktops of Huawei Cloud Workspace, with what they work on.
type Desktops struct {
	Workspace *workspace.Client
	Now       func() time.Time // nil: time.Now
}

// place is where the desktops are. The service gives the region no name.
func (s Desktops) place() toolbox.Place {
	region := s.Workspace.Place()
	return toolbox.Place{ID: region, Name: region}
}

// find looks desktops up by id, at most workspaceBatch at a time. One that does not exist is missing from the answer.
func (s Desktops) find(ctx context.Context, ids []string) (map[string]workspace.Desktop, error) {
	found := make(map[string]workspace.Desktop, len(ids))
	for batch := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), workspaceBatch) {
		page, err := s.Workspace.Desktops(ctx, workspace.DesktopFilter{IDs: batch, Limit: workspaceBatch})
		if err != nil {
			return nil, err
		}
		for _, d := range page.Rows {
			found[d.ID] = d
		}
	}
	return found, nil
}

// target is a desktop as a target.
func (s Desktops) target(id string, d workspace.Desktop) toolbox.Target {
	return toolbox.Target{
		ID: id, Place: s.place(), Exists: true, Name: d.ComputerName, Status: d.Status, Owner: strings.Join(d.Users, ", "),
		Bound: []string{string(d.System), d.TaskStatus},
	}
}

func isActive(status string) bool { return strings.EqualFold(status, "ACTIVE") }
