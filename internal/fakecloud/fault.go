package fakecloud

import (
	"cmp"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Fault makes requests to an endpoint go wrong. Name is what a simulator calls its endpoints; Own is how its service can fail
// beyond that. Of several faults that apply to a request, the first one injected acts alone.
//
// Reset, Redirect, HTML, Code, Status and what Own says answer instead of the operation, which has no effect then. The first
// one set acts, in this order. Truncate, Huge, ResetAfter and HangAfter let the operation do its work and spoil the answer.
// Latency combines with all.
//
// The tags are the keys of the text form; see ParseFault.
type Fault[Name ~string, Own any] struct {
	Endpoint Name // empty: all
	After    int  `key:"after" only:"with"` // let the first n requests pass
	Times    int  `key:"times" only:"with"` // act this often; 0: until cleared

	Latency    time.Duration `key:"latency"`                 // hold the request back, or until the client leaves
	Status     int           `key:"status"`                  // HTTP status: with Code of the JSON, with HTML of the page, else of one line of text
	RetryAfter string        `key:"retry-after" only:"with"` // Retry-After header
	Code       string        `key:"code"`                    // the service's own code, in the shape that its errors have
	Message    string        `key:"message" only:"with"`     // message beside Code; the code's own when empty
	HTML       bool          `key:"html"`                    // an HTML page, HTTP 502 unless Status is set
	Truncate   bool          `key:"truncate"`                // cut the answer in half
	Reset      bool          `key:"reset"`                   // reset the connection before the operation
	ResetAfter bool          `key:"reset-after"`             // reset the connection after the operation: sent, answer lost
	HangAfter  bool          `key:"hang-after"`              // never answer after the operation
	Redirect   string        `key:"redirect"`                // Location, HTTP 307 unless Status is 3xx
	Huge       int           `key:"huge"`                    // pad the answer to that many bytes

	Own Own
}

// instead returns the answer of a fault that keeps the operation from running. own is how the service itself fails; it is
// asked where the kit has nothing more drastic to do.
func (f Fault[Name, Own]) instead(own func() (Answer, bool)) (Answer, bool) {
	if f.Reset {
		return Answer{cut: true}, true
	}
	var a Answer
	switch {
	case f.Redirect != "":
		status := http.StatusTemporaryRedirect
		if f.Status >= 300 && f.Status < 400 {
			status = f.Status
		}
		a = Page(status).With("Location", f.Redirect)
	case f.HTML:
		a = Page(cmp.Or(f.Status, http.StatusBadGateway))
	default:
		ours, done := own()
		switch {
		case done:
			a = ours
		case f.Status == 0:
			return Answer{}, false
		default:
			body := fmt.Appendf(nil, "%d %s\n", f.Status, http.StatusText(f.Status))
			a = Answer{Status: f.Status, Type: "text/plain;charset=UTF-8", Body: body}
		}
	}
	if f.RetryAfter != "" {
		a = a.With("Retry-After", f.RetryAfter)
	}
	return a, true
}

// Faults are those injected into a simulator. The zero value has none; it is safe for concurrent use.
type Faults[Name ~string, Own any] struct {
	mu     sync.Mutex
	active []*activeFault[Name, Own]
}

type activeFault[Name ~string, Own any] struct {
	Fault[Name, Own]
	passed, fired int
}

// Inject adds a fault to those that are active.
func (s *Faults[Name, Own]) Inject(f Fault[Name, Own]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = append(s.active, &activeFault[Name, Own]{Fault: f})
}

// ClearFaults removes all faults.
func (s *Faults[Name, Own]) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = nil
}

// Next returns the fault that acts on a request to an endpoint, the zero value if there is none. applies, unless nil, says
// what else decides whether a fault applies to the request.
func (s *Faults[Name, Own]) Next(endpoint Name, applies func(Own) bool) Fault[Name, Own] {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.active {
		switch {
		case f.Endpoint != "" && f.Endpoint != endpoint, applies != nil && !applies(f.Own):
		case f.passed < f.After:
			f.passed++
		case f.Times > 0 && f.fired >= f.Times:
		default:
			f.fired++
			return f.Fault
		}
	}
	return Fault[Name, Own]{}
}
