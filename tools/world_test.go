package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

const (
	home = "11250" // the region of a world
	away = "20057" // the second one, if there is one
)

// world is a simulated SCNet without a network, so that it can live on the clock of a testing/synctest bubble, and the
// tools that work on it.
type world struct {
	*simulator.Simulator
	wire    *fakecloud.Transport
	rules   toolbox.Rules
	tools   []toolbox.Tool
	toolbox *toolbox.Toolbox
	caller  toolbox.Caller
	seen    *[]toolbox.Observation // of a watched world
}

type setup struct {
	instances []simulator.Instance
	elsewhere []simulator.Instance      // in a second region
	others    []simulator.Region        // further ones
	region    string                    // the configured one
	images    []simulator.Image         // simulator.DemoImages() when nil
	groups    []simulator.ResourceGroup // simulator.DemoGroups() when nil
	quirks    simulator.Quirks
	timing    simulator.Timing
	rules     toolbox.Rules // policy, budget, audit log

	storage  string                    // the directory of this machine that the home stands for
	onScript func(simulator.ScriptRun) // what containers make of a script; nil: they imitate it
	listens  bool                      // it is reached over HTTP, and lives on the clock of the machine
}

func newWorld(t testing.TB, o setup) *world {
	t.Helper()
	if o.rules.Now == nil {
		o.rules.Now = time.Now
	}
	regions := []simulator.Region{{
		ID: home, Name: "华东一区【昆山】", Instances: o.instances, Images: o.images, Groups: o.groups, Storage: o.storage,
	}}
	if o.storage != "" {
		regions[0].HomePath = o.storage
	}
	if o.elsewhere != nil {
		regions = append(regions, simulator.Region{ID: away, Name: "华东三区【乌镇】", Instances: o.elsewhere, Groups: o.groups})
	}
	regions = append(regions, o.others...)
	sim := simulator.New(simulator.Options{
		Now: o.rules.Now, Quirks: o.quirks, Timing: o.timing, Regions: regions, OnScript: o.onScript,
	})
	w := &world{Simulator: sim, wire: sim.Transport(), rules: o.rules, caller: toolbox.Caller{Name: "local", Client: "test", Transport: "stdio"}}
	if o.listens {
		fakecloudtest.Start(t, sim)
	}
	account := simulator.DemoAccount()
	cfg := scnet.Config{
		User: account.User, AccessKey: scnet.NewSecret(account.AccessKey), SecretKey: scnet.NewSecret(account.SecretKey),
		Region: o.region, LoginURL: sim.URL(), PlatformURL: sim.URL(), Now: o.rules.Now,
	}
	if !o.listens {
		cfg.Transport = w.wire
	}
	client, err := scnet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if o.listens {
		t.Cleanup(client.Close)
	}
	w.tools = tools.Instances{SCNet: client, Now: o.rules.Now}.Tools()
	w.toolbox = toolbox.New(w.rules, w.tools)
	return w
}

// unlimited lifts the caps.
func unlimited() toolbox.Rules {
	return toolbox.Rules{Policy: guard.Policy{MaxTargets: 1000}, MaxMutationsPerHour: 10_000}
}

// isWrite reports whether r goes to one of the endpoints that change something.
func isWrite(r *http.Request, endpoint string) bool {
	return r.Method != http.MethodGet && strings.HasSuffix(r.URL.Path, endpoint)
}

// job is the i-th instance, from 1.
func job(i int, status string) simulator.Instance {
	return simulator.Instance{
		ID: id(i), Name: fmt.Sprintf("job-%03d", i), Status: status, AcceleratorType: "dcu", GPUNumber: 2, HeaderNotebookID: fmt.Sprintf("%032x", 0xf000+i),
		CreateTime: time.Now().Add(-time.Duration(i) * time.Hour), StartTime: time.Now().Add(-time.Duration(i) * time.Hour),
	}
}

func id(i int) string { return fmt.Sprintf("%032x", i) }

// jobs are n instances in one status.
func jobs(n int, status string) []simulator.Instance {
	out := make([]simulator.Instance, n)
	for i := range out {
		out[i] = job(i+1, status)
	}
	return out
}

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = id(i + 1)
	}
	return out
}

// arguments are those of a call.
type arguments map[string]any

func (a arguments) with(more arguments) arguments {
	merged := maps.Clone(a)
	maps.Copy(merged, more)
	return merged
}

func deletion(ids ...string) arguments { return arguments{"instance_ids": ids} }

// execution runs a script of which only acceptance is told.
func execution(script string, ids ...string) arguments {
	return arguments{"instance_ids": ids, "script": script, "capture": "off"}
}

// reply is a decoded result of any tool.
type reply struct {
	toolbox.Result `json:"-"`

	State         string
	Targets       []toolbox.Target
	Summary       tools.ScriptCounts // of a script; lists have one of another form
	Stopped       string
	Next          string
	Preview       *toolbox.Preview
	Instance      toolbox.Target
	ReturnedID    string `json:"returned_id"`
	InstanceID    string `json:"instance_id"`
	LastStatus    string `json:"last_status"`
	WaitedSeconds int    `json:"waited_seconds"`
	Note          string
	Token         string `json:"-"`
}

// outcomes are the outcomes of all targets, in their order.
func (r reply) outcomes() string {
	words := make([]string, len(r.Targets))
	for i, target := range r.Targets {
		words[i] = string(target.Outcome)
	}
	return strings.Join(words, " ")
}

func (w *world) try(ctx context.Context, call toolbox.Call) (reply, error) {
	if call.Caller == (toolbox.Caller{}) {
		call.Caller = w.caller
	}
	result, err := w.toolbox.Call(ctx, call)
	r := reply{Result: result}
	if err != nil || result.Question != nil {
		return r, err
	}
	if err := json.Unmarshal(result.Structured, &r); err != nil {
		return r, err
	}
	if r.Preview != nil {
		r.Token = r.Preview.Token
	}
	wantToken := result.NeedsConsent && !call.Caller.CanAsk && !strings.Contains(result.Text, "will not be carried out from here")
	if (r.State == "confirmation_required") != result.NeedsConsent || wantToken && r.Token == "" || !result.NeedsConsent && r.Token != "" {
		return r, fmt.Errorf("state %q, needs consent %v, token %q do not fit together", r.State, result.NeedsConsent, r.Token)
	}
	for _, tool := range w.toolbox.Tools() {
		if tool.Name == call.Tool {
			return r, tool.Output.Validate(result.Structured)
		}
	}
	return r, errors.New("the tool is not offered")
}

func encoded(a arguments) json.RawMessage {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return text
}

// call makes a call that must not fail.
func (w *world) call(t testing.TB, tool string, a arguments) reply {
	t.Helper()
	r, err := w.try(t.Context(), toolbox.Call{Tool: tool, Arguments: encoded(a)})
	if err != nil {
		t.Fatalf("%s: %s", tool, toolbox.Explain(lang.English, err))
	}
	return r
}

// fails makes a call that must fail with a text that holds all of want.
func (w *world) fails(t testing.TB, tool string, a arguments, want ...string) error {
	t.Helper()
	r, err := w.try(t.Context(), toolbox.Call{Tool: tool, Arguments: encoded(a)})
	if err == nil {
		t.Fatalf("%s: no error but %s", tool, r.Text)
	}
	wantParts(t, toolbox.Explain(lang.English, err), want...)
	return err
}

// previewed makes the first of two calls, and returns the arguments of the second.
func (w *world) previewed(t testing.TB, tool string, a arguments) (reply, arguments) {
	t.Helper()
	r := w.call(t, tool, a)
	if r.State != "confirmation_required" {
		t.Fatalf("%s: state %q instead of a preview", tool, r.State)
	}
	if r.Token == "" { // the client can ask its user
		return r, a.with(arguments{"confirm": true})
	}
	return r, a.with(arguments{"confirm": true, "preview_token": r.Token})
}

// confirmed makes both.
func (w *world) confirmed(t testing.TB, tool string, a arguments) reply {
	t.Helper()
	_, a = w.previewed(t, tool, a)
	return w.call(t, tool, a)
}

func wantParts(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

func wantOutcomes(t testing.TB, r reply, state string, outcomes ...string) {
	t.Helper()
	if want := strings.Join(outcomes, " "); r.State != state || r.outcomes() != want {
		t.Errorf("state %q, outcomes %q; want %q, %q\n%s", r.State, r.outcomes(), state, want, r.Text)
	}
}

// sent returns the requests to the endpoints.
func (w *world) sent(endpoints ...simulator.Endpoint) []simulator.Request {
	return slices.DeleteFunc(w.Requests(), func(r simulator.Request) bool { return !slices.Contains(endpoints, r.Endpoint) })
}

// wantSent demands a number of requests to an endpoint.
func (w *world) wantSent(t testing.TB, endpoint simulator.Endpoint, want int) {
	t.Helper()
	if got := w.sent(endpoint); len(got) != want {
		t.Errorf("%d requests to %s, want %d: %+v", len(got), endpoint, want, got)
	}
}

// mutating are the endpoints that change something.
var mutating = []simulator.Endpoint{
	simulator.EndpointRestart, simulator.EndpointStop, simulator.EndpointDelete, simulator.EndpointExecute, simulator.EndpointCreate,
	simulator.EndpointResize,
}

func (w *world) writes() int { return len(w.sent(mutating...)) }

// nothingSent demands that nothing was changed.
func (w *world) nothingSent(t testing.TB) {
	t.Helper()
	if n := w.writes(); n > 0 {
		t.Errorf("%d writes were sent: %+v", n, w.sent(mutating...))
	}
}

// bubble runs f as a subtest on a clock of its own.
func bubble(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// reports collects progress, which must rise.
type reports struct {
	mu    sync.Mutex
	seen  []string
	fault string
	last  int
}

func (p *reports) follow(ctx context.Context) context.Context {
	p.last = -1
	return toolbox.WithProgress(ctx, func(done, total int, message lang.Text) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if done <= p.last || done > total {
			p.fault = fmt.Sprintf("%d of %d after %d", done, total, p.last)
		}
		p.last = done
		p.seen = append(p.seen, fmt.Sprintf("%d/%d %s", done, total, message.String()))
	})
}

func (p *reports) want(t testing.TB, want ...string) {
	t.Helper()
	if p.fault != "" || !slices.Equal(p.seen, want) {
		t.Errorf("progress %q %s\nwant %q", p.seen, p.fault, want)
	}
}

// joinTexts joins what texts say in English.
func joinTexts(texts []lang.Text, separator string) string {
	words := make([]string, len(texts))
	for i, t := range texts {
		words[i] = t.String()
	}
	return strings.Join(words, separator)
}
