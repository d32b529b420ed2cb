package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

func TestMetrics(t *testing.T) {
	file, tokens := callersFile(t, entry{Name: "ci-of-team-7"})
	token := tokens["ci-of-team-7"]
	s := serveHere(t, nil, "--demo", "--transport=http", "--callers="+file, "--protect="+runningID)
	if status, _ := s.get("/metrics"); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	s.done(token, "list_instances", `{}`, runningID)
	s.refused(token, "list_instances", `{"limit":-7}`)
	s.refused(token, "delete_instances", `{"instance_ids":["`+runningID+`"]}`, "has protected")
	s.done(token, "delete_instances", `{"instance_ids":["`+completedID+`"]}`, "PREVIEW")
	s.done(token, "restart_instance", `{"instance_id":"`+completedID+`","confirm":true}`)
	s.done(token, "list_workspace_desktops", `{}`)
	status, text := s.request(http.MethodGet, "/metrics", token, "")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	contains(t, "metrics", text,
		`scnet_mcp_tool_calls_total{outcome="ok",tool="list_instances"} 1`+"\n",
		`scnet_mcp_tool_calls_total{outcome="invalid",tool="list_instances"} 1`+"\n",
		`scnet_mcp_tool_calls_total{outcome="refused",tool="delete_instances"} 1`+"\n",
		`scnet_mcp_tool_calls_total{outcome="preview",tool="delete_instances"} 1`+"\n",
		`scnet_mcp_tool_calls_total{outcome="ok",tool="restart_instance"} 1`+"\n",
		`scnet_mcp_tool_call_duration_seconds_count{tool="delete_instances"} 2`+"\n",
		`scnet_mcp_tool_calls_running 0`+"\n",
		`scnet_mcp_consents_total{method="none",tool="delete_instances"} 1`+"\n",
		`scnet_mcp_consents_total{method="flag",tool="restart_instance"} 1`+"\n",
		`scnet_mcp_refusals_total{rule="protect"} 1`+"\n",
		`scnet_mcp_refusals_total{rule="token"} 1`+"\n",
		`scnet_mcp_upstream_requests_total{service="scnet",status="2xx"} `,
		`scnet_mcp_upstream_requests_total{service="workspace",status="2xx"} `,
		`scnet_mcp_http_requests_total{route="/mcp",status="2xx"} 6`+"\n",
		`scnet_mcp_http_requests_total{route="/metrics",status="4xx"} 1`+"\n",
		`scnet_mcp_build_info{version=`,
		"go_goroutines ", "process_",
	)
	for what, hidden := range map[string]string{
		"an instance": runningID, "a name": "qwen-finetune", "a caller": "team-7", "a token": token, "an address": "127.0.0.1",
		"the access key": simulator.DemoAccount().AccessKey,
	} {
		if strings.Contains(text, hidden) {
			t.Errorf("%s is in the metrics", what)
		}
	}
	if strings.Contains(s.errs.String(), token) {
		t.Error("the token is in the log")
	}
}

// The access address of an instance reaches nobody but the caller who may see it: no log, no metrics, no audit record.
func TestAccessAddressStaysWithTheCaller(t *testing.T) {
	const token, ask = "sothisai_", `{"instance_id":"` + runningID + `","show_access":true}`
	record := filepath.Join(t.TempDir(), "audit.jsonl")
	file, tokens := callersFile(t, entry{Name: "shown", AllowAccessURLs: true}, entry{Name: "others"})
	s := serveHere(t, map[string]string{"SCNET_MCP_ALLOW_ACCESS_URLS": "1"}, "--demo", "--transport=http", "--callers="+file, "--audit-log="+record)
	s.done(tokens["shown"], "get_instance", ask, token, "anyone with this address can use the instance")
	s.done(tokens["others"], "get_instance", ask, "the policy of caller others does not allow access addresses to be shown", "SCNet console")
	s.done(tokens["shown"], "restart_instance", restart(completedID)) // which is recorded
	_, metrics := s.request(http.MethodGet, "/metrics", tokens["shown"], "")
	records, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"log": s.errs.String(), "metrics": metrics, "audit log": string(records)} {
		if text == "" || strings.Contains(text, token) {
			t.Errorf("%s: %q", what, text)
		}
	}
}

func TestAccessAddressesAreOffByDefault(t *testing.T) {
	_, out, errs := run(t, nil, "", "call", "--demo", "get_instance", "instance_id="+runningID, "show_access=true")
	if contains(t, "call", out, "the operator does not allow access addresses to be shown"); strings.Contains(out+errs, "sothisai_") {
		t.Errorf("%s %s", out, errs)
	}
	_, out, _ = run(t, nil, "", "call", "--demo", "--allow-access-urls", "get_instance", "instance_id="+runningID, "show_access=true")
	contains(t, "call", out, "sothisai_")
	_, out, _ = run(t, nil, "", "doctor", "--demo", "--allow-access-urls")
	contains(t, "doctor", out, "access address of an instance is shown")
}

func TestMetricsWithoutCallers(t *testing.T) {
	s := serveHere(t, nil, "--demo", "--transport=http")
	if status, text := s.get("/metrics"); status != http.StatusOK || !strings.Contains(text, "scnet_mcp_build_info") {
		t.Errorf("%d %s", status, text)
	}
}

func TestRunningCallsAreCounted(t *testing.T) {
	sim := simulate(t, simulator.Options{})
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, HangAfter: true})
	env := account(sim)
	env["SCNET_CLUSTER_ID"] = "11250"
	s := serveHere(t, env, "--transport=http")
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_instances","arguments":{}}}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/mcp", strings.NewReader(call))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := s.client.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	s.running(1)
	hangUp()
	<-ended
	s.running(0)
}

// running waits until the metrics show n calls under way.
func (s *served) running(n int) {
	s.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	want, late := fmt.Sprintf("\nscnet_mcp_tool_calls_running %d\n", n), time.After(patience)
	for {
		if _, text := s.get("/metrics"); strings.Contains(text, want) {
			return
		}
		select {
		case <-again.C:
		case <-late:
			s.t.Fatalf("there were never %d calls under way", n)
		}
	}
}

// tracing notes the trace of what is sent to SCNet.
type tracing struct {
	http.Transport
	mu     sync.Mutex
	traces map[string][]string // by the last part of the path
}

func (r *tracing) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	operation := request.Method + " " + request.URL.Path
	r.traces[operation] = append(r.traces[operation], request.Header.Get("Traceparent"))
	r.mu.Unlock()
	return r.Transport.RoundTrip(request)
}

func TestTraceIsCarried(t *testing.T) {
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct{ sent, want string }{
		"valid":         {parent, parent},
		"none":          {"", ""},
		"not valid":     {"00-" + id + "-0000000000000000-01", ""},
		"of no version": {"ff" + parent[2:], ""},
		"later version": {"01" + parent[2:] + "-more", parent},
	} {
		t.Run(name, func(t *testing.T) {
			sim, cfg, err := startSimulator("127.0.0.1:0", simulator.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sim.Close() }()
			wire := &tracing{traces: map[string][]string{}}
			defer wire.CloseIdleConnections()
			cfg.Transport = wire
			client, err := scnet.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			file := filepath.Join(t.TempDir(), "audit.jsonl")
			log, err := audit.Open(file, audit.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = log.Close() }()
			var lines lockedBuffer
			service := services{Rules: toolbox.Rules{Audit: log}, Instances: tools.Instances{SCNet: client}}
			web := newServer(service, newToolbox(service), false, zerolog.New(&lines).Level(zerolog.InfoLevel)).
				NewHTTP(server.HTTPOptions{Key: bytes.Repeat([]byte("k"), 32)})
			s := over(t, web.Handler())

			meta := `{}`
			if c.sent != "" {
				meta = `{"traceparent":"` + c.sent + `"}`
			}
			r := s.rpc("", "tools/call", `{"name":"restart_instance","arguments":`+restart(completedID)+`,"_meta":`+meta+`}`)
			if r.IsError {
				t.Fatal(r.text())
			}
			checkTrace(t, c.want, wire, file, lines.String())
		})
	}
}

// checkTrace looks for a trace, or none, wherever it has to be.
func checkTrace(t *testing.T, want string, wire *tracing, file, log string) {
	t.Helper()
	restarts := 0
	for operation, traces := range wire.traces {
		if strings.Contains(operation, "restart") {
			restarts += len(traces)
		}
		for _, got := range traces {
			if got != want {
				t.Errorf("%s was sent with the trace %q, want %q", operation, got, want)
			}
		}
	}
	if restarts != 1 {
		t.Errorf("%d restarts were sent: %v", restarts, wire.traces)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for line := range strings.Lines(string(content)) {
		var record audit.Record
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Event == audit.Opened {
			continue
		}
		if events++; record.Trace != want {
			t.Errorf("the trace of the audit record %s is %q, want %q", record.Event, record.Trace, want)
		}
	}
	if events != 2 {
		t.Errorf("%d audit records, want an intent and a result", events)
	}
	wanted, count := `"trace_id":"`, 0
	if want != "" {
		wanted, count = `"trace_id":"`+want[3:35]+`"`, 1
	}
	calls := 0
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"message":"tool call"`) {
			continue
		}
		if calls++; strings.Count(line, wanted) != count {
			t.Errorf("the log line is %s", line)
		}
	}
	if calls != 1 {
		t.Errorf("%d lines of calls in\n%s", calls, log)
	}
}

// Where the variables of OpenTelemetry say so, a server sends a span of each call, and of each request that it took.
func TestTracesAreSent(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, r.URL.Path+" "+r.Header.Get("Api-Key")+" "+string(body))
	}))
	t.Cleanup(web.Close)
	t.Cleanup(func() { // when the server has ended
		mu.Lock()
		defer mu.Unlock()
		contains(t, "spans", strings.Join(bodies, "\n"), "/v1/traces k3y {", `"name":"tools/call list_instances"`, `"name":"GET"`,
			`"traceId":"0af7651916cd43dd8448eb211c80319c"`, `"traceState":"a=1"`, `{"key":"service.name","value":{"stringValue":"mine"}}`)
		if text := strings.Join(bodies, ""); strings.Contains(text, "qwen") || strings.Contains(text, runningID) {
			t.Errorf("what a call is about is in a span: %s", text)
		}
	})
	s := serveHere(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": web.URL, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=k3y", "OTEL_SERVICE_NAME": "mine",
	}, "--demo", "--transport=http")
	const meta = `{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=1"}`
	r := s.rpc("", "tools/call", `{"name":"list_instances","arguments":{"name":"qwen"},"_meta":`+meta+`}`)
	if r.IsError {
		t.Fatal(r.text())
	}
	_, text := s.get("/metrics")
	contains(t, "metrics", text, `mcp_server_operation_duration_seconds_count{gen_ai_tool_name="list_instances",mcp_method_name="tools/call",network_transport="tcp"} 1`)
}

// Variables that are wrong, or meant for another exporter, stop no server.
func TestWrongTracesAreToldOf(t *testing.T) {
	s := serveHere(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		"--demo", "--transport=http")
	s.said(1, "no traces are sent")
	if status, _ := s.get("/healthz"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}
