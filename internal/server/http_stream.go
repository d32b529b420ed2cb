package server

import (
	"context"
	"errors"
)

// Recheck closes the streams of callers that would no longer be let in. Single requests need not be closed: each one is
// authenticated.
func (h *HTTP) Recheck() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		if !h.isStillValid(s.caller) {
			s.cancel(errRevoked)
		}
	}
}

func (h *HTTP) isStillValid(caller Caller) bool {
	return h.options.StillValid == nil || h.options.StillValid(caller)
}

var errRevoked = errors.New("the caller is not known any more")

// stream is an answer that lasts until the client ends it.
type stream struct {
	caller Caller
	cancel context.CancelCauseFunc
	closed func()
}

// openStream returns a context that ends with the server's stop, with the caller's token, or when the caller is not valid any
// more, and false when there are too many streams: they may take half of the connections, so that calls always find one.
func (h *HTTP) openStream(
	ctx context.Context, caller Caller, kind streamKind,
) (_ context.Context, closeStream func(), ok bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := expireWith(caller, cancel)
	s := &stream{caller: caller, cancel: cancel, closed: func() {}}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) >= max(h.options.MaxConnections/2, 1) || h.streamsOf(caller) >= h.streamsPerCaller() {
		cancel(context.Canceled)
		stop()
		return nil, nil, false
	}
	h.streams[s] = struct{}{}
	if !h.isStillValid(caller) { // what Recheck could not see yet
		cancel(errRevoked)
	}
	if h.options.Watch.StreamOpened != nil {
		s.closed = h.options.Watch.StreamOpened(kindNames[kind])
	}
	return ctx, func() {
		cancel(context.Canceled)
		stop()
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.streams, s)
		s.closed()
	}, true
}

func (h *HTTP) streamsOf(caller Caller) (n int) {
	for s := range h.streams {
		if s.caller.Name == caller.Name {
			n++
		}
	}
	return n
}

// streamsPerCaller is how many streams one caller may have open.
func (h *HTTP) streamsPerCaller() int {
	if h.options.Authenticate == nil { // there is one caller only
		return h.options.MaxConnections
	}
	return max(h.options.MaxConnections/16, 1)
}
