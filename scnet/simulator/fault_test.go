package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// stopA is a request whose effect shows whether the operation ran.
func stopA(l *lab) (result, error) {
	return l.try("POST", l.RegionURL(kunshan)+servicePath+"/task/actions/stop?ids=a", "", "token", l.Token(kunshan))
}

func TestFaultsInsteadOfTheOperation(t *testing.T) {
	for _, c := range []struct {
		fault   Fault
		status  int
		body    string
		headers string // Retry-After and Location
		code    string // in the journal
	}{
		{Fault{Status: 503, RetryAfter: "7"}, 503, "503 Service Unavailable\n", "7 ", ""},
		{Fault{Code: "716020"}, 200, `{"code":"716020","msg":"查询数据库错误","data":null}`, " ", "716020"},
		{Fault{Code: "10008", CodeAsInt: true, Message: "m", Status: 500}, 500, `{"code":10008,"msg":"m","data":null}`, " ", "10008"},
		{Fault{Code: "99999"}, 200, `{"code":"99999","msg":"","data":null}`, " ", "99999"},
		{Fault{HTML: true}, 502, "<html>", " ", ""},
		{Fault{HTML: true, Status: 200}, 200, "<html>", " ", ""},
		{Fault{Redirect: "http://127.0.0.1:9/"}, 307, "<html>", " http://127.0.0.1:9/", ""},
		{Fault{Redirect: "/login", Status: 302}, 302, "<html>", " /login", ""},
		{Fault{ExpireToken: true}, 200, `{"code":"10008","msg":"权限不足","data":null}`, " ", "10008"},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			l := open(t, Options{})
			fill(l)
			l.Inject(c.fault)
			r, err := stopA(l)
			if err != nil {
				t.Fatal(err)
			}
			eq(t, "status", r.status, c.status)
			eq(t, "headers", r.header.Get("Retry-After")+" "+r.header.Get("Location"), c.headers)
			if !strings.HasPrefix(r.raw, c.body) {
				t.Errorf("got %s", r.raw)
			}
			eq(t, "instance", l.status(kunshan, "a"), Running)
			entry := l.Requests()[0]
			eq(t, "journal", fmt.Sprint(entry.Endpoint, entry.Status, entry.Code), fmt.Sprint(EndpointStop, c.status, c.code))
			l.ClearFaults()
			r, _ = stopA(l)
			r.want(t, "0")
		})
	}
}

func TestFaultsThatCutTheConnection(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		after string
	}{
		{Fault{Reset: true}, Running},
		{Fault{ResetAfter: true}, Terminated},
	} {
		l := open(t, Options{})
		fill(l)
		l.Inject(c.fault)
		if r, err := stopA(l); err == nil {
			t.Errorf("%v: answered %s", c.fault, r.raw)
		}
		eq(t, c.fault.String(), l.status(kunshan, "a"), c.after)
		eq(t, "status in the journal", l.Requests()[0].Status, 0)
	}
}

func TestFaultsThatHold(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		after string
	}{
		{Fault{Latency: time.Hour}, Running},
		{Fault{HangAfter: true}, Terminated},
	} {
		// One client gives up; the other waits until the simulator closes.
		for _, patient := range []bool{false, true} {
			l := open(t, Options{})
			fill(l)
			l.Inject(c.fault)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if patient {
				cancel()
				ctx, cancel = context.WithCancel(t.Context())
			}
			req, err := http.NewRequestWithContext(ctx, "POST", l.RegionURL(kunshan)+servicePath+"/task/actions/stop?ids=a", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header["token"] = []string{l.Token(kunshan)}
			done := make(chan error)
			go func() {
				res, err := l.http.Do(req)
				if err == nil {
					res.Body.Close()
				}
				done <- err
			}()
			if patient {
				for l.faultsFired() == 0 || c.after == Terminated && l.status(kunshan, "a") == Running {
					runtime.Gosched()
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
			err = <-done
			if err == nil || errors.Is(err, context.DeadlineExceeded) == patient {
				t.Errorf("%v: %v", c.fault, err)
			}
			eq(t, c.fault.String(), l.status(kunshan, "a"), c.after)
			cancel()
		}
	}
	l := open(t, Options{})
	fill(l)
	l.Inject(Fault{Latency: time.Millisecond})
	r, _ := stopA(l)
	r.want(t, "0")
}

func (l *lab) faultsFired() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults[0].fired
}

func TestFaultsThatSpoilTheAnswer(t *testing.T) {
	l := open(t, Options{})
	fill(l)
	whole := l.do(kunshan, "GET", task, `{"limit":2,"sort":"asc"}`).raw
	l.Inject(Fault{Endpoint: EndpointList, Truncate: true, Times: 1})
	eq(t, "truncated", l.do(kunshan, "GET", task, `{"limit":2,"sort":"asc"}`).raw, whole[:len(whole)/2])
	for _, size := range []int{len(whole), len(whole) + 13, len(whole) + 14, 1 << 20} {
		l.ClearFaults()
		l.Inject(Fault{Huge: size})
		r := l.do(kunshan, "GET", task, `{"limit":2,"sort":"asc"}`)
		eq(t, "total", *r.Total, 5)
		if !json.Valid([]byte(r.raw)) || size > len(whole)+13 && len(r.raw) != size {
			t.Errorf("padded to %d bytes: got %d", size, len(r.raw))
		}
	}
	// A client may stop reading a huge answer.
	l.ClearFaults()
	l.Inject(Fault{Huge: 1 << 30})
	req, _ := http.NewRequest("GET", l.RegionURL(kunshan)+servicePath+"/resource-group", http.NoBody)
	req.Header["token"] = []string{l.Token(kunshan)}
	res, err := l.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(io.Discard, res.Body, 1<<20)
	res.Body.Close()
}

func TestExpireTokenFault(t *testing.T) {
	l := open(t, Options{})
	l.Inject(Fault{Endpoint: EndpointGroups, ExpireToken: true, Times: 1})
	token := l.Token(kunshan)
	groups := func(token string) result {
		return l.send("GET", l.RegionURL(kunshan)+servicePath+"/resource-group", "", "token", token)
	}
	groups(token).want(t, "10008")
	groups(token).want(t, "10008")
	l.platform("GET", platformPath+"/tokens/state", token).want(t, "10008")
	groups(l.Token(kunshan)).want(t, "0")
	r := l.platform("POST", platformPath+"/tokens/next", token).want(t, "0")
	groups(into[[]struct{ Token string }](t, r)[0].Token).want(t, "0")
}

func TestFaultSelection(t *testing.T) {
	l := open(t, Options{})
	codes := func(region, path string, n int) string {
		var b strings.Builder
		for range n {
			fmt.Fprint(&b, l.do(region, "GET", path, "").Code, " ")
		}
		return b.String()
	}
	const groups, mounts = "instance-service/resource-group", "instance-service/allowed-mount-dir"
	l.Inject(Fault{Endpoint: EndpointGroups, Region: kunshan, After: 1, Times: 2, Code: "1"})
	l.Inject(Fault{Endpoint: EndpointMounts, Code: "2"})
	eq(t, "other region", codes(wuzhen, groups, 3), "0 0 0 ")
	eq(t, "other endpoint", codes(kunshan, mounts, 2), "2 2 ")
	eq(t, "after and times", codes(kunshan, groups, 4), "0 1 1 0 ")
	l.ClearFaults()
	eq(t, "cleared", codes(kunshan, mounts, 1), "0 ")

	l.Inject(Fault{Endpoint: EndpointCenter, Region: wuzhen, Code: "3"})
	l.platform("GET", platformPath+"/center", l.Token(kunshan)).want(t, "0")
	l.platform("GET", platformPath+"/center", l.Token(wuzhen)).want(t, "3")

	l.Inject(Fault{Code: "4"})
	eq(t, "all endpoints", codes(kunshan, groups, 1), "4 ")
	l.send("GET", l.URL()+"/nowhere", "").wantPage(t, 404)
}

// goodFaults are texts that String gives back as they are.
var goodFaults = []string{
	"list:status=503",
	"*:reset",
	"list:times=2,status=503,retry-after=120",
	"token:region=11250,after=1,times=3,latency=1.5s,status=500,code=10008,message=权限不足,code-as-int",
	`restart:code=1,message="a, \"b\"\n"`,
	"execute:reset-after",
	"delete:hang-after",
	"images:html",
	"center:redirect=http://127.0.0.1:9/?a=b",
	"state:expire-token",
	"detail:truncate",
	"url:huge=1000000",
}

func TestParseFault(t *testing.T) {
	for _, text := range goodFaults {
		f, err := ParseFault(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		eq(t, "text", f.String(), text)
	}
	f, err := ParseFault("list:times=2,html=false,status=503,reset=true,message=")
	if err != nil {
		t.Fatal(err)
	}
	eq(t, "fault", f, Fault{Endpoint: EndpointList, Times: 2, Status: 503, Reset: true})

	for text, want := range map[string]string{
		"":                              `unknown endpoint ""`,
		"lists:reset":                   `unknown endpoint "lists" (valid: *, token, password,`,
		"list":                          "nothing that should go wrong",
		"list:times=2":                  "nothing that should go wrong",
		"list:stauts=503":               `unknown key "stauts" (valid: region, after, times, latency, status,`,
		"list:reset,,html":              `unknown key ""`,
		"list:status=x":                 `key "status": "x" is not a count`,
		"list:status=-1":                `key "status": "-1" is not a count`,
		"list:status=99":                `key "status": not between 200 and 599`,
		"list:status":                   `key "status": "true" is not a count`,
		"list:latency=5":                `key "latency": "5" is not a duration`,
		"list:latency=-5s":              `key "latency": "-5s" is not a duration`,
		"list:reset=maybe":              `key "reset": "maybe" is neither true nor false`,
		`list:code="1`:                  `key "code": bad quoting`,
		`list:code="1"2`:                `key "code": text after the closing quote`,
		"list:huge=9999999999999999999": `is not a count`,
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("fault %q", text)) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, text := range goodFaults {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := ParseFault(text)
		if err != nil {
			return
		}
		again, err := ParseFault(fault.String())
		if err != nil || again != fault {
			t.Errorf("%q: %q: %+v, %v", text, fault, again, err)
		}
	})
}
