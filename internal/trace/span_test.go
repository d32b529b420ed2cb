package trace_test

import (
	"context"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

type recorder struct{ spans []*trace.Span }

func (r *recorder) Record(s *trace.Span) { r.spans = append(r.spans, s) }

func TestParseState(t *testing.T) {
	for text, want := range map[string]bool{
		"congo=t61rcWkgMzE": true, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE": true, "a=1, b=2,,c=3": true, "fw529a3039@dt=FfGx": true,
		"": false, "congo": false, "=x": false, "a=": false, "A=1": false, "a=b=c": false, "a=ü": false, "a=1\r\nx: y": false,
		"a=" + strings.Repeat("x", 600): false, strings.Repeat("a=1,", 40): false,
	} {
		if got, ok := trace.ParseState(text); ok != want || ok && got != text {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
}

func TestSpans(t *testing.T) {
	r := &recorder{}
	ctx := trace.WithState(trace.With(trace.WithRecorder(t.Context(), r), valid), "a=1")
	within, call := trace.Start(ctx, trace.Server, "tools/call x")
	inner, request := trace.Start(within, trace.Client, "GET")
	request.Set("n", int64(1))
	request.End("503")
	call.End("")
	if len(r.spans) != 2 || r.spans[0] != request || request.Failure != "503" || request.Ended.Before(request.Started) {
		t.Fatalf("%+v", r.spans)
	}
	if call.Trace != "0af7651916cd43dd8448eb211c80319c" || call.Parent != "b7ad6b7169203331" || call.State != "a=1" {
		t.Errorf("%+v", call)
	}
	if request.Parent != call.ID || request.Trace != call.Trace || request.ID == call.ID || len(request.Attributes) != 1 {
		t.Errorf("%+v", request)
	}
	if got := trace.From(inner); got != trace.Parent("00-"+call.Trace+"-"+request.ID+"-01") {
		t.Errorf("what goes out is %q", got)
	}
}

func TestRootSpan(t *testing.T) {
	r := &recorder{}
	ctx, root := trace.Start(trace.WithRecorder(context.Background(), r), trace.Server, "x")
	root.End("")
	parent, ok := trace.Parse(string(trace.From(ctx)))
	if !ok || parent.ID() != root.Trace || len(root.ID) != 16 || root.Parent != "" {
		t.Errorf("%q %+v", parent, root)
	}
}

// Without a recorder, and in a trace that its caller does not record, nothing happens.
func TestNoSpans(t *testing.T) {
	r := &recorder{}
	for name, ctx := range map[string]context.Context{
		"no recorder": trace.With(t.Context(), valid),
		"not sampled": trace.With(trace.WithRecorder(t.Context(), r), trace.Parent(valid[:len(valid)-1]+"0")),
	} {
		within, span := trace.Start(ctx, trace.Server, "x")
		span.Set("a", "b")
		span.End("c")
		if span != nil || trace.From(within) != trace.From(ctx) || len(r.spans) > 0 {
			t.Errorf("%s: %+v", name, span)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	f.Fuzz(func(t *testing.T, text string) {
		state, ok := trace.ParseState(text)
		if ok && (len(state) > 512 || strings.ContainsAny(state, "\r\n\x00")) {
			t.Errorf("%q", text)
		}
	})
}
