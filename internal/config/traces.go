package config

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/otlp"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// The variables are those of OpenTelemetry's specification.
const (
	otlpEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	otlpTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	otlpTracesPath     = "/v1/traces"
	otlpTimeout        = 10 * time.Second
)

// Traces reads the OTEL_ variables. set reports whether spans are to be sent at all. The error names variables, never values,
// which may hold credentials.
func Traces(env Environment) (o otlp.Options, set bool, err error) {
	r := reader{env: env}
	address := r.text(otlpTracesEndpoint, otlpEndpoint)
	if address == "" || strings.EqualFold(r.text("OTEL_SDK_DISABLED"), "true") || r.text("OTEL_TRACES_EXPORTER") == "none" {
		return o, false, nil
	}
	if exporter := r.text("OTEL_TRACES_EXPORTER"); exporter != "" && exporter != "otlp" {
		return o, true, lang.Errorf("OTEL_TRACES_EXPORTER is neither otlp nor none")
	}
	protocol := r.text("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if protocol != "" && protocol != "http/json" {
		return o, true, lang.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: only http/json is spoken here; " +
			"set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL to it, and the endpoint to the port of the receiver for HTTP, often 4318")
	}
	if o.URL, err = tracesURL(r.text(otlpTracesEndpoint), r.text(otlpEndpoint)); err != nil {
		return o, true, err
	}
	if o.Header, err = tracesHeader(r.text("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")); err != nil {
		return o, true, lang.Errorf("OTEL_EXPORTER_OTLP_HEADERS: %w", err)
	}
	if o.Resource, err = resourceOf(r.text("OTEL_RESOURCE_ATTRIBUTES"), r.text("OTEL_SERVICE_NAME")); err != nil {
		return o, true, lang.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	o.Timeout = otlpTimeout
	if text := r.text("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"); text != "" {
		milliseconds, err := strconv.Atoi(text)
		if err != nil || milliseconds < 1 || milliseconds > 600_000 {
			return o, true, lang.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT is not a number of milliseconds from 1 to 600000")
		}
		o.Timeout = time.Duration(milliseconds) * time.Millisecond
	}
	return o, true, nil
}

// tracesURL returns where spans go: the endpoint of traces as it is, or a path below the one for everything.
func tracesURL(own, common string) (string, error) {
	name, address := otlpTracesEndpoint, own
	if own == "" {
		name, address = otlpEndpoint, common
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", lang.Errorf("%s is not a URL such as http://localhost:4318", name)
	}
	if u.User != nil || u.Fragment != "" {
		return "", lang.Errorf("%s must hold neither a user name nor a fragment; credentials go into OTEL_EXPORTER_OTLP_HEADERS", name)
	}
	if own == "" {
		u = u.JoinPath(otlpTracesPath)
	}
	return u.String(), nil
}

func tracesHeader(text string) (http.Header, error) {
	pairs, err := pairsOf(text)
	header := http.Header{}
	for _, pair := range pairs {
		if !upstream.IsHeaderValue(pair[1]) || strings.ContainsFunc(pair[0], isNoName) {
			return nil, lang.Errorf("a name or a value cannot be sent as a header")
		}
		header.Add(pair[0], pair[1])
	}
	return header, err
}

// isNoName reports whether r ends, or cannot be in, the name of a header.
func isNoName(r rune) bool { return r <= ' ' || r > '~' || r == ':' }

func resourceOf(text, service string) ([]trace.Attribute, error) {
	pairs, err := pairsOf(text)
	attributes := make([]trace.Attribute, 0, len(pairs)+1)
	for _, pair := range pairs {
		if pair[0] == "service.name" {
			if service == "" {
				service = pair[1]
			}
			continue
		}
		attributes = append(attributes, trace.Attribute{Name: pair[0], Value: pair[1]})
	}
	if service == "" {
		service = "scnet-mcp"
	}
	return append(attributes, trace.Attribute{Name: "service.name", Value: service}), err
}

// pairsOf reads name=value pairs with commas between them and percent signs in values, as W3C Baggage has them.
func pairsOf(text string) (pairs [][2]string, err error) {
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || name == "" || err != nil {
			return nil, lang.Errorf("not a list of name=value with commas between them and special characters as %%XX")
		}
		pairs = append(pairs, [2]string{name, value})
	}
	return pairs, nil
}
