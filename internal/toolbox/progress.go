package toolbox

import (
	"context"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

type progressKey struct{}

// Progress receives how much of total is done. Calls on one context must not overlap.
type Progress func(done, total int, message lang.Text)

// WithProgress returns a context whose tool calls report to progress.
func WithProgress(ctx context.Context, progress Progress) context.Context {
	return context.WithValue(ctx, progressKey{}, progress)
}

// ReportProgress reports to the caller, if it asked for it.
func ReportProgress(ctx context.Context, done, total int, message lang.Text) {
	if progress, ok := ctx.Value(progressKey{}).(Progress); ok {
		progress(done, total, message)
	}
}
