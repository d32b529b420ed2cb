package simulator

import (
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

func TestAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).Port
	l.Close()
	s := New(Options{})
	if err := s.Start("127.0.0.1:" + strconv.Itoa(free)); err != nil {
		t.Skipf("ports are taken by others: %v", err)
	}
	defer s.Close()
	eq(t, "first region", s.RegionURL("11250"), "http://127.0.0.1:"+strconv.Itoa(free+1))
	eq(t, "second region", s.RegionURL("20057"), "http://127.0.0.1:"+strconv.Itoa(free+2))
	eq(t, "no region", s.RegionURL("1"), "")
	if _, err := s.Transport().RoundTrip(httptest.NewRequest("GET", "https://region-1.scnet.test/", nil)); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("no region: %v", err)
	}
}

func TestRoutes(t *testing.T) {
	l := open(t, Options{})
	region := l.RegionURL(kunshan)
	for _, c := range []struct {
		method, url string
		status      int
	}{
		{"GET", l.URL() + "/", 404},
		{"GET", l.URL() + "/api/user/v3/tokens", 405},
		{"POST", l.URL() + "/ac/openapi/v2/center", 405},
		{"GET", l.URL() + servicePath + "/task", 404},
		{"GET", region + "/ai" + servicePath + "/task", 404},
		{"GET", region + "/" + servicePath + "/task", 404},
		{"PUT", region + servicePath + "/task", 405},
		{"POST", region + servicePath + "/x/detail", 405},
		{"GET", region + servicePath + "//detail", 404},
		{"GET", region + servicePath + "/a/b/detail", 404},
		{"GET", region + servicePath + "/task/actions/restart", 405},
		{"GET", region + "/ac/openapi/v2/center", 404},
	} {
		l.send(c.method, c.url, "").wantPage(t, c.status)
	}
	for _, r := range l.Requests() {
		eq(t, "endpoint of "+r.Path, r.Endpoint, "")
	}
}

func TestRegionWithoutContainers(t *testing.T) {
	l := open(t, Options{})
	l.do(zhengzhou, "GET", "instance-service/task", `{"limit":1,"sort":"desc"}`).wantPage(t, 404)
	l.send("GET", l.RegionURL(zhengzhou)+servicePath+"/task", "").wantPage(t, 404)
	l.platform("GET", platformPath+"/center", l.Token(zhengzhou)).want(t, "0")
}

func TestConcurrentUse(t *testing.T) {
	l := open(t, Options{Timing: Timing{Waiting: -1, Deploying: -1}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := l.AddInstance(kunshan, Instance{Name: "n" + strconv.Itoa(i), Mounts: []Mount{{"/a", "/b", "path"}}})
			l.do(kunshan, "GET", "instance-service/task", `{"limit":20,"sort":"desc"}`).want(t, "0")
			l.UpdateInstance(kunshan, id, func(in *Instance) { in.Mounts[0].TargetPath = "/c" })
			l.SetQuirks(Quirks{CodeAsInt: false})
			l.do(kunshan, "POST", "instance-service/task/actions/stop?ids="+id, "").want(t, "0")
			l.do(kunshan, "DELETE", "instance-service/task?ids="+id, "").want(t, "0")
			l.Requests()
		})
	}
	wg.Wait()
	eq(t, "instances left", len(l.Instances(kunshan)), 0)
	eq(t, "requests", len(l.Requests()), 24)
}

func TestJournal(t *testing.T) {
	l := open(t, Options{})
	l.do(kunshan, "POST", "instance-service/task/actions/stop?ids=x", "hello")
	l.platform("GET", platformPath+"/center", l.Token(wuzhen))
	l.platform("GET", platformPath+"/center", l.Token("0"))
	got := l.Requests()
	eq(t, "stop", got[0], Request{
		Time: fakecloudtest.Noon, Endpoint: EndpointStop, Region: kunshan, Method: "POST", Path: servicePath + "/task/actions/stop",
		Query: "ids=x", Body: "hello", Status: 200, Code: "816822",
	})
	eq(t, "region of the token", got[1].Region, wuzhen)
	eq(t, "region of the platform token", got[2].Region, "")
}
