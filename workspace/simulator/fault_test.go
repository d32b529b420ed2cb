package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// create is a request whose effect shows whether the operation ran.
func (l *lab) create() (result, error) {
	return l.try("POST", "scripts", `{"name":"n","type":"SHELL","content":"c"}`)
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
		{Fault{Throttle: true}, 429, `{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:100,time:1 minute","error_code":"APIGW.0308","request_id":"$ID"}`, " ", codeThrottled},
		{Fault{Throttle: true, RetryAfter: "3", Message: "policy user over ratelimit,limit:10,time:1 second"}, 429, `{"error_msg":"policy user over ratelimit,limit:10,time:1 second","error_code":"APIGW.0308","request_id":"$ID"}`, "3 ", codeThrottled},
		{Fault{Code: "WKS.00211401"}, 500, `{"error_code":"WKS.00211401","error_msg":"Operation failed. Try again later."}`, " ", codeOperation},
		{Fault{Code: "WKS.00081102"}, 403, `{"error_code":"WKS.00081102","error_msg":"No permission to perform the operation.","encoded_authorization_message":"c2ltdWxhdG9y"}`, " ", codeDenied},
		{Fault{Code: "WKS.99999999", Message: "50% <b>"}, 500, `{"error_code":"WKS.99999999","error_msg":"50% <b>"}`, " ", "WKS.99999999"},
		{Fault{Code: "APIGW.0613"}, 503, `{"error_msg":"IAM is unavailable","error_code":"APIGW.0613","request_id":"$ID"}`, " ", codeNoIdentity},
		{Fault{Code: "APIGW.0610", Status: 500}, 500, `{"error_msg":"No backend available","error_code":"APIGW.0610","request_id":"$ID"}`, " ", codeNoBackend},
		{Fault{HTML: true}, 502, "<html>", " ", ""},
		{Fault{HTML: true, Status: 200}, 200, "<html>", " ", ""},
		{Fault{Redirect: "http://127.0.0.1:9/"}, 307, "<html>", " http://127.0.0.1:9/", ""},
		{Fault{Redirect: "/login", Status: 302}, 302, "<html>", " /login", ""},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			l := open(t, fleet(0))
			l.Inject(c.fault)
			r, err := l.create()
			if err != nil {
				t.Fatal(err)
			}
			eq(t, "status", r.status, c.status)
			eq(t, "headers", r.header.Get("Retry-After")+" "+r.header.Get("Location"), c.headers)
			if want := strings.ReplaceAll(c.body, "$ID", r.header.Get("X-Request-Id")); !strings.HasPrefix(r.raw, want) {
				t.Errorf("got %s", r.raw)
			}
			eq(t, "scripts", len(l.Scripts()), 3)
			entry := l.Requests()[0]
			eq(t, "journal", fmt.Sprint(entry.Operation, entry.Status, entry.Code, entry.RequestID), fmt.Sprint(OpCreateScript, c.status, c.code, r.header.Get("X-Request-Id")))
			l.ClearFaults()
			l.do("GET", "scripts", "").want(t, 200)
		})
	}
}

func TestFaultOnIAM(t *testing.T) {
	l := open(t, Options{})
	l.Inject(Fault{Operation: OpListProjects, Code: "IAM.0001", Status: 403, Message: "no"})
	eq(t, "error", l.do("GET", "/v3/projects", "").want(t, 403).raw, `{"error":{"code":403,"message":"no","title":"Forbidden"}}`)
	l.do("GET", "scripts", "").want(t, 200)
}

func TestFaultsThatCutTheConnection(t *testing.T) {
	for _, c := range []struct {
		fault   Fault
		scripts int
	}{{Fault{Reset: true}, 3}, {Fault{ResetAfter: true}, 4}} {
		l := open(t, fleet(0))
		l.Inject(c.fault)
		if r, err := l.create(); err == nil {
			t.Errorf("%v: answered %s", c.fault, r.raw)
		}
		eq(t, c.fault.String(), len(l.Scripts()), c.scripts)
		eq(t, "status in the journal", l.Requests()[0].Status, 0)
	}
}

func TestFaultsThatHold(t *testing.T) {
	for _, c := range []struct {
		fault   Fault
		scripts int
	}{{Fault{Latency: time.Hour}, 3}, {Fault{HangAfter: true}, 4}} {
		// One client gives up; the other waits until the simulator closes.
		for _, patient := range []bool{false, true} {
			l := open(t, fleet(0))
			l.Inject(c.fault)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if patient {
				cancel()
				ctx, cancel = context.WithCancel(t.Context())
			}
			req := l.request("POST", "scripts", `{"name":"n","type":"SHELL","content":"c"}`).WithContext(ctx)
			req.Header.Set("X-Auth-Token", l.token)
			done := make(chan error)
			go func() {
				_, err := l.send(req)
				done <- err
			}()
			if patient {
				l.await(func() bool { return l.faults[0].fired > 0 && len(l.scripts) == c.scripts })
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := <-done; err == nil {
				t.Errorf("%v: answered", c.fault)
			}
			cancel()
			eq(t, c.fault.String(), len(l.Scripts()), c.scripts)
		}
	}
}

// await waits for a condition on the simulator, which a request of another
// goroutine brings about.
func (l *lab) await(condition func() bool) {
	l.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 5000 {
		l.mu.Lock()
		met := condition()
		l.mu.Unlock()
		if met {
			return
		}
		<-tick.C
	}
	l.t.Fatal("it does not happen")
}

func TestFaultsThatSpoilTheAnswer(t *testing.T) {
	l := open(t, fleet(0))
	l.Inject(Fault{Truncate: true, Times: 1})
	r, err := l.create()
	if err != nil || r.status != 200 || json.Valid([]byte(r.raw)) || !strings.HasPrefix(r.raw, `{"scri`) {
		t.Errorf("truncated: %v, %+v", err, r)
	}
	l.Inject(Fault{Huge: 3 << 20, Times: 1})
	r, err = l.create()
	if err != nil || len(r.raw) != 3<<20 || into[map[string]string](t, r)["script_id"] == "" {
		t.Errorf("huge: %v, %d bytes", err, len(r.raw))
	}
	l.Inject(Fault{Latency: 30 * time.Millisecond})
	begin := time.Now()
	if r, err = l.create(); err != nil || r.status != 200 || time.Since(begin) < 30*time.Millisecond {
		t.Errorf("late: %v, %+v", err, r)
	}
	eq(t, "scripts", len(l.Scripts()), 6)
	// What has no body has nothing to spoil.
	l.ClearFaults()
	l.Inject(Fault{Truncate: true})
	l.do("DELETE", "scripts/100", "").want(t, 204)
	l.ClearFaults()
	l.Inject(Fault{Huge: 1 << 20})
	l.do("DELETE", "scripts/101", "").want(t, 204)
}

func TestFaultSelection(t *testing.T) {
	l := open(t, fleet(1))
	l.Inject(Fault{Operation: OpListScripts, After: 1, Times: 2, Status: 500})
	l.Inject(Fault{Operation: OpListDesktops, Status: 501})
	for _, want := range []int{200, 500, 500, 200} {
		l.do("GET", "scripts", "").want(t, want)
		l.do("GET", "desktops", "").want(t, 501)
	}
	l.Inject(Fault{Status: 418})
	l.do("GET", "desktops", "").want(t, 501)
	l.do("GET", "scripts", "").want(t, 418)
	l.do("GET", "nothing", "").wantError(t, 404, codeNoAPI) // no operation, no fault
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]Fault{
		"execute:reset-after":                        {Operation: OpExecute, ResetAfter: true},
		"*:throttle,times=2,retry-after=3":           {Throttle: true, Times: 2, RetryAfter: "3"},
		"list-tasks:latency=1.5s,after=1":            {Operation: OpListTasks, Latency: 1500 * time.Millisecond, After: 1},
		`stop:code=WKS.1,message="a,\"b",status=400`: {Operation: OpStop, Code: "WKS.1", Message: `a,"b`, Status: 400},
		"*:html=false,truncate=true,huge=9":          {Truncate: true, Huge: 9},
	} {
		got, err := ParseFault(text)
		if err != nil {
			t.Error(err)
		}
		eq(t, text, got, want)
	}
	for text, want := range map[string]string{
		"":                  `unknown operation ""`,
		"nope:reset":        `unknown operation "nope" (valid: *, create-script, `,
		"*":                 "says nothing",
		"*:times=3,after=1": "says nothing",
		"*:message=x":       "says nothing",
		"*:nope":            `unknown key "nope" (valid: after, times, latency, `,
		"*:status=99":       "not between 200 and 599",
		"*:status=x":        `"x" is not a count`,
		"*:huge=-1":         `"-1" is not a count`,
		"*:latency=1":       "is not a duration",
		"*:latency=-1s":     "is not a duration",
		"*:reset=maybe":     "neither true nor false",
		`*:code="x`:         "bad quoting",
		`*:code="x"y`:       "after the closing quote",
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	f.Add("execute:reset-after,times=1")
	f.Add(`*:code="a,b",message=x y,latency=3s,status=500,throttle,html=0`)
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := ParseFault(text)
		if err != nil {
			return
		}
		again, err := ParseFault(fault.String())
		if err != nil || again != fault {
			t.Errorf("%q became %q: %v", text, fault.String(), err)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add("SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date, Signature=0f", "/v2/p/scripts", "a=b&a=a&c")
	f.Add("SDK-HMAC-SHA256 Access=,SignedHeaders=;;,Signature==", "/%2F/%zz", "%zz;=&&")
	f.Fuzz(func(t *testing.T, text, path, query string) {
		a, ok := parseAuthorization(text)
		if !ok {
			return
		}
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}}
		if len(signature(r, nil, a.signed, "secret")) != 64 {
			t.Error("no signature")
		}
	})
}
