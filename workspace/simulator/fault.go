package simulator

import (
	"cmp"
	"net/http"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Fault makes requests to an operation go wrong. Of several faults that apply to a request, the first one injected acts
// alone.
//
// Reset, Redirect, HTML, Throttle, Code and Status answer instead of the operation, which has no effect then; of these the
// first one set, in this order, acts. Truncate, Huge, ResetAfter and HangAfter let the operation do its work and spoil the
// answer. Latency combines with all.
//
// The tags are the keys of the text form; see ParseFault.
type Fault struct {
	Operation Operation // empty: all
	After     int       `key:"after" only:"with"` // let the first n requests pass
	Times     int       `key:"times" only:"with"` // act this often; 0: until cleared

	Latency    time.Duration `key:"latency"`                 // hold the request back, or until the client leaves
	Status     int           `key:"status"`                  // HTTP status: with Code of the JSON, with HTML of the page, else of one line of text
	RetryAfter string        `key:"retry-after" only:"with"` // Retry-After header; the service is not known to send one
	Code       string        `key:"code"`                    // error code, WKS.… or APIGW.…, which choose the shape of the error
	Message    string        `key:"message" only:"with"`     // message beside Code or Throttle; the code's own when empty
	Throttle   bool          `key:"throttle"`                // 429 APIGW.0308, whose message names the limit
	HTML       bool          `key:"html"`                    // an HTML page, HTTP 502 unless Status is set
	Truncate   bool          `key:"truncate"`                // cut the answer in half
	Reset      bool          `key:"reset"`                   // reset the connection before the operation
	ResetAfter bool          `key:"reset-after"`             // reset the connection after the operation: sent, answer lost
	HangAfter  bool          `key:"hang-after"`              // never answer after the operation
	Redirect   string        `key:"redirect"`                // Location, HTTP 307 unless Status is 3xx
	Huge       int           `key:"huge"`                    // pad the answer to that many bytes
}

// ParseFault reads a fault as written on a command line: the operation, a colon and comma-separated keys,
// "list-tasks:status=503,times=2". The operation "*" means all. Switches need no value: "execute:reset-after". A value with a
// comma or a quote in it is written as a quoted Go string.
func ParseFault(text string) (Fault, error) {
	var f Fault
	op, err := fakecloud.ParseFault(text, "operation", Operations(), &f)
	if err != nil {
		return Fault{}, err
	}
	f.Operation = op
	return f, nil
}

// String writes a fault in the form ParseFault reads.
func (f Fault) String() string { return fakecloud.FaultText(f.Operation, f) }

// Inject adds a fault to those that are active.
func (s *Simulator) Inject(f Fault) { s.faults.Inject(f) }

// ClearFaults removes all faults.
func (s *Simulator) ClearFaults() { s.faults.ClearFaults() }

// fail is how the service itself fails by a fault.
func (f Fault) fail(op Operation, requestID string) (fakecloud.Answer, bool) {
	code := f.Code
	if f.Throttle {
		code = codeThrottled
	}
	if code == "" {
		return fakecloud.Answer{}, false
	}
	r := fail(code, "%s", cmp.Or(f.Message, known[code].msg))
	r.status = cmp.Or(f.Status, r.status, http.StatusInternalServerError)
	return r.encode(op, requestID), true
}
