package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
)

func TestTraces(t *testing.T) {
	const own, common = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, c := range map[string]struct {
		env  map[string]string
		want string // address, header, resource, time limit
	}{
		"nothing":  {nil, "off"},
		"disabled": {map[string]string{common: "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, "off"},
		"none":     {map[string]string{common: "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, "off"},
		"common":   {map[string]string{common: "http://c:4318/x/"}, "http://c:4318/x/v1/traces map[] [{service.name scnet-mcp}] 10s"},
		"own":      {map[string]string{common: "http://c", own: "https://t/in"}, "https://t/in map[] [{service.name scnet-mcp}] 10s"},
		"everything": {map[string]string{
			common: "http://c:4318", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b, x = y", "OTEL_SERVICE_NAME": "mine",
			"OTEL_RESOURCE_ATTRIBUTES": "service.name=other,deployment.environment=%E6%B5%8B", "OTEL_EXPORTER_OTLP_TIMEOUT": "1500",
			"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_TRACES_EXPORTER": "otlp",
		}, "http://c:4318/v1/traces map[Api-Key:[a b] X:[y]] [{deployment.environment 测} {service.name mine}] 1.5s"},
		"protocol of traces": {map[string]string{
			common: "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
		}, "http://c:4318/v1/traces map[] [{service.name scnet-mcp}] 10s"},
	} {
		o, set, err := config.Traces(environment(c.env))
		got := "off"
		if set {
			got = fmt.Sprint(o.URL, " ", map[string][]string(o.Header), " ", o.Resource, " ", o.Timeout)
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestWrongTraces(t *testing.T) {
	const secret = "s3cret"
	for name, c := range map[string]struct{ variable, value, want string }{
		"grpc":       {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "only http/json"},
		"protobuf":   {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf", "only http/json"},
		"zipkin":     {"OTEL_TRACES_EXPORTER", "zipkin", "neither otlp nor none"},
		"no URL":     {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4318", "TRACES_ENDPOINT is not a URL"},
		"a user":     {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://u:" + secret + "@c", "neither a user name"},
		"no pair":    {"OTEL_EXPORTER_OTLP_HEADERS", secret, "OTEL_EXPORTER_OTLP_HEADERS: not a list"},
		"a line end": {"OTEL_EXPORTER_OTLP_HEADERS", "a=" + secret + "%0a", "cannot be sent"},
		"a name":     {"OTEL_EXPORTER_OTLP_HEADERS", "a b=" + secret, "cannot be sent"},
		"resource":   {"OTEL_RESOURCE_ATTRIBUTES", "a=%zz", "OTEL_RESOURCE_ATTRIBUTES: not a list"},
		"time":       {"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"},
	} {
		_, set, err := config.Traces(environment(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", c.variable: c.value}))
		if !set || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTraces(f *testing.F) {
	f.Add("http://c:4318", "a=b,c=%20", "service.name=x")
	f.Fuzz(func(t *testing.T, endpoint, header, resource string) {
		o, set, err := config.Traces(environment(map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_HEADERS": header, "OTEL_RESOURCE_ATTRIBUTES": resource,
		}))
		if err != nil || !set {
			return
		}
		if !strings.HasPrefix(o.URL, "http") || o.Timeout != 10*time.Second || len(o.Resource) == 0 {
			t.Errorf("%+v", o)
		}
		for _, values := range o.Header {
			for _, value := range values {
				if strings.ContainsAny(value, "\r\n") {
					t.Errorf("%q", value)
				}
			}
		}
	})
}
