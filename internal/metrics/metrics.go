// Package metrics counts what the server does, in the form that Prometheus reads. No label takes a value from outside a
// closed list: what callers send can neither make new series nor appear in the output.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// buckets are the upper bounds, in seconds, of every duration: from an answer out of memory to the minute after which
// clients give up.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60}

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
}

// Metrics are the numbers of one server. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	tools, endings, methods, rules, services, routes, kinds closed

	toolCalls     *prometheus.CounterVec
	toolTime      *prometheus.HistogramVec
	toolsRunning  prometheus.Gauge
	consents      *prometheus.CounterVec
	refusals      *prometheus.CounterVec
	upstreamCalls *prometheus.CounterVec
	upstreamTime  *prometheus.HistogramVec
	httpRequests  *prometheus.CounterVec
	httpTime      *prometheus.HistogramVec
	streams       *prometheus.GaugeVec
}

// New returns Metrics in a registry of their own, beside those of the Go runtime and the process.
func New(o Options) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{
		registry: r,
		tools:    newClosed(o.Tools), endings: newClosed(o.Endings), methods: newClosed(o.Methods), rules: newClosed(o.Rules),
		services: newClosed(o.Services), routes: newClosed(o.Routes), kinds: newClosed(o.Streams),
		toolCalls: counter(r, "tool_calls_total", "Tool calls that ended, by what became of them.", "tool", "outcome"),
		toolTime:  histogram(r, "tool_call_duration_seconds", "Time from a tool call to its result.", "tool"),
		consents: counter(r, "consents_total",
			"Decisions on calls that change something, by how consent was given or not.", "tool", "method"),
		refusals:     counter(r, "refusals_total", "Calls and HTTP requests that a rule refused.", "rule"),
		httpRequests: counter(r, "http_requests_total", "HTTP requests that were answered, by class of status.", "route", "status"),
		httpTime:     histogram(r, "http_request_duration_seconds", "Time from an HTTP request to its answer.", "route"),
		upstreamCalls: counter(r, "upstream_requests_total",
			"HTTP requests to the cloud services, retries included, by class of status; 'none' means no complete response.",
			"service", "status"),
		upstreamTime: histogram(r, "upstream_request_duration_seconds", "Time of one HTTP request to a cloud service.", "service"),
		toolsRunning: prometheus.NewGauge(prometheus.GaugeOpts{Name: name("tool_calls_running"), Help: "Tool calls under way."}),
		streams: prometheus.NewGaugeVec(
			prometheus.GaugeOpts{Name: name("streams_open"), Help: "Streams of events that are open to clients."}, []string{"kind"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: name("build_info"), Help: "Always 1; the label is the version of the server.",
		ConstLabels: prometheus.Labels{"version": o.Version},
	})
	build.Set(1)
	r.MustRegister(build, m.toolsRunning, m.streams,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func name(suffix string) string { return "scnet_mcp_" + suffix }

func counter(r *prometheus.Registry, suffix, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(suffix), Help: help}, labels)
	r.MustRegister(vec)
	return vec
}

func histogram(r *prometheus.Registry, suffix, help string, labels ...string) *prometheus.HistogramVec {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name(suffix), Help: help, Buckets: buckets}, labels)
	r.MustRegister(vec)
	return vec
}

// Handler answers with all numbers as they are now, as text unless the request prefers Prometheus' binary form.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// ToolCall counts a call that ended, by its ending.
func (m *Metrics) ToolCall(tool, ending string, took time.Duration) {
	tool = m.tools.label(tool)
	m.toolCalls.WithLabelValues(tool, m.endings.label(ending)).Inc()
	m.toolTime.WithLabelValues(tool).Observe(seconds(took))
}

// Consent counts a decision on a call that changes something, by how consent was given or not. "" is not counted.
func (m *Metrics) Consent(tool, method string) {
	if method != "" {
		m.consents.WithLabelValues(m.tools.label(tool), m.methods.label(method)).Inc()
	}
}

// Refusal counts what a rule refused. "" is not counted.
func (m *Metrics) Refusal(rule string) {
	if rule != "" {
		m.refusals.WithLabelValues(m.rules.label(rule)).Inc()
	}
}

// Upstream counts one HTTP request to a service. status is the answer's, or 0 when the answer did not come completely.
func (m *Metrics) Upstream(service string, status int, took time.Duration) {
	service = m.services.label(service)
	m.upstreamCalls.WithLabelValues(service, class(status)).Inc()
	m.upstreamTime.WithLabelValues(service).Observe(seconds(took))
}

// HTTPRequest counts a request that was answered with status, 0 when the client left before. For a stream, took should end
// with its first byte: how long a client listens says nothing about the server.
func (m *Metrics) HTTPRequest(route string, status int, took time.Duration) {
	route = m.routes.label(route)
	m.httpRequests.WithLabelValues(route, class(status)).Inc()
	m.httpTime.WithLabelValues(route).Observe(seconds(took))
}

// StreamOpened counts a stream of events as open until closed is called; more calls of closed do nothing.
func (m *Metrics) StreamOpened(kind string) (closed func()) {
	return during(m.streams.WithLabelValues(m.kinds.label(kind)))
}

// CallStarted counts a tool call as under way until ended is called; more calls of ended do nothing.
func (m *Metrics) CallStarted() (ended func()) { return during(m.toolsRunning) }

func during(gauge prometheus.Gauge) func() {
	gauge.Inc()
	return sync.OnceFunc(gauge.Dec)
}

// seconds is not below 0, as a clock that was set back would make it; a histogram's sum must not fall.
func seconds(took time.Duration) float64 { return max(took, 0).Seconds() }
