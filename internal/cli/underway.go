package cli

import (
	"context"
	"fmt"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
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

// change returns the tool and the targets of the change that has begun; tool is "" if there is none.
func (u *underWay) change() (tool string, targets []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.begun == nil {
		return "", nil
	}
	for _, t := range u.begun.Targets {
		switch {
		case t.Name == "":
			targets = append(targets, t.ID)
		case t.ID == "":
			targets = append(targets, fmt.Sprintf("%q", t.Name))
		default:
			targets = append(targets, fmt.Sprintf("%q (%s)", t.Name, t.ID))
		}
	}
	return u.begun.Tool, targets
}
