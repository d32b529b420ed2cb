package simulator

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

func TestRoutes(t *testing.T) {
	l := open(t, Options{})
	for _, c := range []struct{ method, path string }{
		{"GET", "/"}, {"GET", "/v2"}, {"GET", "/v3/scripts"}, {"GET", "/v2//scripts"}, {"GET", "scripts/"}, {"GET", "/" + "/v2/p/scripts"},
		{"GET", "scripts/a/b"}, {"GET", "desktops/a/detail"}, {"POST", "desktop-pools//script-executions"},
	} {
		l.do(c.method, c.path, "").wantError(t, 404, codeNoAPI)
	}
	wrong := []struct{ method, path string }{
		{"PATCH", "scripts"}, {"POST", "scripts/1"}, {"GET", "script-executions"}, {"GET", "script-executions/stop"},
		{"DELETE", "script-execution-records/1"}, {"POST", "desktops"}, {"POST", "/v3/projects"},
	}
	for _, c := range wrong {
		l.do(c.method, c.path, "").wantError(t, 405, codeMethod)
	}
	l.SetQuirks(Quirks{MethodsAtGateway: true})
	for _, c := range wrong {
		l.do(c.method, c.path, "").wantError(t, 404, codeNoAPI)
	}
	for _, r := range l.Requests() {
		eq(t, "operation of "+r.Path, r.Operation, "")
	}
}

func TestBodyLimit(t *testing.T) {
	l := open(t, Options{})
	l.do("POST", "scripts", strings.Repeat(" ", maxBody)).wantError(t, 400, codeParameter)
	l.do("POST", "scripts", strings.Repeat(" ", maxBody+1)).wantError(t, 413, codeRequest)
}

func TestSeed(t *testing.T) {
	ids := func(seed uint64) string {
		s := New(Options{Seed: seed})
		return fmt.Sprint(s.Token(), s.AddScript(Script{}), s.AddDesktop(Desktop{}))
	}
	if one := ids(1); one != ids(1) || one == ids(2) {
		t.Error("ids do not depend on the seed alone")
	}
}

func TestConcurrentUse(t *testing.T) {
	l := open(t, fleet(4))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := l.execute(map[string]any{"resource_ids": []string{"d0", "d1"}, "script_ids": []string{"100"}})
			l.SetOutcome("d0", "", Outcome{Kind: OutcomeKind(i % 4)})
			l.UpdateDesktop("d1", func(d *Desktop) { d.Tags = append(d.Tags, Tag{"k", "v"}) })
			l.do("GET", "desktops?tag=k", "").want(t, 200)
			l.stop(`{"task_id":"` + id + `"}`)
			l.SetQuirks(Quirks{EndTime: EndNull})
			l.Tasks()
			l.Records(id)
			l.Requests()
		})
	}
	wg.Wait()
	eq(t, "requests", len(l.Requests()), 24)
}

func TestJournal(t *testing.T) {
	l := open(t, Options{})
	r := l.do("POST", "script-executions/stop?x=y", `{"task_id":"x"}`)
	eq(t, "entry", l.Requests()[0], Request{
		Time: fakecloudtest.Noon, Operation: OpStop, Method: "POST", Path: "/v2/" + l.ProjectID() + "/script-executions/stop", Query: "x=y",
		Body: `{"task_id":"x"}`, Status: 404, Code: codeMissing, RequestID: r.header.Get("X-Request-Id"),
	})
}
