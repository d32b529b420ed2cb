package metrics_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/scnet-mcp/scnet-mcp/internal/metrics"
)

var options = metrics.Options{
	Version: "v1.2.3", Tools: []string{"list_instances", "delete_instances"}, Endings: []string{"ok", "preview"},
	Methods: []string{"elicited", "flag"}, Rules: []string{"host", "origin", "read-only"},
	Services: []string{"scnet", "workspace"}, Routes: []string{"/mcp"}, Streams: []string{"listen", "sse"},
	Anchors: []string{"sent", "lost"}, Requests: []string{"tools/call", "tools/list"}, Failures: []string{"tool_error", "-32602"},
}

// scrape returns the text that Prometheus would get.
func scrape(t testing.TB, m *metrics.Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	kind := recorder.Header().Get("Content-Type")
	if recorder.Code != http.StatusOK || !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Fatalf("status %d, content type %q", recorder.Code, kind)
	}
	return recorder.Body.String()
}

// parse reads a scrape with Prometheus' own parser.
func parse(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// lines returns the samples that the package makes, without buckets and sums.
func lines(t testing.TB, m *metrics.Metrics) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(scrape(t, m)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "scnet_mcp_") && !strings.Contains(line, "_bucket{") && !strings.Contains(line, "_sum{") {
			out = append(out, strings.TrimPrefix(line, "scnet_mcp_"))
		}
	}
	return out
}

func TestWhatIsCounted(t *testing.T) {
	const took = time.Second
	for name, c := range map[string]struct {
		do   func(*metrics.Metrics)
		want []string // beside those of new Metrics
	}{
		"nothing": {do: func(*metrics.Metrics) {}},
		"tool call": {func(m *metrics.Metrics) { m.ToolCall("delete_instances", "preview", took) }, []string{
			`tool_call_duration_seconds_count{tool="delete_instances"} 1`,
			`tool_calls_total{outcome="preview",tool="delete_instances"} 1`}},
		"unknown tool": {func(m *metrics.Metrics) { m.ToolCall("rm -rf", "great", took) }, []string{
			`tool_call_duration_seconds_count{tool="other"} 1`, `tool_calls_total{outcome="other",tool="other"} 1`}},
		"consent": {func(m *metrics.Metrics) { m.Consent("delete_instances", "elicited"); m.Consent("x", "y") }, []string{
			`consents_total{method="elicited",tool="delete_instances"} 1`, `consents_total{method="other",tool="other"} 1`}},
		"no consent": {do: func(m *metrics.Metrics) { m.Consent("delete_instances", "") }},
		"refusals": {func(m *metrics.Metrics) {
			for _, rule := range []string{"", "read-only", "origin", "origin", "mine"} {
				m.Refusal(rule)
			}
		}, []string{`refusals_total{rule="origin"} 2`, `refusals_total{rule="other"} 1`, `refusals_total{rule="read-only"} 1`}},
		"upstream": {func(m *metrics.Metrics) {
			for _, status := range []int{200, 204, 307, 429, 503, 0, 100, 600, -1} {
				m.Upstream("scnet", status, took)
			}
			m.Upstream("elsewhere", 200, took)
		}, []string{
			`upstream_request_duration_seconds_count{service="other"} 1`, `upstream_request_duration_seconds_count{service="scnet"} 9`,
			`upstream_requests_total{service="other",status="2xx"} 1`, `upstream_requests_total{service="scnet",status="2xx"} 2`,
			`upstream_requests_total{service="scnet",status="3xx"} 1`, `upstream_requests_total{service="scnet",status="4xx"} 1`,
			`upstream_requests_total{service="scnet",status="5xx"} 1`, `upstream_requests_total{service="scnet",status="none"} 1`,
			`upstream_requests_total{service="scnet",status="other"} 3`}},
		"HTTP": {func(m *metrics.Metrics) { m.HTTPRequest("/mcp", 200, took); m.HTTPRequest("/.env", 404, took) }, []string{
			`http_request_duration_seconds_count{route="/mcp"} 1`, `http_request_duration_seconds_count{route="other"} 1`,
			`http_requests_total{route="/mcp",status="2xx"} 1`, `http_requests_total{route="other",status="4xx"} 1`}},
		"streams": {func(m *metrics.Metrics) {
			m.StreamOpened("listen")
			closed := m.StreamOpened("listen")
			closed()
			closed()
			m.StreamOpened("river")
		}, []string{`streams_open{kind="listen"} 1`, `streams_open{kind="other"} 1`}},
		"anchors": {func(m *metrics.Metrics) {
			m.Anchor("sent")
			m.Anchor("eaten")
			m.AnchorsWaiting(2)
			m.AnchorsWaiting(-1)
		}, []string{
			`audit_anchors_total{outcome="sent"} 1`, `audit_anchors_total{outcome="other"} 1`, "audit_anchors_waiting 1"}},
		"spans": {func(m *metrics.Metrics) { m.Spans(3, true); m.Spans(2, false) }, []string{
			`spans_total{outcome="sent"} 3`, `spans_total{outcome="lost"} 2`}},
	} {
		t.Run(name, func(t *testing.T) {
			m := metrics.New(options)
			c.do(m)
			want := append([]string{`build_info{version="v1.2.3"} 1`, "tool_calls_running 0"}, c.want...)
			slices.Sort(want)
			if got := slices.Sorted(slices.Values(lines(t, m))); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// The names, labels and bounds are those of the semantic conventions for MCP.
func TestOperations(t *testing.T) {
	m := metrics.New(options)
	m.Operation("tools/call", "delete_instances", "tool_error", "tcp", 15*time.Millisecond)
	m.Operation("tools/call", "delete_instances", "", "pipe", time.Hour)
	m.Operation("tools/list", "", "", "tcp", time.Second)
	m.Operation("rm -rf", "x", "-1", "carrier pigeon", time.Second)
	f := parse(t, scrape(t, m))["mcp_server_operation_duration_seconds"]
	got := map[string]int{}
	for _, series := range f.GetMetric() {
		var labels []string
		for _, label := range series.GetLabel() {
			labels = append(labels, label.GetName()+"="+label.GetValue())
		}
		got[strings.Join(labels, " ")]++
		var bounds []float64
		for _, bucket := range series.GetHistogram().GetBucket() {
			bounds = append(bounds, bucket.GetUpperBound())
		}
		want := []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, math.Inf(1)}
		if !slices.Equal(bounds, want) || series.GetHistogram().GetSampleCount() != 1 {
			t.Errorf("%v: bounds %v", labels, bounds)
		}
	}
	if want := map[string]int{
		"error_type=tool_error gen_ai_tool_name=delete_instances mcp_method_name=tools/call network_transport=tcp": 1,
		"gen_ai_tool_name=delete_instances mcp_method_name=tools/call network_transport=pipe":                      1,
		"mcp_method_name=tools/list network_transport=tcp":                                                         1,
		"error_type=_OTHER gen_ai_tool_name=other mcp_method_name=_OTHER network_transport=tcp":                    1,
	}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestRunningCalls(t *testing.T) {
	m := metrics.New(options)
	first, second := m.CallStarted(), m.CallStarted()
	running := func() float64 {
		return parse(t, scrape(t, m))["scnet_mcp_tool_calls_running"].GetMetric()[0].GetGauge().GetValue()
	}
	if running() != 2 {
		t.Errorf("%v running, want 2", running())
	}
	second()
	second()
	if running() != 1 {
		t.Errorf("%v running, want 1", running())
	}
	first()
	if running() != 0 {
		t.Errorf("%v running, want 0", running())
	}
}

func TestDurations(t *testing.T) {
	m := metrics.New(options)
	for _, took := range []time.Duration{-time.Hour, 5 * time.Millisecond, 6 * time.Millisecond, time.Minute, time.Hour} {
		m.ToolCall("list_instances", "ok", took)
	}
	h := parse(t, scrape(t, m))["scnet_mcp_tool_call_duration_seconds"].GetMetric()[0].GetHistogram()
	first, last := h.GetBucket()[0], h.GetBucket()[len(h.GetBucket())-2] // the very last is +Inf
	if first.GetUpperBound() != 0.005 || first.GetCumulativeCount() != 2 {
		t.Errorf("first bucket %v", first)
	}
	if last.GetUpperBound() != 60 || last.GetCumulativeCount() != 4 || h.GetSampleCount() != 5 {
		t.Errorf("last bucket %v of %d", last, h.GetSampleCount())
	}
	if sum := h.GetSampleSum(); sum != 3660.011 {
		t.Errorf("sum %v", sum)
	}
}

// used returns Metrics of which every number has been used.
func used() *metrics.Metrics {
	m := metrics.New(options)
	m.ToolCall("list_instances", "ok", time.Second)
	m.Consent("delete_instances", "flag")
	m.Refusal("host")
	m.Upstream("workspace", 200, time.Second)
	m.HTTPRequest("/mcp", 200, time.Second)
	m.StreamOpened("sse")
	m.CallStarted()
	m.Anchor("sent")
	m.AnchorsWaiting(1)
	m.Spans(1, true)
	m.Operation("tools/call", "list_instances", "", "tcp", time.Second)
	return m
}

func TestScrapeIsValid(t *testing.T) {
	text := scrape(t, used())
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families := parse(t, text)
	for _, name := range []string{
		"build_info", "consents_total", "http_request_duration_seconds", "http_requests_total", "refusals_total", "streams_open",
		"tool_call_duration_seconds", "tool_calls_running", "tool_calls_total", "upstream_request_duration_seconds",
		"upstream_requests_total", "audit_anchors_total", "audit_anchors_waiting", "spans_total",
	} {
		if f := families["scnet_mcp_"+name]; f.GetHelp() == "" || len(f.GetMetric()) != 1 {
			t.Errorf("%s: %v", name, f)
		}
	}
	if f := families["mcp_server_operation_duration_seconds"]; f.GetHelp() == "" || len(f.GetMetric()) != 1 {
		t.Errorf("%v", f)
	}
	if families["go_goroutines"] == nil {
		t.Errorf("the Go runtime is missing from %v", slices.Sorted(maps.Keys(families)))
	}
}

// flood calls every method n times with label values that no list holds.
func flood(m *metrics.Metrics, n int, value func() string) {
	for range n {
		status := rand.IntN(2_000_000) - 1_000_000
		m.ToolCall(value(), value(), time.Duration(rand.Int64()))
		m.Consent(value(), value())
		m.Refusal(value())
		m.Upstream(value(), status, time.Second)
		m.HTTPRequest(value(), status, time.Second)
		m.StreamOpened(value())
		m.CallStarted()
		m.Anchor(value())
		m.Operation(value(), value(), value(), value(), time.Second)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	const mark = "zq9" // in no name of a metric
	m := used()
	for status := -1; status <= 1000; status++ {
		m.Upstream("scnet", status, time.Second)
		m.HTTPRequest("/mcp", status, time.Second)
	}
	before := len(lines(t, m))
	if before > 50 {
		t.Errorf("%d samples before the flood", before)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			flood(m, 2500, func() string { return fmt.Sprintf("%s\"\n{%d}\xff", mark, rand.Uint64()) })
		})
	}
	group.Wait()
	text := scrape(t, m)
	if strings.Contains(text, mark) {
		t.Error("a value from outside is in the output")
	}
	parse(t, text)
	if grown := len(lines(t, m)) - before; grown > 20 {
		t.Errorf("%d samples more after the flood", grown)
	}
}

// Two servers in one process, as in tests, must not share numbers.
func TestNumbersAreItsOwn(t *testing.T) {
	used()
	if got := lines(t, metrics.New(options)); len(got) != 2 {
		t.Errorf("new Metrics hold %q", got)
	}
}

// Dashboards know the runtime and the process by the names that Prometheus' own client gives them.
func TestNamesOfPrometheusClient(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as a server over HTTP does
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	if runtime.GOOS == "linux" { // elsewhere, ours tells only when the process started
		registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	gather := func() map[string]*dto.MetricFamily {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]*dto.MetricFamily{}
		for _, family := range families {
			named[family.GetName()] = family
		}
		return named
	}
	// A process changes while it is measured: it opens its poller with the first file. Ours stands between two of theirs.
	before := gather()
	ours := parse(t, scrape(t, metrics.New(options)))
	after := gather()
	for name, theirs := range before {
		if found := ours[name]; found.GetType() != theirs.GetType() || len(found.GetMetric()) != len(theirs.GetMetric()) {
			t.Errorf("%s is %v, want %v", name, found, theirs)
		}
	}
	for _, name := range []string{"process_start_time_seconds", "process_resident_memory_bytes", "process_max_fds",
		"process_open_fds", "process_virtual_memory_bytes", "process_virtual_memory_max_bytes", "go_gc_gogc_percent",
		"go_gc_gomemlimit_bytes", "go_sched_gomaxprocs_threads"} {
		if before[name] == nil {
			continue // not on this system
		}
		value := func(families map[string]*dto.MetricFamily) float64 {
			return families[name].GetMetric()[0].GetGauge().GetValue()
		}
		got, low, high := value(ours), min(value(before), value(after)), max(value(before), value(after))
		if name == "process_open_fds" { // on older kernels, theirs counts the descriptor that reads the list
			low--
		}
		if got < low*0.9 || got > high*1.1 {
			t.Errorf("%s is %v, want about %v to %v", name, got, low, high)
		}
	}
}

func TestCompressed(t *testing.T) {
	for accepted, want := range map[string]string{
		"": "", "gzip": "gzip", "deflate, GZIP;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0.00, br": "", "br": "",
	} {
		recorder, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept-Encoding", accepted)
		used().Handler().ServeHTTP(recorder, request)
		if got := recorder.Header().Get("Content-Encoding"); got != want {
			t.Errorf("%q is answered with %q", accepted, got)
			continue
		}
		var body io.Reader = recorder.Body
		if want == "gzip" {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil || parse(t, string(text))["scnet_mcp_build_info"] == nil {
			t.Errorf("%q: %v in %.100s", accepted, err, text)
		}
	}
}

func TestLabelsAreEscaped(t *testing.T) {
	const version = "v1 \"\\x\n# HELP"
	o := options
	o.Version = version
	info := parse(t, scrape(t, metrics.New(o)))["scnet_mcp_build_info"].GetMetric()
	if len(info) != 1 || info[0].GetLabel()[0].GetValue() != version {
		t.Errorf("got %v", info)
	}
}

func BenchmarkToolCall(b *testing.B) {
	m := metrics.New(options)
	for b.Loop() {
		m.ToolCall("list_instances", "ok", time.Millisecond)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := used()
	for b.Loop() {
		recorder := httptest.NewRecorder()
		m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		_, _ = io.Copy(io.Discard, recorder.Body)
	}
}
