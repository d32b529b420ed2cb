package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

const (
	// DefaultGrace is how long calls that are running at the end of the input may go on.
	DefaultGrace = 10 * time.Second
	// wrapUp is how long calls that were cancelled after the grace may take to say so.
	wrapUp = time.Second

	maxRunning = 64   // requests that run at the same time
	maxPending = 1024 // requests read and not answered; beyond, reading waits
)

// ErrOutputClosed says that the client stopped reading: nothing can be answered any more.
var ErrOutputClosed = errors.New("the client closed its end of stdout")

// ServeStdio reads requests from in and writes answers to out, one JSON message a line, until in ends, ctx ends or out
// breaks. Every request read by then is answered before it returns, unless it takes longer than grace.
//
// It replaces mcp-go's stdio transport, which loses answers at the end of input and lets results overtake progress.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer, grace time.Duration) error {
	calls, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(context.Canceled)
	t := &stdio{
		server:  s,
		session: newSession("stdio"),
		out:     out,
		stop:    ctx.Done(),
		broken:  make(chan struct{}),
		ended:   make(chan struct{}),
		flushes: make(chan chan struct{}),

		inputEnded: make(chan struct{}),

		calls:   map[string]*pendingCall{},
		running: make(chan struct{}, maxRunning),
		pending: make(chan struct{}, maxPending),
	}
	t.session.ask = t.RequestElicitation
	defer close(t.ended)
	if err := s.mcp.RegisterSession(calls, t.session); err != nil {
		return err
	}
	defer s.mcp.UnregisterSession(calls, t.session.id)
	calls = withNotify(s.mcp.WithContext(calls, t.session), func(n mcp.JSONRPCNotification) error { return t.write(n) })
	go t.forwardNotifications()

	// Lines are handled where they are read, not here: a client that does not take its answers can hold that up, and must
	// not hold up the end of the run.
	readEnded := make(chan error, 1)
	go func() {
		readEnded <- readLines(in, maxLine, func(line input) bool {
			if !t.begin() {
				return false
			}
			defer t.handlers.Done()
			t.receive(calls, line)
			return true
		})
	}()

	var err error
	select {
	case err = <-readEnded:
	case <-ctx.Done():
	case <-t.broken:
	}
	close(t.inputEnded)
	t.drain(grace, cancel)
	if err == nil && t.isBroken() {
		err = ErrOutputClosed
	}
	return err
}

// stdio is one run of the transport.
type stdio struct {
	server  *Server
	session *session

	writing sync.Mutex
	out     io.Writer
	stop    <-chan struct{} // closed when nothing more is to be read
	broken  chan struct{}   // closed when out fails
	ended   chan struct{}   // closed when the run is over
	flushes chan chan struct{}

	inputEnded chan struct{} // closed when no more answers can come
	asked      asked

	mu       sync.Mutex
	stopping bool
	calls    map[string]*pendingCall // by the id's text
	running  chan struct{}
	pending  chan struct{}
	handlers sync.WaitGroup // of lines and requests
}

// pendingCall is a request that is not answered yet.
type pendingCall struct {
	cancel    context.CancelFunc
	method    string
	cancelled bool
}

// endListening ends a call that would last until the client ends it.
func (c *pendingCall) endListening() {
	if c.method == string(mcp.MethodSubscriptionsListen) {
		c.cancel()
	}
}

// message is what has to be known of a line before it is handed on.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	Params struct {
		RequestID json.RawMessage `json:"requestId"`
		Meta      struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
}

// begin reports whether a line may still be handled. If so, drain waits until handlers.Done is called for it.
func (t *stdio) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping {
		return false
	}
	t.handlers.Add(1)
	return true
}

// receive handles one line. It must not wait for a tool.
func (t *stdio) receive(ctx context.Context, line input) {
	if line.tooLong {
		t.refuse(line.id, mcp.INVALID_REQUEST, fmt.Sprintf("the message is longer than %d bytes; it was skipped", maxLine))
		return
	}
	text := bytes.TrimSpace(line.text)
	if !json.Valid(text) {
		t.refuse(nil, mcp.PARSE_ERROR, "the line is not valid JSON")
		return
	}
	if text[0] != '{' {
		t.refuse(nil, mcp.INVALID_REQUEST, "a message must be one JSON object; batches are not part of MCP any more")
		return
	}
	var m message
	_ = json.Unmarshal(text, &m) // a member of another type is left out here; mcp-go says what is wrong with it
	switch {
	case m.Method == "" && (m.Result != nil || m.Error != nil):
		t.asked.deliver(m)
	case !utf8.Valid(text): // it would be decoded to other words than the user's
		t.refuse(m.ID, mcp.PARSE_ERROR, "the message is not valid UTF-8")
	case m.ID == nil && m.Method == "":
		t.refuse(nil, mcp.INVALID_REQUEST, "a message must have a method")
	case m.ID == nil && m.Method == "notifications/cancelled":
		t.cancelCall(m.Params.RequestID)
	case m.ID == nil:
		t.handle(ctx, text) // a notification; it has no answer
	case !isID(m.ID):
		t.refuse(m.ID, mcp.INVALID_REQUEST, "the id of a request must be a string or a number")
	case m.Method == "initialize":
		// Answered before the next line is read, because later requests depend on what it declares.
		_ = t.write(t.answer(ctx, m.ID, text))
	default:
		t.start(ctx, m, text)
	}
}

// start runs a request on its own goroutine.
func (t *stdio) start(ctx context.Context, m message, text []byte) {
	select {
	case t.pending <- struct{}{}:
	case <-t.broken:
		return
	case <-t.stop:
		t.refuse(m.ID, mcp.INTERNAL_ERROR, "the server is stopping")
		return
	}
	if token := m.Params.Meta.ProgressToken; isID(token) {
		ctx = withProgressToken(ctx, token)
	}
	ctx, cancel := context.WithCancel(ctx)
	call := &pendingCall{cancel: cancel, method: m.Method}
	key := string(m.ID)
	t.mu.Lock()
	t.calls[key] = call
	if t.stopping {
		call.endListening()
	}
	t.mu.Unlock()
	t.handlers.Go(func() {
		defer func() {
			cancel()
			t.mu.Lock()
			if t.calls[key] == call {
				delete(t.calls, key)
			}
			t.mu.Unlock()
			<-t.pending
		}()
		if m.Method == string(mcp.MethodToolsCall) { // the rest takes no time, or as long as the client wants
			select {
			case t.running <- struct{}{}:
				defer func() { <-t.running }()
			case <-ctx.Done(): // the tool will say so, unless the client knows
			}
		}
		if t.isCancelled(call) {
			return
		}
		reply := t.answer(ctx, m.ID, text)
		if m.Method == string(mcp.MethodSubscriptionsListen) {
			t.flushNotifications() // the acknowledgement comes before the end
		}
		if !t.isCancelled(call) { // a cancelled request must not be answered
			_ = t.write(reply)
		}
	})
}

// answer handles a request. Its reply has the id as the client wrote it.
func (t *stdio) answer(ctx context.Context, id json.RawMessage, text []byte) mcp.JSONRPCMessage {
	reply := t.handle(ctx, text)
	if reply == nil {
		reply = mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.INVALID_REQUEST, "a message cannot be both a request and an answer", nil)
	}
	return withID(reply, id)
}

// handle passes a message to mcp-go. A panic there becomes an error with an id that the log explains.
func (t *stdio) handle(ctx context.Context, text []byte) (reply mcp.JSONRPCMessage) {
	defer func() {
		if cause := recover(); cause != nil {
			id := rand.Text()[:10]
			t.server.log.Error().Str("error_id", id).Str("cause", fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())).
				Msg("a fault in the server")
			reply = mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.INTERNAL_ERROR, "a fault in the server (error id "+id+")", nil)
		}
	}()
	return t.server.mcp.HandleMessage(ctx, text)
}

// withID gives reply the id as the client wrote it; mcp-go carries numbers as float64.
func withID(reply mcp.JSONRPCMessage, id json.RawMessage) mcp.JSONRPCMessage {
	switch r := reply.(type) {
	case mcp.JSONRPCResponse:
		r.ID = mcp.NewRequestId(id)
		return r
	case mcp.JSONRPCError:
		r.ID = mcp.NewRequestId(id)
		return r
	}
	return reply
}

// refuse answers a message that cannot be handled, without id when it has none.
func (t *stdio) refuse(id json.RawMessage, code int, text string) {
	requestID := mcp.NewRequestId(nil)
	if isID(id) {
		requestID = mcp.NewRequestId(id)
	}
	_ = t.write(mcp.NewJSONRPCError(requestID, code, text, nil))
}

func (t *stdio) cancelCall(id json.RawMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if call := t.calls[string(bytes.TrimSpace(id))]; call != nil {
		call.cancelled = true
		call.cancel()
	}
}

func (t *stdio) isCancelled(call *pendingCall) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return call.cancelled
}

// write sends one message. The first failure ends the run.
func (t *stdio) write(message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		t.server.log.Error().Err(err).Msg("a message cannot be encoded")
		return err
	}
	line = append(line, '\n')
	t.writing.Lock()
	defer t.writing.Unlock()
	if t.isBroken() {
		return ErrOutputClosed
	}
	if _, err := t.out.Write(line); err != nil {
		close(t.broken)
		return fmt.Errorf("%w: %w", ErrOutputClosed, err)
	}
	return nil
}

func (t *stdio) isBroken() bool {
	select {
	case <-t.broken:
		return true
	default:
		return false
	}
}

// forwardNotifications passes on what mcp-go itself sends, such as list changes.
func (t *stdio) forwardNotifications() {
	for {
		select {
		case n := <-t.session.notifications:
			_ = t.write(n)
		case flushed := <-t.flushes:
			for len(t.session.notifications) > 0 {
				_ = t.write(<-t.session.notifications)
			}
			close(flushed)
		case <-t.ended:
			return
		}
	}
}

// flushNotifications returns when what mcp-go has sent until now is written.
func (t *stdio) flushNotifications() {
	flushed := make(chan struct{})
	select {
	case t.flushes <- flushed:
		<-flushed
	case <-t.ended:
	}
}

// drain waits until every request is answered, at most for grace; then it cancels the rest and lets them say so.
func (t *stdio) drain(grace time.Duration, cancel context.CancelCauseFunc) {
	t.mu.Lock()
	t.stopping = true
	for _, call := range t.calls {
		call.endListening()
	}
	t.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		t.handlers.Wait()
		close(idle)
	}()
	if waitFor(idle, grace) {
		return
	}
	t.server.log.Warn().Dur("grace", grace).Msg("calls still run after the grace; they are cancelled")
	cancel(errors.New("the server is stopping"))
	waitFor(idle, wrapUp)
}

func waitFor(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

var (
	_ mcpserver.SessionWithClientInfo  = (*session)(nil)
	_ mcpserver.SessionWithElicitation = (*session)(nil)
)
