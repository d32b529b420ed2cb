package simulator

import (
	"cmp"
	"net/http"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Fault makes requests to an operation go wrong. A Code, WKS.… or APIGW.…, chooses the shape of the error and its HTTP status
// unless Status is set. The service is not known to send a Retry-After header.
type Fault = fakecloud.Fault[Operation, struct{}]

// ParseFault reads a fault as written on a command line: the operation, a colon and comma-separated keys,
// "list-tasks:status=503,times=2"; see the simulator of SCNet.
func ParseFault(text string) (Fault, error) {
	return fakecloud.ParseFault[Operation, struct{}](text, "operation", Operations())
}

// Inject adds a fault to those that are active.
func (s *Simulator) Inject(f Fault) { s.faults.Inject(f) }

// ClearFaults removes all faults.
func (s *Simulator) ClearFaults() { s.faults.ClearFaults() }

// failWith is how the service itself fails by a fault.
func failWith(f Fault, op Operation, requestID string) (fakecloud.Answer, bool) {
	if f.Code == "" {
		return fakecloud.Answer{}, false
	}
	r := fail(f.Code, "%s", cmp.Or(f.Message, known[f.Code].msg))
	r.status = cmp.Or(f.Status, r.status, http.StatusInternalServerError)
	return r.encode(op, requestID), true
}
