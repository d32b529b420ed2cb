package workspace_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

func TestStateOf(t *testing.T) {
	for word, want := range map[string]workspace.State{
		"INIT": workspace.StatePending, "WAITING": workspace.StatePending, "running": workspace.StateRunning,
		"SUCCESS": workspace.StateSucceeded, " Finish ": workspace.StateSucceeded, "FAILED": workspace.StateFailed,
		"": workspace.StateUnknown, "SKIPPED": workspace.StateUnknown, "执行中": workspace.StateUnknown, "unknown": workspace.StateUnknown,
	} {
		if got := workspace.StateOf(word); got != want {
			t.Errorf("%q = %s, want %s", word, got, want)
		}
	}
}

func TestTaskStateAndEnd(t *testing.T) {
	t.Parallel()
	const lists = `"id":"t","task_scripts":[{"id":"1"},{"id":"2"}],"resource_ids":["a","b"]`
	for fields, want := range map[string]struct {
		done  bool
		state workspace.State
	}{
		`"status":"RUNNING"`:                                                            {false, workspace.StateRunning},
		`"status":"FINISH"`:                                                             {false, workspace.StateSucceeded}, // a word alone ends nothing
		`"status":"FINISH","failed_num":1`:                                              {false, workspace.StateFailed},
		`"status":"RUNNING","failed_num":1`:                                             {false, workspace.StateRunning},
		`"status":"RUNNING","end_time":""`:                                              {false, workspace.StateRunning},
		`"status":"RUNNING","end_time":null`:                                            {false, workspace.StateRunning},
		`"status":"WAITING","success_num":"3"`:                                          {false, workspace.StatePending},
		`"status":"RUNNING","end_time":"0001-01-01T00:00:00Z"`:                          {false, workspace.StateRunning},
		`"status":"FINISH","end_time":"2026-11-21T10:00:00Z"`:                           {true, workspace.StateSucceeded},
		`"status":"FINISH","end_time":"2026-11-21T10:00:00Z","failed_num":1`:            {true, workspace.StateFailed},
		`"status":"RUNNING","end_time":"yesterday"`:                                     {true, workspace.StateUnknown},
		`"status":"完成","success_num":4`:                                                 {true, workspace.StateSucceeded},
		`"status":"完成","success_num":3,"failed_num":1`:                                  {true, workspace.StateFailed},
		`"status":"完成","success_num":2,"skip_num":2`:                                    {true, workspace.StateUnknown},
		`"status":"FINISH","success_num":2,"skip_num":2`:                                {true, workspace.StateSucceeded},
		`"status":"RUNNING","success_num":4`:                                            {true, workspace.StateSucceeded},
		`"success_num":5`:                                                               {false, workspace.StateUnknown},
		`"resource_ids":[],"status":"RUNNING"`:                                          {false, workspace.StateRunning},
		`"status":"FAILED","skip_num":1,"failed_num":3`:                                 {true, workspace.StateFailed},
		`"status":"FAILED"`:                                                             {false, workspace.StateFailed},
		`"status":{"word":"?"},"end_time":1700000000,"success_num":"4","failed_num":{}`: {true, workspace.StateSucceeded},
	} {
		task, err := canned(t, 200, `{"count":1,"script_tasks":[{`+lists+`,`+fields+`}]}`).Task(t.Context(), "t")
		if err != nil || task.Done() != want.done || task.State() != want.state {
			t.Errorf("%s: done %v, %s (%v), want %+v", fields, task.Done(), task.State(), err, want)
		}
	}
}

func TestForeignWords(t *testing.T) {
	t.Parallel()
	for _, form := range []simulator.EndTime{simulator.EndAbsent, simulator.EndNull, simulator.EndEmpty} {
		synctest.Test(t, func(t *testing.T) {
			sim := simulator.New(simulator.Options{Now: time.Now, Quirks: simulator.Quirks{EndTime: form, StatusWords: map[string]string{
				simulator.StateInit: "排队", simulator.StateRunning: "执行中", simulator.StateFinish: "COMPLETED", simulator.StateSuccess: "OK",
			}}})
			client := newClient(t, sim, inside(sim, time.Now))
			id := finished(t, client)
			look := func() workspace.Task {
				task, err := client.Task(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				return task
			}
			if got := look(); got.Done() || got.State() != workspace.StateUnknown || got.Status != "排队" || got.End.IsSet() {
				t.Errorf("at first: %+v", got)
			}
			<-time.After(2 * time.Second)
			if got := look(); got.Done() || got.Status != "执行中" || got.End.IsSet() {
				t.Errorf("while it runs: %+v", got)
			}
			<-time.After(time.Hour)
			if got := look(); !got.Done() || got.State() != workspace.StateSucceeded || got.Status != "COMPLETED" || !got.End.IsSet() {
				t.Errorf("at the end: %+v", got)
			}
			page, err := client.Records(t.Context(), workspace.RecordFilter{TaskID: id})
			if err != nil || page.Rows[0].Status != "OK" || page.Rows[0].State() != workspace.StateUnknown || !page.Rows[0].End.IsSet() || page.Rows[0].Batch != workspace.BatchNone {
				t.Errorf("record: %+v, %v", page, err)
			}
		})
	}
}

func TestBatches(t *testing.T) {
	for order, want := range map[string]workspace.Batch{
		`0`: workspace.BatchNone, `null`: workspace.BatchNone, `1`: workspace.BatchGray, `"2"`: workspace.BatchRest, `3`: workspace.BatchUnknown,
	} {
		raw, err := json.Marshal(map[string]any{"id": "r", "execute_order": json.RawMessage(order)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := canned(t, 200, string(raw)).Record(t.Context(), "r")
		if err != nil || r.Batch != want {
			t.Errorf("%s = %s, %v", order, r.Batch, err)
		}
	}
}
