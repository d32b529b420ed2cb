package workspace_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Desktops and scripts of the simulator's demo; the first of each are those of the documented example.
const (
	linux1  = "eb4ccd3e-170f-48ec-9715-ec0457df376f"
	linux2  = "5b0a6c52-93c4-4b7e-8f21-7d0e6a4b9c13"
	windows = "a7e3d914-2c68-4f0b-b5d7-18c94e6f2a35"
	shutoff = "3f8d1b76-e045-4c92-9a6e-b21f5d7c0e48"

	shellScript = "923438311391891456"
	psScript    = "923438311391891472"
)

func start(t testing.TB, o simulator.Options) *simulator.Simulator {
	t.Helper()
	sim := simulator.New(o)
	fakecloudtest.Start(t, sim)
	return sim
}

type change = func(*workspace.Config)

func newClient(t testing.TB, sim *simulator.Simulator, changes ...change) *workspace.Client {
	t.Helper()
	key := simulator.DemoAccount().Keys[0]
	cfg := workspace.Config{
		AccessKey: workspace.NewSecret(key.AccessKey), SecretKey: workspace.NewSecret(key.SecretKey),
		ProjectID: sim.ProjectID(), Endpoint: sim.URL(), UserAgent: "workspace-test",
	}
	for _, change := range changes {
		change(&cfg)
	}
	client, err := workspace.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// temporary configures the demo's temporary key.
func temporary(cfg *workspace.Config) {
	key := simulator.DemoAccount().Keys[1]
	cfg.AccessKey, cfg.SecretKey = workspace.NewSecret(key.AccessKey), workspace.NewSecret(key.SecretKey)
	cfg.SecurityToken = workspace.NewSecret(key.SecurityToken)
}

// discovers leaves the project to be looked up.
func discovers(sim *simulator.Simulator) change {
	return func(cfg *workspace.Config) {
		cfg.ProjectID, cfg.Region, cfg.IAMEndpoint = "", "cn-north-4", sim.URL()
	}
}

func open(t testing.TB, o simulator.Options, changes ...change) (*simulator.Simulator, *workspace.Client) {
	t.Helper()
	sim := start(t, o)
	return sim, newClient(t, sim, changes...)
}

// asError returns err as the client's error.
func asError(t testing.TB, err error) *workspace.Error {
	t.Helper()
	var e *workspace.Error
	if !errors.As(err, &e) {
		t.Fatalf("err = %v (%T), want a *workspace.Error", err, err)
	}
	return e
}

func sent(sim *simulator.Simulator, op simulator.Operation) []simulator.Request {
	return slices.DeleteFunc(sim.Requests(), func(r simulator.Request) bool { return r.Operation != op })
}

func wantSent(t testing.TB, sim *simulator.Simulator, op simulator.Operation, want int) {
	t.Helper()
	if got := sent(sim, op); len(got) != want {
		t.Errorf("%d requests of %s, want %d: %+v", len(got), op, want, got)
	}
}

var example = workspace.Execution{Desktops: []string{linux1}, Scripts: []string{shellScript}, TimeoutMinutes: new(10)}

// finished makes a task that is over and returns its id.
func finished(t testing.TB, client *workspace.Client) string {
	t.Helper()
	id, err := client.Execute(t.Context(), example)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// instant lets tasks end as they begin.
var instant = simulator.Timing{Init: -1, Script: -1}

// operation is one call of the client, as a value. Ids that it needs come from a task that is over.
type operation struct {
	name  string
	op    simulator.Operation
	write bool
	run   func(ctx context.Context, c *workspace.Client, task, record string) error
}

var operations = []operation{
	{"desktops", simulator.OpListDesktopsDetail, false, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		_, err := c.Desktops(ctx, workspace.DesktopFilter{})
		return err
	}},
	{"scripts", simulator.OpListScripts, false, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		_, err := c.Scripts(ctx, workspace.ScriptFilter{})
		return err
	}},
	{"script", simulator.OpShowScript, false, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		_, err := c.Script(ctx, shellScript)
		return err
	}},
	{"tasks", simulator.OpListTasks, false, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		_, err := c.Tasks(ctx, workspace.TaskFilter{})
		return err
	}},
	{"task", simulator.OpListTasks, false, func(ctx context.Context, c *workspace.Client, task, _ string) error {
		_, err := c.Task(ctx, task)
		return err
	}},
	{"records", simulator.OpListRecords, false, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		_, err := c.Records(ctx, workspace.RecordFilter{})
		return err
	}},
	{"record", simulator.OpShowRecord, false, func(ctx context.Context, c *workspace.Client, _, record string) error {
		_, err := c.Record(ctx, record)
		return err
	}},
	{"execute", simulator.OpExecute, true, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		_, err := c.Execute(ctx, example)
		return err
	}},
	{"create", simulator.OpCreateScript, true, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		_, err := c.CreateScript(ctx, workspace.NewScript{Name: "new", Type: workspace.Shell, Content: "date\n"})
		return err
	}},
	{"delete", simulator.OpDeleteScript, true, func(ctx context.Context, c *workspace.Client, _, _ string) error {
		return c.DeleteScript(ctx, psScript)
	}},
	{"stop task", simulator.OpStop, true, func(ctx context.Context, c *workspace.Client, task, _ string) error {
		return c.StopTask(ctx, task)
	}},
}

// prepared returns a simulator, a client, and a task with its only record.
func prepared(t testing.TB, o simulator.Options, changes ...change) (sim *simulator.Simulator, c *workspace.Client, task, record string) {
	t.Helper()
	sim, c = open(t, o, changes...)
	task = finished(t, c)
	return sim, c, task, sim.Records(task)[0].ID
}

// scripted returns a client whose requests go to f.
func scripted(t testing.TB, f fakecloudtest.RoundTrip) *workspace.Client {
	t.Helper()
	client, err := workspace.New(workspace.Config{
		AccessKey: workspace.NewSecret("the-access-key"), SecretKey: workspace.NewSecret("the-secret-key"),
		SecurityToken: workspace.NewSecret("the-security-token"),
		ProjectID:     "p1", Region: "cn-north-4", Transport: f,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// canned returns a client whose every call gets body.
func canned(t testing.TB, status int, body string) *workspace.Client {
	t.Helper()
	return scripted(t, fakecloudtest.Canned(status, body))
}

// inside configures a simulator that does not listen, and a clock, so that a test can run on a fake one.
func inside(sim *simulator.Simulator, now func() time.Time) change {
	return func(cfg *workspace.Config) {
		cfg.Endpoint, cfg.Transport, cfg.Now = sim.URL(), sim.Transport(), now
	}
}

func spied(wire *fakecloudtest.Spy) change {
	return func(cfg *workspace.Config) { cfg.Transport = wire }
}
