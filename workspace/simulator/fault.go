package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// Fault makes requests to an operation go wrong. Of several faults that apply
// to a request, the first one injected acts alone.
//
// Reset, Redirect, HTML, Throttle, Code and Status answer instead of the
// operation, which has no effect then; of these the first one set, in this
// order, acts. Truncate, Huge, ResetAfter and HangAfter let the operation do
// its work and spoil the answer. Latency combines with all.
//
// The tags are the keys of the text form; see ParseFault.
type Fault struct {
	Operation Operation // empty: all
	After     int       `fault:"after"` // let the first n requests pass
	Times     int       `fault:"times"` // act this often; 0: until cleared

	Latency    time.Duration `fault:"latency"`     // hold the request back, or until the client leaves
	Status     int           `fault:"status"`      // HTTP status: with Code of the JSON, with HTML of the page, else of one line of text
	RetryAfter string        `fault:"retry-after"` // Retry-After header; the service is not known to send one
	Code       string        `fault:"code"`        // error code, WKS.… or APIGW.…, which choose the shape of the error
	Message    string        `fault:"message"`     // message beside Code or Throttle; the code's own when empty
	Throttle   bool          `fault:"throttle"`    // 429 APIGW.0308, whose message names the limit
	HTML       bool          `fault:"html"`        // an HTML page, HTTP 502 unless Status is set
	Truncate   bool          `fault:"truncate"`    // cut the answer in half
	Reset      bool          `fault:"reset"`       // reset the connection before the operation
	ResetAfter bool          `fault:"reset-after"` // reset the connection after the operation: sent, answer lost
	HangAfter  bool          `fault:"hang-after"`  // never answer after the operation
	Redirect   string        `fault:"redirect"`    // Location, HTTP 307 unless Status is 3xx
	Huge       int           `fault:"huge"`        // pad the answer to that many bytes
}

// activeFault is an injected fault with what it has counted so far.
type activeFault struct {
	Fault
	passed, fired int
}

// Inject adds a fault to those that are active.
func (s *Simulator) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &activeFault{Fault: f})
}

// ClearFaults removes all faults.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault returns the fault to act on a request; the zero Fault if there is
// none.
func (s *Simulator) fault(op Operation) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		switch {
		case f.Operation != "" && f.Operation != op:
		case f.passed < f.After:
			f.passed++
		case f.Times > 0 && f.fired >= f.Times:
		default:
			f.fired++
			return f.Fault
		}
	}
	return Fault{}
}

// instead returns the answer of a fault that keeps the operation from running.
func (f Fault) instead(op Operation, requestID string) (answer, bool) {
	var a answer
	switch {
	case f.Reset:
		return answer{cut: true}, true
	case f.Redirect != "":
		status := http.StatusTemporaryRedirect
		if f.Status >= 300 && f.Status < 400 {
			status = f.Status
		}
		a = htmlAnswer(status)
		a.header = append(a.header, [2]string{"Location", f.Redirect})
	case f.HTML:
		a = htmlAnswer(f.status(http.StatusBadGateway))
	case f.Throttle:
		a = f.reply(codeThrottled).encode(op, requestID)
	case f.Code != "":
		a = f.reply(f.Code).encode(op, requestID)
	case f.Status != 0:
		a = answer{
			status: f.Status,
			mime:   "text/plain;charset=utf-8",
			body:   fmt.Appendf(nil, "%d %s\n", f.Status, http.StatusText(f.Status)),
		}
	default:
		return answer{}, false
	}
	if f.RetryAfter != "" {
		a.header = append(a.header, [2]string{"Retry-After", f.RetryAfter})
	}
	return a, true
}

func (f Fault) reply(code string) reply {
	r := fail(code, "%s", cmp.Or(f.Message, known[code].msg))
	r.status = f.status(cmp.Or(r.status, http.StatusInternalServerError))
	return r
}

func (f Fault) status(fallback int) int { return cmp.Or(f.Status, fallback) }
