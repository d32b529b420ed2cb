package cli

import (
	"context"
	"fmt"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// underWay passes audit records on, and knows which change has begun and not ended.
type underWay struct {
	log toolbox.Recorder // nil: nothing is recorded

	mu    sync.Mutex
	begun *audit.Record
}

// Append implements toolbox.Recorder.
func (u *underWay) Append(ctx context.Context, r audit.Record) error {
	u.mu.Lock()
	u.begun = nil
	if r.Event == audit.Intent {
		u.begun = &r
	}
	u.mu.Unlock()
	if u.log == nil {
		return nil
	}
	return u.log.Append(ctx, r)
}

// change returns the record of the change that has begun, or nil.
func (u *underWay) change() *audit.Record {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.begun
}

// known says what is known of a change that has begun.
func known(begun audit.Record) lang.Text {
	var targets []string
	for _, t := range begun.Targets {
		switch {
		case t.Name == "":
			targets = append(targets, t.ID)
		case t.ID == "":
			targets = append(targets, fmt.Sprintf("%q", t.Name))
		default:
			targets = append(targets, fmt.Sprintf("%q (%s)", t.Name, t.ID))
		}
	}
	return textUnderWay(begun.Tool, targets, lookAfter(begun))
}

// lookAfter is the command that shows what became of a change.
func lookAfter(begun audit.Record) string {
	for _, t := range tools.Catalogue() {
		if t.Name == begun.Tool && t.Toolset == tools.WorkspaceToolset {
			return commandCall + " get_workspace_run"
		}
	}
	if len(begun.Targets) > 0 && begun.Targets[0].ID != "" {
		return commandCall + " get_instance instance_id=" + begun.Targets[0].ID // not said to people
	}
	return commandCall + " list_instances"
}
