package fakecloud

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"
)

// Fault is what the kit itself does to a request. A simulator has a fault type of its own, with names of its operations
// and with further ways to fail; fields of it that have one of these keys mean the same there.
//
// Of several faults that apply to a request, the first one injected acts alone. Reset, Redirect, HTML and Status answer
// instead of the operation, which has no effect then; of these the first one set, in this order, acts. Truncate, Huge,
// ResetAfter and HangAfter let the operation do its work and spoil the answer. Latency combines with all.
type Fault struct {
	After int `key:"after"` // let the first n requests pass
	Times int `key:"times"` // act this often; 0: until cleared

	Latency    time.Duration `key:"latency"`     // hold the request back, or until the client leaves
	Status     int           `key:"status"`      // HTTP status: with HTML of the page, else of one line of text
	RetryAfter string        `key:"retry-after"` // Retry-After header
	HTML       bool          `key:"html"`        // an HTML page, HTTP 502 unless Status is set
	Truncate   bool          `key:"truncate"`    // cut the answer in half
	Reset      bool          `key:"reset"`       // reset the connection before the operation
	ResetAfter bool          `key:"reset-after"` // reset the connection after the operation: sent, answer lost
	HangAfter  bool          `key:"hang-after"`  // never answer after the operation
	Redirect   string        `key:"redirect"`    // Location, HTTP 307 unless Status is 3xx
	Huge       int           `key:"huge"`        // pad the answer to that many bytes
}

// CommonFault takes the part of a simulator's fault that the kit knows.
func CommonFault(fault any) Fault {
	from := reflect.ValueOf(fault)
	var f Fault
	to := reflect.ValueOf(&f).Elem()
	theirs := keysOf(from.Type())
	for _, k := range keysOf(to.Type()) {
		for _, other := range theirs {
			if other.name == k.name {
				to.FieldByIndex(k.index).Set(from.FieldByIndex(other.index))
			}
		}
	}
	return f
}

// instead returns the answer of a fault that keeps the operation from running. own is how the service itself fails; it is
// asked where the kit has nothing more drastic to do.
func (f Fault) instead(own func() (Answer, bool)) (Answer, bool) {
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

// Faults are those injected into a simulator whose fault type is F. The zero value has none; it is safe for concurrent use.
type Faults[F any] struct {
	mu     sync.Mutex
	active []*activeFault[F]
}

type activeFault[F any] struct {
	fault         F
	after, times  int
	passed, fired int
}

// Inject adds a fault to those that are active.
func (s *Faults[F]) Inject(fault F) {
	f := CommonFault(fault)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = append(s.active, &activeFault[F]{fault: fault, after: f.After, times: f.Times})
}

// ClearFaults removes all faults.
func (s *Faults[F]) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = nil
}

// Next returns the fault that acts on a request, of those that apply to it; the zero value if there is none.
func (s *Faults[F]) Next(applies func(F) bool) F {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.active {
		switch {
		case !applies(f.fault):
		case f.passed < f.after:
			f.passed++
		case f.times > 0 && f.fired >= f.times:
		default:
			f.fired++
			return f.fault
		}
	}
	var none F
	return none
}
