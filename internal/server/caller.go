package server

import (
	"context"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Caller is somebody who may call, and what with.
type Caller struct {
	Name    string
	Toolbox *toolbox.Toolbox // nil: that of the server

	Identity toolbox.Identity // of a caller with an access token
	Expires  time.Time        // when that ends; zero: never
	Entry    any              // what let the caller in, for HTTPOptions.StillValid

	transport string
}

type callerKey struct{}

// on returns ctx for what a caller does over a transport. One call may cost the services many requests, so these have a rate
// of their own.
func (h *HTTP) on(ctx context.Context, caller Caller, transport string) context.Context {
	caller.transport = transport
	return upstream.WithPace(context.WithValue(ctx, callerKey{}, caller), h.limits(caller).upstream.Wait)
}

// callerOf returns who calls on ctx: without a mark of HTTP's it is the user of the process itself.
func callerOf(ctx context.Context) Caller {
	if caller, ok := ctx.Value(callerKey{}).(Caller); ok {
		return caller
	}
	return Caller{Name: guard.Local, transport: "stdio"}
}

// toolbox returns the tools of the caller that ctx belongs to.
func (s *Server) toolbox(ctx context.Context) *toolbox.Toolbox {
	if own := callerOf(ctx).Toolbox; own != nil {
		return own
	}
	return s.tools
}
