// Package metrics counts what the server does, in the form that Prometheus reads. No label takes a value from outside a
// closed list: what callers send can neither make new series nor appear in the output.
package metrics

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
	"time"
)

// buckets are the upper bounds, in seconds, of every duration: from an answer out of memory to the minute after which
// clients give up.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60}

// conventional are those that the semantic conventions for MCP advise.
var conventional = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}

// Options are what New has to know beforehand. The lists are the values that labels take; the packages that mean the words
// keep them. Any other value counts as "other".
type Options struct {
	Version  string   // of the server
	Tools    []string // names of tools
	Endings  []string // how calls end
	Methods  []string // how consent is given or not
	Rules    []string // what calls and HTTP requests are refused by
	Services []string // the cloud services
	Routes   []string // of HTTP
	Streams  []string // kinds of event streams
	Requests []string // methods of MCP
	Failures []string // how requests of MCP fail
	Anchors  []string // what becomes of checkpoints of the audit log that are sent elsewhere
}

// Metrics are the numbers of one server. It is safe for concurrent use.
type Metrics struct {
	started  time.Time
	families []*family

	tools, endings, methods, rules, services, routes, kinds, outcomes, requests, failures closed

	toolCalls, toolTime, toolsRunning, consents, refusals *family
	upstreamCalls, upstreamTime                           *family
	httpRequests, httpTime, streams                       *family
	anchors, anchorsWaiting, operations, spans            *family
}

// New returns Metrics in which nothing has been counted.
func New(o Options) *Metrics {
	m := &Metrics{
		started: time.Now(),
		tools:   newClosed(o.Tools), endings: newClosed(o.Endings), methods: newClosed(o.Methods), rules: newClosed(o.Rules),
		services: newClosed(o.Services), routes: newClosed(o.Routes), kinds: newClosed(o.Streams),
		outcomes: newClosed(o.Anchors), requests: newClosed(o.Requests), failures: newClosed(o.Failures),
	}
	m.anchors = m.add(counter, "audit_anchors_total",
		"Checkpoints of the audit log that were sent elsewhere or lost, and requests that failed and are repeated.", "outcome")
	m.anchorsWaiting = m.add(gauge, "audit_anchors_waiting", "Checkpoints of the audit log that wait to be sent elsewhere.")
	build := m.add(gauge, "build_info", "Always 1; the label is the version of the server.", "version")
	build.add(1, o.Version)
	m.consents = m.add(counter, "consents_total",
		"Decisions on calls that change something, by how consent was given or not.", "method", "tool")
	m.httpTime = m.add(histogram, "http_request_duration_seconds", "Time from an HTTP request to its answer.", "route")
	m.httpRequests = m.add(counter, "http_requests_total", "HTTP requests that were answered, by class of status.",
		"route", "status")
	m.refusals = m.add(counter, "refusals_total", "Calls and HTTP requests that a rule refused.", "rule")
	m.spans = m.add(counter, "spans_total", "Spans that were sent to an OTLP receiver, or lost.", "outcome")
	m.streams = m.add(gauge, "streams_open", "Streams of events that are open to clients.", "kind")
	m.toolTime = m.add(histogram, "tool_call_duration_seconds", "Time from a tool call to its result.", "tool")
	m.toolsRunning = m.add(gauge, "tool_calls_running", "Tool calls under way.")
	m.toolsRunning.add(0)
	m.toolCalls = m.add(counter, "tool_calls_total", "Tool calls that ended, by what became of them.", "outcome", "tool")
	m.upstreamTime = m.add(histogram, "upstream_request_duration_seconds", "Time of one HTTP request to a cloud service.",
		"service")
	m.upstreamCalls = m.add(counter, "upstream_requests_total",
		"HTTP requests to the cloud services, retries included, by class of status; 'none' means no complete response.",
		"service", "status")
	m.operations = newFamily("mcp_server_operation_duration_seconds", histogram,
		"Time from a request of MCP to its answer, by the semantic conventions of OpenTelemetry.",
		"error_type", "gen_ai_tool_name", "mcp_method_name", "network_transport")
	m.operations.bounds = conventional
	m.families = append(m.families, m.operations)
	return m
}

func (m *Metrics) add(kind, suffix, help string, names ...string) *family {
	f := newFamily("scnet_mcp_"+suffix, kind, help, names...)
	if kind == histogram {
		f.bounds = buckets
	}
	m.families = append(m.families, f)
	return f
}

// Handler answers with all numbers as they are now, beside those of the Go runtime and the process.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var out exposition
		writeRuntime(&out)
		writeProcess(&out, m.started)
		for _, f := range m.families {
			f.write(&out)
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Add("Vary", "Accept-Encoding")
		if !acceptsGzip(r.Header) {
			_, _ = w.Write(out.text.Bytes())
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		_, _ = packed.Write(out.text.Bytes())
		_ = packed.Close()
	})
}

func acceptsGzip(header http.Header) bool {
	for _, value := range header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			name, weight, _ := strings.Cut(coding, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				return weight == "" || strings.ContainsAny(weight, "123456789")
			}
		}
	}
	return false
}

// ToolCall counts a call that ended, by its ending.
func (m *Metrics) ToolCall(tool, ending string, took time.Duration) {
	tool = m.tools.label(tool)
	m.toolCalls.add(1, m.endings.label(ending), tool)
	m.toolTime.observe(took, tool)
}

// Consent counts a decision on a call that changes something, by how consent was given or not. "" is not counted.
func (m *Metrics) Consent(tool, method string) {
	if method != "" {
		m.consents.add(1, m.methods.label(method), m.tools.label(tool))
	}
}

// Refusal counts what a rule refused. "" is not counted.
func (m *Metrics) Refusal(rule string) {
	if rule != "" {
		m.refusals.add(1, m.rules.label(rule))
	}
}

// Upstream counts one HTTP request to a service. status is the answer's, or 0 when the answer did not come completely.
func (m *Metrics) Upstream(service string, status int, took time.Duration) {
	service = m.services.label(service)
	m.upstreamCalls.add(1, service, class(status))
	m.upstreamTime.observe(took, service)
}

// HTTPRequest counts a request that was answered with status, 0 when the client left before. For a stream, took should end
// with its first byte: how long a client listens says nothing about the server.
func (m *Metrics) HTTPRequest(route string, status int, took time.Duration) {
	route = m.routes.label(route)
	m.httpRequests.add(1, route, class(status))
	m.httpTime.observe(took, route)
}

// Anchor counts what became of a checkpoint of the audit log, or of a request with one.
func (m *Metrics) Anchor(outcome string) { m.anchors.add(1, m.outcomes.label(outcome)) }

// AnchorsWaiting adds to the checkpoints that wait, or takes from them.
func (m *Metrics) AnchorsWaiting(more int) { m.anchorsWaiting.add(float64(more)) }

// Operation counts a request of MCP that was answered. tool is "" when it is no call of a tool that there is, failure "" when it
// did not fail.
func (m *Metrics) Operation(method, tool, failure, transport string, took time.Duration) {
	if tool != "" {
		tool = m.tools.label(tool)
	}
	if !m.requests[method] {
		method = unconventional
	}
	if failure != "" && !m.failures[failure] {
		failure = unconventional
	}
	if transport != "pipe" {
		transport = "tcp"
	}
	m.operations.observe(took, failure, tool, method, transport)
}

// Spans counts spans that were sent on or, if not ok, lost.
func (m *Metrics) Spans(n int, ok bool) {
	outcome := "lost"
	if ok {
		outcome = "sent"
	}
	m.spans.add(float64(n), outcome)
}

// StreamOpened counts a stream of events as open until closed is called; more calls of closed do nothing.
func (m *Metrics) StreamOpened(kind string) (closed func()) {
	return during(m.streams, m.kinds.label(kind))
}

// CallStarted counts a tool call as under way until ended is called; more calls of ended do nothing.
func (m *Metrics) CallStarted() (ended func()) { return during(m.toolsRunning) }

func during(gauge *family, values ...string) func() {
	gauge.add(1, values...)
	return sync.OnceFunc(func() { gauge.add(-1, values...) })
}
