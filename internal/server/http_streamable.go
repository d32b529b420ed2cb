package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// runningKey names the calls of a client with a session. Ids are the client's: two clients may use the same, and a careless
// one may use its own twice.
type runningKey struct{ session, id string }

// serveMCP serves Streamable HTTP in both protocol eras.
func (h *HTTP) serveMCP(w http.ResponseWriter, r *http.Request, caller Caller) {
	switch r.Method {
	case http.MethodPost:
		h.post(w, r, caller)
	case http.MethodDelete:
		h.endSession(w, r, caller)
	default:
		// A stream that is opened with GET would carry nothing: every notification belongs to a request.
		w.Header().Set("Allow", "POST, DELETE")
		refuse(w, http.StatusMethodNotAllowed, "MCP messages are sent with POST; there is no stream to GET")
	}
}

// endSession forgets a session. The era without sessions has nothing to end.
func (h *HTTP) endSession(w http.ResponseWriter, r *http.Request, caller Caller) {
	id := r.Header.Get(mcp.HeaderSessionID)
	if mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)) || id == "" {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "there is no session to end")
		return
	}
	if !h.sessions.open(id, caller.Name, &session{}) {
		h.refused(w, ruleSession, http.StatusNotFound, "there is no such session")
		return
	}
	h.sessions.ended.put(id)
	h.mu.Lock()
	for call, key := range h.running {
		if key.session == id {
			call.cancel()
		}
	}
	h.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// exchange is one message that was POSTed, and its answer.
type exchange struct {
	http    *HTTP
	w       http.ResponseWriter
	r       *http.Request
	caller  Caller
	message message
	modern  bool
	stream  bool // the client takes an event stream
	session *session
	events  *eventStream
	ended   chan struct{}
}

// post takes one message.
func (h *HTTP) post(w http.ResponseWriter, r *http.Request, caller Caller) {
	text, done, ok := h.readBody(w, r, caller)
	if !ok {
		return
	}
	defer done()
	json, stream := accepts(r)
	if !json && !stream {
		h.refused(w, ruleAccept, http.StatusNotAcceptable, "the answer is application/json or text/event-stream; accept both")
		return
	}
	text = bytes.TrimSpace(text)
	m, k, problem := readMessage(text)
	if problem != nil {
		writeJSON(w, http.StatusBadRequest, problem.reply())
		return
	}
	e := &exchange{
		http: h, w: w, r: r, caller: caller, message: m,
		stream: stream,
		modern: mcp.IsModernProtocol(m.meta.version) || mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)),
		events: &eventStream{w: w}, ended: make(chan struct{}),
	}
	e.session = &session{forward: &forwarder{send: e.send, ended: e.ended}}
	admitted := e.admitLegacy
	if e.modern {
		admitted = e.admitModern
	}
	if !admitted(k) {
		return
	}
	switch k {
	case answer:
		e.takeAnswer()
	case notification:
		if m.Method == "notifications/cancelled" {
			e.cancelCall()
		}
		w.WriteHeader(http.StatusAccepted)
	case request:
		if h.admitCall(w) && h.admitScope(h.on(r.Context(), caller, "http"), w, caller, m) {
			e.run()
		}
	}
}

// accepts reports which forms of an answer the client takes. Only who names event streams gets one.
func accepts(r *http.Request) (json, stream bool) {
	values := r.Header.Values("Accept")
	if len(values) == 0 {
		return true, false
	}
	for value := range strings.SplitSeq(strings.Join(values, ","), ",") {
		kind, _, _ := strings.Cut(strings.TrimSpace(strings.ToLower(value)), ";")
		switch strings.TrimSpace(kind) {
		case "application/json", "application/*", "*/*":
			json = true
		case "text/event-stream", "text/*":
			stream = true
		}
	}
	return json, stream
}

// reject answers a message that breaks a rule of the transport.
func (e *exchange) reject(code int, text string) bool {
	writeJSON(e.w, http.StatusBadRequest, (&problem{e.message.ID, code, text}).reply())
	return false
}

// admitModern checks what the era without handshake demands of a request: the version in header and body alike, and the
// headers that tell intermediaries what the body holds.
func (e *exchange) admitModern(k kind) bool {
	header, body := e.r.Header.Get(mcp.HeaderProtocolVersion), e.message.meta.version
	switch {
	case e.r.Header.Get(mcp.HeaderLastEventID) != "":
		return e.reject(mcp.HEADER_MISMATCH, "streams cannot be resumed: send the request again without Last-Event-ID")
	case k == answer:
		return e.reject(mcp.INVALID_REQUEST, "the server asks nothing in this protocol version; answers travel in the next call")
	case header == "":
		return e.reject(mcp.HEADER_MISMATCH, mcp.HeaderProtocolVersion+" is missing; the body says "+body)
	case body == "" && k == request:
		return e.reject(mcp.INVALID_PARAMS, "missing or invalid _meta field "+mcp.MetaKeyProtocolVersion)
	case body != "" && header != body:
		return e.reject(mcp.HEADER_MISMATCH, mcp.HeaderProtocolVersion+" and the version in the body differ")
	case !mcp.IsValidProtocolVersion(header):
		refusal := mcp.UnsupportedProtocolVersionError{Version: header, Supported: mcp.ValidProtocolVersions}.JSONRPCError()
		writeJSON(e.w, http.StatusBadRequest, withID(refusal, e.message.ID))
		return false
	}
	if k == request {
		if err := e.checkHeaders(header); err != nil {
			return e.reject(mcp.HEADER_MISMATCH, err.Error())
		}
	}
	return true
}

// checkHeaders checks that the headers say of a request what its body says: method, name, and those arguments that the tool's
// schema wants to be repeated there.
func (e *exchange) checkHeaders(version string) error {
	var body struct {
		Params json.RawMessage `json:"params"`
	}
	_ = json.Unmarshal(e.message.payload.text, &body) // a whole message was read before
	method := mcp.MCPMethod(e.message.Method)
	err := mcp.ValidateStandardHeaders(e.r.Header.Get, version, method, body.Params)
	if err != nil || method != mcp.MethodToolsCall {
		return err
	}
	name, _ := mcp.ExtractHeaderName(method, body.Params)
	tool := e.http.server.mcp.GetTool(name)
	if tool == nil {
		return nil // the answer says so
	}
	return mcp.ValidateParamHeadersLookup(func(name string) (string, bool) {
		return e.r.Header.Get(name), len(e.r.Header.Values(name)) > 0
	}, &tool.Tool, body.Params)
}

// admitLegacy finds the session of a request of the era with a handshake. Clients without one are served too, as far as one
// request tells what is needed.
func (e *exchange) admitLegacy(k kind) bool {
	if e.message.Method == string(mcp.MethodInitialize) && k == request {
		return true
	}
	if version := e.r.Header.Get(mcp.HeaderProtocolVersion); version != "" && !mcp.IsValidProtocolVersion(version) {
		return e.reject(mcp.INVALID_REQUEST, "the "+mcp.HeaderProtocolVersion+" must be one of "+strings.Join(mcp.ValidProtocolVersions, ", "))
	}
	id := e.r.Header.Get(mcp.HeaderSessionID)
	if id == "" {
		if k == answer {
			return e.reject(mcp.INVALID_REQUEST, "an answer needs the "+mcp.HeaderSessionID+" of the request that it answers")
		}
		return true
	}
	if !e.http.sessions.open(id, e.caller.Name, e.session) {
		// Clients make a new session on 404.
		e.http.refused(e.w, ruleSession, http.StatusNotFound, "the session has ended or does not belong to this server; initialize again")
		return false
	}
	return true
}

// takeAnswer passes on what a human answered, to the replica that asked if it was another one. Only the first answer to a
// question that was asked goes any further: a yes must not overtake a no that waits at another replica.
func (e *exchange) takeAnswer() {
	if len(e.message.payload.text) > maxAnswerBytes {
		e.reject(mcp.INVALID_REQUEST, fmt.Sprintf("an answer has at most %d bytes", maxAnswerBytes))
		return
	}
	defer e.w.WriteHeader(http.StatusAccepted)
	question, mailbox := sameID(e.message.ID), e.http.options.Mailbox
	if !e.http.asked.isOurs(e.session.id, question) {
		return
	}
	if mailbox == nil {
		e.http.asked.deliver(e.session.id, e.message)
		return
	}
	address := mailAddress(e.session.id, question)
	first, err := mailbox.Claim(e.r.Context(), address, time.Now().Add(2*questionLifetime))
	switch {
	case err != nil:
		e.http.server.log.Warn().Err(err).Msg("whether an answer is the first cannot be checked; only a no counts")
		if !isNo(e.message) {
			return
		}
	case !first:
		return
	}
	if e.http.asked.deliver(e.session.id, e.message) {
		return
	}
	if err := mailbox.Send(e.r.Context(), address, e.message.payload.text); err != nil {
		e.http.server.log.Warn().Err(err).Msg("an answer could not be passed on to the other replicas")
	}
}

// cancelCall cancels a call of the same session. Without a session there is nothing that tells clients apart, so nothing is
// cancelled; in the newer era a client cancels by hanging up.
func (e *exchange) cancelCall() {
	if e.session.id == "" {
		return
	}
	e.http.mu.Lock()
	defer e.http.mu.Unlock()
	for call, key := range e.http.running {
		if key == (runningKey{e.session.id, sameID(e.message.Params.RequestID)}) {
			call.cancelled = true
			call.cancel()
		}
	}
}

// run handles a request and writes its answer: as JSON, or as the last event when something was sent before.
func (e *exchange) run() {
	defer close(e.ended)
	ctx := e.message.context(e.http.on(e.r.Context(), e.caller, "http"))
	ctx = withTally(e.http.server.mcp.WithContext(ctx, e.session), e.http.calling)
	if e.stream {
		ctx = withNotify(ctx, func(n mcp.JSONRPCNotification) error { return e.send(n) })
		if e.session.id != "" {
			e.session.request = e.asker().request
		}
	}
	ctx, call, forget := e.http.register(ctx, e)
	defer forget()
	if e.message.Method == string(mcp.MethodSubscriptionsListen) {
		listening, closeStream, ok := e.http.openStream(ctx, e.caller, kindListen)
		if !ok {
			e.w.Header().Set("Retry-After", "30")
			e.http.refused(e.w, ruleStreams, http.StatusServiceUnavailable, "too many event streams are open")
			return
		}
		defer closeStream()
		go e.keepListening(listening, call)
		ctx = listening
	}
	if asksService(e.message.Method) {
		running := e.http.limits(e.caller).running
		select {
		case running <- struct{}{}:
			defer func() { <-running }()
		case <-ctx.Done(): // the tool will say so, unless the client knows
		}
	}
	reply := e.http.server.answer(ctx, e.message)
	if e.session.id != "" && e.session.cannotAsk.Load() { // known before the client's next call can come
		e.http.sessions.cannotAsk.put(e.session.id)
	}
	e.session.forward.flush()
	e.finish(reply, e.http.isCancelled(call))
}

// keepListening ends a stream of notifications with the server, and shows proxies until then that it lives.
func (e *exchange) keepListening(ctx context.Context, call *pendingCall) {
	signs := time.NewTicker(keepAlive)
	defer signs.Stop()
	for {
		select {
		case <-signs.C:
			_ = e.events.comment("keep-alive")
		case <-e.http.stopping:
			call.cancel()
			return
		case <-ctx.Done():
			return
		}
	}
}

// register makes a call known to cancellations of its session.
func (h *HTTP) register(ctx context.Context, e *exchange) (context.Context, *pendingCall, func()) {
	ctx, cancel := context.WithCancel(ctx)
	unbind := context.AfterFunc(h.calls, cancel)
	call := &pendingCall{cancel: cancel, method: e.message.Method}
	if e.session.id == "" {
		return ctx, call, func() {
			unbind()
			cancel()
		}
	}
	h.mu.Lock()
	h.running[call] = runningKey{e.session.id, sameID(e.message.ID)}
	h.mu.Unlock()
	return ctx, call, func() {
		unbind()
		cancel()
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.running, call)
	}
}

func (h *HTTP) isCancelled(call *pendingCall) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return call.cancelled
}

// asker puts requests to the client on the stream of its call. The answer comes with another POST, maybe to another
// replica.
func (e *exchange) asker() asker {
	a := asker{asked: e.http.asked, owner: e.session.id, send: e.send, ended: e.http.stopping}
	if mailbox := e.http.options.Mailbox; mailbox != nil {
		a.opened = func(ctx context.Context, id string) {
			go func() {
				text, err := mailbox.Receive(ctx, mailAddress(e.session.id, id))
				if err != nil {
					return // the time is up, or the answer came here
				}
				if m, k, problem := readMessage(text); problem == nil && k == answer {
					e.http.asked.deliver(e.session.id, m)
				}
			}()
		}
	}
	return a
}

// send writes a message before the answer.
func (e *exchange) send(message any) error {
	if !e.stream {
		return ErrOutputClosed
	}
	encoded, err := encode(message)
	if err != nil {
		return err
	}
	return e.events.event("message", encoded)
}

// finish writes the answer. For a call that the client cancelled, it only ends the empty stream.
func (e *exchange) finish(reply mcp.JSONRPCMessage, cancelled bool) {
	if e.r.Context().Err() != nil {
		e.events.end()
		return
	}
	if cancelled {
		e.events.endEmpty()
		return
	}
	if _, ok := reply.(mcp.JSONRPCResponse); ok && !e.modern && e.message.Method == string(mcp.MethodInitialize) {
		e.w.Header().Set(mcp.HeaderSessionID, e.http.sessions.issue(e.caller.Name, e.session))
	}
	if e.events.isStarted() {
		_ = e.send(reply)
		e.events.end()
		return
	}
	e.events.end()
	status := http.StatusOK
	if failure, ok := reply.(mcp.JSONRPCError); ok && e.modern {
		status = statusOf(failure.Error.Code)
	}
	writeJSON(e.w, status, reply)
}

// statusOf is the HTTP status that 2026-07-28 wants for an error, so that intermediaries need not read the body.
func statusOf(code int) int {
	if code == mcp.METHOD_NOT_FOUND {
		return http.StatusNotFound
	}
	if slices.Contains([]int{
		mcp.HEADER_MISMATCH, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, mcp.UNSUPPORTED_PROTOCOL_VERSION,
		mcp.INVALID_REQUEST, mcp.INVALID_PARAMS, mcp.PARSE_ERROR,
	}, code) {
		return http.StatusBadRequest
	}
	return http.StatusOK
}
