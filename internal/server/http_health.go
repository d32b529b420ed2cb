package server

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	readyTimeout = 10 * time.Second
	readyFor     = 30 * time.Second // how long a good answer holds
	unreadyFor   = 5 * time.Second  // how long a bad one does
)

// readiness remembers whether calls could work, because probes come more often than the service should be asked.
type readiness struct {
	check func(context.Context) error
	now   func() time.Time

	mu    sync.Mutex // held while asking, so that all who wait get the one answer
	until time.Time
	err   error
}

// get returns what is wrong, and whether that was found out now.
func (r *readiness) get(ctx context.Context) (asked bool, err error) {
	if r.check == nil {
		return false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now().Before(r.until) {
		return false, r.err
	}
	// The answer is for everybody, so it must not depend on the patience of the first who asks.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.err = r.check(ctx)
	holds := readyFor
	if r.err != nil {
		holds = unreadyFor
	}
	r.until = r.now().Add(holds)
	return true, r.err
}

// serveHealth says that the process answers.
func (h *HTTP) serveHealth(w http.ResponseWriter, _ *http.Request, _ Caller) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// serveReady says whether calls would work now. Strangers may ask, so the reason is for the log only.
func (h *HTTP) serveReady(w http.ResponseWriter, r *http.Request, _ Caller) {
	if h.isStopping() {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "stopping"})
		return
	}
	if asked, err := h.ready.get(r.Context()); err != nil {
		if asked { // not for every probe: strangers would fill the log
			h.server.log.Warn().Err(err).Msg("not ready")
		}
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": "the server's log says why"})
		return
	}
	body := map[string]string{"status": "ready"}
	if h.options.OAuth != nil && h.options.OAuth.Degraded != nil {
		if words := h.options.OAuth.Degraded(); words != "" {
			body["degraded"] = words
		}
	}
	writeJSON(w, http.StatusOK, body)
}
