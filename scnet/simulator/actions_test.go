package simulator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

const actions = "instance-service/task/actions/"

func (l *lab) restart(id string) result {
	l.t.Helper()
	return l.do(kunshan, "POST", actions+"restart?instanceServiceId="+id, "")
}

func TestStateMachine(t *testing.T) {
	l := open(t, Options{Timing: Timing{Waiting: 10 * time.Second, Deploying: 5 * time.Second}})
	id := l.AddInstance(kunshan, Instance{TimeLimit: time.Minute})
	task := l.Instances(kunshan)[0].HeaderNotebookID
	step := func(d time.Duration, want string) Instance {
		t.Helper()
		l.clock.Advance(d)
		got := l.Instances(kunshan)[0]
		eq(t, "status at "+l.clock.Now().Sub(fakecloudtest.Noon).String(), got.Status, want)
		eq(t, "started", !got.StartTime.IsZero(), want == Running || want == Terminated)
		eq(t, "ended", !got.EndTime.IsZero(), want == Terminated)
		return got
	}
	step(0, Waiting)
	l.restart(id).want(t, "716868")
	step(9*time.Second, Waiting)
	step(time.Second, Deploying)
	l.restart(id).want(t, "716868")
	step(5*time.Second, Running)
	l.restart(id).want(t, "716868")
	step(59*time.Second, Running)
	got := step(time.Second, Terminated)
	eq(t, "end", got.EndTime, fakecloudtest.Noon.Add(75*time.Second))

	l.restart(id).want(t, "0")
	if step(0, Waiting).HeaderNotebookID == task {
		t.Error("restart kept the task")
	}
	l.do(kunshan, "POST", actions+"stop?ids="+id, "").want(t, "0")
	got = l.Instances(kunshan)[0]
	eq(t, "stopped while waiting", got.Status, Terminated)
	eq(t, "start of what never ran", got.StartTime.IsZero(), true)
	l.restart(id).want(t, "0")
	step(15*time.Second, Running)
	l.do(kunshan, "POST", actions+"stop?ids="+id, "").want(t, "0")
	step(time.Hour, Terminated)
}

func TestGivenStatusStays(t *testing.T) {
	l := open(t, Options{})
	for _, status := range []string{Waiting, Deploying, Running, Terminated, Failed, Completed, "Odd"} {
		l.AddInstance(kunshan, Instance{ID: status, Status: status})
	}
	l.AddInstance(kunshan, Instance{ID: "limited", Status: Running, TimeLimit: time.Hour})
	l.clock.Advance(time.Hour)
	for _, in := range l.Instances(kunshan) {
		want := in.ID
		if in.ID == "limited" {
			want = Terminated
		}
		eq(t, in.ID, in.Status, want)
	}
	for id, code := range map[string]string{
		Waiting: "716868", Deploying: "716868", Running: "716868", "Odd": "716868",
		Terminated: "0", Failed: "0", Completed: "0", "limited": "0",
	} {
		l.restart(id).want(t, code)
	}
}

func TestRestart(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	l.do(kunshan, "POST", actions+"restart", "").want(t, "10003")
	l.do(kunshan, "POST", actions+"restart", `{"id":"b"}`).want(t, "10003")
	l.do(kunshan, "POST", actions+"restart?instanceServiceId=", "").want(t, "10003")
	l.restart("x").want(t, "716868")
	eq(t, "status after refusals", l.status(kunshan, "b"), Terminated)

	answered := into[string](t, l.restart("b").want(t, "0"))
	eq(t, "id kept", l.status(kunshan, "b"), Waiting)
	if len(answered) != 32 || answered == "b" {
		t.Errorf("answered %q", answered)
	}
	l.SetQuirks(Quirks{RestartID: RestartSameID})
	eq(t, "same id", into[string](t, l.restart("d")), "d")

	l.AddInstance(kunshan, Instance{ID: "f", Name: "renumbered", Status: Failed})
	l.SetQuirks(Quirks{RestartID: RestartNewID})
	renumbered := into[string](t, l.restart("f"))
	eq(t, "old id", l.status(kunshan, "f"), "")
	eq(t, "new id", l.status(kunshan, renumbered), Waiting)
	l.do(kunshan, "DELETE", task+"?ids="+renumbered, "").want(t, "0")
}

func TestStop(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	stop := func(query string) result { return l.do(kunshan, "POST", actions+"stop"+query, "") }
	stop("").want(t, "10003")
	stop("?ids=").want(t, "10003")
	stop("?ids=a,c").want(t, "10004")
	stop("?ids=a&ids=x").want(t, "816822")
	eq(t, "nothing stopped", l.status(kunshan, "a"), Running)
	eq(t, "data", string(stop("?ids=a&ids=c&ids=b&ids=a").want(t, "0").Data), "null")
	eq(t, "stopped", l.status(kunshan, "a")+l.status(kunshan, "c"), Terminated+Terminated)
	stop("?ids=d").want(t, "0")
	eq(t, "ended is left alone", l.status(kunshan, "d"), Failed)
	l.SetQuirks(Quirks{StopEndedFails: true})
	stop("?ids=d").want(t, "817140")
}

func TestDelete(t *testing.T) {
	for _, c := range []struct {
		name   string
		quirks Quirks
		query  string
		code   string
		left   string
	}{
		{"missing", Quirks{}, "", "10003", "abcde"},
		{"empty", Quirks{}, "?ids=", "10003", "abcde"},
		{"comma", Quirks{}, "?ids=a,b", "10004", "abcde"},
		{"array", Quirks{}, "?ids=a&ids=b&ids=a", "0", "cde"},
		{"unknown", Quirks{}, "?ids=a&ids=x", "716866", "abcde"},
		{"unknown ignored", Quirks{DeleteBatch: DeleteIgnoresUnknown}, "?ids=a&ids=x", "0", "bcde"},
		{"unknown partial", Quirks{DeleteBatch: DeletePartial}, "?ids=a&ids=x", "716866", "bcde"},
		{"active", Quirks{DeleteActiveFails: true}, "?ids=a&ids=b", "716866", "abcde"},
		{"active partial", Quirks{DeleteActiveFails: true, DeleteBatch: DeletePartial}, "?ids=a&ids=b", "716866", "acde"},
		{"ended", Quirks{DeleteActiveFails: true}, "?ids=b", "0", "acde"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := open(t, Options{Quirks: c.quirks})
			fill(l)
			eq(t, "data", string(l.do(kunshan, "DELETE", task+c.query, `{"ids":["a"]}`).want(t, c.code).Data), "null")
			var left strings.Builder
			for _, in := range l.Instances(kunshan) {
				left.WriteString(in.ID)
			}
			eq(t, "left", left.String(), c.left)
		})
	}
}

func TestExecute(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	long := strings.Repeat("echo 脚本\n", 1<<17)
	body := func(id, scope, content string) string {
		return string(fakecloud.EncodeJSON(map[string]string{"id": id, "startScriptActionScope": scope, "startScriptContent": content}))
	}
	for _, c := range []struct{ name, body, code string }{
		{"all", body("a", "all", "echo \"hello\"\r\n"), "0"},
		{"header", body("c", "header", long), "0"},
		{"no id", body("", "all", "x"), "10003"},
		{"no content", body("a", "all", ""), "10003"},
		{"no scope", `{"id":"a","startScriptContent":"x"}`, "10003"},
		{"nothing", ``, "10003"},
		{"wrong scope", body("a", "ALL", "x"), "10004"},
		{"id is a number", `{"id":1,"startScriptActionScope":"all","startScriptContent":"x"}`, "10004"},
		{"malformed", `{"id":`, "10004"},
		{"unknown id", body("x", "all", "x"), "716864"},
		{"not running", body("b", "all", "x"), "716870"},
		{"too large", body("a", "all", strings.Repeat("x", maxBody)), "10011"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.t = t
			l.do(kunshan, "POST", actions+"execute-script", c.body).want(t, c.code)
		})
	}
	l.t = t
	got := l.Scripts()
	eq(t, "scripts", len(got), 2)
	eq(t, "first", got[0], ScriptRun{fakecloudtest.Noon, kunshan, "a", "all", "echo \"hello\"\r\n"})
	eq(t, "second", got[1], ScriptRun{fakecloudtest.Noon, kunshan, "c", "header", long})
}

// createBody is a complete body for create, with some members replaced; nil removes one.
func createBody(change map[string]any) string {
	body := map[string]any{
		"instanceServiceName": "Instances_2205113838", "taskType": "ssh", "acceleratorType": "gpu",
		"version": "pytorch:1.2-py3.6-CUDA10.0", "imagePath": "10.0.35.26:5000/x", "timeoutLimit": "01:00:00",
		"taskNumber": 1, "resourceGroup": "TeslaM40", "cpuNumber": 6, "gpuNumber": 2, "ramSize": 30720,
		"useStartScript": false, "startScriptActionScope": "all",
	}
	for name, v := range change {
		body[name] = v
		if v == nil {
			delete(body, name)
		}
	}
	return string(fakecloud.EncodeJSON(body))
}

func TestCreate(t *testing.T) {
	l := open(t, Options{})
	var complete map[string]any
	if err := json.Unmarshal([]byte(createBody(nil)), &complete); err != nil {
		t.Fatal(err)
	}
	for name := range complete {
		l.do(kunshan, "POST", task, createBody(map[string]any{name: nil})).want(t, "10003")
	}
	port := func(number any, protocol string) []any {
		return []any{map[string]any{"containerPort": number, "protocolType": protocol}}
	}
	for _, c := range []struct {
		name  string
		value any
		code  string
	}{
		{"taskType", "vnc", "10004"},
		{"acceleratorType", "DCU", "10004"},
		{"startScriptActionScope", "some", "10004"},
		{"timeoutLimit", "1h", "10004"},
		{"timeoutLimit", "00:00:00", "10004"},
		{"timeoutLimit", "01:60:00", "10004"},
		{"timeoutLimit", "01:00:00x", "10004"},
		{"taskNumber", 0, "10004"},
		{"cpuNumber", 0, "10004"},
		{"gpuNumber", -1, "10004"},
		{"ramSize", "much", "10004"},
		{"useStartScript", "false", "10004"},
		{"useStartScript", true, "10003"},
		{"resourceGroup", "none", "716865"},
		{"acceleratorType", "dcu", "716865"},
		{"gpuNumber", 3, "716865"},
		{"mountInfoList", []Mount{{"/a", "", "path"}}, "10003"},
		{"mountInfoList", []Mount{{"/a", "/b", "disk"}}, "10004"},
		{"containerPortInfoList", port("x", "SSH"), "10004"},
		{"containerPortInfoList", port(1.5, "SSH"), "10004"},
		{"containerPortInfoList", port(true, "SSH"), "10004"},
		{"containerPortInfoList", port(70000, "SSH"), "10004"},
		{"containerPortInfoList", port(22, "UDP"), "10004"},
		{"containerPortInfoList", port(nil, "SSH"), "10003"},
	} {
		t.Run(fmt.Sprint(c.name, c.value), func(t *testing.T) {
			l.t = t
			l.do(kunshan, "POST", task, createBody(map[string]any{c.name: c.value})).want(t, c.code)
		})
	}
	l.t = t
	eq(t, "instances created by refused calls", len(l.Instances(kunshan)), 0)

	for _, change := range []map[string]any{
		nil,
		{"timeoutLimit": "unlimited", "mountInfoList": nil, "description": "d"},
		{
			"timeoutLimit": "360:00:00", "useStartScript": true, "startScriptContent": "x\n",
			"mountInfoList":         []Mount{{"/a", "/b", "data"}},
			"containerPortInfoList": append(port("18888", "HTTP"), port(22, "SSH")...),
		},
	} {
		id := into[string](t, l.do(kunshan, "POST", task, createBody(change)).want(t, "0"))
		eq(t, "status", l.status(kunshan, id), Waiting)
	}
	got := l.Instances(kunshan)[2]
	eq(t, "ports", fmt.Sprint(got.Ports), "[{18888 HTTP } {22 SSH }]")
	eq(t, "mounts", fmt.Sprint(got.Mounts), "[{/a /b data}]")
	eq(t, "limit", got.TimeLimit, 360*time.Hour)
	eq(t, "script", got.StartScriptContent, "x\n")
	l.clock.Advance(5 * time.Second)
	eq(t, "status after the default timing", l.status(kunshan, got.ID), Running)
}

func TestResize(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	for _, c := range []struct{ body, code string }{
		{`{"id":"b","cpuNumber":3,"gpuNumber":0,"ramSize":1024}`, "0"},
		{`{"id":"b","cpuNumber":3,"gpuNumber":0}`, "10003"},
		{`{"id":"b","cpuNumber":-3,"gpuNumber":0,"ramSize":1024}`, "10004"},
		{`{"id":"x","cpuNumber":3,"gpuNumber":0,"ramSize":1024}`, "816822"},
		{`{"id":"a","cpuNumber":3,"gpuNumber":0,"ramSize":1024}`, "10004"},
	} {
		l.do(kunshan, "POST", "instance-service/resource-spec/actions/update", c.body).want(t, c.code)
	}
	eq(t, "cpu", l.Instances(kunshan)[1].CPUNumber, 3)
	eq(t, "ram", l.Instances(kunshan)[1].RAMSize, 1024)
}

func TestBehindTheBack(t *testing.T) {
	l := open(t, Options{Timing: Timing{Waiting: 10 * time.Second, Deploying: -1}})
	id := l.AddInstance(kunshan, Instance{Name: "old"})
	l.clock.Advance(4 * time.Second)
	update := func(change func(*Instance)) {
		t.Helper()
		eq(t, "updated", l.UpdateInstance(kunshan, id, change), true)
	}
	update(func(in *Instance) { in.Name = "new" })
	eq(t, "found by its new name", *l.do(kunshan, "GET", task, `{"limit":1,"sort":"asc","instanceServiceName":"new"}`).Total, 1)
	l.clock.Advance(6 * time.Second)
	eq(t, "the clock goes on", l.status(kunshan, id), Running)
	update(func(in *Instance) { in.Status = "" })
	eq(t, "restarted", l.status(kunshan, id), Waiting)
	l.clock.Advance(10 * time.Second)
	eq(t, "running again", l.status(kunshan, id), Running)
	update(func(in *Instance) { in.Status = Failed })
	eq(t, "failed", l.status(kunshan, id), Failed)
	update(func(in *Instance) { in.ID = "renumbered" })
	eq(t, "old id", l.RemoveInstance(kunshan, id), false)
	eq(t, "new id", l.RemoveInstance(kunshan, "renumbered"), true)
	eq(t, "gone", len(l.Instances(kunshan)), 0)
	eq(t, "update of what is gone", l.UpdateInstance(kunshan, id, func(*Instance) {}), false)
	eq(t, "no region", l.AddInstance("1", Instance{})+fmt.Sprint(l.UpdateInstance("1", id, nil), l.RemoveInstance("1", id), l.Instances("1")), "false false []")
}
