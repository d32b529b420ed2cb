package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of the HTTP transports.
const (
	DefaultMaxConnections    = 4096
	DefaultRequestsPerSecond = 200 // of one caller

	maxBody       = 4 << 20          // bytes of a message
	maxHeader     = 64 << 10         // bytes
	headerTimeout = 5 * time.Second  // for the header of a request
	bodyTimeout   = 15 * time.Second // for its body
	writeTimeout  = 15 * time.Second // for each piece of an answer
	idleTimeout   = 2 * time.Minute  // between requests
	keepAlive     = 25 * time.Second // between two signs of life on a silent stream; proxies cut at 60 s
)

// Mailbox takes answers to the server process that waits for them, when a proxy gave them to another one. Send must not wait
// for a receiver; Receive waits until ctx ends. If several processes claim a key before the claim ends, one of them wins.
type Mailbox interface {
	Claim(ctx context.Context, key string, until time.Time) (bool, error)
	Send(ctx context.Context, address string, message []byte) error
	Receive(ctx context.Context, address string) ([]byte, error)
}

// HTTPOptions configure the HTTP transports. Only Key must be set.
type HTTPOptions struct {
	SSE bool // serve the older HTTP+SSE transport too
	TLS *tls.Config

	// Authenticate returns the caller that a bearer token belongs to. Nil: no token is wanted, and everybody is "local".
	Authenticate func(token string) (Caller, bool)
	OAuth        *OAuth // nil: there are no access tokens
	// StillValid reports whether a caller that was authenticated earlier would be so again. Nil: always.
	StillValid func(Caller) bool

	Hosts   []string // names under which the server is reached, besides its addresses and localhost
	Origins []string // web pages that may call, besides those of the server's own origin

	Key     []byte  // seals the ids of sessions and questions; replicas share it
	Mailbox Mailbox // of replicas; nil: there is one process

	MaxConnections    int
	RequestsPerSecond int           // of one caller, in the long run; twice as many at once
	Grace             time.Duration // for running calls at the end; default: DefaultGrace

	Ready   func(context.Context) error // whether calls could work; nil: always
	Metrics http.Handler                // nil: none
	Watch   Watch
}

// Watch is told what happens. Every member may be nil. Rules, Routes and StreamKinds list the words that it is told.
type Watch struct {
	Request      func(route string, status int, took time.Duration)
	Refused      func(rule string)
	StreamOpened func(kind string) (closed func())
}

// HTTP serves MCP over HTTP: Streamable HTTP at /mcp and, if wanted, HTTP+SSE at /sse and /message.
//
// It replaces mcp-go's transports, which share streams and cancellations between clients, lose progress, keep sessions for
// ever, and check neither Origin nor the size of a body.
type HTTP struct {
	server   *Server
	options  HTTPOptions
	sessions *sessions
	asked    *asked
	ready    readiness

	stopping chan struct{} // closed when no new calls are taken
	stopOnce sync.Once
	calls    context.Context // ends when running calls have to
	endCalls context.CancelCauseFunc

	mu      sync.Mutex
	callers map[string]*callerLimits
	bytes   *room
	running map[*pendingCall]runningKey // legacy calls that can be cancelled
	calling *tally
	streams map[*stream]struct{}

	connections sync.Map // of HTTP+SSE: id to *sseConnection
	inFlight    atomic.Int64
}

// NewHTTP returns the HTTP transports of s.
func (s *Server) NewHTTP(o HTTPOptions) *HTTP {
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.RequestsPerSecond == 0 {
		o.RequestsPerSecond = DefaultRequestsPerSecond
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	h := &HTTP{
		server: s, options: o, sessions: newSessions(o.Key, time.Now), asked: newAsked(o.Key),
		ready:    readiness{check: o.Ready, now: time.Now},
		stopping: make(chan struct{}),
		callers:  map[string]*callerLimits{},
		bytes:    newRoom(maxBytesInFlight),
		running:  map[*pendingCall]runningKey{},
		calling:  &tally{},
		streams:  map[*stream]struct{}{},
	}
	h.calls, h.endCalls = context.WithCancelCause(context.Background())
	return h
}

// Serve serves on l until ctx ends. Then no call is taken any more, running ones may finish within the grace, and event
// streams are closed; what takes longer is cancelled, and may say so. It returns nil after a stop that left no call
// unanswered.
func (h *HTTP) Serve(ctx context.Context, l net.Listener) error {
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(context.Canceled)
	limited := limitConnections(l, h.options.MaxConnections)
	s := &http.Server{
		Handler:           h.Handler(),
		TLSConfig:         h.options.TLS,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         limited.changed,
		ReadHeaderTimeout: headerTimeout, // a ReadTimeout would end calls that take longer
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          h.server.httpLog(),

		DisableGeneralOptionsHandler: true, // it would answer before any check
	}
	served := make(chan error, 1)
	go func() {
		if h.options.TLS != nil {
			served <- s.ServeTLS(limited, "", "")
			return
		}
		served <- s.Serve(limited)
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	h.stopOnce.Do(func() { close(h.stopping) })
	if shutdown(s, h.options.Grace) {
		return nil
	}
	h.server.log.Warn().Int64("requests", h.inFlight.Load()).Dur("grace", h.options.Grace).
		Msg("requests still run after the grace; they are cancelled")
	h.endCalls(errStopping)
	h.calling.wait(settle)
	if shutdown(s, 2*wrapUp) { // streams let their calls wrap up for themselves
		return nil
	}
	cancel(errStopping)
	return errors.Join(errors.New("requests were cut off at the end"), s.Close())
}

// shutdown reports whether every request was answered within limit.
func shutdown(s *http.Server, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return s.Shutdown(ctx) == nil
}

// isStopping reports whether new calls are refused.
func (h *HTTP) isStopping() bool {
	select {
	case <-h.stopping:
		return true
	default:
		return false
	}
}
