package tools_test

import (
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestResizeInstance(t *testing.T) {
	resizing := arguments{"instance_id": id(1), "accelerators": 4, "cpus": 16}
	bubble(t, "a stopped one", func(t *testing.T) {
		w := newWorld(t, setup{instances: []simulator.Instance{model()}})
		r, confirm := w.previewed(t, "resize_instance", resizing)
		wantParts(t, r.Text, "each of its 2 containers: 4 instead of 2 accelerators, 16 instead of 8 CPU cores", "8 accelerators in all", "stays stopped")
		w.nothingSent(t)
		r = w.call(t, "resize_instance", confirm)
		wantOutcomes(t, r, "done", "resized")
		if in := w.Instances(home)[0]; in.GPUNumber != 4 || in.CPUNumber != 16 || in.RAMSize != 15360 || in.Status != simulator.Terminated {
			t.Errorf("resized to %+v", in)
		}
	})
	for name, c := range map[string]struct {
		policy guard.Policy
		status string
		change arguments
		want   string
	}{
		"running":   {status: simulator.Running, want: "only a stopped instance can be resized"},
		"waiting":   {status: simulator.Waiting, want: "stop_instances"},
		"too large": {change: arguments{"accelerators": 5, "cpus": 64}, want: "2 arguments are wrong"},
		"nothing":   {change: arguments{"accelerators": nil, "cpus": nil}, want: "give what is to change"},
		"cap":       {policy: guard.Policy{MaxAccelerators: 7}, want: "8 accelerators in one call"},
		"protected": {policy: protectFirst, want: "has protected"},
		"missing":   {change: arguments{"instance_id": id(5)}, want: "no such instance"},
	} {
		bubble(t, name, func(t *testing.T) {
			in := model()
			if c.status != "" {
				in.Status = c.status
			}
			w := newWorld(t, setup{instances: []simulator.Instance{in}, rules: toolbox.Rules{Policy: c.policy}})
			a := resizing.with(c.change)
			for key, value := range a {
				if value == nil {
					delete(a, key)
				}
			}
			w.fails(t, "resize_instance", a, c.want)
			w.nothingSent(t)
		})
	}
	bubble(t, "nothing to do", func(t *testing.T) {
		w := newWorld(t, setup{instances: []simulator.Instance{model()}})
		wantOutcomes(t, w.call(t, "resize_instance", arguments{"instance_id": id(1), "cpus": 8}), "done", "resized")
		w.nothingSent(t)
	})
	for name, c := range map[string]struct {
		fault          simulator.Fault
		state, outcome string
	}{
		"lost, and done":     {simulator.Fault{ResetAfter: true}, "done", "resized"},
		"lost, and not done": {simulator.Fault{Reset: true}, "unknown", "unknown"},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: []simulator.Instance{model()}})
			_, confirm := w.previewed(t, "resize_instance", resizing)
			c.fault.Endpoint = simulator.EndpointResize
			w.Inject(c.fault)
			wantOutcomes(t, w.call(t, "resize_instance", confirm), c.state, c.outcome)
			w.wantSent(t, simulator.EndpointResize, 1)
		})
	}
	bubble(t, "refused", func(t *testing.T) {
		w := newWorld(t, setup{instances: []simulator.Instance{model()}})
		_, confirm := w.previewed(t, "resize_instance", resizing)
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointResize, Code: "10004"})
		w.fails(t, "resize_instance", confirm, "10004", "Nothing was changed")
	})
}
