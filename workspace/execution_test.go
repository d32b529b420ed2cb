package workspace_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// documented is the example request of page ExecuteScriptOrCommand.
const documented = `{
"resource_type" : "DESKTOP",
"resource_ids" : [ "eb4ccd3e-170f-48ec-9715-ec0457df376f" ],
"script_ids" : [ "923438311391891456" ],
"execution_timeout" : 10
}`

func decoded(t *testing.T, raw string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return v
}

func TestExecuteSendsTheDocumentedRequest(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	sim, client := open(t, simulator.Options{TaskIDs: []string{"0000000059071dbc01591661d3990019"}}, spied(wire))
	id, err := client.Execute(t.Context(), example)
	if err != nil || id != "0000000059071dbc01591661d3990019" {
		t.Fatalf("Execute = %q, %v", id, err)
	}
	r, body := wire.Last()
	if !reflect.DeepEqual(decoded(t, body), decoded(t, documented)) {
		t.Errorf("sent %s", body)
	}
	if r.Method != "POST" || r.URL.Path != "/v2/"+sim.ProjectID()+"/script-executions" || r.URL.RawQuery != "" ||
		r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Project-Id") != sim.ProjectID() || r.Header.Get("User-Agent") != "workspace-test" {
		t.Errorf("sent %s %s %v", r.Method, r.URL, r.Header)
	}
	if signed := r.Header.Get("Authorization"); !strings.Contains(signed, "SignedHeaders=host;x-project-id;x-sdk-date,") {
		t.Errorf("signed %q", signed)
	}
}

func TestExecuteSendsWhatIsGiven(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	_, client := open(t, simulator.Options{}, spied(wire))
	for want, x := range map[string]workspace.Execution{
		`{"resource_type":"DESKTOP","resource_ids":["` + linux1 + `"],"script_ids":["` + shellScript + `"]}`: {
			Desktops: []string{linux1}, Scripts: []string{shellScript}, GrayDesktops: []string{},
		},
		`{"resource_type":"DESKTOP","resource_ids":["` + linux1 + `","` + linux2 + `"],"script_ids":["` + shellScript + `"],"gray_count":2,"gray_resource_ids":["` + linux2 + `","` + linux1 + `"],"gray_fail_threshold":1,"execution_timeout":0}`: {
			Desktops: []string{linux1, linux2}, Scripts: []string{shellScript}, GrayCount: new(2), GrayDesktops: []string{linux2, linux1},
			GrayFailThreshold: new(1), TimeoutMinutes: new(0),
		},
	} {
		if _, err := client.Execute(t.Context(), x); err != nil {
			t.Error(err)
		}
		if _, body := wire.Last(); !reflect.DeepEqual(decoded(t, body), decoded(t, want)) {
			t.Errorf("sent %s, want %s", body, want)
		}
	}
}

func TestGrayBatchThatFails(t *testing.T) {
	t.Parallel()
	sim, client := open(t, simulator.Options{Timing: instant})
	for _, id := range []string{linux1, linux2} {
		sim.SetOutcome(id, "", simulator.Outcome{Kind: simulator.Fail, Output: "boom", ResultCode: "7", Reason: "exit 7"})
	}
	desktops := []string{linux1, linux2, "d2c95e07-4a1b-4863-8e7f-60b3a9d4f157"}
	id, err := client.Execute(t.Context(), workspace.Execution{
		Desktops: desktops, Scripts: []string{shellScript}, GrayCount: new(2), GrayFailThreshold: new(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	task, err := client.Task(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !task.Done() || task.State() != workspace.StateFailed || task.Failed != 2 || task.Skipped != 1 || task.Succeeded != 0 ||
		!slices.Equal(task.ResourceIDs, desktops) || len(task.GrayResourceIDs) != 2 || task.Expected() != 3 || task.Start.At.IsZero() || task.End.At.IsZero() {
		t.Errorf("task = %+v", task)
	}
	batches := map[string]workspace.Batch{}
	for r, err := range client.AllRecords(t.Context(), workspace.RecordFilter{TaskID: id}) {
		if err != nil {
			t.Fatal(err)
		}
		batches[r.DesktopID] = r.Batch
		if r.TaskID != id || r.ScriptID != shellScript || r.ScriptName != "disk-usage" || r.DesktopName == "" {
			t.Errorf("record = %+v", r)
		}
		if r.DesktopID != linux1 {
			continue
		}
		detail, err := client.Record(t.Context(), r.ID)
		if err != nil || detail.State() != workspace.StateFailed || detail.ResultCode != "7" || detail.Reason != "exit 7" || !strings.Contains(detail.Output, "boom") || detail.ID != r.ID {
			t.Errorf("detail = %+v, %v", detail, err)
		}
	}
	want := map[string]workspace.Batch{linux1: workspace.BatchGray, linux2: workspace.BatchGray, desktops[2]: workspace.BatchRest}
	if !reflect.DeepEqual(batches, want) {
		t.Errorf("batches = %v", batches)
	}
	first, err := client.Records(t.Context(), workspace.RecordFilter{TaskID: id, FirstBatch: new(true), DesktopIDs: []string{linux1, linux2}, ScriptIDs: []string{shellScript}})
	if err != nil || len(first.Rows) != 2 || first.Total != 2 {
		t.Errorf("first batch = %+v, %v", first, err)
	}
	rest, err := client.Records(t.Context(), workspace.RecordFilter{TaskID: id, FirstBatch: new(false)})
	if err != nil || len(rest.Rows) != 1 {
		t.Errorf("rest = %+v, %v", rest, err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	sim, client := open(t, simulator.Options{})
	sim.SetOutcome(linux1, "", simulator.Outcome{Kind: simulator.Hang})
	id := finished(t, client)
	task, err := client.Task(t.Context(), id)
	if err != nil || task.Done() || task.End.IsSet() {
		t.Fatalf("task = %+v, %v", task, err)
	}
	if err = client.StopTask(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if task, err = client.Task(t.Context(), id); err != nil || !task.Done() || task.State() == workspace.StateSucceeded {
		t.Errorf("task = %+v, %v", task, err)
	}
}
