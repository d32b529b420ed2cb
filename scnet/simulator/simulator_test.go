package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a started simulator, and a client of it.
type lab struct {
	*Simulator
	t     *testing.T
	clock *fakecloudtest.Clock
	http  *http.Client
}

// The regions of a lab that names none: two ordinary ones and the odd ones.
const (
	kunshan   = "11250"
	wuzhen    = "20057"
	zhengzhou = "20091" // has no container service
	owing     = "30000" // is suspended
)

func open(t *testing.T, o Options) *lab {
	t.Helper()
	l := &lab{t: t, clock: fakecloudtest.NewClock()}
	o.Now = l.clock.Now
	if o.Regions == nil {
		o.Regions = []Region{
			{ID: kunshan, Name: "华东一区【昆山】"},
			{ID: wuzhen, Name: "华东三区【乌镇】"},
			{ID: zhengzhou, Name: "华中一区【A区】", NoContainer: true},
			{ID: owing, Name: "西北一区【西安】", Suspended: true},
		}
	}
	l.Simulator = New(o)
	fakecloudtest.Start(t, l)
	l.http = fakecloudtest.NewClient(t)
	return l
}

// result is an answer taken apart.
type result struct {
	Code  any             `json:"code"`
	Msg   string          `json:"msg"`
	Total *int            `json:"total"`
	Data  json.RawMessage `json:"data"`

	status int
	header http.Header
	raw    string
}

// try sends a request; its answer need not be JSON. header alternates names and values.
func (l *lab) try(method, url, body string, header ...string) (result, error) {
	l.t.Helper()
	var r result
	req, err := http.NewRequestWithContext(l.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header[header[i]] = []string{header[i+1]}
	}
	res, err := l.http.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return r, err
	}
	_ = json.Unmarshal(raw, &r)
	r.status, r.header, r.raw = res.StatusCode, res.Header, string(raw)
	return r, nil
}

func (l *lab) send(method, url, body string, header ...string) result {
	l.t.Helper()
	r, err := l.try(method, url, body, header...)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// do sends a container request with a fresh token. path is relative to /ai/openapi/v2/.
func (l *lab) do(region, method, path, body string) result {
	l.t.Helper()
	return l.send(method, l.RegionURL(region)+"/ai/openapi/v2/"+path, body, "token", l.Token(region))
}

// platform sends a request to the platform host.
func (l *lab) platform(method, path, token string) result {
	l.t.Helper()
	return l.send(method, l.URL()+path, "", "token", token)
}

// want checks the business code and the HTTP status 200.
func (r result) want(t *testing.T, code string) result {
	t.Helper()
	if r.status != 200 || r.Code != code {
		t.Errorf("got HTTP %d, %s; want HTTP 200 and code %s", r.status, r.raw, code)
	}
	return r
}

// wantPage checks the HTTP status, and that the answer is not JSON.
func (r result) wantPage(t *testing.T, status int) {
	t.Helper()
	if r.status != status || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || json.Valid([]byte(r.raw)) {
		t.Errorf("got HTTP %d, %s; want an HTML page with HTTP %d", r.status, r.raw, status)
	}
}

// into decodes data.
func into[T any](t *testing.T, r result) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.Data, &v); err != nil {
		t.Fatalf("%v in %s", err, r.raw)
	}
	return v
}

// status is an instance's status as the simulator itself sees it; empty if it is gone.
func (l *lab) status(region, id string) string {
	for _, in := range l.Instances(region) {
		if in.ID == id {
			return in.Status
		}
	}
	return ""
}

func eq[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
