package tools_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

func got(t *testing.T, r reply) (out tools.GetInstanceOutput) {
	t.Helper()
	if err := json.Unmarshal(r.Structured, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGetInstanceByName(t *testing.T) {
	bubble(t, "in another region", func(t *testing.T) {
		w := twoPlaces(t, home)
		r := w.call(t, "get_instance", arguments{"instance_id": "far-1"})
		if out := got(t, r); out.Instance.ID != id(11) || out.Instance.Place.ID != away || out.Reached != nil {
			t.Errorf("%s", r.Structured)
		}
		w.fails(t, "get_instance", arguments{"instance_id": "twin"}, "the name of 2 instances", id(8), id(12))
		w.fails(t, "get_instance", arguments{"instance_id": id(99)}, "no such instance")
		w.fails(t, "get_instance", arguments{"instance_id": id(1), "wait_for": "idle"}, `"idle" is not a status`, "Terminated (stopped, 已关机)")
	})
}

func TestGetInstanceWaits(t *testing.T) {
	for word, want := range map[string]struct {
		status  string
		reached bool
	}{
		"运行中": {simulator.Running, true}, "settled": {simulator.Running, true}, "stopped": {simulator.Running, false},
	} {
		bubble(t, word, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, simulator.Terminated)})
			w.call(t, "restart_instance", restart)
			began := time.Now()
			out := got(t, w.call(t, "get_instance", arguments{"instance_id": id(1), "wait_for": word, "wait_seconds": 30}))
			if out.Instance.Status != want.status || *out.Reached != want.reached || (out.Next.IsZero()) != want.reached ||
				want.reached != (time.Since(began) < 30*time.Second) {
				t.Errorf("%+v", out)
			}
		})
	}
}

// A wait that did not reach its end says what would: to wait on is no help where nothing changes by itself.
func TestGetInstanceAfterAWaitInVain(t *testing.T) {
	for name, c := range map[string]struct{ status, wait, next string }{
		"ended":       {simulator.Terminated, "Running", "does not start by itself: restart_instance starts it"},
		"ended so":    {simulator.Completed, "stopped", "It has ended, as Completed, and so does not become Terminated"},
		"runs on":     {simulator.Running, "Terminated", "stop_instances stops it"},
		"runs":        {simulator.Running, "Waiting", "Running already"},
		"not over":    {simulator.Running, "Completed", "still Running. Repeat the call"},
		"queueing":    {simulator.Waiting, "Running", "still Waiting. Repeat the call"},
		"not settled": {simulator.Waiting, "settled", "still Waiting. Repeat the call"},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, c.status), timing: simulator.Timing{Waiting: 1000 * time.Hour}})
			r := w.call(t, "get_instance", arguments{"instance_id": id(1), "wait_for": c.wait, "wait_seconds": 3})
			wantParts(t, r.Next, c.next)
			wantParts(t, r.Text, r.Next)
		})
	}
}

func TestGetInstanceTellsWhatIsKnown(t *testing.T) {
	for _, status := range []string{simulator.Waiting, simulator.Failed} {
		bubble(t, status, func(t *testing.T) {
			in := job(1, status)
			in.StartTime, in.ResourceGroup = time.Time{}, "TeslaM40"
			w := newWorld(t, setup{instances: []simulator.Instance{in}})
			r := w.call(t, "get_instance", arguments{"instance_id": id(1)})
			out := got(t, r)
			if len(out.NotKnown) == 0 || (out.QueuedSeconds != nil) != (status == simulator.Waiting) {
				t.Errorf("%s", r.Structured)
			}
			for _, fact := range append(out.Facts, out.NotKnown...) {
				wantParts(t, r.Text, fact.String())
			}
		})
	}
}
