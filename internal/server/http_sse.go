package server

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"
)

// sseConnection is a client of the older HTTP+SSE transport.
type sseConnection struct {
	*connection
	caller Caller
}

// errClientGone ends the calls of a client that does not wait for them any more.
var errClientGone = errors.New("the client is gone")

// serveSSE opens the stream of an HTTP+SSE client, and tells where it has to send its messages.
func (h *HTTP) serveSSE(w http.ResponseWriter, r *http.Request, caller Caller) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "the event stream is opened with GET")
		return
	}
	if !h.admitCall(w) {
		return
	}
	ctx, closeStream, ok := h.openStream(h.on(r.Context(), caller, "sse"), caller, kindSSE)
	if !ok {
		w.Header().Set("Retry-After", "30")
		h.refused(w, ruleStreams, http.StatusServiceUnavailable, "too many event streams are open")
		return
	}
	defer closeStream()
	clearReadDeadline(w)
	events := &eventStream{w: w}
	id := rand.Text()
	c, err := h.server.connect(ctx, id, func(encoded []byte) error { return events.event("message", encoded) })
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the stream could not be opened")
		return
	}
	c.calling.all = h.calling
	c.running = h.limits(caller).running // all streams of a caller share it
	h.connections.Store(id, &sseConnection{c, caller})
	defer h.connections.Delete(id)
	// The path is relative to the host that the client knows, which a proxy may have changed.
	if events.event("endpoint", []byte("/message?sessionId="+id)) == nil {
		h.keepOpen(ctx, c, events)
	}
	grace := h.options.Grace
	if !h.isStopping() {
		c.cancel(errClientGone)
		grace = wrapUp
	}
	c.close(grace)
	events.end()
}

// keepOpen waits until the stream has to end.
func (h *HTTP) keepOpen(ctx context.Context, c *connection, events *eventStream) {
	signs := time.NewTicker(keepAlive)
	defer signs.Stop()
	for {
		select {
		case <-signs.C:
			if events.comment("keep-alive") != nil {
				return
			}
		case <-ctx.Done():
			return
		case <-c.broken:
			return
		case <-h.stopping:
			return
		}
	}
}

// serveMessage takes a message of an HTTP+SSE client. Its answer goes to the client's stream.
func (h *HTTP) serveMessage(w http.ResponseWriter, r *http.Request, caller Caller) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "messages are sent with POST")
		return
	}
	text, done, ok := h.readBody(w, r, caller)
	if !ok {
		return
	}
	handed := false
	defer func() {
		if !handed {
			done()
		}
	}()
	known, _ := h.connections.Load(r.URL.Query().Get("sessionId"))
	c, ok := known.(*sseConnection)
	if !ok || c.caller.Name != caller.Name { // the id alone opens nothing
		h.refused(w, ruleSession, http.StatusNotFound, "there is no such session; open a new one at /sse")
		return
	}
	m, k, problem := readMessage(text)
	if problem != nil {
		writeJSON(w, http.StatusBadRequest, problem.reply())
		return
	}
	if k == request && !h.admitScope(h.on(r.Context(), caller, "sse"), w, caller, m) {
		return
	}
	if !c.begin() {
		if h.admitCall(w) {
			h.refused(w, ruleSession, http.StatusNotFound, "the stream has ended; open a new one at /sse")
		}
		return
	}
	defer c.handlers.Done()
	w.WriteHeader(http.StatusAccepted)
	_ = http.NewResponseController(w).Flush() // before the answer, which may take the other way faster
	handed = true
	c.receiveFor(h.on(c.context, caller, "sse"), text, done) // the caller's policy may have changed since the stream was opened
}
