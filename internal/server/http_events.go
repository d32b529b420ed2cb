package server

import (
	"net/http"
	"sync"
	"time"
)

// eventStream writes server-sent events to one answer. It starts with the first event, so that an answer without any can
// still be plain JSON.
type eventStream struct {
	w http.ResponseWriter

	mu      sync.Mutex
	started bool
	ended   bool
}

// event writes one event; name and data are single lines, which JSON is.
func (e *eventStream) event(name string, data []byte) error {
	return e.write("event: "+name+"\ndata: ", data, "\n\n")
}

// comment writes what clients ignore and proxies take as a sign of life.
func (e *eventStream) comment(text string) error { return e.write(": "+text, nil, "\n\n") }

func (e *eventStream) write(before string, data []byte, after string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return ErrOutputClosed
	}
	e.start()
	frame := make([]byte, 0, len(before)+len(data)+len(after))
	frame = append(append(append(frame, before...), data...), after...)
	control := http.NewResponseController(e.w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a client that does not read must not hold a call
	// HTTP/2 ends a stream whose deadline passes, although nothing is being written.
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	if _, err := e.w.Write(frame); err != nil { //nolint:gosec // JSON in an event stream is not a page
		return err
	}
	return control.Flush()
}

func (e *eventStream) start() {
	if !e.started {
		e.started = true
		e.w.Header().Set("Content-Type", "text/event-stream")
		e.w.WriteHeader(http.StatusOK)
	}
}

func (e *eventStream) isStarted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.started
}

// end lets nothing more be written: net/http forbids writes after the handler.
func (e *eventStream) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finish()
}

// finish leaves net/http as much time for the end of the stream as every event had.
func (e *eventStream) finish() {
	e.ended = true
	_ = http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(writeTimeout))
}

// endEmpty is end for an answer that has to be a stream although nothing may have been sent on it.
func (e *eventStream) endEmpty() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.start()
	e.finish()
}
