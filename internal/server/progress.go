package server

import (
	"context"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/tools"
)

type notifyKey struct{}

// withNotify gives the tool calls on ctx a way to send notifications that keeps their order with the results. mcp-go's
// own way, a channel with a goroutine behind it, lets results overtake progress and drops what does not fit.
func withNotify(ctx context.Context, notify func(mcp.JSONRPCNotification) error) context.Context {
	return context.WithValue(ctx, notifyKey{}, notify)
}

// withProgress passes a tool's progress on when the request asked for it. After finish nothing is sent any more: progress
// must not follow its result.
func (s *Server) withProgress(ctx context.Context, request mcp.CallToolRequest) (_ context.Context, finish func()) {
	if request.Params.Meta == nil || request.Params.Meta.ProgressToken == nil {
		return ctx, func() {}
	}
	notify, ok := ctx.Value(notifyKey{}).(func(mcp.JSONRPCNotification) error)
	if !ok {
		return ctx, func() {}
	}
	token := request.Params.Meta.ProgressToken
	var mu sync.Mutex
	finished, last := false, -1
	report := func(done, total int, message string) {
		mu.Lock()
		defer mu.Unlock()
		if finished || done <= last || ctx.Err() != nil { // progress must rise with every notification
			return
		}
		last = done
		params := map[string]any{"progressToken": token, "progress": done, "message": message}
		if total > 0 {
			params["total"] = total
		}
		err := notify(mcp.JSONRPCNotification{
			JSONRPC: mcp.JSONRPC_VERSION,
			Notification: mcp.Notification{
				Method: "notifications/progress",
				Params: mcp.NotificationParams{AdditionalFields: params},
			},
		})
		if err != nil {
			zerolog.Ctx(ctx).Debug().Err(err).Msg("progress was not delivered")
		}
	}
	return tools.WithProgress(ctx, report), func() {
		mu.Lock()
		defer mu.Unlock()
		finished = true
	}
}
