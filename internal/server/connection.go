package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	// DefaultGrace is how long calls that are running at the end of the input may go on. It leaves time to record what
	// became of them before the 10 seconds are over that most supervisors give.
	DefaultGrace = 8 * time.Second
	// settle is how long calls that were cancelled after the grace may take to record their outcome: as long as the server waits
	// for the answer to a change that was sent.
	settle = 30 * time.Second
	// wrapUp is how long their answers may take.
	wrapUp = time.Second

	maxRunning = 64   // tool calls of one client that run at the same time
	maxPending = 1024 // requests read and not answered; beyond, reading waits
)

// ErrOutputClosed says that the client stopped reading: nothing can be answered any more.
var ErrOutputClosed = errors.New("the client closed its end of the output")

// connection is one client that sends messages and is sent messages for as long as it is connected: over stdio, or over
// HTTP+SSE.
type connection struct {
	server  *Server
	session *session
	context context.Context // of its calls
	cancel  context.CancelCauseFunc

	writing sync.Mutex
	emit    func(encoded []byte) error
	stop    <-chan struct{} // closed when nothing more is to be read
	broken  chan struct{}   // closed when emit fails
	ended   chan struct{}   // closed when the connection is over

	inputEnded chan struct{} // closed when no more answers can come
	asked      *asked

	mu       sync.Mutex
	stopping bool
	calls    map[*pendingCall]string // with the id's text, which a careless client may use twice
	calling  *tally
	running  chan struct{}
	pending  chan struct{}
	bytes    *room
	handlers sync.WaitGroup // of messages and requests
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

// connect returns a connection whose calls outlive ctx, so that those that are running at its end can be finished. The
// caller must call close.
func (s *Server) connect(ctx context.Context, id string, emit func([]byte) error) (*connection, error) {
	calls, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c := &connection{
		server: s, cancel: cancel, emit: emit,
		stop: ctx.Done(), broken: make(chan struct{}), ended: make(chan struct{}), inputEnded: make(chan struct{}),
		asked:   newAsked(nil),
		calls:   map[*pendingCall]string{},
		calling: &tally{},
		running: make(chan struct{}, maxRunning),
		pending: make(chan struct{}, maxPending),
		bytes:   newRoom(maxBytesOfCaller),
	}
	c.session = &session{
		id:      id,
		forward: &forwarder{send: c.write, ended: c.ended},
		request: asker{asked: c.asked, send: c.write, ended: c.inputEnded}.request,
	}
	c.context = withNotify(withTally(s.mcp.WithContext(calls, c.session), c.calling),
		func(n mcp.JSONRPCNotification) error { return c.write(n) })
	if err := s.mcp.RegisterSession(c.context, c.session); err != nil {
		cancel(context.Canceled)
		return nil, err
	}
	return c, nil
}

// close answers every request that was read, as far as they end within grace, and ends the connection.
func (c *connection) close(grace time.Duration) {
	close(c.inputEnded)
	c.drain(grace)
	c.cancel(context.Canceled)
	c.server.mcp.UnregisterSession(c.context, c.session.id)
	close(c.ended)
}

// begin reports whether a message may still be handled. If so, drain waits until handlers.Done is called for it.
func (c *connection) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return false
	}
	c.handlers.Add(1)
	return true
}

// receive handles one message. It must not wait for a tool.
func (c *connection) receive(text []byte) { c.receiveFor(c.context, text, nil) }

// receiveFor is receive for a message with a context of its own, which must be derived from that of the connection. done is
// called when the message is answered, or needs no answer; nil: its bytes are counted here.
func (c *connection) receiveFor(ctx context.Context, text []byte, done func()) {
	m, k, problem := readMessage(text)
	if problem == nil && k == request && m.Method != string(mcp.MethodInitialize) {
		c.start(ctx, m, done)
		return
	}
	if done != nil {
		defer done()
	}
	switch {
	case problem != nil:
		_ = c.write(problem.reply())
	case k == answer:
		c.asked.deliver("", m)
	case k == notification && m.Method == "notifications/cancelled":
		c.cancelCall(m.Params.RequestID)
	case k == notification:
		c.server.handle(ctx, text)
	default:
		// Answered before the next message is read, because later requests depend on what it declares.
		_ = c.write(c.server.answer(ctx, m))
	}
}

// start runs a request on its own goroutine. While too many requests or bytes wait, so does the reading.
func (c *connection) start(ctx context.Context, m message, done func()) {
	done, ok := c.admit(m, done)
	if !ok {
		if !c.isBroken() {
			_ = c.write((&problem{m.ID, mcp.INTERNAL_ERROR, stoppingText}).reply())
		}
		return
	}
	ctx, cancel := context.WithCancel(m.context(ctx))
	call := &pendingCall{cancel: cancel, method: m.Method}
	c.mu.Lock()
	c.calls[call] = sameID(m.ID)
	if c.stopping {
		call.endListening()
	}
	c.mu.Unlock()
	c.handlers.Go(func() {
		defer func() {
			cancel()
			c.mu.Lock()
			delete(c.calls, call)
			c.mu.Unlock()
			done()
		}()
		if asksService(m.Method) { // the rest takes no time, or as long as the client wants
			select {
			case c.running <- struct{}{}:
				defer func() { <-c.running }()
			case <-ctx.Done(): // the tool will say so, unless the client knows
			}
		}
		if c.isCancelled(call) {
			return
		}
		reply := c.server.answer(ctx, m)
		c.session.forward.flush()
		if !c.isCancelled(call) { // a cancelled request must not be answered
			_ = c.write(reply)
		}
	})
}

// admit waits until there is room for a request, and returns what gives it back.
func (c *connection) admit(m message, done func()) (_ func(), ok bool) {
	select {
	case <-c.stop:
		if done != nil {
			done()
		}
		return nil, false
	default:
	}
	if done == nil {
		n := cost(int64(len(m.payload.text)))
		if !c.bytes.wait(n, c.broken, c.stop) {
			return nil, false
		}
		done = func() { c.bytes.give(n) }
	}
	select {
	case c.pending <- struct{}{}:
		return func() {
			<-c.pending
			done()
		}, true
	case <-c.broken:
	case <-c.stop:
	}
	done()
	return nil, false
}

func (c *connection) cancelCall(id json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for call, own := range c.calls {
		if own == sameID(id) {
			call.cancelled = true
			call.cancel()
		}
	}
}

func (c *connection) isCancelled(call *pendingCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return call.cancelled
}

// write sends one message. The first failure ends the connection.
func (c *connection) write(message any) error {
	encoded, err := encode(message)
	if err != nil {
		c.server.log.Error().Err(err).Msg("a message cannot be encoded")
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.isBroken() {
		return ErrOutputClosed
	}
	if err := c.emit(encoded); err != nil {
		close(c.broken)
		return fmt.Errorf("%w: %w", ErrOutputClosed, err)
	}
	return nil
}

func (c *connection) isBroken() bool {
	select {
	case <-c.broken:
		return true
	default:
		return false
	}
}

// drain waits until every request is answered, at most for grace; then it cancels the rest, lets them record what became of
// them, and say so.
func (c *connection) drain(grace time.Duration) {
	c.mu.Lock()
	c.stopping = true
	for call := range c.calls {
		call.endListening()
	}
	c.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		c.handlers.Wait()
		close(idle)
	}()
	if waitFor(idle, grace) {
		return
	}
	c.server.log.Warn().Dur("grace", grace).Msg("calls still run after the grace; they are cancelled")
	c.cancel(errStopping)
	c.calling.wait(settle)
	waitFor(idle, wrapUp)
}

var errStopping = errors.New("the server is stopping")

const stoppingText = "the server is stopping; nothing was done, repeat it a little later"

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
