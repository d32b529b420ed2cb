package server

import (
	"net/http"
	"slices"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// Handler returns the handler, for tests and for servers of another kind; Serve does the rest.
func (h *HTTP) Handler() http.Handler {
	// http.ServeMux would answer some paths with a redirect, before any check.
	byPath, other := map[string]http.HandlerFunc{}, h.handler(elsewhere)
	for _, r := range endpoints {
		if r.when == nil || r.when(h.options) {
			byPath[r.path] = h.handler(r)
		}
	}
	if h.options.OAuth != nil {
		byPath[h.options.OAuth.metadataPath()] = byPath[resourceMetadataPath]
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if serve, known := byPath[r.URL.Path]; known {
			serve(w, r)
			return
		}
		other(w, r)
	})
}

// visit is one request on its way to the route that serves it.
type visit struct {
	w      *statusWriter
	r      *http.Request
	caller Caller
}

// step is one thing that a request passes. It reports whether the request goes on; otherwise it has answered it.
type step func(*HTTP, *visit) bool

// The steps that a request passes before its route serves it, in this order: the cheapest first, and those that tell a
// stranger least.
var (
	forAnybody = []step{setDeadlines, secureAnswer, admitSite, preflight}
	forCallers = append(slices.Clone(forAnybody), authenticate, admitRate)
)

func setDeadlines(_ *HTTP, v *visit) bool {
	control := http.NewResponseController(v.w)
	_ = control.SetWriteDeadline(time.Time{}) // net/http leaves that of the request before
	// Before a refusal net/http waits for the body, and a write deadline runs meanwhile.
	_ = control.SetReadDeadline(time.Now().Add(headerTimeout))
	return true
}

func secureAnswer(_ *HTTP, v *visit) bool {
	secure(v.w.Header())
	return true
}

func admitSite(h *HTTP, v *visit) bool { return h.admitSite(v.w, v.r) }

func preflight(h *HTTP, v *visit) bool { return !h.preflight(v.w, v.r) }

func authenticate(h *HTTP, v *visit) (ok bool) {
	v.caller, ok = h.authenticate(v.w, v.r)
	return ok
}

func admitRate(h *HTTP, v *visit) bool { return h.admitRate(v.w, v.caller) }

// endpoint is a path with the steps that lead to what serves it.
type endpoint struct {
	path  string
	steps []step
	serve func(*HTTP, http.ResponseWriter, *http.Request, Caller)
	when  func(HTTPOptions) bool // nil: always
}

var (
	endpoints = []endpoint{
		{path: "/mcp", steps: forCallers, serve: (*HTTP).serveMCP},
		{path: "/sse", steps: forCallers, serve: (*HTTP).serveSSE, when: ifSSE},
		{path: "/message", steps: forCallers, serve: (*HTTP).serveMessage, when: ifSSE},
		{path: resourceMetadataPath, steps: forAnybody, serve: (*HTTP).serveResourceMetadata, when: ifOAuth},
		{path: "/healthz", steps: forAnybody, serve: (*HTTP).serveHealth},
		{path: "/readyz", steps: forAnybody, serve: (*HTTP).serveReady},
		{path: "/metrics", steps: forCallers, serve: (*HTTP).serveMetrics, when: ifMetrics},
	}
	elsewhere = endpoint{path: OtherRoute, steps: forAnybody, serve: (*HTTP).serveNothing}
)

func ifSSE(o HTTPOptions) bool     { return o.SSE }
func ifMetrics(o HTTPOptions) bool { return o.Metrics != nil }

func (h *HTTP) serveMetrics(w http.ResponseWriter, r *http.Request, _ Caller) {
	h.options.Metrics.ServeHTTP(w, r)
}

func (h *HTTP) serveNothing(w http.ResponseWriter, _ *http.Request, _ Caller) {
	refuse(w, http.StatusNotFound, "there is nothing here; MCP is at /mcp")
}

// handler takes a request through the steps of an endpoint.
func (h *HTTP) handler(to endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.inFlight.Add(1)
		defer h.inFlight.Add(-1)
		v := &visit{w: &statusWriter{ResponseWriter: w, started: time.Now()}, r: r, caller: Caller{Name: guard.Local}}
		if h.options.Watch.Request != nil {
			defer func() { h.options.Watch.Request(to.path, v.w.status, v.w.took) }()
		}
		for _, step := range to.steps {
			if !step(h, v) {
				return
			}
		}
		to.serve(h, v.w, v.r, v.caller)
	}
}

// refused counts a refusal, and answers it.
func (h *HTTP) refused(w http.ResponseWriter, r rule, status int, text string) {
	if h.options.Watch.Refused != nil {
		h.options.Watch.Refused(ruleNames[r])
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
