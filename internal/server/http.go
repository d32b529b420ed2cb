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

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
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

// Caller is somebody who may call over HTTP, and what with.
type Caller struct {
	Name    string
	Digest  string // of the token; changes with it
	Toolbox *toolbox.Toolbox
}

// Mailbox takes answers to the server process that waits for them, when a proxy gave them to another one. Send must not
// wait for a receiver; Receive waits until ctx ends. Of several claims of one key, until it is over, one wins.
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

// Watch is told what happens. Every member may be nil.
type Watch struct {
	Request      func(route string, status int, took time.Duration)
	Refused      func(reason string)
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
	routes   map[string]http.HandlerFunc
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
		routes:   map[string]http.HandlerFunc{},
		stopping: make(chan struct{}),
		callers:  map[string]*callerLimits{},
		bytes:    newRoom(maxBytesInFlight),
		running:  map[*pendingCall]runningKey{},
		calling:  &tally{},
		streams:  map[*stream]struct{}{},
	}
	h.calls, h.endCalls = context.WithCancelCause(context.Background())
	h.handle("/mcp", authenticated, h.serveMCP)
	if o.SSE {
		h.handle("/sse", authenticated, h.serveSSE)
		h.handle("/message", authenticated, h.serveMessage)
	}
	h.handle("/healthz", anybody, h.serveHealth)
	h.handle("/readyz", anybody, h.serveReady)
	if o.Metrics != nil {
		h.handle("/metrics", authenticated, func(w http.ResponseWriter, r *http.Request, _ Caller) { o.Metrics.ServeHTTP(w, r) })
	}
	h.handle("/", anybody, func(w http.ResponseWriter, _ *http.Request, _ Caller) {
		refuse(w, http.StatusNotFound, "there is nothing here; MCP is at /mcp")
	})
	return h
}

// Handler returns the handler, for tests and for servers of another kind; Serve does the rest.
func (h *HTTP) Handler() http.Handler {
	// http.ServeMux would answer some paths with a redirect, before any check.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve, known := h.routes[r.URL.Path]
		if !known {
			serve = h.routes["/"]
		}
		serve(w, r)
	})
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

// Recheck closes the streams of callers that would not be let in any more. Their single requests need none: each is
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

// openStream returns a context that ends with the server's stop or when the caller is not valid any more, and false when
// there are too many streams: they may take half of the connections, so that calls always find one.
func (h *HTTP) openStream(ctx context.Context, caller Caller, kind string) (_ context.Context, closeStream func(), ok bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stream{caller: caller, cancel: cancel, closed: func() {}}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) >= max(h.options.MaxConnections/2, 1) || h.streamsOf(caller) >= h.streamsPerCaller() {
		cancel(context.Canceled)
		return nil, nil, false
	}
	h.streams[s] = struct{}{}
	if !h.isStillValid(caller) { // what Recheck could not see yet
		cancel(errRevoked)
	}
	if h.options.Watch.StreamOpened != nil {
		s.closed = h.options.Watch.StreamOpened(kind)
	}
	return ctx, func() {
		cancel(context.Canceled)
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

type (
	remoteKey struct{}

	// remote is the caller of a request over HTTP.
	remote struct {
		caller    Caller
		transport string
	}
)

func withRemote(ctx context.Context, caller Caller, transport string) context.Context {
	return context.WithValue(ctx, remoteKey{}, remote{caller, transport})
}

// on returns ctx for what a caller does over a transport. One call may cost the services many requests, so these have a rate
// of their own.
func (h *HTTP) on(ctx context.Context, caller Caller, transport string) context.Context {
	return upstream.WithPace(withRemote(ctx, caller, transport), h.limits(caller).upstream.Wait)
}

// toolbox returns the tools of the caller that ctx belongs to.
func (s *Server) toolbox(ctx context.Context) *toolbox.Toolbox {
	if remote, ok := ctx.Value(remoteKey{}).(remote); ok && remote.caller.Toolbox != nil {
		return remote.caller.Toolbox
	}
	return s.tools
}

// access says who may use a route.
type access int

const (
	anybody access = iota
	authenticated
)

// handle registers a route behind every check that holds for all of them.
func (h *HTTP) handle(route string, who access, serve func(http.ResponseWriter, *http.Request, Caller)) {
	name := route
	if route == "/" {
		name = "other"
	}
	h.routes[route] = func(w http.ResponseWriter, r *http.Request) {
		h.inFlight.Add(1)
		defer h.inFlight.Add(-1)
		seen := &statusWriter{ResponseWriter: w, started: time.Now()}
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Time{}) // net/http leaves that of the request before
		// Before a refusal net/http waits for the body, and a write deadline runs meanwhile.
		_ = control.SetReadDeadline(time.Now().Add(headerTimeout))
		if h.options.Watch.Request != nil {
			defer func() { h.options.Watch.Request(name, seen.status, seen.took) }()
		}
		secure(seen.Header())
		if !h.admitSite(seen, r) || h.preflight(seen, r) {
			return
		}
		caller := Caller{Name: localCaller}
		if who == authenticated {
			var ok bool
			if caller, ok = h.authenticate(seen, r); !ok || !h.admitRate(seen, caller) {
				return
			}
		}
		serve(seen, r, caller)
	}
}

// localCaller is who calls when no tokens are asked for.
const localCaller = "local"

// refused counts a refusal, and answers it.
func (h *HTTP) refused(w http.ResponseWriter, reason string, status int, text string) {
	if h.options.Watch.Refused != nil {
		h.options.Watch.Refused(reason)
	}
	refuse(w, status, text)
}

// statusWriter remembers the status of an answer, and how long its first byte took: a stream lasts as long as its client
// wants.
type statusWriter struct {
	http.ResponseWriter
	started time.Time
	status  int
	took    time.Duration
}

// WriteHeader implements http.ResponseWriter, as does Write.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.took = time.Since(w.started)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status, w.took = http.StatusOK, time.Since(w.started)
	}
	return w.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController find what this hides.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
