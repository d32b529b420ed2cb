package simulator

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestStartAddresses(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:0", "example.com:0", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536"} {
		if err := New(Options{}).Start(addr); err == nil {
			t.Errorf("Start(%q) succeeded", addr)
		}
	}
	for _, addr := range []string{"localhost:0", "127.0.0.2:0"} {
		s := New(Options{})
		if err := s.Start(addr); err != nil {
			t.Errorf("Start(%q): %v", addr, err)
		}
		if err := s.Start(addr); err == nil {
			t.Error("second Start succeeded")
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := New(Options{}).Close(); err != nil {
		t.Errorf("Close without Start: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := New(Options{}).Start(taken.Addr().String()); err == nil {
		t.Error("Start on a taken port succeeded")
	}
}

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
		l.do(c.method, c.path, "").wantError(t, 404, codeNoAPI)
	}
	l.SetQuirks(Quirks{RefuseMethods: true})
	for _, c := range wrong {
		l.do(c.method, c.path, "").wantError(t, 405, codeMethod)
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

func TestInProcess(t *testing.T) {
	s := New(Options{})
	client := &http.Client{Transport: s.Transport()}
	get := func() (string, error) {
		r, err := http.NewRequest(http.MethodGet, s.URL()+"/v2/"+s.ProjectID()+"/desktops", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", s.Token())
		resp, err := client.Do(r)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	if body, err := get(); err != nil || !strings.Contains(body, `"total_count":6`) {
		t.Errorf("list: %s, %v", body, err)
	}
	s.Inject(Fault{Reset: true})
	if _, err := get(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
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

func TestJournalIsBounded(t *testing.T) {
	r := ring[int]{max: 3}
	for i := range 100 {
		r.add(i)
		if len(r.items) > 6 || r.items[len(r.items)-1] != i {
			t.Fatalf("after %d: %v", i, r.items)
		}
	}
}

func TestJournal(t *testing.T) {
	l := open(t, Options{})
	r := l.do("POST", "script-executions/stop?x=y", `{"task_id":"x"}`)
	eq(t, "entry", l.Requests()[0], Request{
		Time: noon, Operation: OpStop, Method: "POST", Path: "/v2/" + l.ProjectID() + "/script-executions/stop", Query: "x=y",
		Body: `{"task_id":"x"}`, Status: 404, Code: codeMissing, RequestID: r.header.Get("X-Request-Id"),
	})
}
