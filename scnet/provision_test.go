package scnet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestStop(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	sim, region := open(t, simulator.Options{}, func(c *scnet.Config) { c.Transport = wire })
	if err := region.Stop(t.Context(), running, stopped); err != nil {
		t.Fatal(err)
	}
	r, body := wire.Last()
	if r.URL.Query().Encode() != "ids="+running+"&ids="+stopped || body != "" {
		t.Errorf("sent %s %q", r.URL, body)
	}
	for _, in := range sim.Instances(kunshan) {
		if in.Status != simulator.Terminated {
			t.Errorf("%s is %s", in.Name, in.Status)
		}
	}
	for name, ids := range map[string][]string{"none": nil, "too many": make([]string, scnet.MaxStopIDs+1), "invalid": {"a,b"}} {
		if e := asError(t, region.Stop(t.Context(), ids...)); e.Kind != upstream.Argument {
			t.Errorf("%s: %v", name, e)
		}
	}
	wantSent(t, sim, simulator.EndpointStop, 1)
}

func TestStopHasNoDocumentedRefusalOfItsOwn(t *testing.T) {
	t.Parallel()
	_, region := open(t, simulator.Options{Quirks: simulator.Quirks{StopEndedFails: true}})
	e := asError(t, region.Stop(t.Context(), stopped))
	if e.Code != "817140" || !e.Uncertain || e.Meaning.English == "" {
		t.Errorf("%v, uncertain %v", e, e.Uncertain)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	sim, region := open(t, simulator.Options{Quirks: simulator.Quirks{CreateChecks: true}}, func(c *scnet.Config) { c.Transport = wire })
	id, err := region.Create(t.Context(), wanted())
	if err != nil {
		t.Fatal(err)
	}
	_, body := wire.Last()
	var fields map[string]any
	if err := json.Unmarshal([]byte(body), &fields); err != nil || len(fields) != 17 {
		t.Errorf("%d fields: %s", len(fields), body)
	}
	if got := fields["startScriptContent"]; got != "export KEY=script-secret\n" {
		t.Errorf("the script is %q", got)
	}
	got, err := region.Detail(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want := wanted()
	if got.Name != want.Name || got.Accelerators != 2 || got.Containers != 2 || got.TimeLimit != "12:00:00" || got.ResourceGroup != "kshdtest" ||
		got.ImagePath != want.ImagePath || !slices.Equal(got.Mounts, want.Mounts) || !got.StartScript.Enabled || got.Description != want.Description {
		t.Errorf("created %+v", got)
	}
	if n := len(sim.Instances(kunshan)); n != 3 {
		t.Errorf("%d instances", n)
	}
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	sim, region := open(t, simulator.Options{})
	for name, spoil := range map[string]func(*scnet.NewInstance){
		"name":        func(n *scnet.NewInstance) { n.Name = " " },
		"task type":   func(n *scnet.NewInstance) { n.TaskType = "vnc" },
		"accelerator": func(n *scnet.NewInstance) { n.AcceleratorType = "DCU" },
		"no limit":    func(n *scnet.NewInstance) { n.TimeLimit = "" },
		"no size":     func(n *scnet.NewInstance) { n.Size = scnet.Size{} },
		"containers":  func(n *scnet.NewInstance) { n.Containers = 0 },
		"mount":       func(n *scnet.NewInstance) { n.Mounts[0].Type = "" },
		"port":        func(n *scnet.NewInstance) { n.Ports[0].Container = 1 << 16 },
		"script":      func(n *scnet.NewInstance) { n.StartScript.Content = scnet.Secret{} },
		"scope":       func(n *scnet.NewInstance) { n.StartScript.Scope = "some" },
		"UTF-8":       func(n *scnet.NewInstance) { n.Description = "\xff" },
	} {
		n := wanted()
		spoil(&n)
		_, err := region.Create(t.Context(), n)
		if e := asError(t, err); e.Kind != upstream.Argument || e.Delivery != upstream.NotSent {
			t.Errorf("%s: %v", name, e)
		}
	}
	wantSent(t, sim, simulator.EndpointCreate, 0)

	n := wanted()
	n.Size.Accelerators = 5 // a node has four
	_, err := region.Create(t.Context(), n)
	if e := asError(t, err); e.Code != "716865" || e.Uncertain || e.Kind != upstream.Refused || !strings.Contains(e.Hint.English, "list_resources") {
		t.Errorf("%v, uncertain %v, hint %q", e, e.Uncertain, e.Hint.English)
	}
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointCreate, ResetAfter: true})
	_, err = region.Create(t.Context(), wanted())
	if e := asError(t, err); !e.Uncertain || e.Delivery != upstream.Unknown || !strings.Contains(e.Hint.English, "that name") {
		t.Errorf("%v, uncertain %v", e, e.Uncertain)
	}
	wantSent(t, sim, simulator.EndpointCreate, 2)
}

func TestCreatedID(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`"` + running + `"`: running,
		`{"taskId":"t","instanceServiceId":"` + running + `"}`: running,
		`{"id":"x1"}`: "x1",
		`7`:           "7",
		`null`:        "",
		`"../detail"`: "",
		`[]`:          "",
		`{"instanceServiceId":{"id":"` + running + `"},"id":null}`: "",
	} {
		id, err := canned(t, 200, `{"code":"0","data":`+data+`}`).Create(t.Context(), wanted())
		if id != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", data, id, err, want)
		}
	}
}

func TestResize(t *testing.T) {
	t.Parallel()
	_, region := open(t, simulator.Options{})
	size := scnet.Size{CPUs: 4, Accelerators: 1, MemoryMB: 8192}
	if err := region.Resize(t.Context(), stopped, size); err != nil {
		t.Fatal(err)
	}
	got, err := region.Detail(t.Context(), stopped)
	if err != nil || (scnet.Size{CPUs: got.CPUs, Accelerators: got.Accelerators, MemoryMB: got.MemoryMB}) != size {
		t.Errorf("%+v, %v", got, err)
	}
	if e := asError(t, region.Resize(t.Context(), running, size)); e.Code != "10004" || e.Uncertain {
		t.Errorf("%v, uncertain %v", e, e.Uncertain)
	}
	if e := asError(t, region.Resize(t.Context(), stopped, scnet.Size{CPUs: 1, Accelerators: -1, MemoryMB: 1})); e.Kind != upstream.Argument {
		t.Error(e)
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	_, region := open(t, simulator.Options{})
	limits, err := region.NodeLimits(t.Context(), "dcu", "kshdtest")
	if want := (scnet.NodeLimits{Size: scnet.Size{CPUs: 32, Accelerators: 4, MemoryMB: 126976}, Nodes: 16, MaxTime: "unlimited"}); limits != want || err != nil {
		t.Errorf("%+v, %v", limits, err)
	}
	if _, err := region.NodeLimits(t.Context(), "dcu", "none"); asError(t, err).Code != "10004" {
		t.Error(err)
	}
	groups, known, err := region.ResourceGroups(t.Context())
	if want := []scnet.ResourceGroup{{"cpu-share", "cpu"}, {"kshdtest", "dcu"}, {"TeslaM40", "gpu"}}; !slices.Equal(groups, want) || !known || err != nil {
		t.Errorf("%+v, %v, %v", groups, known, err)
	}
	directories, known, err := region.MountDirectories(t.Context())
	want := []scnet.MountDirectory{{"/public/home/demo", "path", "家目录"}, {"/public/share", "data", "共享数据"}}
	if !slices.Equal(directories, want) || !known || err != nil {
		t.Errorf("%+v, %v, %v", directories, known, err)
	}
}

// Nobody documents what these answers look like: what is not understood is said to be not known, and fails nothing.
func TestResourceShapes(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`null`:                                   "[] false, [] false",
		`"later"`:                                "[] false, [] false",
		`[]`:                                     "[] true, [] true",
		`{}`:                                     "[] true, [] true",
		`["/a","/b"]`:                            "[{/a } {/b }] true, [{/a  } {/b  }] true",
		`[{"name":"q","acceleratorType":"dcu"}]`: "[{q dcu}] true, [] false",
		`{"gpu":["q"],"dcu":null}`:               "[{q gpu}] true, [] false",
		`{"gpu":[{"id":1,"name":"q"},{"x":1}]}`:  "[{q gpu}] false, [] false",
		`{"gpu":{"list":[]}}`:                    "[] false, [] false",
		`{"path":[{"path":"/a"}]}`:               "[] false, [{/a path }] true",
		`[{"sourcePath":"/a","type":"data"},["/b"]]`:  "[] false, [{/a data }] false",
		`[{"path":"relative"},{"name":7},{"path":1}]`: "[{7 }] false, [] false",
	} {
		region := canned(t, 200, `{"code":"0","data":`+data+`}`)
		groups, knownGroups, err := region.ResourceGroups(t.Context())
		directories, knownDirectories, err2 := region.MountDirectories(t.Context())
		got := fmt.Sprintf("%v %v, %v %v", groups, knownGroups, directories, knownDirectories)
		if got != want || err != nil || err2 != nil {
			t.Errorf("%s: %s, %v, %v; want %s", data, got, err, err2, want)
		}
	}
	for data, want := range map[string]scnet.NodeLimits{
		`null`: {}, `[1]`: {}, `{"cpuNumber":-1}`: {},
		`{"cpuNumber":"8","dcuLimits":4,"gpuNumber":0,"nvLimits":2,"memorySize":1024.0,"nodeNumber":"x","maxTime":null}`: {
			Size: scnet.Size{CPUs: 8, Accelerators: 4, MemoryMB: 1024}},
	} {
		got, err := canned(t, 200, `{"code":"0","data":`+data+`}`).NodeLimits(t.Context(), "dcu", "q")
		if got != want || err != nil {
			t.Errorf("%s: %+v, %v", data, got, err)
		}
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	for _, records := range []bool{false, true} {
		_, region := open(t, simulator.Options{Quirks: simulator.Quirks{ImagesRecords: records}})
		page, err := region.Images(t.Context(), scnet.ImageOptions{Limit: 2, AcceleratorType: "dcu"})
		if err != nil || page.Total != 1 || len(page.Rows) != 1 || page.Rows[0].Name != "jupyterlab-pytorch:2.4.1-py3.10-dtk25.04" || page.Rows[0].Private {
			t.Fatalf("records %v: %+v, %v", records, page, err)
		}
		if page, err = region.Images(t.Context(), scnet.ImageOptions{Limit: 2, Private: true}); err != nil || len(page.Rows) != 1 || !page.Rows[0].Private {
			t.Fatalf("private: %+v, %v", page, err)
		}
		n := 0
		for page, err := range region.ImagePages(t.Context(), scnet.ImageOptions{Limit: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Rows)
		}
		if n != 3 {
			t.Errorf("%d images in pages", n)
		}
		for _, o := range []scnet.ImageOptions{{}, {Limit: 1, Start: -1}, {Limit: 1, Name: strings.Repeat("x", 257)}} {
			if _, err := region.Images(t.Context(), o); asError(t, err).Kind != upstream.Argument {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
}

func TestImageShapes(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`[{"name":"a","tag":"1","path":"r/a:1"}]`:                "[a:1] 1 of -1",
		`{"data":[{"version":"a:1","path":"r/a"},{"name":"b"}]}`: "[a:1] 2 of -1",
		`{"records":[{"name":"a","path":"r"}],"total":"9"}`:      "[a] 1 of 9",
		`{"data":null,"total":0}`:                                "[] 0 of 0",
		`{"data":[],"total":3}`:                                  "[] 0 of 3",
		`null`:                                                   "malformed",
		`{"data":"x"}`:                                           "malformed",
		`{"data":[{"name":"b"}]}`:                                "malformed",
		`{"total":-1,"data":[{"name":"a","tag":null,"path":"r/a:1"}]}`: "[a] 1 of -1",
	} {
		page, err := canned(t, 200, `{"code":"0","data":`+data+`}`).Images(t.Context(), scnet.ImageOptions{Limit: 5})
		got := "malformed"
		if !errors.Is(err, scnet.ErrMalformed) {
			names := []string{}
			for _, image := range page.Rows {
				names = append(names, image.Name)
			}
			got = fmt.Sprintf("%v %d of %d", names, page.Received, page.Total)
		}
		if got != want {
			t.Errorf("%s: %s, %v; want %s", data, got, err, want)
		}
	}
}

func TestAccessURLIsASecret(t *testing.T) {
	t.Parallel()
	sim, region := open(t, simulator.Options{})
	address, err := region.AccessURL(t.Context(), running)
	if err != nil || !strings.HasPrefix(address.Reveal(), "http://10.0.35.26:7090/jupyter-forward/"+running) {
		t.Fatalf("%q, %v", address.Reveal(), err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", address, address, address); strings.Contains(shown, "jupyter") {
		t.Errorf("it shows: %s", shown)
	}
	if _, err := region.AccessURL(t.Context(), stopped); asError(t, err).Code != "10004" {
		t.Error(err)
	}
	if _, err := region.AccessURL(t.Context(), "a/b"); !errors.Is(err, scnet.ErrInvalidID) {
		t.Error(err)
	}
	if _, err := canned(t, 200, `{"code":"0","data":null}`).AccessURL(t.Context(), running); !errors.Is(err, scnet.ErrNoAccessURL) {
		t.Error(err)
	}
	quoting := `{"code":"10001","msg":"cannot open http://x/jupyter-forward/?a=b&Token=sothisai_1&c=d"}`
	if _, err := canned(t, 200, quoting).AccessURL(t.Context(), running); err == nil || strings.Contains(err.Error(), "sothisai") ||
		!strings.Contains(err.Error(), "Token=[secret]&c=d") {
		t.Error(err)
	}
	wantSent(t, sim, simulator.EndpointURL, 2)
}

func TestTimeLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"01:00:00": time.Hour, "360:00:00": 360 * time.Hour, "0:00:01": time.Second, " unlimited ": 0, "Unlimited": 0,
		"": -1, "1": -1, "00:00:00": -1, "1:60:00": -1, "1:2:3": -1, "-1:00:00": -1, "999999:00:00": -1, "1h": -1,
	} {
		got, known := scnet.ParseTimeLimit(text)
		if known != (want >= 0) || known && got != want {
			t.Errorf("%q: %s, %v", text, got, known)
		}
		if known {
			if again, ok := scnet.ParseTimeLimit(scnet.TimeLimit(got)); !ok || again != got {
				t.Errorf("%q is written as %q", text, scnet.TimeLimit(got))
			}
		}
	}
}

func FuzzProvisionDecoding(f *testing.F) {
	for _, seed := range []string{
		`{"gpu":[{"id":"a","name":"q","acceleratorType":"gpu"}]}`, `[{"path":"/a","mountType":"path"}]`, `{"data":[{"name":"a","path":"r"}],"total":1}`,
		`{"cpuNumber":40,"gpuNumber":2,"memorySize":31888,"maxTime":"unlimited"}`, `"` + running + `"`, `null`, `[[[]]]`, `{"records":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			t.Skip()
		}
		region := canned(t, 200, `{"code":"0","data":`+string(data)+`}`)
		groups, _, err := region.ResourceGroups(t.Context())
		for _, g := range groups {
			if g.Name == "" {
				t.Error("a group without a name")
			}
		}
		directories, _, err2 := region.MountDirectories(t.Context())
		for _, d := range directories {
			if !strings.HasPrefix(d.Path, "/") {
				t.Errorf("a directory %q", d.Path)
			}
		}
		limits, err3 := region.NodeLimits(t.Context(), "gpu", "q")
		if limits.CPUs < 0 || limits.Accelerators < 0 || limits.MemoryMB < 0 || limits.Nodes < 0 {
			t.Errorf("limits %+v", limits)
		}
		id, err4 := region.Create(t.Context(), wanted())
		if strings.ContainsAny(id, "/?. ") {
			t.Errorf("id %q", id)
		}
		if err := errors.Join(err, err2, err3, err4); err != nil {
			t.Error(err)
		}
		page, err := region.Images(t.Context(), scnet.ImageOptions{Limit: 5})
		if err == nil && (page.Received < len(page.Rows) || page.Total >= 0 && page.Total < page.Received || slices.ContainsFunc(page.Rows, func(i scnet.Image) bool {
			return i.Name == "" || i.Path == ""
		})) {
			t.Errorf("page %+v", page)
		}
		if _, err := region.AccessURL(t.Context(), running); err != nil && !errors.Is(err, scnet.ErrNoAccessURL) {
			t.Error(err)
		}
	})
}
