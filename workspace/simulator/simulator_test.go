package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a started simulator, and a client of it with a token.
type lab struct {
	*Simulator
	t     *testing.T
	clock *fakecloudtest.Clock
	http  *http.Client
	token string
}

func open(t *testing.T, o Options) *lab {
	t.Helper()
	l := &lab{t: t, clock: fakecloudtest.NewClock()}
	o.Now = l.clock.Now
	l.Simulator = New(o)
	fakecloudtest.Start(t, l)
	l.http = fakecloudtest.NewClient(t)
	l.token = l.TokenExpiring(fakecloudtest.Noon.AddDate(1, 0, 0))
	return l
}

// result is an answer.
type result struct {
	status int
	header http.Header
	raw    string
}

// do sends a request with a token. A path that does not begin with a slash is relative to the project.
func (l *lab) do(method, path, body string) result {
	l.t.Helper()
	r, err := l.try(method, path, body)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *lab) try(method, path, body string) (result, error) {
	l.t.Helper()
	req := l.request(method, path, body)
	req.Header.Set("X-Auth-Token", l.token)
	return l.send(req)
}

func (l *lab) request(method, path, body string) *http.Request {
	l.t.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/v2/" + l.ProjectID() + "/" + path
	}
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.URL()+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

func (l *lab) send(req *http.Request) (result, error) {
	res, err := l.http.Do(req)
	if err != nil {
		return result{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return result{res.StatusCode, res.Header, string(raw)}, err
}

// want checks the HTTP status.
func (r result) want(t *testing.T, status int) result {
	t.Helper()
	if r.status != status {
		t.Fatalf("got HTTP %d, %s; want %d", r.status, r.raw, status)
	}
	return r
}

// wantError checks the HTTP status and the error code.
func (r result) wantError(t *testing.T, status int, code string) {
	t.Helper()
	e := into[map[string]any](t, r)
	if r.status != status || e["error_code"] != code || e["error_msg"] == "" {
		t.Errorf("got HTTP %d, %s; want HTTP %d and code %s", r.status, r.raw, status, code)
	}
	if id, gateway := e["request_id"]; gateway != strings.HasPrefix(code, "APIGW.") || gateway && id != r.header.Get("X-Request-Id") {
		t.Errorf("request_id is %v in %s, X-Request-Id %q", id, r.raw, r.header.Get("X-Request-Id"))
	}
}

// into decodes an answer.
func into[T any](t *testing.T, r result) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.raw), &v); err != nil {
		t.Fatalf("%v in HTTP %d, %s", err, r.status, r.raw)
	}
	return v
}

// The lists, as a client reads them.
type (
	tasks struct {
		Count int        `json:"count"`
		Tasks []taskJSON `json:"script_tasks"`
	}
	records struct {
		Count   int          `json:"count"`
		Records []recordJSON `json:"script_records"`
	}
	scripts struct {
		Count   int          `json:"count"`
		Scripts []scriptJSON `json:"scripts"`
	}
	desktops struct {
		Count    int           `json:"total_count"`
		Desktops []desktopJSON `json:"desktops"`
	}
)

// start sends an execution and returns the id of its task.
func (l *lab) start(path string, body map[string]any) string {
	l.t.Helper()
	id := into[map[string]string](l.t, l.do("POST", path, string(fakecloud.EncodeJSON(body))).want(l.t, 200))["task_id"]
	if id == "" {
		l.t.Fatal("no task_id")
	}
	return id
}

func (l *lab) execute(body map[string]any) string {
	l.t.Helper()
	body["resource_type"] = "DESKTOP"
	return l.start("script-executions", body)
}

func (l *lab) task(id string) taskJSON {
	l.t.Helper()
	list := into[tasks](l.t, l.do("GET", "script-execution-tasks?task_id="+id, "").want(l.t, 200))
	if list.Count != 1 || len(list.Tasks) != 1 {
		l.t.Fatalf("task %s is there %d times", id, list.Count)
	}
	return list.Tasks[0]
}

func (l *lab) records(query string) []recordJSON {
	l.t.Helper()
	list := into[records](l.t, l.do("GET", "script-execution-records?limit=100&"+query, "").want(l.t, 200))
	eq(l.t, "count", list.Count, len(list.Records))
	return list.Records
}

// fleet is n Linux desktops d0, d1, … and the scripts 100, 101, 102.
func fleet(n int) Options {
	o := Options{Desktops: []Desktop{}, Scripts: []Script{
		{ID: "100", Name: "first", Content: "a"}, {ID: "101", Name: "second", Content: "b"}, {ID: "102", Name: "third", Content: "c"},
	}}
	for i := range n {
		o.Desktops = append(o.Desktops, Desktop{ID: "d" + string(rune('0'+i)), Name: "desktop " + string(rune('0'+i))})
	}
	return o
}

func eq[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
