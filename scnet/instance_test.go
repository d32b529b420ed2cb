package scnet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// plain makes an instance comparable: secrets become their text.
func plain(in scnet.Instance) string {
	ports := ""
	for _, p := range in.Ports {
		ports += fmt.Sprint(p.Container, p.Protocol, p.AccessURL.Reveal(), ";")
	}
	script := in.StartScript.Content.Reveal()
	in.Ports, in.StartScript.Content = nil, scnet.Secret{}
	return fmt.Sprintf("%+v ports %s script %q", in, ports, script)
}

func TestInstanceFields(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{Now: func() time.Time { return time.Date(2026, 11, 21, 12, 30, 0, 0, scnet.ChinaTime) }},
		func(c *scnet.Config) {
			c.Now = func() time.Time { return time.Date(2026, 11, 21, 12, 30, 0, 0, scnet.ChinaTime) }
		})
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 20, hour, minute, 0, 0, scnet.ChinaTime) }
	inner := sim.Instances(kunshan)[1]
	want := scnet.Instance{
		ID: running, Name: "训练-7b", Status: scnet.Running, TaskType: "jupyter",
		AcceleratorType: "dcu", Accelerators: 2, CPUs: 6, MemoryMB: 30720, ResourceSpec: "6 核心; 2 加速器; 30.0G 内存", Containers: 3,
		Owner: "demo", CreatedAt: at(11, 30), StartedAt: at(12, 30), Duration: "1d 0h 0m", Remaining: "14d 0h 0m", TimeLimit: "360:00:00",
		HeaderTaskID: inner.HeaderNotebookID,
		Mounts:       []scnet.Mount{{Source: "/public/home/demo", Target: "/root/demo", Type: "path"}},
		Ports:        []scnet.Port{{Container: "8000", Protocol: "HTTP", AccessURL: scnet.NewSecret("https://c.example/?token=port-secret")}},
		StartScript:  scnet.StartScript{Enabled: true, Scope: "all", Content: scnet.NewSecret("export KEY=script-secret\n")},
	}
	for name, quirks := range map[string]simulator.Quirks{
		"as documented":  {},
		"task number":    {TaskNumberString: true},
		"container port": {ContainerPortInt: true},
		"lists null":     {EmptyLists: simulator.EmptyNull},
		"lists empty":    {EmptyLists: simulator.EmptyArray},
		"code an int":    {CodeAsInt: true},
		"code 200":       {Success200: true},
		"code 200, int":  {Success200: true, CodeAsInt: true},
		"message":        {MessageField: true},
	} {
		sim.SetQuirks(quirks)
		got, err := r.Detail(t.Context(), running)
		if err != nil || plain(got) != plain(want) {
			t.Errorf("%s: detail\n%s\nwant\n%s\n%v", name, plain(got), plain(want), err)
		}
		page, err := r.List(t.Context(), firstPage)
		if err != nil || len(page.Rows) != 2 || plain(page.Rows[0]) != plain(want) {
			t.Errorf("%s: list %+v, %v", name, page, err)
		}
		if text := fmt.Sprintf("%+v %#v", page, page); strings.Contains(text, "script-secret") || strings.Contains(text, "port-secret") {
			t.Errorf("a page prints secrets: %s", text)
		}
		if ended := page.Rows[1]; ended.Mounts != nil || ended.Ports != nil || !ended.EndedAt.Equal(at(10, 30)) || ended.Remaining != "" {
			t.Errorf("%s: the stopped one: %+v", name, ended)
		}
	}
}

func TestStatusWords(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	for _, word := range []string{"Stopped", "RUNNING", "关机中", ""} {
		sim.SetQuirks(simulator.Quirks{StatusWords: map[string]string{simulator.Running: word}})
		got, err := r.Detail(t.Context(), running)
		if err != nil || string(got.Status) != word {
			t.Errorf("status = %q, %v; want %q", got.Status, err, word)
		}
		if got.Status.Is(scnet.Running) != (word == "RUNNING") {
			t.Errorf("Is(%q)", word)
		}
	}
	for word, want := range map[string]scnet.Status{"running": scnet.Running, "TERMINATED": scnet.Terminated, "Stopped": ""} {
		got, documented := scnet.ParseStatus(word)
		if documented != (want != "") || documented && got != want || !documented && string(got) != word {
			t.Errorf("ParseStatus(%q) = %q, %v", word, got, documented)
		}
	}
}

func TestAbsurdFieldsBreakNoList(t *testing.T) {
	t.Parallel()
	members := []string{
		"headerNotebookId", "headerNotebookIp", "instanceServiceName", "status", "taskType", "acceleratorType", "gpuNumber", "cpuNumber",
		"ramSize", "resourceGroup", "resourceSpec", "taskNumber", "userName", "version", "imagePath", "description", "createTime", "startTime",
		"endTime", "duration", "remainingTime", "timeoutLimit", "useStartScript", "startScriptActionScope", "startScriptPath",
		"startScriptContent", "mountInfoList", "containerPortInfoList",
	}
	for _, absurd := range []string{
		`null`, `true`, `-1`, `1e400`, `12345678901234567890123`, `"x"`, `""`, `[]`, `{}`, `[[]]`, `[null]`, `[1,"x",{}]`, `{"a":{"b":[1]}}`, `"\ud800"`,
	} {
		row := `{"id":"odd"`
		for _, m := range members {
			row += `,"` + m + `":` + absurd
		}
		row += `}`
		body := `{"code":"0","total":` + absurd + `,"data":[{"id":"before"},` + row + `,` + absurd + `,{"id":"after"}]}`
		page, err := canned(t, 200, body).List(t.Context(), firstPage)
		if err != nil || len(page.Rows) != 3 || page.Rows[1].ID != "odd" {
			t.Errorf("%s: %v, %v", absurd, ids(page.Rows), err)
		}
	}
}

func TestListShapes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		rows  int
		total int
		err   error
	}{
		"null":                    {`{"code":"0","data":null,"total":0}`, 0, 0, nil},
		"missing":                 {`{"code":"0"}`, 0, -1, nil},
		"empty":                   {`{"code":"0","data":[],"total":"0"}`, 0, 0, nil},
		"wrapped once more":       {`{"code":"0","data":{"data":[{"id":"a"}],"total":7}}`, 1, 7, nil},
		"wrapped null":            {`{"code":"0","data":{"data":null}}`, 0, -1, nil},
		"total outside wins":      {`{"code":"0","total":3,"data":{"data":[{"id":"a"}],"total":7}}`, 1, 3, nil},
		"total a string":          {`{"code":"0","total":"3","data":[{"id":"a"}]}`, 1, 3, nil},
		"total null":              {`{"code":"0","total":null,"data":[{"id":"a"}]}`, 1, -1, nil},
		"total negative":          {`{"code":"0","total":-5,"data":[]}`, 0, -1, nil},
		"total garbage":           {`{"code":"0","total":"many","data":[{"id":"a"}]}`, 1, -1, nil},
		"id a number":             {`{"code":"0","data":[{"id":42}]}`, 1, -1, nil},
		"a string":                {`{"code":"0","data":"none"}`, 0, 0, scnet.ErrMalformed},
		"an object":               {`{"code":"0","data":{"items":[]}}`, 0, 0, scnet.ErrMalformed},
		"a number":                {`{"code":"0","data":1}`, 0, 0, scnet.ErrMalformed},
		"no row has an id":        {`{"code":"0","data":[{"x":1}]}`, 0, 0, scnet.ErrMalformed},
		"no code":                 {`{"data":[]}`, 0, 0, scnet.ErrMalformed},
		"code null":               {`{"code":null,"data":[]}`, 0, 0, scnet.ErrMalformed},
		"not an object":           {`[]`, 0, 0, scnet.ErrMalformed},
		"nothing":                 {``, 0, 0, scnet.ErrMalformed},
		"something after the end": {`{"code":"0","data":[]}{}`, 0, 0, scnet.ErrMalformed},
	} {
		page, err := canned(t, 200, c.body).List(t.Context(), firstPage)
		if !errors.Is(err, c.err) || err == nil && (len(page.Rows) != c.rows || page.Total != c.total) {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
		if c.err != nil && asError(t, err).Delivery != upstream.Answered {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestDetailOfAnUnknownID(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]simulator.Quirks{
		"null data": {}, "code": {DetailUnknown: simulator.DetailError}, "code as HTTP 404": {DetailUnknown: simulator.DetailError, ErrorStatus: true},
	} {
		_, r := open(t, simulator.Options{Quirks: quirks})
		_, err := r.Detail(t.Context(), "00000000000000000000000000000000")
		if e := asError(t, err); !errors.Is(err, scnet.ErrNotFound) || e.Delivery != upstream.Answered || e.Retryable || !strings.Contains(e.Hint.English, "List the instances") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestDetailShapes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{
		`{"code":"0","data":{"id":"a"}}`:                              nil,
		`{"code":0,"message":"ok","data":{"id":"a","gpuNumber":"2"}}`: nil,
		`{"code":"0"}`:                                      scnet.ErrNotFound,
		`{"code":"0","data":{}}`:                            scnet.ErrMalformed,
		`{"code":"0","data":"a"}`:                           scnet.ErrMalformed,
		`{"code":"0","data":[{"id":"a"}]}`:                  scnet.ErrMalformed,
		`{"code":"0","data":{"id":"b"}}`:                    scnet.ErrMalformed,
		`{"code":"816822","message":"任务不存在","data":"gone"}`: scnet.ErrNotFound,
	} {
		got, err := canned(t, 200, body).Detail(t.Context(), "a")
		if !errors.Is(err, want) || err == nil && got.ID != "a" {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

func TestRestartAnswers(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{`"b"`: "b", `7`: "7", `null`: "", `{"id":"b"}`: "", `[]`: ""} {
		got, err := canned(t, 200, `{"code":"0","data":`+data+`}`).Restart(t.Context(), "a")
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", data, got, err)
		}
	}
	for name, form := range map[string]simulator.RestartID{
		"task id": simulator.RestartTaskID, "same": simulator.RestartSameID, "new id": simulator.RestartNewID,
	} {
		sim, r := open(t, simulator.Options{Quirks: simulator.Quirks{RestartID: form}})
		got, err := r.Restart(t.Context(), stopped)
		if err != nil || got == "" || (got == stopped) != (form == simulator.RestartSameID) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if status := sim.Instances(kunshan)[0].Status; status != simulator.Waiting {
			t.Errorf("%s: the instance is %s", name, status)
		}
	}
}

// sample is the row of page container/query.
const sample = `{"msg":"success","total":4,"code":"0","data":[{
	"id":"530491fa7c8e47348f01de73e627a6a7","headerNotebookId":"b54439dc621a434a88e8ab37d1897241",
	"instanceServiceName":"Instances_2204208761","currentIndex":1,"gpuNumber":2,"cpuNumber":6,"ramSize":30720,"acceleratorType":"gpu",
	"resourceGroup":"TeslaM40","resourceSpec":"6 核心; 2 加速器; 30.0G 内存","taskNumber":1,"timeoutLimit":"unlimited","userName":"demo",
	"version":"pytorch:1.2-py3.6-CUDA10.0","imagePath":"10.0.35.26:5000/gpu/admin/base/pytorch:1.2-py3.6-CUDA10.0","status":"Waiting",
	"taskType":"ssh","description":"","createTime":"2022-04-20 16:16:14","startTime":null,"endTime":null,"duration":"--","remainingTime":"--",
	"tensorboardId":null,"tensorboardPath":null,"mountInfoList":null,"containerPortInfoList":null,"useStartScript":false,
	"startScriptContent":"","startScriptPath":null,"startScriptActionScope":"all","headerNotebookIp":null}]}`

func TestDocumentedSample(t *testing.T) {
	t.Parallel()
	page, err := canned(t, 200, sample).List(t.Context(), firstPage)
	if err != nil {
		t.Fatal(err)
	}
	want := scnet.Instance{
		ID: "530491fa7c8e47348f01de73e627a6a7", Name: "Instances_2204208761", Status: scnet.Waiting, TaskType: "ssh",
		AcceleratorType: "gpu", Accelerators: 2, CPUs: 6, MemoryMB: 30720, ResourceGroup: "TeslaM40", ResourceSpec: "6 核心; 2 加速器; 30.0G 内存",
		Containers: 1, Owner: "demo", Image: "pytorch:1.2-py3.6-CUDA10.0", ImagePath: "10.0.35.26:5000/gpu/admin/base/pytorch:1.2-py3.6-CUDA10.0",
		CreatedAt: time.Date(2022, 4, 20, 8, 16, 14, 0, time.UTC).In(scnet.ChinaTime), TimeLimit: "unlimited",
		HeaderTaskID: "b54439dc621a434a88e8ab37d1897241", StartScript: scnet.StartScript{Scope: "all"},
	}
	if page.Total != 4 || !reflect.DeepEqual(page.Rows, []scnet.Instance{want}) {
		t.Errorf("%+v\nwant\n%+v", page, want)
	}
}

func FuzzDecodeList(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"code":0,"data":{"data":[{"id":1},{}],"total":"2"}}`))
	f.Add([]byte(`{"code":"0","total":1,"data":[{"id":"a","mountInfoList":[{}],"containerPortInfoList":[{"containerPort":22}]}]}`))
	f.Add([]byte(`{"code":"10004","msg":"参数无效"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		client, err := scnet.New(scnet.Config{
			Token: scnet.NewSecret("t"), AIURL: "https://region.example",
			Transport: fakecloudtest.Canned(200, string(body)),
		})
		if err != nil {
			t.Fatal(err)
		}
		r := pick(t, client, "")
		calls := 0
		for page, err := range r.Pages(t.Context(), firstPage) {
			if calls++; calls > 2 {
				t.Fatal("the same answer again and again does not end Pages")
			}
			for _, in := range page.Rows {
				if in.ID == "" {
					t.Errorf("a row without an id: %+v", in)
				}
			}
			if err == nil && page.Total != -1 && page.Total < len(page.Rows) {
				t.Errorf("%d rows of %d", len(page.Rows), page.Total)
			}
			if e := (*scnet.Error)(nil); err != nil && (!errors.As(err, &e) || e.Delivery != upstream.Answered) {
				t.Errorf("err = %v", err)
			}
		}
		if in, err := r.Detail(t.Context(), "a"); err == nil && in.ID != "a" {
			t.Errorf("detail of another instance: %+v", in)
		}
		if _, err := r.Restart(t.Context(), "a"); err == nil && !json.Valid(body) {
			t.Error("an answer that is not JSON passes for success")
		}
	})
}
