package simulator

import (
	"cmp"
	"net/http"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Fault makes requests to an endpoint go wrong.
type Fault = fakecloud.Fault[Endpoint, OwnFault]

// OwnFault is how SCNet fails beside what the kit knows. A Code is answered with HTTP 200 unless Status is set.
type OwnFault struct {
	// Region the request is about; on the platform hosts that is the region of the token sent. Empty: all.
	Region    string `key:"region" only:"with"`
	CodeAsInt bool   `key:"code-as-int" only:"with"` // send Code as a number
	// ExpireToken answers 10008 and refuses the token that was sent from then on, as if it had expired this moment. It can
	// still be renewed.
	ExpireToken bool `key:"expire-token"`
}

// ParseFault reads a fault as written on a command line: the endpoint, a colon and comma-separated keys,
// "list:status=503,times=2". The endpoint "*" means all. Switches need no value: "execute:reset-after". A value with a comma
// or a quote in it is written as a quoted Go string.
func ParseFault(text string) (Fault, error) {
	return fakecloud.ParseFault[Endpoint, OwnFault](text, "endpoint", Endpoints())
}

// Inject adds a fault to those that are active.
func (s *Simulator) Inject(f Fault) { s.faults.Inject(f) }

// ClearFaults removes all faults.
func (s *Simulator) ClearFaults() { s.faults.ClearFaults() }

// fail is how the service itself fails by a fault.
func (h *host) fail(f Fault, header http.Header) (fakecloud.Answer, bool) {
	code := f.Code
	if code == "" {
		if f.Status != 0 || !f.Own.ExpireToken {
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
	return r.jsonAnswer(cmp.Or(f.Status, http.StatusOK), f.Own.CodeAsInt, false), true
}
