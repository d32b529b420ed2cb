package simulator

import (
	"cmp"
	"net/http"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Fault makes requests to an endpoint go wrong. Of several faults that apply to a request, the first one injected acts alone.
//
// Reset, Redirect, HTML, Code, Status and ExpireToken answer instead of the operation, which has no effect then; of these the
// first one set, in this order, acts. Truncate, Huge, ResetAfter and HangAfter let the operation do its work and spoil the
// answer. Latency combines with all.
//
// The tags are the keys of the text form; see ParseFault.
type Fault struct {
	Endpoint Endpoint // empty: all
	// Region the request is about; on the platform hosts that is the region of the token sent. Empty: all.
	Region string `key:"region" only:"with"`
	After  int    `key:"after" only:"with"` // let the first n requests pass
	Times  int    `key:"times" only:"with"` // act this often; 0: until cleared

	Latency    time.Duration `key:"latency"`                 // hold the request back, or until the client leaves
	Status     int           `key:"status"`                  // HTTP status: with Code of the JSON, with HTML of the page, else of one line of text
	RetryAfter string        `key:"retry-after" only:"with"` // Retry-After header
	Code       string        `key:"code"`                    // business code, HTTP 200 unless Status is set
	Message    string        `key:"message" only:"with"`     // message beside Code; the table's when empty
	CodeAsInt  bool          `key:"code-as-int" only:"with"` // send Code as a number
	HTML       bool          `key:"html"`                    // an HTML page, HTTP 502 unless Status is set
	Truncate   bool          `key:"truncate"`                // cut the answer in half
	Reset      bool          `key:"reset"`                   // reset the connection before the operation
	ResetAfter bool          `key:"reset-after"`             // reset the connection after the operation: sent, answer lost
	HangAfter  bool          `key:"hang-after"`              // never answer after the operation
	Redirect   string        `key:"redirect"`                // Location, HTTP 307 unless Status is 3xx
	// ExpireToken answers 10008 and refuses the token that was sent from then on, as if it had expired this moment. It can
	// still be renewed.
	ExpireToken bool `key:"expire-token"`
	Huge        int  `key:"huge"` // pad the answer to that many bytes
}

// ParseFault reads a fault as written on a command line: the endpoint, a colon and comma-separated keys,
// "list:status=503,times=2". The endpoint "*" means all. Switches need no value: "execute:reset-after". A value with a comma
// or a quote in it is written as a quoted Go string.
func ParseFault(text string) (Fault, error) {
	var f Fault
	endpoint, err := fakecloud.ParseFault(text, "endpoint", Endpoints(), &f)
	if err != nil {
		return Fault{}, err
	}
	f.Endpoint = endpoint
	return f, nil
}

// String writes a fault in the form ParseFault reads.
func (f Fault) String() string { return fakecloud.FaultText(f.Endpoint, f) }

// Inject adds a fault to those that are active.
func (s *Simulator) Inject(f Fault) { s.faults.Inject(f) }

// ClearFaults removes all faults.
func (s *Simulator) ClearFaults() { s.faults.ClearFaults() }

func (f Fault) applies(e Endpoint, region string) bool {
	return (f.Endpoint == "" || f.Endpoint == e) && (f.Region == "" || f.Region == region)
}

// fail is how the service itself fails by a fault.
func (h *host) fail(f Fault, header http.Header) (fakecloud.Answer, bool) {
	code := f.Code
	if code == "" {
		if f.Status != 0 || !f.ExpireToken {
			return fakecloud.Answer{}, false
		}
		code = codeForbidden
		h.sim.mu.Lock()
		h.sim.revoked[header.Get("token")] = true
		h.sim.mu.Unlock()
	}
	r := fail(code)
	if h.region != nil {
		r.msg = cmp.Or(containerText[code], r.msg)
	}
	r.msg = cmp.Or(f.Message, r.msg)
	return r.jsonAnswer(cmp.Or(f.Status, http.StatusOK), f.CodeAsInt, false), true
}
