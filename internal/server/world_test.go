package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/rs/zerolog"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/prompts"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// The instances of a world.
const (
	running = "7d64e73803de4a6e9a15a8c79c7da015"
	stopped = "4c1f43ddb030483e89b55413bee6c004"
	other   = "530491fa7c8e47348f01de73e627a6a7" // runs too
)

// world is a server of the real tools with a simulated SCNet behind it.
type world struct {
	t      testing.TB
	sim    *simulator.Simulator
	server *Server
	log    string // the audit log's path
}

// newWorld returns a world under policy whose SCNet is reached over HTTP.
func newWorld(t testing.TB, policy guard.Policy, changes ...func(*stage)) *world {
	t.Helper()
	sim := newSimulator()
	fakecloudtest.Start(t, sim)
	on := stage{Rules: toolbox.Rules{Policy: policy}}
	for _, change := range changes {
		change(&on)
	}
	return build(t, sim, scnet.Config{LoginURL: sim.URL(), PlatformURL: sim.URL()}, on)
}

// newWorldInside is newWorld without a network, so that it runs in a synctest bubble.
func newWorldInside(t testing.TB, policy guard.Policy) *world {
	t.Helper()
	sim := newSimulator()
	return build(t, sim, scnet.Config{
		LoginURL: sim.URL(), PlatformURL: sim.URL(), Transport: sim.Transport(),
	}, stage{Rules: toolbox.Rules{Policy: policy}})
}

func newSimulator() *simulator.Simulator {
	at := time.Now().Add(-time.Hour)
	return simulator.New(simulator.Options{Regions: []simulator.Region{{ID: "11250", Name: "华东一区【昆山】", Instances: []simulator.Instance{
		{ID: running, Name: "训练-7b", Status: simulator.Running, CreateTime: at, StartTime: at},
		{ID: stopped, Name: "bert-eval", Status: simulator.Terminated, CreateTime: at, StartTime: at, EndTime: at},
		{ID: other, Name: "prod-api", Status: simulator.Running, CreateTime: at, StartTime: at},
	}}}})
}

// stage is what a world is built of.
type stage struct {
	toolbox.Rules
	tools.Desktops
}

func build(t testing.TB, sim *simulator.Simulator, cfg scnet.Config, on stage) *world {
	t.Helper()
	account := simulator.DemoAccount()
	cfg.User, cfg.AccessKey, cfg.SecretKey = account.User, scnet.NewSecret(account.AccessKey), scnet.NewSecret(account.SecretKey)
	client, err := scnet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w := &world{t: t, sim: sim, log: filepath.Join(t.TempDir(), "audit.jsonl")}
	log, err := audit.Open(w.log, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	on.Audit = log
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		reports, err := audit.VerifyAll(w.log)
		if i := slices.IndexFunc(reports, func(r audit.Report) bool { return r.Problem != nil }); err != nil || i >= 0 {
			t.Errorf("the audit log: %+v, %v", reports, err)
		}
	})
	w.server = New(Options{
		Name: "scnet", Version: "1", Log: zerolog.New(io.Discard), Library: &prompts.Library{SCNet: client},
		Toolbox: toolbox.New(on.Rules, tools.Offered(tools.Instances{SCNet: client}, on.Desktops)),
	})
	return w
}

// sent counts the requests that reached an endpoint of SCNet.
func (w *world) sent(endpoint simulator.Endpoint) int {
	return len(slices.DeleteFunc(w.sim.Requests(), func(r simulator.Request) bool { return r.Endpoint != endpoint }))
}

// changes counts the requests that change something.
func (w *world) changes() int {
	return w.sent(simulator.EndpointDelete) + w.sent(simulator.EndpointRestart) + w.sent(simulator.EndpointExecute)
}

// untouched checks that nothing was changed.
func (w *world) untouched() {
	w.t.Helper()
	if n := w.changes(); n != 0 {
		w.t.Errorf("%d requests that change something were sent", n)
	}
}

// records returns what the audit log says of calls.
func (w *world) records() []audit.Record {
	w.t.Helper()
	var records []audit.Record
	for r, err := range audit.Records(w.log) {
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Event != audit.Opened {
			records = append(records, r)
		}
	}
	return records
}

// recorded checks the audit log's last record.
func (w *world) recorded(event audit.Event, consent string) {
	w.t.Helper()
	records := w.records()
	if len(records) == 0 {
		w.t.Errorf("there is no record, want %s with %q", event, consent)
		return
	}
	if last := records[len(records)-1]; last.Event != event || last.Consent != consent {
		w.t.Errorf("the last record is %s with consent %q, want %s with %q: %+v", last.Event, last.Consent, event, consent, last)
	}
}

// changed is the structured result of every tool that changes something.
type changed struct {
	State   string
	Targets []struct{ ID, Outcome string }
	Preview *struct {
		Token     string `json:"token"`
		ExpiresAt string `json:"expires_at"`
		Effect    string `json:"effect"`
	}
}

// outcome checks that a result is not an error and matches what was published, and returns it.
func (w *world) outcome(tool string, r toolResult) changed {
	w.t.Helper()
	if r.IsError {
		w.t.Fatalf("%s: an error: %+v", tool, r)
	}
	return w.structured(tool, r)
}

// structured checks that the data of a result, which may be an error, matches what was published, and returns it.
func (w *world) structured(tool string, r toolResult) changed {
	w.t.Helper()
	if r.Structured == nil {
		w.t.Fatalf("%s: not a result: %+v", tool, r)
	}
	listed := listTools(w.t, w.server)
	i := slices.IndexFunc(listed, func(l listedTool) bool { return l.Name == tool })
	if i < 0 {
		w.t.Fatalf("%s is not listed", tool)
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(listed[i].OutputSchema))
	if err != nil {
		w.t.Fatal(err)
	}
	compiler := validator.NewCompiler()
	if err := compiler.AddResource("output.json", document); err != nil {
		w.t.Fatal(err)
	}
	structured, err := validator.UnmarshalJSON(bytes.NewReader(r.Structured))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := compiler.MustCompile("output.json").Validate(structured); err != nil {
		w.t.Errorf("%s: %v", tool, err)
	}
	return decode[changed](w.t, r.Structured)
}

// preview checks that a result is a preview which says want, and returns its token.
func (w *world) preview(tool string, r toolResult, want string) (token string) {
	w.t.Helper()
	out := w.outcome(tool, r)
	text := r.Content[0].Text
	willBeAsked := strings.HasSuffix(text, "the user will be asked.") // then there is no token to repeat
	if out.State != "confirmation_required" || out.Preview == nil || (out.Preview.Token == "") != willBeAsked {
		w.t.Fatalf("not a preview: %s", r.Structured)
	}
	if _, err := time.Parse(time.RFC3339, out.Preview.ExpiresAt); err != nil && !willBeAsked {
		w.t.Error(err)
	}
	if !strings.Contains(text, want) || !strings.Contains(text, "Nothing has been changed") ||
		!strings.Contains(text, out.Preview.Token) || !strings.Contains(out.Preview.Effect, want) {
		w.t.Errorf("the preview does not say %q: %s", want, text)
	}
	return out.Preview.Token
}

// refused checks that a result is an error which says want, without data.
func refused(t testing.TB, r toolResult, want string) {
	t.Helper()
	if !r.IsError || r.Structured != nil || !strings.Contains(r.Content[0].Text, want) ||
		!strings.Contains(r.Content[0].Text, "Nothing was changed") {
		t.Errorf("not a refusal that says %q: %+v", want, r)
	}
}

// deletion are the arguments that delete one instance; further are more of them.
func deletion(id, further string) string {
	return fmt.Sprintf(`{"instance_ids":[%q]%s}`, id, further)
}

const confirmed = `,"confirm":true`

// with is the confirmation by a preview's token.
func with(token string) string { return fmt.Sprintf(`,"confirm":true,"preview_token":%q`, token) }

// declares is a handshake with these capabilities.
func declares(version, capabilities string) string {
	return strings.Replace(initialize(version), `"capabilities":{}`, `"capabilities":`+capabilities, 1)
}

const asks = `{"elicitation":{}}`

// modernCall is a tools/call of the era without handshake; further are more members of its params.
func modernCall(id, capabilities, tool, arguments, further string) string {
	if further != "" {
		further = "," + further
	}
	line := modern(id, "tools/call", fmt.Sprintf(`"name":%q,"arguments":%s%s`, tool, arguments, further))
	return strings.Replace(line, `/clientCapabilities":{}`, `/clientCapabilities":`+capabilities, 1)
}

// once serves lines on a connection of their own and returns the answer to the last request.
func (w *world) once(lines ...string) reply {
	w.t.Helper()
	replies := run(w.t, w.server, strings.Join(lines, ""))
	return replies[len(replies)-1]
}

// human answers forms as a test says.
type human func(context.Context, mcp.ElicitationParams) (*mcp.ElicitationResult, error)

func (h human) Elicit(ctx context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	return h(ctx, r.Params)
}

// answers is a human who always does the same.
func answers(action string, content any) human {
	return func(context.Context, mcp.ElicitationParams) (*mcp.ElicitationResult, error) {
		return &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{
			Action: mcp.ElicitationResponseAction(action), Content: content,
		}}, nil
	}
}

func typed(text string) map[string]any { return map[string]any{"confirmation": text} }

// mcpClient is mcp-go's client on a connection to a world.
type mcpClient struct {
	t      testing.TB
	client *client.Client
	hangUp func()
}

func (c *mcpClient) start(version string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.client.Start(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	var request mcp.InitializeRequest
	request.Params.ProtocolVersion = version
	request.Params.ClientInfo = mcp.Implementation{Name: "mcp-go", Version: "1.2.1"}
	result, err := c.client.Initialize(ctx, request)
	if err != nil || result.ProtocolVersion != version {
		c.t.Fatalf("%+v, %v", result, err)
	}
}

// call calls a tool; arguments are JSON.
func (c *mcpClient) call(tool, arguments string) (toolResult, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var request mcp.CallToolRequest
	request.Params.Name, request.Params.Arguments = tool, json.RawMessage(arguments)
	result, err := c.client.CallTool(ctx, request)
	if err != nil {
		return toolResult{}, err
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		c.t.Fatal(err)
	}
	return decode[toolResult](c.t, encoded), nil
}

// must is call for what has to have a result.
func (c *mcpClient) must(tool, arguments string) toolResult {
	c.t.Helper()
	result, err := c.call(tool, arguments)
	if err != nil {
		c.t.Fatal(err)
	}
	return result
}

func handles(h human) []client.ClientOption {
	if h == nil {
		return nil
	}
	return []client.ClientOption{client.WithElicitationHandler(h)}
}

// overStdio connects a client with a human, or with nil without, over pipes.
func overStdio(version string) func(*world, human) *mcpClient {
	return func(w *world, h human) *mcpClient {
		w.t.Helper()
		inReader, inWriter := io.Pipe()
		outReader, outWriter := io.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- w.server.ServeStdio(context.Background(), inReader, outWriter, DefaultGrace)
			_ = outWriter.Close()
		}()
		c := &mcpClient{t: w.t, client: client.NewClient(transport.NewIO(outReader, inWriter, io.NopCloser(bytes.NewReader(nil))), handles(h)...)}
		c.hangUp = func() {
			_ = c.client.Close()
			if err := receive(w.t, done); err != nil {
				w.t.Error(err)
			}
		}
		c.start(version)
		return c
	}
}

// serveHTTP serves a world over HTTP in this process.
func serveHTTP(w *world, changes ...func(*HTTPOptions)) (listener *httptest.Server, h *HTTP) {
	w.t.Helper()
	options := HTTPOptions{Key: []byte("of this test"), RequestsPerSecond: 10_000}
	for _, change := range changes {
		change(&options)
	}
	h = w.server.NewHTTP(options)
	listener = httptest.NewServer(h.Handler())
	w.t.Cleanup(func() {
		listener.CloseClientConnections()
		listener.Close()
	})
	return listener, h
}

// dial connects a client with a human, or with nil without, to a listener.
func dial(t testing.TB, listener *httptest.Server, version string, h human) *mcpClient {
	t.Helper()
	over, err := transport.NewStreamableHTTP(listener.URL+"/mcp", transport.WithHTTPBasicClient(listener.Client()),
		transport.WithHTTPLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	c := &mcpClient{t: t, client: client.NewClient(over, handles(h)...)}
	c.hangUp = func() { _ = c.client.Close() }
	c.start(version)
	return c
}

// overHTTP connects a client over Streamable HTTP.
func overHTTP(version string) func(*world, human) *mcpClient {
	return func(w *world, h human) *mcpClient {
		w.t.Helper()
		listener, _ := serveHTTP(w)
		return dial(w.t, listener, version, h)
	}
}

// route is a transport in an era.
type route struct {
	name    string
	connect func(*world, human) *mcpClient
	modern  bool
}

// routes are the ways on which a human can be asked.
func routes() []route {
	all := []route{
		{"stdio 2026-07-28", overStdio("2026-07-28"), true},
		{"HTTP 2026-07-28", overHTTP("2026-07-28"), true},
		{"HTTP 2025-11-25", overHTTP("2025-11-25"), false},
		{"HTTP 2025-06-18", overHTTP("2025-06-18"), false},
	}
	for _, version := range legacyVersions {
		all = append(all, route{"stdio " + version, overStdio(version), false})
	}
	return all
}

// stateless connects a client over a transport that loses session ids, as some gateways do.
func stateless(version string) func(*world, human) *mcpClient {
	return func(w *world, h human) *mcpClient {
		w.t.Helper()
		_, served := serveHTTP(w)
		listener := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
			in.Header.Del("Mcp-Session-Id")
			served.Handler().ServeHTTP(out, in)
		}))
		w.t.Cleanup(listener.Close)
		return dial(w.t, listener, version, h)
	}
}
