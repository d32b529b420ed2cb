package simulator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// The example of page ExecuteScriptOrCommand, request and answer.
func TestDocumentedExample(t *testing.T) {
	const request = `{
"resource_type" : "DESKTOP",
"resource_ids" : [ "eb4ccd3e-170f-48ec-9715-ec0457df376f" ],
"script_ids" : [ "923438311391891456" ],
"execution_timeout" : 10
}`
	const answer = `{
"task_id" : "0000000059071dbc01591661d3990019"
}`
	l := open(t, Options{TaskIDs: []string{"0000000059071dbc01591661d3990019"}})
	r := l.do("POST", "script-executions", request).want(t, 200)
	eq(t, "answer", into[any](t, r), into[any](t, result{raw: answer}))
	if id := into[map[string]string](t, l.do("POST", "script-executions", request))["task_id"]; len(id) != 32 {
		t.Errorf("the next task is %q", id)
	}
	eq(t, "sent", l.Requests()[0].Body, request)
}

// many are n different ids.
func many(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint("x", i)
	}
	return ids
}

func TestExecuteLimits(t *testing.T) {
	l := open(t, fleet(9))
	five := []string{"d0", "d1", "d2", "d3", "d4"}
	long := []string{strings.Repeat("x", 256)}
	type change = map[string]any
	for _, c := range []struct {
		change change
		ok     bool
	}{
		{change{}, true},
		{change{"command": "reboot", "command_type": "SHELL", "anything": 1}, true},
		{change{"resource_type": nil}, false}, {change{"resource_type": ""}, false}, {change{"resource_type": "APP"}, false},
		{change{"resource_type": strings.Repeat("x", 256)}, false},
		{change{"resource_ids": nil}, false}, {change{"resource_ids": []string{}}, false}, {change{"resource_ids": many(1001)}, false},
		{change{"resource_ids": long}, false}, {change{"resource_ids": []string{""}}, false}, {change{"resource_ids": "d0"}, false},
		{change{"resource_ids": []string{"d0", "d0"}}, true},
		{change{"script_ids": nil}, false}, {change{"script_ids": many(11)}, false}, {change{"script_ids": long}, false},
		{change{"script_ids": []int{100}}, false},
		{change{"script_ids": nil, "command": "reboot"}, false},
		{change{"execution_timeout": 0}, true}, {change{"execution_timeout": 600}, true}, {change{"execution_timeout": 601}, false},
		{change{"execution_timeout": -1}, false}, {change{"execution_timeout": "10"}, false}, {change{"execution_timeout": 1.5}, false},
		{change{"gray_count": 2}, true}, {change{"gray_count": 0}, true}, {change{"gray_count": -1}, false}, {change{"gray_count": 6}, true},
		{change{"gray_count": 2, "gray_fail_threshold": 1}, true}, {change{"gray_count": 2, "gray_fail_threshold": 2}, false},
		{change{"gray_count": 1, "gray_fail_threshold": 1}, false}, {change{"gray_count": 1, "gray_fail_threshold": 0}, true},
		{change{"gray_count": 3, "gray_fail_threshold": -1}, false}, {change{"gray_fail_threshold": 1}, false},
		{change{"gray_resource_ids": five[:2], "gray_fail_threshold": 1}, true},
		{change{"gray_resource_ids": five[:2], "gray_fail_threshold": 2}, false},
		{change{"gray_resource_ids": five[:2], "gray_count": 4, "gray_fail_threshold": 3}, true},
		{change{"gray_resource_ids": []string{"d8"}}, false}, {change{"gray_resource_ids": long}, false},
		{change{"gray_resource_ids": many(1001)}, false},
	} {
		body := change{"resource_type": "DESKTOP", "resource_ids": five, "script_ids": []string{"100"}}
		for k, v := range c.change {
			body[k] = v
		}
		r := l.do("POST", "script-executions", string(fakecloud.EncodeJSON(body)))
		if c.ok {
			if r.status != 200 {
				t.Errorf("%v: HTTP %d, %s", c.change, r.status, r.raw)
			}
			continue
		}
		if r.wantError(t, 400, codeParameter); t.Failed() {
			t.Fatal(c.change)
		}
	}
	for _, missing := range []change{{"resource_ids": many(1000)}, {"script_ids": many(10)}} {
		body := change{"resource_type": "DESKTOP", "resource_ids": five, "script_ids": []string{"100"}}
		for k, v := range missing {
			body[k] = v
		}
		l.do("POST", "script-executions", string(fakecloud.EncodeJSON(body))).wantError(t, 404, codeMissing)
	}
}

func TestFullSize(t *testing.T) {
	o := Options{Desktops: []Desktop{}, Scripts: []Script{}}
	for _, id := range many(1000) {
		o.Desktops = append(o.Desktops, Desktop{ID: id})
	}
	for _, id := range many(10) {
		o.Scripts = append(o.Scripts, Script{ID: id, Content: "c"})
	}
	l := open(t, o)
	id := l.execute(map[string]any{"resource_ids": many(1000), "script_ids": many(10), "gray_count": 500, "gray_fail_threshold": 499})
	l.clock.Advance(time.Hour)
	eq(t, "succeeded", l.task(id).SuccessNum, 10000)
	list := into[records](t, l.do("GET", "script-execution-records?limit=100&offset=9950&script_task_id="+id, ""))
	eq(t, "page", fmt.Sprint(list.Count, len(list.Records)), "10000 50")
}

func TestOutcomes(t *testing.T) {
	o := fleet(7)
	set := func(i int, out Outcome) { o.Desktops[i].Outcome = out }
	set(1, Outcome{Output: "你好\n", ResultCode: "0", Duration: -1})
	set(2, Outcome{Kind: Fail, Output: "oops", ResultCode: "2", Reason: "磁盘已满"})
	set(3, Outcome{Kind: Hang, Output: "begun"})
	set(4, Outcome{Kind: Offline})
	set(5, Outcome{Duration: time.Hour})
	o.Desktops[6].OS = "Windows"
	l := open(t, o)
	l.AddDesktop(Desktop{ID: "d7", Status: DesktopHibernated})
	id := l.execute(map[string]any{
		"resource_ids": []string{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"}, "script_ids": []string{"100"}, "execution_timeout": 3,
	})
	at := func(d time.Duration) string {
		l.clock.Advance(d)
		var b strings.Builder
		for _, rec := range l.records("script_task_id=" + id) {
			b.WriteString(rec.Status[:1])
		}
		task := l.task(id)
		return fmt.Sprint(b.String(), " ", task.Status, " ", task.SuccessNum, task.FailedNum, task.SkipNum)
	}
	eq(t, "at 0s", at(0), "IIIIIIII INIT 0 0 0")
	eq(t, "at 1s", at(time.Second), "RSRRFRFF RUNNING 1 3 0")
	eq(t, "at 3s", at(2*time.Second), "SSFRFRFF RUNNING 2 4 0")
	eq(t, "at 3m0s", at(3*time.Minute-3*time.Second), "SSFRFRFF RUNNING 2 4 0")
	eq(t, "at 3m1s", at(time.Second), "SSFFFFFF FINISH 2 6 0")
	type seen struct{ Status, Code, Reason, Output string }
	for i, want := range []seen{
		{"SUCCESS", "", "", "desktop 0: first done\n"}, {"SUCCESS", "0", "", "你好\n"}, {"FAILED", "2", "磁盘已满", "oops"},
		{"FAILED", "", reasonTimeout, "begun"}, {"FAILED", "", reasonOffline, ""}, {"FAILED", "", reasonTimeout, "desktop 5: first done\n"},
		{"FAILED", "", reasonType, ""}, {"FAILED", "", reasonOffline, ""},
	} {
		rec := l.Records(id)[i]
		j := into[recordJSON](t, l.do("GET", "script-execution-records/"+rec.ID, "").want(t, 200))
		eq(t, rec.DesktopID, seen{j.Status, j.ResultCode, j.Reason, *j.Output}, want)
	}
}

func TestDefaultTimeout(t *testing.T) {
	o := fleet(1)
	o.Desktops[0].Outcome.Kind = Hang
	l := open(t, o)
	id := l.execute(map[string]any{"resource_ids": []string{"d0"}, "script_ids": []string{"100"}})
	l.clock.Advance(time.Minute)
	eq(t, "at 1m0s", l.task(id).Status, StateRunning)
	l.clock.Advance(time.Second)
	eq(t, "at 1m1s", l.task(id).Status, StateFailed)
}

func TestLargeOutput(t *testing.T) {
	for _, c := range []struct {
		o    Outcome
		size int
	}{{Outcome{OutputSize: 5 << 20}, 5 << 20}, {Outcome{Output: "漢", OutputSize: 1000}, 1000}, {Outcome{Kind: Fail, OutputSize: 7}, 7}} {
		o := fleet(1)
		o.Desktops[0].Outcome = c.o
		l := open(t, o)
		id := l.execute(map[string]any{"resource_ids": []string{"d0"}, "script_ids": []string{"100"}})
		show := func() int {
			return len(*into[recordJSON](t, l.do("GET", "script-execution-records/"+l.Records(id)[0].ID, "").want(t, 200)).Output)
		}
		eq(t, "while it runs", show(), 0)
		l.clock.Advance(time.Minute)
		eq(t, "size", show(), c.size)
	}
}

func TestByTagAndPool(t *testing.T) {
	l := open(t, Options{})
	pool := DemoPools()[0].ID
	tagPath, poolPath := "script-executions/by-desktop-tag", "desktop-pools/"+pool+"/script-executions"
	shell := DemoScripts()[0].ID
	byTag := l.start(tagPath, map[string]any{"desktop_tag": "dept=rd", "script_ids": []string{shell}, "gray_count": 1})
	command := l.start(poolPath, map[string]any{"command_content": "uptime", "command_type": "SHELL", "pre_start": "x", "execution_timeout": 600})
	one := l.start(poolPath, map[string]any{"script_ids": []string{shell}, "desktop_ids": []string{"91f4a6b8-7d3e-4205-bc19-e5087c2d6f69"}})
	l.clock.Advance(time.Minute)
	eq(t, "by tag", fmt.Sprint(len(l.task(byTag).ResourceIDs), l.task(byTag).Status), "2FINISH")
	eq(t, "one", fmt.Sprint(len(l.task(one).ResourceIDs), l.task(one).Status), "1FAILED")
	got := l.records("script_task_id=" + command)
	eq(t, "command", fmt.Sprint(len(got), got[0].ScriptID, got[0].Status, got[1].Status), "2SUCCESSFAILED")

	type poolTasks struct {
		Total int            `json:"total_count"`
		Tasks []poolTaskJSON `json:"script_execution_tasks"`
	}
	for query, want := range map[string][]string{
		"":                        {one, command},
		"limit=1":                 {one},
		"limit=0":                 {},
		"desktop_pool_id=" + pool: {one, command},
		"desktop_pool_id=x":       {},
		"status=SUCCESS":          {command}, // the answer calls it FINISH
		"status=FAILED":           {one},
		"status=RUNNING":          {},
		"task_type=COMMAND":       {command},
		"script_id=" + shell:      {one},
		"script_name=usage":       {one},
		"task_id=" + command + "&task_id=" + byTag: {command},
	} {
		list := into[poolTasks](t, l.do("GET", "desktop-pools/script-execution-tasks/detail?"+query, "").want(t, 200))
		ids := []string{}
		for _, task := range list.Tasks {
			ids = append(ids, task.ID)
			eq(t, "pool", task.DesktopPoolName, "培训教室")
			if task.ID == command {
				eq(t, "command", task.CommandContent+task.CommandType+task.Status, "uptimeSHELLFINISH")
			}
		}
		eq(t, query, ids, want)
	}
	l.do("GET", "desktop-pools/script-execution-tasks/detail?status=FINISH", "").wantError(t, 400, codeParameter)
	l.do("GET", "desktop-pools/script-execution-tasks/detail?limit=101", "").wantError(t, 400, codeParameter)
	eq(t, "group", len(into[tasks](t, l.do("GET", "script-execution-tasks?resource_group_type=DESKTOP_POOL&resource_group_id="+pool, "")).Tasks), 2)
	eq(t, "records of the group", len(l.records("task_type=COMMAND&resource_group_id="+pool)), 2)

	for path, bodies := range map[string][]string{
		tagPath: {
			`{"script_ids":["1"]}`, `{"desktop_tag":"a"}`, `{"desktop_tag":"a","script_ids":["1"],"command_content":"x","command_type":"BAT"}`,
			`{"desktop_tag":"a","command_content":"","command_type":"BAT"}`, `{"desktop_tag":"a","command_content":"x"}`,
			`{"desktop_tag":"a","command_content":"` + strings.Repeat("x", 1001) + `","command_type":"BAT"}`,
			`{"desktop_tag":"a","script_ids":["1"],"execution_timeout":0}`, `{"desktop_tag":"a","script_ids":["1"],"gray_count":1001}`,
			`{"desktop_tag":"a","script_ids":["1"],"gray_count":2,"gray_fail_threshold":0}`,
			`{"desktop_tag":"a","script_ids":["1"],"gray_count":2,"gray_fail_threshold":2}`,
		},
		poolPath: {`{}`, `{"command_content":"x","command_type":"CMD"}`, `{"script_ids":["1"],"desktop_ids":[""]}`,
			`{"command_content":"x","command_type":"BAT","gray_desktop_ids":["eb4ccd3e-170f-48ec-9715-ec0457df376f"]}`},
	} {
		for _, body := range bodies {
			l.do("POST", path, body).wantError(t, 400, codeParameter)
		}
	}
	l.do("POST", tagPath, `{"desktop_tag":"dept=nothing","script_ids":["`+shell+`"]}`).wantError(t, 404, codeMissing)
	l.do("POST", tagPath, `{"desktop_tag":"dept","script_ids":["1"]}`).wantError(t, 404, codeMissing)
	l.do("POST", poolPath, `{"script_ids":["`+shell+`"],"desktop_ids":["eb4ccd3e-170f-48ec-9715-ec0457df376f"]}`).wantError(t, 404, codeMissing)
	l.do("POST", "desktop-pools/x/script-executions", `{"script_ids":["`+shell+`"]}`).wantError(t, 404, codeMissing)
}

func FuzzExecuteBody(f *testing.F) {
	f.Add([]byte(`{"resource_type":"DESKTOP","resource_ids":["d0","d1","d1"],"script_ids":["100"],"execution_timeout":10}`))
	f.Add([]byte(`{"resource_type":"DESKTOP","resource_ids":["a","b","c"],"script_ids":["1"],"gray_count":2,"gray_fail_threshold":1}`))
	f.Add([]byte(`{"desktop_tag":"a=b","gray_desktop_ids":["a","b"],"command_content":"x","command_type":"BAT","desktop_ids":["a"]}`))
	f.Add([]byte(`{"gray_count":-1e9,"resource_ids":[null,"\ud800"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, problems := decodeExecute(body)
		group, b := decodeGroup(body)
		if out, ok := problems.verdict(); !ok {
			eq(t, "code", out.code, codeParameter)
		} else {
			checkRollout(t, r, json.Valid(body))
			if len(r.desktops) == 0 || len(r.scripts) == 0 {
				t.Error("nothing to do")
			}
		}
		if _, ok := b.verdict(); ok {
			checkRollout(t, group, json.Valid(body))
			if (group.command == nil) == (len(group.scripts) == 0) {
				t.Errorf("command %v and scripts %v", group.command, group.scripts)
			}
		}
	})
}

// checkRollout checks what every accepted body keeps to.
func checkRollout(t *testing.T, r rollout, valid bool) {
	t.Helper()
	size := len(r.gray.ids)
	if r.gray.count > 0 {
		size = r.gray.count
	}
	switch {
	case !valid, len(r.desktops) > 1000, len(r.scripts) > 10, len(r.gray.ids) > 1000, r.timeout < 0, r.timeout > 600,
		r.gray.count < 0, r.gray.threshold < 0, r.gray.threshold > 0 && r.gray.threshold >= size:
		t.Errorf("accepted: %+v", r)
	}
	all := r.gray.orders(r.desktops)
	if r.gray.outsider(r.desktops) == "" && len(all) != len(r.desktops) {
		t.Errorf("%d desktops became %d", len(r.desktops), len(all))
	}
}
