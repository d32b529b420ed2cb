package scnet_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Regions and instances of the tests.
const (
	kunshan   = "11250"
	wuzhen    = "20057"
	zhengzhou = "20091" // has no container service
	owing     = "30000" // is suspended

	running = "7d64e73803de4a6e9a15a8c79c7da015"
	stopped = "4c1f43ddb030483e89b55413bee6c004"
)

// home is a region with one running and one stopped instance.
func home() simulator.Region {
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, scnet.ChinaTime)
	return simulator.Region{ID: kunshan, Name: "华东一区【昆山】", Instances: []simulator.Instance{
		{ID: stopped, Name: "bert-eval", Status: simulator.Terminated, CreateTime: at, StartTime: at.Add(time.Minute), EndTime: at.Add(time.Hour)},
		{
			ID: running, Name: "训练-7b", Status: simulator.Running, TaskType: "jupyter", CreateTime: at.Add(2 * time.Hour), StartTime: at.Add(3 * time.Hour),
			GPUNumber: 2, CPUNumber: 6, RAMSize: 30720, AcceleratorType: "dcu", TaskNumber: 3, TimeLimit: 360 * time.Hour,
			Mounts:         []simulator.Mount{{SourcePath: "/public/home/demo", TargetPath: "/root/demo", Type: "path"}},
			Ports:          []simulator.Port{{ContainerPort: 8000, ProtocolType: "HTTP", AccessURL: "https://c.example/?token=port-secret"}},
			UseStartScript: true, StartScriptContent: "export KEY=script-secret\n",
		},
	}}
}

func start(t testing.TB, o simulator.Options) *simulator.Simulator {
	t.Helper()
	if o.Regions == nil {
		o.Regions = []simulator.Region{home()}
	}
	sim := simulator.New(o)
	fakecloudtest.Start(t, sim)
	return sim
}

type change = func(*scnet.Config)

func newClient(t testing.TB, sim *simulator.Simulator, changes ...change) *scnet.Client {
	t.Helper()
	account := simulator.DemoAccount()
	cfg := scnet.Config{
		User: account.User, AccessKey: scnet.NewSecret(account.AccessKey), SecretKey: scnet.NewSecret(account.SecretKey),
		LoginURL: sim.URL(), PlatformURL: sim.URL(), UserAgent: "scnet-test",
	}
	for _, change := range changes {
		change(&cfg)
	}
	client, err := scnet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// withToken configures a region token instead of keys.
func withToken(sim *simulator.Simulator, token string) change {
	return func(cfg *scnet.Config) {
		*cfg = scnet.Config{
			Token: scnet.NewSecret(token), AIURL: sim.RegionURL(kunshan) + "/ai",
			PlatformURL: cfg.PlatformURL, Transport: cfg.Transport, Now: cfg.Now,
		}
	}
}

func pick(t testing.TB, client *scnet.Client, selector string) *scnet.Region {
	t.Helper()
	region, err := client.Region(t.Context(), selector)
	if err != nil {
		t.Fatal(err)
	}
	return region
}

// open returns a simulator and its only region.
func open(t testing.TB, o simulator.Options, changes ...change) (*simulator.Simulator, *scnet.Region) {
	t.Helper()
	sim := start(t, o)
	return sim, pick(t, newClient(t, sim, changes...), "")
}

// sent returns the requests that reached an endpoint.
func sent(sim *simulator.Simulator, endpoint simulator.Endpoint) []simulator.Request {
	return slices.DeleteFunc(sim.Requests(), func(r simulator.Request) bool { return r.Endpoint != endpoint })
}

func wantSent(t testing.TB, sim *simulator.Simulator, endpoint simulator.Endpoint, want int) {
	t.Helper()
	if got := sent(sim, endpoint); len(got) != want {
		t.Errorf("%d requests to %s, want %d: %+v", len(got), endpoint, want, got)
	}
}

// asError returns err as the client's error.
func asError(t testing.TB, err error) *scnet.Error {
	t.Helper()
	var e *scnet.Error
	if !errors.As(err, &e) {
		t.Fatalf("err = %v (%T), want a *scnet.Error", err, err)
	}
	return e
}

var firstPage = scnet.ListOptions{Limit: 20}

// operation is one call of the client, as a value.
type operation struct {
	name     string
	endpoint simulator.Endpoint
	write    bool
	run      func(context.Context, *scnet.Region) error
}

var operations = []operation{
	{"list", simulator.EndpointList, false, func(ctx context.Context, r *scnet.Region) error {
		_, err := r.List(ctx, firstPage)
		return err
	}},
	{"detail", simulator.EndpointDetail, false, func(ctx context.Context, r *scnet.Region) error {
		_, err := r.Detail(ctx, running)
		return err
	}},
	{"restart", simulator.EndpointRestart, true, func(ctx context.Context, r *scnet.Region) error {
		_, err := r.Restart(ctx, stopped)
		return err
	}},
	{"delete", simulator.EndpointDelete, true, func(ctx context.Context, r *scnet.Region) error {
		return r.Delete(ctx, stopped)
	}},
	{"execute", simulator.EndpointExecute, true, func(ctx context.Context, r *scnet.Region) error {
		return r.ExecuteScript(ctx, running, scnet.Script{Content: "date"})
	}},
	{"stop", simulator.EndpointStop, true, func(ctx context.Context, r *scnet.Region) error {
		return r.Stop(ctx, running)
	}},
	{"create", simulator.EndpointCreate, true, func(ctx context.Context, r *scnet.Region) error {
		_, err := r.Create(ctx, wanted())
		return err
	}},
	{"resize", simulator.EndpointResize, true, func(ctx context.Context, r *scnet.Region) error {
		return r.Resize(ctx, stopped, scnet.Size{CPUs: 4, Accelerators: 1, MemoryMB: 8192})
	}},
	{"limits", simulator.EndpointResources, false, func(ctx context.Context, r *scnet.Region) error {
		_, err := r.NodeLimits(ctx, "dcu", "kshdtest")
		return err
	}},
	{"groups", simulator.EndpointGroups, false, func(ctx context.Context, r *scnet.Region) error {
		_, _, err := r.ResourceGroups(ctx)
		return err
	}},
	{"mounts", simulator.EndpointMounts, false, func(ctx context.Context, r *scnet.Region) error {
		_, _, err := r.MountDirectories(ctx)
		return err
	}},
	{"images", simulator.EndpointImages, false, func(ctx context.Context, r *scnet.Region) error {
		_, err := r.Images(ctx, scnet.ImageOptions{Limit: 5})
		return err
	}},
	{"access", simulator.EndpointURL, false, func(ctx context.Context, r *scnet.Region) error {
		_, err := r.AccessURL(ctx, running)
		return err
	}},
}

// wanted is an instance that the demo region can create.
func wanted() scnet.NewInstance {
	image := simulator.DemoImages()[1]
	return scnet.NewInstance{
		Name: "new-one", TaskType: "jupyter", AcceleratorType: "dcu", ResourceGroup: "kshdtest", Image: image.Name + ":" + image.Tag,
		ImagePath: image.Path, TimeLimit: "12:00:00", Containers: 2, Size: scnet.Size{CPUs: 8, Accelerators: 2, MemoryMB: 30720},
		Description: "第一轮 <&>",
		Mounts:      []scnet.Mount{{Source: "/public/share", Target: "/data", Type: "data"}},
		Ports:       []scnet.NewPort{{Container: 8000, Protocol: "HTTP"}},
		StartScript: scnet.StartScript{Enabled: true, Content: scnet.NewSecret("export KEY=script-secret\r\n")},
	}
}

// inside configures an in-process simulator and a clock.
func inside(sim *simulator.Simulator, now func() time.Time) change {
	return func(cfg *scnet.Config) {
		cfg.LoginURL, cfg.PlatformURL = sim.URL(), sim.URL()
		cfg.Transport, cfg.Now = sim.Transport(), now
	}
}

// secrets returns every credential that went over the wire.
func secrets(wire *fakecloudtest.Spy) []string {
	var out []string
	for _, r := range wire.Requests() {
		for _, name := range []string{"Token", "Accesskey", "Signature"} {
			if v := r.Header.Get(name); v != "" && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// canned returns a region whose every call gets body.
func canned(t testing.TB, status int, body string) *scnet.Region {
	t.Helper()
	return scripted(t, fakecloudtest.Canned(status, body))
}

func scripted(t testing.TB, f fakecloudtest.RoundTrip) *scnet.Region {
	t.Helper()
	client, err := scnet.New(scnet.Config{Token: scnet.NewSecret("region-token"), AIURL: "https://region.example:65106/ai", Transport: f})
	if err != nil {
		t.Fatal(err)
	}
	return pick(t, client, "")
}

// dataFor is the data of a successful answer to op.
func dataFor(op operation) string {
	switch op.endpoint {
	case simulator.EndpointDetail:
		return `{"id":"` + running + `"}`
	case simulator.EndpointImages:
		return `{"data":[]}`
	case simulator.EndpointURL:
		return `"https://c.example/?token=access-secret"`
	}
	return "null"
}
