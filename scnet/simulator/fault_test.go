package simulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

// stopA is a request whose effect shows whether the operation ran.
func stopA(l *lab) (result, error) {
	return l.try("POST", l.RegionURL(kunshan)+servicePath+"/task/actions/stop?ids=a", "", "token", l.Token(kunshan))
}

func TestFaultsInsteadOfTheOperation(t *testing.T) {
	for _, c := range []struct {
		fault  Fault
		status int
		body   string
		code   string // in the journal
	}{
		{Fault{Code: "716020"}, 200, `{"code":"716020","msg":"查询数据库错误","data":null}`, "716020"},
		{Fault{Code: "10008", Own: OwnFault{CodeAsInt: true}, Message: "m", Status: 500}, 500, `{"code":10008,"msg":"m","data":null}`, "10008"},
		{Fault{Code: "99999"}, 200, `{"code":"99999","msg":"","data":null}`, "99999"},
		{Fault{Own: OwnFault{ExpireToken: true}}, 200, `{"code":"10008","msg":"权限不足","data":null}`, "10008"},
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

// TestWordsOfCodes: two codes mean something else on the container pages than on those of the token.
func TestWordsOfCodes(t *testing.T) {
	l := open(t, Options{})
	for code, want := range map[string][2]string{
		"10001": {"内部异常(其他异常)", "内部异常"},
		"10009": {"没有权限访问接口", "校验失败"},
	} {
		l.ClearFaults()
		l.Inject(Fault{Code: code})
		r := l.do(kunshan, "GET", "instance-service/resource-group", "").want(t, code)
		eq(t, "container", r.Msg, want[0])
		eq(t, "token", l.platform("GET", platformPath+"/tokens/state", l.Token(kunshan)).want(t, code).Msg, want[1])
	}
}

func TestExpireTokenFault(t *testing.T) {
	l := open(t, Options{})
	l.Inject(Fault{Endpoint: EndpointGroups, Own: OwnFault{ExpireToken: true}, Times: 1})
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
	l.Inject(Fault{Endpoint: EndpointGroups, Own: OwnFault{Region: kunshan}, After: 1, Times: 2, Code: "1"})
	l.Inject(Fault{Endpoint: EndpointMounts, Code: "2"})
	eq(t, "other region", codes(wuzhen, groups, 3), "0 0 0 ")
	eq(t, "other endpoint", codes(kunshan, mounts, 2), "2 2 ")
	eq(t, "after and times", codes(kunshan, groups, 4), "0 1 1 0 ")
	l.ClearFaults()
	eq(t, "cleared", codes(kunshan, mounts, 1), "0 ")

	l.Inject(Fault{Endpoint: EndpointCenter, Own: OwnFault{Region: wuzhen}, Code: "3"})
	l.platform("GET", platformPath+"/center", l.Token(kunshan)).want(t, "0")
	l.platform("GET", platformPath+"/center", l.Token(wuzhen)).want(t, "3")

	l.Inject(Fault{Code: "4"})
	eq(t, "all endpoints", codes(kunshan, groups, 1), "4 ")
	l.send("GET", l.URL()+"/nowhere", "").wantPage(t, 404)
}

func TestKit(t *testing.T) {
	fakecloudtest.Run(t, func() fakecloudtest.Subject {
		s := New(Options{Now: func() time.Time { return fakecloudtest.Noon }, Regions: []Region{{ID: kunshan, Instances: []Instance{{ID: "a", Status: Running}}}}})
		return fakecloudtest.Subject{
			Start: s.Start, Close: s.Close, Transport: s.Transport, Ports: 2, Now: fakecloudtest.Noon,
			Change: func() *http.Request {
				r := httptest.NewRequest(http.MethodPost, s.RegionURL(kunshan)+servicePath+"/task/actions/stop?ids=a", http.NoBody)
				r.RequestURI = ""
				r.Header["token"] = []string{s.Token(kunshan)}
				return r
			},
			Changed: func() bool { return s.Instances(kunshan)[0].Status != Running },
			Inject: func(keys string) error {
				f, err := ParseFault("stop:" + keys)
				if err == nil {
					s.Inject(f)
				}
				return err
			},
			Clear: s.ClearFaults,
			Last: func() (string, int, int) {
				all := s.Requests()
				last := all[len(all)-1]
				return string(last.Endpoint), last.Status, len(all)
			},
		}
	})
}

// goodFaults are texts that String gives back as they are.
var goodFaults = []string{
	"list:status=503",
	"*:reset",
	"list:times=2,status=503,retry-after=120",
	"token:after=1,times=3,latency=1.5s,status=500,code=10008,message=权限不足,region=11250,code-as-int",
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
		"":                `unknown endpoint ""`,
		"lists:reset":     `unknown endpoint "lists" (valid: *, token, password,`,
		"list:stauts=503": `unknown key "stauts" (valid: after, times, latency, status,`,
		"list:region=11250,message=x,code-as-int": "nothing that should go wrong",
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("fault %q", text)) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
