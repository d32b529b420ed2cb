package workspace_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// The simulator verifies the signature as the service does, over the fields that the signature names.
func TestSignedRequestsCarryTheTrace(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, want := range []string{"", parent} {
			wire := &fakecloudtest.Spy{}
			sim, client, task, record := prepared(t, simulator.Options{}, spied(wire))
			before := len(wire.Requests())
			ctx := trace.With(t.Context(), trace.Parent(want))
			if !op.write {
				sim.Inject(simulator.Fault{Endpoint: op.op, Status: 503, Times: 1})
			}
			if err := op.run(ctx, client, task, record); err != nil {
				t.Errorf("%s: %v", op.name, err)
			}
			wire.CloseIdleConnections()
			fresh := wire.Requests()[before:]
			if least := map[bool]int{true: 1, false: 2}[op.write]; len(fresh) < least {
				t.Errorf("%s: %d requests, want at least %d", op.name, len(fresh), least)
			}
			for _, r := range fresh {
				if got := r.Header.Get(trace.Header); got != want {
					t.Errorf("%s: %s carries %q, want %q", op.name, r.URL.Path, got, want)
				}
				if signed := r.Header.Get("Authorization"); strings.Contains(signed, trace.Header) {
					t.Errorf("%s: a field that others may change on the way is signed: %s", op.name, signed)
				}
			}
		}
	}
}

func TestProjectLookUpCarriesTheTrace(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	sim := start(t, simulator.Options{})
	client := newClient(t, sim, discovers(sim), spied(wire))
	if _, err := client.Scripts(trace.With(t.Context(), parent), workspace.ScriptFilter{}); err != nil {
		t.Fatal(err)
	}
	wire.CloseIdleConnections()
	if len(wire.Requests()) != 2 {
		t.Errorf("%d requests", len(wire.Requests()))
	}
	for _, r := range wire.Requests() {
		if got := r.Header.Get(trace.Header); got != parent {
			t.Errorf("%s carries %q", r.URL.Path, got)
		}
	}
}

func TestRequestsAreObserved(t *testing.T) {
	t.Parallel()
	var seen fakecloudtest.Statuses
	sim, client := open(t, simulator.Options{}, func(cfg *workspace.Config) { cfg.Observe = seen.Observe(t) })
	// The reset comes first: on a connection that was used before, net/http repeats a read by itself.
	sim.Inject(simulator.Fault{Endpoint: simulator.OpListScripts, Reset: true, Times: 1})
	sim.Inject(simulator.Fault{Endpoint: simulator.OpListScripts, Status: 503, Times: 1})
	if _, err := client.Scripts(t.Context(), workspace.ScriptFilter{}); err != nil {
		t.Fatal(err)
	}
	if got := seen.Got(); !slices.Equal(got, []int{0, 503, 200}) {
		t.Errorf("observed %v", got)
	}
}
