package simulator

import (
	"fmt"
	"net/http"
	"time"
)

// Fault makes requests to an endpoint go wrong. Of several faults that apply
// to a request, the first one injected acts alone.
//
// Reset, Redirect, HTML, Status, Code and ExpireToken answer instead of the
// operation, which has no effect then; of these the first one set, in this
// order, acts. Truncate, Huge, ResetAfter and HangAfter let the operation do
// its work and spoil the answer. Latency combines with all.
type Fault struct {
	Endpoint Endpoint // empty: all
	// Region the request is about; on the platform hosts that is the region
	// of the token sent. Empty: all.
	Region string
	After  int // let the first n requests pass
	Times  int // act this often; 0: until cleared

	Latency    time.Duration // hold the request back, or until the client leaves
	Status     int           // HTTP status: with Code of the JSON, with HTML of the page, else of one line of text
	RetryAfter string        // Retry-After header, with Status
	Code       string        // business code, HTTP 200 unless Status is set
	Message    string        // message beside Code; the table's when empty
	CodeAsInt  bool          // send Code as a number
	HTML       bool          // an HTML page, HTTP 502 unless Status is set
	Truncate   bool          // cut the answer in half
	Reset      bool          // reset the connection before the operation
	ResetAfter bool          // reset the connection after the operation: sent, answer lost
	HangAfter  bool          // never answer after the operation
	Redirect   string        // Location, HTTP 307 unless Status is 3xx
	// ExpireToken answers 10008 and refuses the token that was sent from then
	// on, as if it had expired this moment. It can still be renewed.
	ExpireToken bool
	Huge        int // pad the answer to that many bytes
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
func (s *Simulator) fault(e Endpoint, region string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		switch {
		case f.Endpoint != "" && f.Endpoint != e, f.Region != "" && f.Region != region:
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
func (h *host) instead(f Fault, header http.Header) (answer, bool) {
	switch {
	case f.Reset:
		return answer{cut: true}, true
	case f.Redirect != "":
		status := http.StatusTemporaryRedirect
		if f.Status >= 300 && f.Status < 400 {
			status = f.Status
		}
		a := htmlAnswer(status)
		a.header = append(a.header, [2]string{"Location", f.Redirect})
		return a, true
	case f.HTML:
		return f.retry(htmlAnswer(f.status(http.StatusBadGateway))), true
	case f.Code != "":
		return f.retry(f.reply(f.Code).jsonAnswer(f.status(http.StatusOK), f.CodeAsInt, false)), true
	case f.Status != 0:
		return f.retry(answer{
			status: f.Status,
			mime:   "text/plain;charset=UTF-8",
			body:   fmt.Appendf(nil, "%d %s\n", f.Status, http.StatusText(f.Status)),
		}), true
	case f.ExpireToken:
		h.sim.mu.Lock()
		h.sim.revoked[header.Get("token")] = true
		h.sim.mu.Unlock()
		return f.reply(codeForbidden).jsonAnswer(http.StatusOK, f.CodeAsInt, false), true
	}
	return answer{}, false
}

func (f Fault) reply(code string) reply {
	r := fail(code)
	if f.Message != "" {
		r.msg = f.Message
	}
	return r
}

func (f Fault) status(fallback int) int {
	if f.Status != 0 {
		return f.Status
	}
	return fallback
}

func (f Fault) retry(a answer) answer {
	if f.RetryAfter != "" {
		a.header = append(a.header, [2]string{"Retry-After", f.RetryAfter})
	}
	return a
}
