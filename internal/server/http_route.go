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
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve, known := h.routes[r.URL.Path]
		if !known {
			serve = h.routes["/"]
		}
		serve(w, r)
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

// What a request passes before its route serves it, in this order: what costs least and tells least comes first.
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

// handle registers a route behind the steps that lead to it.
func (h *HTTP) handle(route string, steps []step, serve func(http.ResponseWriter, *http.Request, Caller)) {
	name := route
	if route == "/" {
		name = "other"
	}
	h.routes[route] = func(w http.ResponseWriter, r *http.Request) {
		h.inFlight.Add(1)
		defer h.inFlight.Add(-1)
		v := &visit{w: &statusWriter{ResponseWriter: w, started: time.Now()}, r: r, caller: Caller{Name: guard.Local}}
		if h.options.Watch.Request != nil {
			defer func() { h.options.Watch.Request(name, v.w.status, v.w.took) }()
		}
		for _, step := range steps {
			if !step(h, v) {
				return
			}
		}
		serve(v.w, v.r, v.caller)
	}
}

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
