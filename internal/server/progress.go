package server

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/tools"
)

type (
	notifyKey struct{}
	tokenKey  struct{}
)

// withNotify gives the tool calls on ctx a way to send notifications that keeps their order with the results. mcp-go's
// own way, a channel with a goroutine behind it, lets results overtake progress and drops what does not fit.
func withNotify(ctx context.Context, notify func(mcp.JSONRPCNotification) error) context.Context {
	return context.WithValue(ctx, notifyKey{}, notify)
}

// withProgressToken says under which token, a string or a number, a call wants progress. mcp-go carries numbers as float64.
func withProgressToken(ctx context.Context, token json.RawMessage) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// withProgress passes a tool's progress on when the request asked for it. After finish nothing is sent any more: progress
// must not follow its result.
func withProgress(ctx context.Context) (_ context.Context, finish func()) {
	notify, reachable := ctx.Value(notifyKey{}).(func(mcp.JSONRPCNotification) error)
	token, wanted := ctx.Value(tokenKey{}).(json.RawMessage)
	if !reachable || !wanted {
		return ctx, func() {}
	}
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
