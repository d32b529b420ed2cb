package simulator

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

const task = "instance-service/task"

// fill adds instances named for their age: a is the oldest.
func fill(l *lab) {
	for i, in := range []Instance{
		{ID: "a", Name: "Train-1", Status: Running, TaskType: "ssh"},
		{ID: "b", Name: "train-2", Status: Terminated, TaskType: "jupyter"},
		{ID: "c", Name: "评估", Status: Running, TaskType: "jupyter"},
		{ID: "d", Name: "eval", Status: Failed, TaskType: "rstudio"},
		{ID: "e", Name: "odd", Status: "Suspending", TaskType: "ssh"},
	} {
		in.CreateTime = fakecloudtest.Noon.Add(time.Duration(i-10) * time.Minute)
		l.AddInstance(kunshan, in)
	}
}

// ids joins the ids of a list answer.
func ids(t *testing.T, r result) string {
	t.Helper()
	var b strings.Builder
	for _, in := range into[[]struct{ ID string }](t, r.want(t, "0")) {
		b.WriteString(in.ID)
	}
	return b.String()
}

func TestListFilters(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	for _, c := range []struct {
		body  string
		want  string
		total int
	}{
		{`{"status":null,"instanceServiceName":null,"taskType":null,"start":0,"limit":20,"sort":"desc"}`, "edcba", 5},
		{`{"limit":20,"sort":"ASC"}`, "abcde", 5},
		{`{"limit":2,"sort":"asc"}`, "ab", 5},
		{`{"limit":2,"start":2,"sort":"asc"}`, "cd", 5},
		{`{"limit":2,"start":"4","sort":"asc"}`, "e", 5},
		{`{"limit":2,"start":5,"sort":"asc"}`, "", 5},
		{`{"limit":"20","sort":"asc","status":"Running"}`, "ac", 2},
		{`{"limit":1,"start":1,"sort":"asc","status":"Running"}`, "c", 2},
		{`{"limit":20,"sort":"asc","taskType":"jupyter"}`, "bc", 2},
		{`{"limit":20,"sort":"asc","taskType":"jupyter","status":"Running"}`, "c", 1},
		{`{"limit":20,"sort":"asc","instanceServiceName":"train"}`, "ab", 2},
		{`{"limit":20,"sort":"asc","instanceServiceName":["-2","评"]}`, "bc", 2},
		{`{"limit":20,"sort":"asc","instanceServiceName":[]}`, "abcde", 5},
		{`{"limit":20,"sort":"asc","instanceServiceName":"","status":"","taskType":""}`, "abcde", 5},
	} {
		r := l.do(kunshan, "GET", task, c.body)
		eq(t, c.body, ids(t, r), c.want)
		eq(t, c.body+" total", *r.Total, c.total)
	}
	for _, c := range []struct{ body, code string }{
		{``, "10003"},
		{`{"limit":20}`, "10003"},
		{`{"sort":"asc"}`, "10003"},
		{`{"limit":null,"sort":"asc"}`, "10003"},
		{`{"limit":20,"sort":""}`, "10003"},
		{`{"limit":0,"sort":"asc"}`, "10004"},
		{`{"limit":1.5,"sort":"asc"}`, "10004"},
		{`{"limit":"x","sort":"asc"}`, "10004"},
		{`{"limit":true,"sort":"asc"}`, "10004"},
		{`{"limit":20,"start":-1,"sort":"asc"}`, "10004"},
		{`{"limit":20,"sort":"up"}`, "10004"},
		{`{"limit":20,"sort":"asc","status":"running"}`, "10004"},
		{`{"limit":20,"sort":"asc","taskType":"vnc"}`, "10004"},
		{`{"limit":20,"sort":"asc","instanceServiceName":7}`, "10004"},
		{`{"limit":20,`, "10004"},
		{`[]`, "10004"},
	} {
		l.do(kunshan, "GET", task, c.body).want(t, c.code)
	}
	l.do(kunshan, "GET", task+"?limit=%zz", "").want(t, "10004")
}

func TestListForms(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	query := url.Values{"limit": {"9"}, "sort": {"desc"}, "status": {""}, "instanceServiceName": {"2", "评"}}.Encode()
	body := func() result {
		return l.do(kunshan, "GET", task, `{"limit":9,"sort":"desc","instanceServiceName":["2","评"]}`)
	}
	inQuery := func() result { return l.do(kunshan, "GET", task+"?"+query, "") }
	taskList := func() result { return l.do(kunshan, "GET", task+"/list?"+query, "") }
	// Two contradicting sources show which one counts.
	both := func() result {
		return l.do(kunshan, "GET", task+"?limit=1&sort=asc", `{"limit":2,"sort":"asc"}`)
	}
	served := func(r result) bool { return r.status == 200 && r.Code == "0" && ids(t, r) == "cb" }
	for _, c := range []struct {
		form                    ListForm
		body, inQuery, taskList bool
		both                    string
	}{
		{ListBody, true, false, false, "ab"},
		{ListBodyOrQuery, true, true, false, "ab"},
		{ListQuery, false, true, false, "a"},
		{ListTaskList, false, false, true, ""},
		{ListAny, true, true, true, "ab"},
	} {
		l.SetQuirks(Quirks{ListForm: c.form})
		name := fmt.Sprint("form ", c.form)
		eq(t, name+" body", served(body()), c.body)
		eq(t, name+" query", served(inQuery()), c.inQuery)
		eq(t, name+" /task/list", served(taskList()), c.taskList)
		if c.both != "" {
			eq(t, name+" both", ids(t, both()), c.both)
		}
	}

	for refusal, status := range map[ListRefusal]int{RefuseNotFound: 404, RefuseMethod: 405, RefuseHTML: 200} {
		l.SetQuirks(Quirks{ListRefusal: refusal})
		taskList().wantPage(t, status)
		l.SetQuirks(Quirks{ListForm: ListTaskList, ListRefusal: refusal})
		body().wantPage(t, status)
	}
	l.SetQuirks(Quirks{ListRefusal: RefuseParameter})
	taskList().want(t, "10003")
}

func TestListQuirks(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	list := func(body string) result { return l.do(kunshan, "GET", task, body) }

	l.SetQuirks(Quirks{ListIgnoresStart: true})
	eq(t, "ignored start", ids(t, list(`{"limit":2,"start":2,"sort":"asc"}`)), "ab")
	l.SetQuirks(Quirks{ListMaxLimit: 3})
	eq(t, "capped limit", ids(t, list(`{"limit":20,"sort":"asc"}`)), "abc")
	l.SetQuirks(Quirks{TotalAbsent: true})
	if r := list(`{"limit":20,"sort":"asc"}`); r.Total != nil {
		t.Errorf("total in %s", r.raw)
	}
	l.SetQuirks(Quirks{StatusWords: map[string]string{Terminated: "Stopped"}})
	for body, word := range map[string]string{
		`{"limit":1,"sort":"asc","status":"Terminated"}`: `"status":"Stopped"`,
		`{"limit":1,"sort":"desc"}`:                      `"status":"Suspending"`,
	} {
		if r := list(body); !strings.Contains(r.raw, word) {
			t.Errorf("no %s in %s", word, r.raw)
		}
	}
}

func TestEnvelopeQuirks(t *testing.T) {
	l := open(t, Options{})
	for _, c := range []struct {
		quirks      Quirks
		good, wrong string
	}{
		{Quirks{}, `{"code":"0","msg":"success",`, `{"code":"10003","msg":"参数不全","data":null}`},
		{Quirks{CodeAsInt: true}, `{"code":0,"msg":"success",`, `{"code":10003,"msg":"参数不全","data":null}`},
		{Quirks{MessageField: true}, `{"code":"0","message":"success",`, `{"code":"10003","message":"参数不全","data":null}`},
		{Quirks{Success200: true}, `{"code":"200","msg":"success",`, `{"code":"10003","msg":"参数不全","data":null}`},
	} {
		l.SetQuirks(c.quirks)
		if r := l.do(kunshan, "GET", task, `{"limit":1,"sort":"asc"}`); !strings.HasPrefix(r.raw, c.good) {
			t.Errorf("%+v: %s", c.quirks, r.raw)
		}
		eq(t, "error", l.do(kunshan, "GET", task, "").raw, c.wrong)
	}

	l.SetQuirks(Quirks{ErrorStatus: true, DetailUnknown: DetailError})
	for code, r := range map[string]result{
		"10003 400":  l.do(kunshan, "GET", task, ""),
		"10004 400":  l.do(kunshan, "GET", task, "["),
		"10008 401":  l.send("GET", l.RegionURL(kunshan)+servicePath+"/task", ""),
		"10009 403":  l.login(poor, "", nil),
		"816822 404": l.do(kunshan, "GET", "instance-service/x/detail", ""),
		"716866 500": l.do(kunshan, "DELETE", task+"?ids=x", ""),
		"0 200":      l.do(kunshan, "GET", "instance-service/resource-group", ""),
	} {
		eq(t, "code and HTTP status", fmt.Sprint(r.Code, " ", r.status), code)
	}
}

func TestRow(t *testing.T) {
	l := open(t, Options{})
	l.AddInstance(kunshan, Instance{
		ID: "full", HeaderNotebookID: "task", HeaderNotebookIP: "10.0.0.1", Name: "<b>&", CPUNumber: 6, GPUNumber: 2, RAMSize: 30720,
		AcceleratorType: "gpu", ResourceGroup: "TeslaM40", TimeLimit: 360 * time.Hour, Version: "v", ImagePath: "p",
		Status: Running, CreateTime: fakecloudtest.Noon.Add(-25 * time.Hour), StartTime: fakecloudtest.Noon.Add(-12 * time.Minute), TensorboardID: "tb", TensorboardPath: "/tb",
		Mounts:         []Mount{{"/a", "/b", "path"}},
		Ports:          []Port{{ContainerPort: 22, ProtocolType: "SSH"}, {ContainerPort: 80, ProtocolType: "HTTP"}},
		UseStartScript: true, StartScriptContent: "x\n", StartScriptPath: "/s", StartScriptScope: "header", Description: "d",
	})
	l.AddInstance(wuzhen, Instance{ID: "bare", HeaderNotebookID: "task", Status: Terminated, CreateTime: fakecloudtest.Noon})
	data := func(region string, quirks Quirks, detail bool) string {
		l.SetQuirks(quirks)
		if detail {
			id := map[string]string{kunshan: "full", wuzhen: "bare"}[region]
			r := l.do(region, "GET", "instance-service/"+id+"/detail", "").want(t, "0")
			eq(t, "detail's message", r.Msg, "SUCCESS")
			return string(r.Data)
		}
		return string(l.do(region, "GET", task, `{"limit":1,"sort":"asc"}`).Data)
	}
	eq(t, "full", data(kunshan, Quirks{}, true), `{"id":"full","headerNotebookId":"task","instanceServiceName":"<b>&","currentIndex":1,`+
		`"gpuNumber":2,"cpuNumber":6,"ramSize":30720,"acceleratorType":"gpu","resourceGroup":"TeslaM40","resourceSpec":"6 核心; 2 加速器; 30.0G 内存",`+
		`"taskNumber":1,"timeoutLimit":"360:00:00","userName":"demo","version":"v","imagePath":"p","status":"Running","taskType":"ssh","description":"d",`+
		`"createTime":"2026-11-20 11:00:00","startTime":"2026-11-21 11:48:00","endTime":null,"duration":"0d 0h 12m","remainingTime":"14d 23h 48m",`+
		`"tensorboardId":"tb","tensorboardPath":"/tb","mountInfoList":[{"sourcePath":"/a","targetPath":"/b","type":"path"}],`+
		`"containerPortInfoList":[{"accessUrl":"","containerPort":"22","protocolType":"SSH"},{"accessUrl":"https://c-full.ksai.scnet.cn:58043/","containerPort":"80","protocolType":"HTTP"}],`+
		`"useStartScript":true,"startScriptContent":"x\n","startScriptPath":"/s","startScriptActionScope":"header","headerNotebookIp":"10.0.0.1"}`)
	eq(t, "bare", data(wuzhen, Quirks{}, false), `[{"id":"bare","headerNotebookId":"task","instanceServiceName":"","currentIndex":1,`+
		`"gpuNumber":0,"cpuNumber":0,"ramSize":0,"acceleratorType":"","resourceGroup":"","resourceSpec":"0 核心; 0 加速器; 0.0G 内存",`+
		`"taskNumber":1,"timeoutLimit":"unlimited","userName":"demo","version":"","imagePath":"","status":"Terminated","taskType":"ssh","description":"",`+
		`"createTime":"2026-11-21 12:00:00","startTime":null,"endTime":null,"duration":"--","remainingTime":"--","tensorboardId":null,"tensorboardPath":null,`+
		`"mountInfoList":null,"containerPortInfoList":null,"useStartScript":false,"startScriptContent":"","startScriptPath":null,"startScriptActionScope":"all","headerNotebookIp":null}]`)
	for _, c := range []struct {
		region string
		quirks Quirks
		detail bool
		want   string
	}{
		{wuzhen, Quirks{}, true, `"mountInfoList":[],"containerPortInfoList":[]`},
		{wuzhen, Quirks{EmptyLists: EmptyNull}, true, `"mountInfoList":null,"containerPortInfoList":null`},
		{wuzhen, Quirks{EmptyLists: EmptyArray}, false, `"mountInfoList":[],"containerPortInfoList":[]`},
		{wuzhen, Quirks{TaskNumberString: true}, false, `"taskNumber":"1"`},
		{kunshan, Quirks{ContainerPortInt: true}, false, `"containerPort":22`},
	} {
		if got := data(c.region, c.quirks, c.detail); !strings.Contains(got, c.want) {
			t.Errorf("%+v: no %s in %s", c.quirks, c.want, got)
		}
	}
}

func TestDetailAndURL(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	eq(t, "unknown", string(l.do(kunshan, "GET", "instance-service/x/detail", "").want(t, "0").Data), "null")
	l.AddInstance(kunshan, Instance{ID: "a/b", Status: Running})
	l.do(kunshan, "GET", "instance-service/a%2Fb/detail", "").want(t, "0")
	l.do(kunshan, "GET", "instance-service/x/url", "").want(t, "816822")
	l.do(kunshan, "GET", "instance-service/b/url", "").want(t, "10004")
	for form, want := range map[AccessURL]string{
		AccessInternal: "http://10.0.35.26:7090/jupyter-forward/a/?token=sothisai_a",
		AccessPublic:   "https://n-a.ksai.scnet.cn:58043/jupyter-forward/a/?token=sothisai_a",
		AccessService:  "https://c-a.ksai.scnet.cn:58043/",
	} {
		l.SetQuirks(Quirks{AccessURL: form})
		eq(t, "url", into[string](t, l.do(kunshan, "GET", "instance-service/a/url", "").want(t, "0")), want)
	}
}

func TestManyInstances(t *testing.T) {
	l := open(t, Options{})
	for i := range 10000 {
		l.AddInstance(kunshan, Instance{Name: fmt.Sprint("n", i), Status: Terminated, CreateTime: fakecloudtest.Noon.Add(time.Duration(i*7919%10000) * time.Second)})
	}
	r := l.do(kunshan, "GET", task, `{"limit":100,"start":9950,"sort":"desc"}`)
	eq(t, "rows", len(into[[]row](t, r)), 50)
	eq(t, "total", *r.Total, 10000)
	last := l.Instances(kunshan)
	for i := range last[1:] {
		if last[i+1].CreateTime.Before(last[i].CreateTime) {
			t.Fatal("not sorted")
		}
	}
}

func BenchmarkList(b *testing.B) {
	s := New(Options{Regions: []Region{{ID: kunshan}}})
	for i := range 10000 {
		s.AddInstance(kunshan, Instance{Name: fmt.Sprint("n", i), Status: Running})
	}
	c := &call{sim: s, region: s.regions[0], now: fakecloudtest.Noon, body: []byte(`{"limit":20,"start":5000,"sort":"desc","status":"Running","instanceServiceName":"N"}`)}
	b.ReportAllocs()
	for b.Loop() {
		c.listTask()
	}
}

func TestDemo(t *testing.T) {
	s := New(Options{})
	seen := map[string]int{}
	for _, region := range []string{"11250", "20057"} {
		for _, in := range s.Instances(region) {
			seen[in.Status]++
			if len(in.ID) != 32 || in.Name == "" || in.ImagePath == "" {
				t.Errorf("incomplete: %+v", in)
			}
		}
	}
	eq(t, "states", fmt.Sprint(seen), "map[Completed:1 Deploying:1 Failed:1 Running:3 Terminated:3 Waiting:1]")
	first, second := New(Options{Seed: 1, Now: fakecloudtest.NewClock().Now}), New(Options{Seed: 1, Now: fakecloudtest.NewClock().Now})
	eq(t, "ids of one seed", first.AddInstance("11250", Instance{}), second.AddInstance("11250", Instance{}))
	eq(t, "tokens of one seed", first.Token("11250"), second.Token("11250"))
}
