package otlp

import (
	"strconv"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// What follows is ExportTraceServiceRequest in the JSON of OTLP: names in lowerCamelCase, whole numbers of 64 bits as text,
// ids in hexadecimal, enumerations as numbers.
type (
	exportRequest struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	span struct {
		TraceID      string     `json:"traceId"`
		SpanID       string     `json:"spanId"`
		TraceState   string     `json:"traceState,omitempty"`
		ParentSpanID string     `json:"parentSpanId,omitempty"`
		Flags        uint32     `json:"flags"`
		Name         string     `json:"name"`
		Kind         int        `json:"kind"`
		Start        string     `json:"startTimeUnixNano"`
		End          string     `json:"endTimeUnixNano"`
		Attributes   []keyValue `json:"attributes,omitempty"`
		Status       status     `json:"status"`
	}
	status struct {
		Code int `json:"code,omitempty"`
	}
	keyValue struct {
		Key   string   `json:"key"`
		Value anyValue `json:"value"`
	}
	anyValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
		Bool   *bool   `json:"boolValue,omitempty"`
	}
)

const (
	statusFailed = 2 // STATUS_CODE_ERROR
	sampled      = 1 // of the flags of W3C Trace Context
	scopeName    = "github.com/scnet-mcp/scnet-mcp"
)

func (e *Exporter) encode(batch []*trace.Span) exportRequest {
	spans := make([]span, 0, len(batch))
	for _, s := range batch {
		one := span{
			TraceID: s.Trace, SpanID: s.ID, ParentSpanID: s.Parent, TraceState: s.State, Flags: sampled,
			Name: s.Name, Kind: int(s.Kind), Start: nanoseconds(s.Started), End: nanoseconds(s.Ended),
			Attributes: attributes(s.Attributes),
		}
		if s.Failure != "" {
			one.Status.Code = statusFailed
			one.Attributes = append(one.Attributes, attributes([]trace.Attribute{{Name: "error.type", Value: s.Failure}})...)
		}
		spans = append(spans, one)
	}
	return exportRequest{[]resourceSpans{{
		Resource:   resource{attributes(e.options.Resource)},
		ScopeSpans: []scopeSpans{{scope{scopeName, e.options.Version}, spans}},
	}}}
}

func nanoseconds(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 10) }

func attributes(all []trace.Attribute) []keyValue {
	encoded := make([]keyValue, 0, len(all))
	for _, a := range all {
		var value anyValue
		switch v := a.Value.(type) {
		case string:
			value.String = &v
		case int64:
			text := strconv.FormatInt(v, 10)
			value.Int = &text
		case bool:
			value.Bool = &v
		}
		encoded = append(encoded, keyValue{a.Name, value})
	}
	return encoded
}
