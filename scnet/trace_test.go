package scnet_test

import (
	"slices"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	callertrace "github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestRequestsCarryTheTrace(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for _, want := range []string{"", parent} {
			wire := &fakecloudtest.Spy{}
			sim := start(t, simulator.Options{})
			client := newClient(t, sim, func(cfg *scnet.Config) { cfg.Transport = wire })
			ctx := callertrace.With(t.Context(), callertrace.Parent(want))
			region, err := client.Region(ctx, "")
			if err != nil {
				t.Fatal(err)
			}
			if !op.write {
				sim.Inject(simulator.Fault{Endpoint: op.endpoint, Status: 503, Times: 1})
			}
			if err := op.run(ctx, region); err != nil {
				t.Errorf("%s: %v", op.name, err)
			}
			wire.CloseIdleConnections()
			// The login and the look-up of addresses, which several calls may share, carry the trace of the call that began them.
			if len(wire.Requests()) < 3 {
				t.Errorf("%s: only %d requests", op.name, len(wire.Requests()))
			}
			for _, r := range wire.Requests() {
				if got := r.Header.Get(callertrace.Header); got != want {
					t.Errorf("%s: %s carries %q, want %q", op.name, r.URL.Path, got, want)
				}
			}
		}
	}
}

func TestRequestsAreObserved(t *testing.T) {
	t.Parallel()
	var seen fakecloudtest.Statuses
	sim, region := open(t, simulator.Options{}, func(cfg *scnet.Config) { cfg.Observe = seen.Observe(t) })
	// The reset comes first: on a connection that was used before, net/http repeats a read by itself.
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Reset: true, Times: 1})
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Status: 503, Times: 1})
	if _, err := region.List(t.Context(), firstPage); err != nil {
		t.Fatal(err)
	}
	got := seen.Got()
	if n := len(sim.Requests()); n < 4 || n != len(got) || !slices.Equal(got[n-3:], []int{0, 503, 200}) {
		t.Errorf("observed %v of %d requests", got, n)
	}
}
