package tools_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestStopInstances(t *testing.T) {
	bubble(t, "frees what runs and what waits, and keeps it", func(t *testing.T) {
		w := newWorld(t, setup{instances: []simulator.Instance{job(1, simulator.Running), job(2, simulator.Terminated), job(3, simulator.Waiting)}})
		a := deletion(id(1), id(2), id(3), id(99))
		r, confirm := w.previewed(t, "stop_instances", a)
		wantParts(t, r.Text, "would stop 2 instances", "2 accelerators freed", "may be lost", "loses its place", "has ended already", "does not exist")
		w.nothingSent(t)
		r = w.call(t, "stop_instances", confirm)
		wantOutcomes(t, r, "done", "stopped", "already_stopped", "stopped", "not_found")
		for _, in := range w.Instances(home) {
			if in.Status != simulator.Terminated {
				t.Errorf("%s is %s", in.Name, in.Status)
			}
		}
		w.wantSent(t, simulator.EndpointStop, 1)
	})
	bubble(t, "says what is still on its way", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Running), timing: simulator.Timing{Stopping: 20 * time.Second}})
		r := w.confirmed(t, "stop_instances", deletion(ids(2)...))
		wantOutcomes(t, r, "waiting", "still_active", "still_active")
		wantParts(t, r.Text, "now Stopping", "get_instance with instance_id=", "wait_for=Terminated")
		w.wantSent(t, simulator.EndpointStop, 1)
	})
	bubble(t, "waits with progress", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Running), timing: simulator.Timing{Stopping: 5 * time.Second}})
		_, confirm := w.previewed(t, "stop_instances", deletion(ids(2)...).with(arguments{"wait_seconds": 30}))
		var seen reports
		r, err := w.try(seen.follow(t.Context()), toolbox.Call{Tool: "stop_instances", Arguments: encoded(confirm)})
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, r, "done", "stopped", "stopped")
		if r.WaitedSeconds != 7 {
			t.Errorf("waited %d s", r.WaitedSeconds)
		}
		seen.want(t, "0/30 2 not stopped yet", "1/30 2 not stopped yet", "3/30 2 not stopped yet")
	})
	bubble(t, "nothing to do", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Failed)})
		wantOutcomes(t, w.call(t, "stop_instances", deletion(id(1))), "done", "already_stopped")
		w.nothingSent(t)
	})
}

func TestStopInstancesOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		fault   simulator.Fault
		state   string
		outcome string
		words   string
	}{
		"lost, and done":     {simulator.Fault{ResetAfter: true}, "done", "stopped", "although"},
		"lost, and not done": {simulator.Fault{Reset: true}, "unknown", "unknown", "it is Running"},
		"refused":            {simulator.Fault{Code: "10004"}, "failed", "refused", "10004"},
		"not documented":     {simulator.Fault{Code: "817140"}, "unknown", "unknown", "already stopped"},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, simulator.Running)})
			_, confirm := w.previewed(t, "stop_instances", deletion(id(1)))
			c.fault.Endpoint = simulator.EndpointStop
			w.Inject(c.fault)
			r := w.call(t, "stop_instances", confirm)
			wantOutcomes(t, r, c.state, c.outcome)
			wantParts(t, r.Text, c.words)
			w.wantSent(t, simulator.EndpointStop, 1)
		})
	}
	bubble(t, "a look that fails", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running)})
		_, confirm := w.previewed(t, "stop_instances", deletion(id(1)))
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointDetail, After: 1, Code: "10001"})
		r := w.call(t, "stop_instances", confirm)
		wantOutcomes(t, r, "unknown", "unknown")
		wantParts(t, r.Text, "was accepted, but looking afterwards failed")
	})
}

func TestStopInstancesInChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(45, simulator.Running), rules: unlimited()})
		r := w.confirmed(t, "stop_instances", deletion(ids(45)...))
		if r.State != "done" || strings.Count(r.outcomes(), "stopped") != 45 {
			t.Errorf("%s: %s", r.State, r.outcomes())
		}
		w.wantSent(t, simulator.EndpointStop, 3)
	})
}

func TestStopInstancesIsHeldToThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Running), rules: toolbox.Rules{Policy: protectFirst}})
		w.fails(t, "stop_instances", deletion(ids(2)...), "has protected", "job-001")
		w.nothingSent(t)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(3, simulator.Running), rules: toolbox.Rules{MaxMutationsPerHour: 2, Policy: guard.Policy{MaxTargets: 2}}})
		w.fails(t, "stop_instances", deletion(ids(3)...), "3 targets in one call")
		w.confirmed(t, "stop_instances", deletion(ids(2)...))
		_, confirm := w.previewed(t, "stop_instances", deletion(id(3)))
		w.fails(t, "stop_instances", confirm, "hourly limit")
	})
}
