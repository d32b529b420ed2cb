package simulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
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
		{Fault{Code: "APIGW.0308"}, 429, `{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:100,time:1 minute","error_code":"APIGW.0308","request_id":"$ID"}`, " ", codeThrottled},
		{Fault{Code: "APIGW.0308", RetryAfter: "3", Message: "policy user over ratelimit,limit:10,time:1 second"}, 429, `{"error_msg":"policy user over ratelimit,limit:10,time:1 second","error_code":"APIGW.0308","request_id":"$ID"}`, "3 ", codeThrottled},
		{Fault{Code: "WKS.00211401"}, 500, `{"error_code":"WKS.00211401","error_msg":"Operation failed. Try again later."}`, " ", codeOperation},
		{Fault{Code: "WKS.00081102"}, 403, `{"error_code":"WKS.00081102","error_msg":"No permission to perform the operation."}`, " ", codeDenied},
		{Fault{Code: "WKS.99999999", Message: "50% <b>"}, 500, `{"error_code":"WKS.99999999","error_msg":"50% <b>"}`, " ", "WKS.99999999"},
		{Fault{Code: "APIGW.0613"}, 503, `{"error_msg":"IAM is unavailable","error_code":"APIGW.0613","request_id":"$ID"}`, " ", codeNoIdentity},
		{Fault{Code: "APIGW.0610", Status: 500}, 500, `{"error_msg":"No backend available","error_code":"APIGW.0610","request_id":"$ID"}`, " ", codeNoBackend},
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
	l.Inject(Fault{Endpoint: OpListProjects, Code: "IAM.0001", Status: 403, Message: "no"})
	eq(t, "error", l.do("GET", "/v3/projects", "").want(t, 403).raw, `{"error":{"code":403,"message":"no","title":"Forbidden"}}`)
	l.do("GET", "scripts", "").want(t, 200)
}

// TestNothingToSpoil: what has no body cannot be cut or padded.
func TestNothingToSpoil(t *testing.T) {
	l := open(t, fleet(0))
	l.Inject(Fault{Truncate: true})
	l.do("DELETE", "scripts/100", "").want(t, 204)
	l.ClearFaults()
	l.Inject(Fault{Huge: 1 << 20})
	l.do("DELETE", "scripts/101", "").want(t, 204)
}

func TestKit(t *testing.T) {
	fakecloudtest.Run(t, func() fakecloudtest.Subject {
		o := fleet(0)
		o.Now = func() time.Time { return fakecloudtest.Noon }
		s := New(o)
		return fakecloudtest.Subject{
			Start: s.Start, Close: s.Close, Transport: s.Transport, Ports: 1, Now: fakecloudtest.Noon,
			Change: func() *http.Request {
				r := httptest.NewRequest(http.MethodPost, s.URL()+"/v2/"+s.ProjectID()+"/scripts", strings.NewReader(`{"name":"n","type":"SHELL","content":"c"}`))
				r.RequestURI = ""
				r.Header.Set("X-Auth-Token", s.Token())
				return r
			},
			Changed: func() bool { return len(s.Scripts()) > 3 },
			Inject: func(keys string) error {
				f, err := ParseFault("create-script:" + keys)
				if err == nil {
					s.Inject(f)
				}
				return err
			},
			Clear: s.ClearFaults,
			Last: func() (string, int, int) {
				all := s.Requests()
				last := all[len(all)-1]
				return string(last.Operation), last.Status, len(all)
			},
		}
	})
}

func TestFaultSelection(t *testing.T) {
	l := open(t, fleet(1))
	l.Inject(Fault{Endpoint: OpListScripts, After: 1, Times: 2, Status: 500})
	l.Inject(Fault{Endpoint: OpListDesktops, Status: 501})
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
		"execute:reset-after":                        {Endpoint: OpExecute, ResetAfter: true},
		"*:times=2,retry-after=3,code=APIGW.0308":    {Times: 2, RetryAfter: "3", Code: "APIGW.0308"},
		"list-tasks:latency=1.5s,after=1":            {Endpoint: OpListTasks, Latency: 1500 * time.Millisecond, After: 1},
		`stop:code=WKS.1,message="a,\"b",status=400`: {Endpoint: OpStop, Code: "WKS.1", Message: `a,"b`, Status: 400},
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
		"*:times=3,after=1": "says nothing",
		"*:message=x":       "says nothing",
		"*:nope":            `unknown key "nope" (valid: after, times, latency, `,
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
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
