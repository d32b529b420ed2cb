package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// watched notes what a server tells of.
type watched struct {
	mu         sync.Mutex
	operations []string
	spans      []*trace.Span
}

func (w *watched) answered(o Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.operations = append(w.operations, strings.Join([]string{o.Method, o.Tool, o.Failure, o.Transport}, " "))
}

func (w *watched) Record(s *trace.Span) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans = append(w.spans, s)
}

// watchedSite serves fakes over HTTP and notes what it tells of.
func watchedSite(t *testing.T, spans bool) (*site, *watched) {
	t.Helper()
	w, f := &watched{}, newFakes()
	o := Options{
		Name: "fake", Version: "1.2.3", Toolbox: toolbox.New(toolbox.Rules{}, f.tools()), Log: zerolog.Nop(), Answered: w.answered,
	}
	if spans {
		o.Spans = w
	}
	listener, h := serveHTTP(&world{t: t, server: New(o)})
	s := &site{t: t, fakes: f, http: h, url: listener.URL, client: listener.Client()}
	s.release = sync.OnceFunc(func() { close(f.release) })
	t.Cleanup(s.release)
	return s, w
}

func TestOperations(t *testing.T) {
	s, w := watchedSite(t, false)
	for _, line := range []string{
		call(`1`, "echo", `{"text":"x"}`), call(`2`, "fail", `{}`), call(`3`, "echo", `{"n":"x"}`), call(`4`, "no such tool", `{}`),
		`{"jsonrpc":"2.0","id":5,"method":"tools/list"}`, `{"jsonrpc":"2.0","id":6,"method":"made/up"}`,
	} {
		s.post(line)
	}
	want := []string{
		"tools/call echo  tcp", "tools/call fail tool_error tcp", "tools/call echo tool_error tcp", "tools/call  -32602 tcp",
		"tools/list   tcp", "made/up  -32601 tcp",
	}
	if !slices.Equal(w.operations, want) {
		t.Errorf("%q", w.operations)
	}
}

// A call has a span of its own below that of the caller, and each request to a service one below it. Nothing of the arguments
// is in them.
func TestSpans(t *testing.T) {
	const parent, id = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"
	s, w := watchedSite(t, true)
	s.post(withMeta(call(`1`, "fetch", `{"n":2,"text":"secret"}`), `"traceparent":"`+parent+`","tracestate":"a=1"`))
	s.post(call(`2`, "fail", `{}`))
	s.post(withMeta(call(`3`, "echo", `{}`), `"traceparent":"`+parent[:len(parent)-1]+`0"`)) // its caller does not record
	s.post(`{"jsonrpc":"2.0","id":4,"method":"tools/list"}`)
	if len(w.spans) != 4 {
		t.Fatalf("%d spans", len(w.spans))
	}
	call, failed := w.spans[2], w.spans[3]
	if call.Name != "tools/call fetch" || call.Trace != id || call.Parent != "b7ad6b7169203331" || call.State != "a=1" || call.Kind != trace.Server {
		t.Errorf("%+v", call)
	}
	for _, request := range w.spans[:2] {
		if request.Name != "GET" || request.Parent != call.ID || request.Trace != id || request.Kind != trace.Client || request.Failure != "" {
			t.Errorf("%+v", request)
		}
		if got := fmt.Sprint(request.Attributes); got != "[{http.request.method GET} {server.address service.test} {http.response.status_code 200}]" {
			t.Error(got)
		}
	}
	if failed.Failure != ToolError || failed.Parent != "" || failed.Trace == id {
		t.Errorf("%+v", failed)
	}
	if got := fmt.Sprint(call.Attributes); strings.Contains(got, "secret") || !strings.Contains(got, "{gen_ai.tool.name fetch}") ||
		!strings.Contains(got, "{network.transport tcp}") || !strings.Contains(got, "{gen_ai.operation.name execute_tool}") {
		t.Error(got)
	}
}
