package server

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
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

// maxProgress is how many reports of a call's progress wait while the client does not read. Older ones are dropped.
const maxProgress = 128

// progress is what a call tells about itself while it runs. The tool never waits for the client.
type progress struct {
	ctx    context.Context
	notify func(mcp.JSONRPCNotification) error
	token  json.RawMessage

	mu    sync.Mutex
	last  int                          // done
	queue chan mcp.JSONRPCNotification // nil before the first report and after the last
	sent  chan struct{}                // closed when the queue is empty and closed
}

// withProgress passes a tool's progress on when the request asked for it. finish returns when what was reported is written:
// progress must not follow its result.
func withProgress(ctx context.Context, l lang.Lang) (_ context.Context, finish func()) {
	notify, reachable := ctx.Value(notifyKey{}).(func(mcp.JSONRPCNotification) error)
	token, wanted := ctx.Value(tokenKey{}).(json.RawMessage)
	if !reachable || !wanted {
		return ctx, func() {}
	}
	p := &progress{ctx: ctx, notify: notify, token: token, last: -1, queue: make(chan mcp.JSONRPCNotification, maxProgress)}
	return toolbox.WithProgress(ctx, func(done, total int, message lang.Text) { p.report(done, total, message.In(l)) }), p.finish
}

func (p *progress) report(done, total int, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue == nil || done <= p.last || p.ctx.Err() != nil { // progress must rise with every notification
		return
	}
	p.last = done
	params := map[string]any{"progressToken": p.token, "progress": done, "message": message}
	if total > 0 {
		params["total"] = total
	}
	n := mcp.JSONRPCNotification{
		JSONRPC: mcp.JSONRPC_VERSION,
		Notification: mcp.Notification{
			Method: "notifications/progress", Params: mcp.NotificationParams{AdditionalFields: params},
		},
	}
	if p.sent == nil {
		p.sent = make(chan struct{})
		go p.send(p.queue)
	}
	for {
		select {
		case p.queue <- n:
			return
		default:
		}
		select {
		case <-p.queue: // the oldest
		default:
		}
	}
}

func (p *progress) send(queue <-chan mcp.JSONRPCNotification) {
	defer close(p.sent)
	for n := range queue {
		if p.ctx.Err() != nil {
			continue
		}
		if err := p.notify(n); err != nil {
			zerolog.Ctx(p.ctx).Debug().Err(err).Msg("progress was not delivered")
		}
	}
}

func (p *progress) finish() {
	p.mu.Lock()
	close(p.queue)
	p.queue = nil
	sent := p.sent
	p.mu.Unlock()
	if sent != nil {
		<-sent
	}
}
