package tools_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// TestScriptsComeBack: exit code and output of every instance, and staging that decides on them.
func TestScriptsComeBack(t *testing.T) {
	bubble(t, "all succeed", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(3, simulator.Running)})
		r := w.confirmed(t, "execute_script", arguments{"instance_ids": ids(3), "script": "echo hello", "canary": 1})
		if r.State != "done" || strings.Count(r.Text, "| hello") != 3 || strings.Contains(r.Text, "Left on the storage") {
			t.Errorf("%s\n%s", r.State, r.Text)
		}
	})
	bubble(t, "a canary fails", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(3, simulator.Running)})
		r := w.confirmed(t, "execute_script", arguments{"instance_ids": ids(3), "script": "echo oops >&2\nexit 3", "canary": 1})
		wantOutcomes(t, r, "failed", "accepted", "not_attempted", "not_attempted")
		wantParts(t, r.Text, "exit code 3", "| oops")
		w.wantSent(t, simulator.EndpointExecute, 1)
	})
	bubble(t, "a canary runs on", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(3, simulator.Running)})
		r := w.confirmed(t, "execute_script", arguments{"instance_ids": ids(3), "script": "echo go\nsleep 60\necho late", "canary": 1})
		wantParts(t, r.Text, "Still running", "| go", "is not over yet", "get_script_output with run_id")
		w.wantSent(t, simulator.EndpointExecute, 1)
		_, rest, _ := strings.Cut(r.Text, "run_id ")
		run, _, _ := strings.Cut(rest, ".")
		stopped := w.call(t, "stop_script", arguments{"run_id": run, "confirm": true})
		if stopped.State != "waiting" {
			t.Errorf("%s\n%s", stopped.State, stopped.Text)
		}
		wantParts(t, w.call(t, "get_script_output", arguments{"run_id": run, "wait_seconds": 30}).Text, "killed on request", "| go")
	})
	bubble(t, "it ends later", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Running)})
		r := w.confirmed(t, "execute_script", arguments{"instance_ids": ids(2), "script": "sleep 60\necho late", "wait_seconds": 5})
		if r.State != "waiting" {
			t.Errorf("%s\n%s", r.State, r.Text)
		}
		w.wantSent(t, simulator.EndpointExecute, 2)
		<-time.After(time.Minute)
		_, rest, _ := strings.Cut(r.Text, "run_id ")
		run, _, _ := strings.Cut(rest, ".")
		wantParts(t, w.call(t, "get_script_output", arguments{"run_id": run}).Text, "exit code 0", "| late")
		w.fails(t, "get_script_output", arguments{"run_id": run}, "there is no run")
	})
}
