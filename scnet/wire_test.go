package scnet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// sameJSON compares without regard to the order of members.
func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	const task = "/ai/openapi/v2/instance-service/task"
	for name, c := range map[string]struct {
		run    func(*testing.T, *scnet.Region) error
		method string
		path   string
		query  string
		body   string // JSON; "" for none
	}{
		"list": {
			func(t *testing.T, r *scnet.Region) error {
				_, err := r.List(t.Context(), scnet.ListOptions{Limit: 20})
				return err
			},
			"GET", task, "limit=20&sort=desc&start=0", `{"start":0,"limit":20,"sort":"desc"}`,
		},
		"list with filters": {
			func(t *testing.T, r *scnet.Region) error {
				_, err := r.List(t.Context(), scnet.ListOptions{Name: "bert", Status: scnet.Terminated, TaskType: "ssh", Start: 0, Limit: 1, Sort: "asc"})
				return err
			},
			"GET", task, "instanceServiceName=bert&limit=1&sort=asc&start=0&status=Terminated&taskType=ssh",
			`{"status":"Terminated","instanceServiceName":"bert","taskType":"ssh","start":0,"limit":1,"sort":"asc"}`,
		},
		"detail": {
			func(t *testing.T, r *scnet.Region) error { _, err := r.Detail(t.Context(), running); return err },
			"GET", "/ai/openapi/v2/instance-service/" + running + "/detail", "", "",
		},
		"restart": {
			func(t *testing.T, r *scnet.Region) error { _, err := r.Restart(t.Context(), stopped); return err },
			"POST", task + "/actions/restart", "instanceServiceId=" + stopped, "",
		},
		"delete": {
			func(t *testing.T, r *scnet.Region) error { return r.Delete(t.Context(), stopped, running) },
			"DELETE", task, "ids=" + stopped + "&ids=" + running, "",
		},
		"execute": {
			func(t *testing.T, r *scnet.Region) error {
				return r.ExecuteScript(t.Context(), running, scnet.Script{Content: "echo \"hello world\""})
			},
			"POST", task + "/actions/execute-script", "",
			`{"startScriptActionScope":"all","startScriptContent":"echo \"hello world\"\n","id":"` + running + `"}`,
		},
		"execute in the first container": {
			func(t *testing.T, r *scnet.Region) error {
				return r.ExecuteScript(t.Context(), running, scnet.Script{Content: "a\r\nb\n", Scope: "header"})
			},
			"POST", task + "/actions/execute-script", "",
			`{"startScriptActionScope":"header","startScriptContent":"a\nb\n","id":"` + running + `"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire := &fakecloudtest.Spy{}
			sim, r := open(t, simulator.Options{}, func(cfg *scnet.Config) { cfg.Transport = wire })
			if err := c.run(t, r); err != nil {
				t.Fatal(err)
			}
			got, body := wire.Last()
			if got.Method != c.method || got.URL.EscapedPath() != c.path || got.URL.RawQuery != c.query {
				t.Errorf("sent %s %s?%s, want %s %s?%s", got.Method, got.URL.EscapedPath(), got.URL.RawQuery, c.method, c.path, c.query)
			}
			if c.body == "" && body != "" || c.body != "" && !sameJSON(body, c.body) {
				t.Errorf("body %s, want %s", body, c.body)
			}
			if contentType := got.Header.Get("Content-Type"); (contentType == "application/json") != (c.body != "") {
				t.Errorf("content type %q", contentType)
			}
			if got.Header.Get("Token") == "" || got.Header.Get("Authorization") != "" || got.Header.Get("User-Agent") != "scnet-test" ||
				got.Header.Get("Accesskey") != "" || got.Header.Get("Signature") != "" {
				t.Errorf("header %v", got.Header)
			}
			if got.URL.Scheme+"://"+got.URL.Host != sim.RegionURL(kunshan) {
				t.Errorf("sent to %s", got.URL.Host)
			}
		})
	}
}

func TestLoginAndCenterWireForm(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	_, r := open(t, simulator.Options{}, func(cfg *scnet.Config) { cfg.Transport = wire })
	list(t, r)
	requests, bodies := wire.Sent()
	login, center := requests[0], requests[1]
	if login.Method != "POST" || login.URL.RequestURI() != "/api/user/v3/tokens" || bodies[0] != "" {
		t.Errorf("login: %s %s %s", login.Method, login.URL.RequestURI(), bodies[0])
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range login.Header {
			if !yield(name) {
				return
			}
		}
	})
	if want := "[Accesskey Content-Type Signature Timestamp User User-Agent]"; fmt.Sprint(names) != want {
		t.Errorf("login headers %v, want %s", names, want)
	}
	if signature := login.Header.Get("Signature"); len(signature) != 64 || strings.ToLower(signature) != signature {
		t.Errorf("signature %q", signature)
	}
	if center.Method != "GET" || center.URL.RequestURI() != "/ac/openapi/v2/center" || center.Header.Get("Token") == "" || center.Header.Get("Signature") != "" {
		t.Errorf("center: %s %s %v", center.Method, center.URL.RequestURI(), center.Header)
	}
	for _, secret := range []string{simulator.DemoAccount().SecretKey} {
		for i, request := range requests {
			if text := fmt.Sprint(request.URL, request.Header, bodies[i]); strings.Contains(text, secret) {
				t.Errorf("the secret key went over the wire: %s", text)
			}
		}
	}
}

func TestRenewalWireForm(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	sim := start(t, simulator.Options{})
	r := pick(t, newClient(t, sim, func(c *scnet.Config) { c.Transport = wire }, withToken(sim, sim.Token(kunshan))), "")
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{ExpireToken: true}, Times: 1})
	list(t, r)
	requests, bodies := wire.Sent()
	for i, request := range requests {
		if !strings.HasSuffix(request.URL.Path, "/tokens/next") {
			continue
		}
		if request.Method != "POST" || request.URL.RequestURI() != "/ac/openapi/v2/tokens/next" || request.Header.Get("Token") == "" ||
			request.Header.Get("Content-Type") != "application/json" || bodies[i] != "" {
			t.Errorf("renewal: %s %s %v %q", request.Method, request.URL.RequestURI(), request.Header, bodies[i])
		}
		return
	}
	t.Error("no renewal")
}

func TestScripts(t *testing.T) {
	t.Parallel()
	fill := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct{ in, want string }{ // want "" is refused
		"plain":                     {"date\n", "date\n"},
		"final newline":             {"date", "date\n"},
		"CRLF":                      {"a\r\nb\r\n", "a\nb\n"},
		"blank lines":               {"\n\na\n\n", "\n\na\n\n"},
		"non-ASCII":                 {"echo \"训练 é 🚀\" > 日志.txt\n", "echo \"训练 é 🚀\" > 日志.txt\n"},
		"what JSON encoders escape": {"a && b < c > d \\ \"q\" \u2028 \t\x1b[0m\n", "a && b < c > d \\ \"q\" \u2028 \t\x1b[0m\n"},
		"as large as allowed":       {fill(scnet.MaxScriptBytes-1) + "\n", fill(scnet.MaxScriptBytes-1) + "\n"},
		"newline fits":              {fill(scnet.MaxScriptBytes - 1), fill(scnet.MaxScriptBytes-1) + "\n"},
		"CRLF makes it fit":         {fill(scnet.MaxScriptBytes-2) + "\r\n", fill(scnet.MaxScriptBytes-2) + "\n"},
		"newline does not fit":      {fill(scnet.MaxScriptBytes), ""},
		"too large":                 {fill(scnet.MaxScriptBytes) + "\n", ""},
		"empty":                     {"", ""},
		"blank":                     {" \t\r\n\n", ""},
		"NUL":                       {"a\x00b\n", ""},
		"invalid UTF-8":             {"a\xffb\n", ""},
		"GBK":                       {"echo \xb2\xe2\xca\xd4\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, r := open(t, simulator.Options{})
			err := r.ExecuteScript(t.Context(), running, scnet.Script{Content: c.in})
			if c.want == "" {
				e := asError(t, err)
				if !errors.Is(err, scnet.ErrInvalidScript) || e.Delivery != upstream.NotSent || e.Uncertain || e.Retryable || len(err.Error()) > 300 {
					t.Errorf("err = %+v", e)
				}
				wantSent(t, sim, simulator.EndpointExecute, 0)
				return
			}
			runs := sim.Scripts()
			if err != nil || len(runs) != 1 || runs[0].Content != c.want || runs[0].Scope != "all" || runs[0].InstanceID != running {
				t.Errorf("ran %.200q, %v; want %.200q", runs, err, c.want)
			}
		})
	}
	_, r := open(t, simulator.Options{})
	for _, scope := range []string{"ALL", "some", " all"} {
		if err := r.ExecuteScript(t.Context(), running, scnet.Script{Content: "date", Scope: scope}); !errors.Is(err, scnet.ErrInvalidScript) {
			t.Errorf("scope %q: %v", scope, err)
		}
	}
}

func TestInvalidIDsAreNotSent(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	calls := map[string]func(id string) error{
		"detail":  func(id string) error { _, err := r.Detail(t.Context(), id); return err },
		"restart": func(id string) error { _, err := r.Restart(t.Context(), id); return err },
		"delete":  func(id string) error { return r.Delete(t.Context(), running, id) },
		"execute": func(id string) error { return r.ExecuteScript(t.Context(), id, scnet.Script{Content: "date"}) },
	}
	for _, id := range []string{"", " ", ".", "..", "../task", "a/b", "a,b", "a b", "a?b", "a#b", "a%2Fb", "训练", "a\nb", "\"a\"", "a.b", strings.Repeat("a", 129)} {
		for name, call := range calls {
			err := call(id)
			e := asError(t, err)
			if !errors.Is(err, scnet.ErrInvalidID) || e.Delivery != upstream.NotSent || e.Retryable || e.Uncertain || len(err.Error()) > 400 {
				t.Errorf("%s(%q): %v", name, id, err)
			}
		}
	}
	if err := r.Delete(t.Context()); asError(t, err).Delivery != upstream.NotSent {
		t.Errorf("delete of nothing: %v", err)
	}
	tooMany := slices.Repeat([]string{running}, scnet.MaxDeleteIDs+1)
	if err := r.Delete(t.Context(), tooMany...); asError(t, err).Delivery != upstream.NotSent || !strings.Contains(err.Error(), "21 ids") {
		t.Errorf("delete of too many: %v", err)
	}
	for _, request := range sim.Requests() {
		if request.Endpoint != simulator.EndpointToken {
			t.Errorf("sent %+v", request)
		}
	}
	for _, id := range []string{"42", "A-b_9", strings.Repeat("a", 128)} { // odd, but the service may know them
		if _, err := r.Detail(t.Context(), id); !errors.Is(err, scnet.ErrNotFound) {
			t.Errorf("Detail(%q): %v", id, err)
		}
	}
}

func TestDeleteSeveral(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{Regions: []simulator.Region{many(30)}})
	page, err := r.List(t.Context(), firstPage)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), ids(page.Rows)...); err != nil {
		t.Fatal(err)
	}
	if left := len(sim.Instances(kunshan)); left != 10 {
		t.Errorf("%d left", left)
	}
	err = r.Delete(t.Context(), ids(page.Rows)[0])
	if e := asError(t, err); e.Code != "716866" || e.Uncertain {
		t.Errorf("deleting it again: %+v", e)
	}
}

func TestTokensStayWithTheirRegion(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	sim := start(t, simulator.Options{Regions: fourRegions()})
	client := newClient(t, sim, func(c *scnet.Config) { c.Transport = wire })
	list(t, pick(t, client, kunshan))
	list(t, pick(t, client, wuzhen))
	list(t, pick(t, client, kunshan))
	tokens := map[string]map[string]bool{}
	for _, r := range wire.Requests() {
		if token := r.Header.Get("Token"); token != "" {
			if tokens[r.URL.Host] == nil {
				tokens[r.URL.Host] = map[string]bool{}
			}
			tokens[r.URL.Host][token] = true
		}
	}
	for _, id := range []string{kunshan, wuzhen} {
		if host := strings.TrimPrefix(sim.RegionURL(id), "http://"); len(tokens[host]) != 1 {
			t.Errorf("%s got %d tokens", id, len(tokens[host]))
		}
	}
	wantSent(t, sim, simulator.EndpointToken, 1)
	for _, r := range sim.Requests() {
		if r.Code != "0" {
			t.Errorf("refused: %+v", r)
		}
	}
}
