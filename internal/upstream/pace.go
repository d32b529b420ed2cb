package upstream

import (
	"context"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

type paceKey struct{}

// WithPace returns a context on which every request, a repeated one too, first waits for pace. It keeps what one caller's
// calls cost the service within bounds; pace returns an error when ctx ends, or would, before the request's turn.
func WithPace(ctx context.Context, pace func(context.Context) error) context.Context {
	return context.WithValue(ctx, paceKey{}, pace)
}

func (c *Client) pacing(next exchange) exchange {
	return func(ctx context.Context, r Request) (*Response, error) {
		if pace, ok := ctx.Value(paceKey{}).(func(context.Context) error); ok {
			if err := pace(ctx); err != nil {
				return nil, &Failure{Delivery: NotSent, Err: lang.Errorf("too many requests of this caller wait for the service: %w", err)}
			}
		}
		return next(ctx, r)
	}
}
