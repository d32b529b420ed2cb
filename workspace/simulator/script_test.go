package simulator

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

func TestScriptLifeCycle(t *testing.T) {
	l := open(t, Options{Scripts: []Script{}})
	r := l.do("POST", "scripts", `{"name":"n","type":"BAT","content":"<&>\r\n","description":"d","version":"v"}`).want(t, 200)
	id := into[map[string]string](t, r)["script_id"]
	if len(id) != 18 || strings.Trim(id, "0123456789") != "" {
		t.Errorf("script_id %q is not like a documented one", id)
	}
	l.clock.Advance(time.Minute)
	r = l.do("GET", "scripts/"+id, "").want(t, 200)
	eq(t, "script", r.raw, `{"id":"`+id+`","name":"n","description":"d","type":"BAT","version":"v","create_time":"2026-11-21T04:00:00Z","update_time":"2026-11-21T04:00:00Z","content":"<&>\r\n"}`)
	r = l.do("PUT", "scripts/"+id, `{"name":"m","type":"SHELL","content":"x"}`).want(t, 204)
	eq(t, "body of 204", r.raw+r.header.Get("Content-Type"), "")
	got := into[scriptJSON](t, l.do("GET", "scripts/"+id, ""))
	eq(t, "updated", fmt.Sprint(got.Name, got.Type, got.Description, got.Version, *got.Content, got.UpdateTime), "mBATx2026-11-21T04:01:00Z")
	r = l.do("DELETE", "scripts/"+id, "").want(t, 204)
	eq(t, "body of 204", r.raw, "")
	for _, method := range []string{"GET", "DELETE"} {
		l.do(method, "scripts/"+id, "").wantError(t, 404, codeMissing)
	}
	l.do("PUT", "scripts/"+id, `{"name":"m","content":"x"}`).wantError(t, 404, codeMissing)
	eq(t, "scripts left", len(l.Scripts()), 0)
}

func TestScriptLimits(t *testing.T) {
	l := open(t, Options{Scripts: []Script{{ID: "1", Name: "n", Content: "c"}}})
	chars := func(n int) string { return strings.Repeat("脚", n) } // the limits are in characters, not bytes
	for _, c := range []struct {
		field string
		value any
		ok    bool
	}{
		{"name", "", false}, {"name", nil, false}, {"name", 1, false}, {"name", chars(1000), true},
		{"content", "", false}, {"content", nil, false}, {"content", chars(100000), true}, {"content", chars(100001), false},
		{"description", chars(256), true}, {"description", chars(257), false}, {"description", nil, true},
		{"version", chars(128), true}, {"version", chars(129), false},
		{"type", "SHELL", true}, {"type", "POWERSHELL", true}, {"type", "BAT", true}, {"type", "shell", false}, {"type", "", false},
	} {
		body := map[string]any{"name": "n", "type": "SHELL", "content": "c", c.field: c.value}
		text := string(fakecloud.EncodeJSON(body))
		create, update := l.do("POST", "scripts", text), l.do("PUT", "scripts/1", text)
		if c.ok {
			create.want(t, 200)
			update.want(t, 204)
			continue
		}
		create.wantError(t, 400, codeParameter)
		if c.field != "type" { // it cannot be changed
			update.wantError(t, 400, codeParameter)
		}
	}
	for _, body := range []string{"", "null", "[]", "{", `{"name":"n","type":"SHELL","content":"c"}x`, `"x"`} {
		l.do("POST", "scripts", body).wantError(t, 400, codeParameter)
	}
	l.do("GET", "scripts/"+strings.Repeat("1", 129), "").wantError(t, 400, codeParameter)
}

func TestScriptList(t *testing.T) {
	o := Options{Scripts: []Script{}}
	for i := range 120 {
		o.Scripts = append(o.Scripts, Script{ID: fmt.Sprint(i), Name: fmt.Sprintf("n%03d", i), Type: []string{Shell, Bat}[i%2], Content: "secret"})
	}
	l := open(t, o)
	for _, c := range []struct {
		query        string
		count, shown int
		first        string
	}{
		{"", 120, 10, "0"}, {"limit=100", 120, 100, "0"}, {"offset=115&limit=100", 120, 5, "115"}, {"offset=2147483646", 120, 0, ""},
		{"id=7", 1, 1, "7"}, {"id=x", 0, 0, ""}, {"name=n01", 10, 10, "10"}, {"type=BAT&offset=1&limit=1", 60, 1, "3"},
	} {
		r := l.do("GET", "scripts?"+c.query, "").want(t, 200)
		got := into[scripts](t, r)
		eq(t, c.query, fmt.Sprint(got.Count, len(got.Scripts)), fmt.Sprint(c.count, c.shown))
		if c.shown > 0 {
			eq(t, c.query, got.Scripts[0].ID, c.first)
		}
		if strings.Contains(r.raw, "content") {
			t.Error("the list shows contents")
		}
	}
	long := url.QueryEscape(strings.Repeat("x", 129))
	for _, query := range []string{
		"limit=0", "limit=101", "limit=x", "limit=1&limit=2", "offset=-1", "offset=2147483647", "name=" + long, "id=" + long, "type=" + long,
	} {
		l.do("GET", "scripts?"+query, "").wantError(t, 400, codeParameter)
	}
	l.do("GET", "scripts?a=%zz", "").wantError(t, 400, codeRequest)
}

func TestScriptOfTask(t *testing.T) {
	l := open(t, fleet(1))
	id := l.execute(map[string]any{"resource_ids": []string{"d0"}, "script_ids": []string{"100"}})
	l.do("PUT", "scripts/100", `{"name":"new","content":"new"}`).want(t, 204)
	show := func(query string) string {
		return *into[scriptJSON](t, l.do("GET", "scripts/100"+query, "").want(t, 200)).Content
	}
	eq(t, "now", show(""), "new")
	eq(t, "then", show("?script_task_id="+id), "a")
	l.do("DELETE", "scripts/100", "").want(t, 204)
	eq(t, "after its end", show("?script_task_id="+id), "a")
	l.do("GET", "scripts/101?script_task_id="+id, "").wantError(t, 404, codeMissing)
	l.do("GET", "scripts/101?script_task_id=x", "").wantError(t, 404, codeMissing)
}
