package server

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// newBare returns mcp-go's server with tools that do what the fakes of the same name do.
func newBare(f *fakes) *mcpserver.MCPServer {
	s := mcpserver.NewMCPServer("bare", "1", mcpserver.WithToolCapabilities(false),
		mcpserver.WithLogger(slog.New(slog.DiscardHandler)))
	s.AddTool(mcp.NewTool("wait"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		f.started <- ""
		select {
		case <-f.release:
			f.ended <- nil
		case <-ctx.Done():
			f.ended <- ctx.Err()
		}
		return mcp.NewToolResultText("waited"), nil
	})
	s.AddTool(mcp.NewTool("steps"), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for i := range manySteps {
			_ = s.SendNotificationToClient(ctx, "notifications/progress", map[string]any{
				"progressToken": r.Params.Meta.ProgressToken, "progress": i + 1, "total": manySteps,
			})
		}
		return mcp.NewToolResultText("stepped"), nil
	})
	return s
}

// bareTransports are mcp-go's, by the option that a defect needs.
var bareTransports = map[string]func(*mcpserver.MCPServer) http.Handler{
	"default": func(s *mcpserver.MCPServer) http.Handler {
		return mcpserver.NewStreamableHTTPServer(s, mcpserver.WithStreamableHTTPLogger(slog.New(slog.DiscardHandler)))
	},
	"stateless": func(s *mcpserver.MCPServer) http.Handler {
		return mcpserver.NewStreamableHTTPServer(s, mcpserver.WithStateLess(true),
			mcpserver.WithStreamableHTTPLogger(slog.New(slog.DiscardHandler)))
	},
	"SSE": func(s *mcpserver.MCPServer) http.Handler { return mcpserver.NewSSEServer(s) },
}

// newBareSite serves one of mcp-go's transports.
func newBareSite(t *testing.T, transport string) *site {
	t.Helper()
	f := newFakes()
	listener := httptest.NewServer(bareTransports[transport](newBare(f)))
	s := &site{t: t, fakes: f, url: listener.URL, client: listener.Client(), release: sync.OnceFunc(func() { close(f.release) })}
	t.Cleanup(func() {
		s.release()
		listener.CloseClientConnections()
		listener.Close()
	})
	return s
}

// manySteps come faster than they are written, and are more than what mcp-go keeps for a client.
const manySteps = 1000

// stepping is a call with many steps of progress.
func stepping(id string) string {
	return withMeta(call(id, "steps", fmt.Sprintf(`{"n":%d}`, manySteps)), `"progressToken":`+id)
}

// complete reports whether messages are the whole progress of a call in order and then its result.
func complete(all []reply, id string) bool {
	last := 0.0
	for i, r := range all {
		if i == len(all)-1 {
			return string(r.ID) == id && last >= manySteps
		}
		if r.Method != "notifications/progress" || r.Params.Progress <= last {
			return false
		}
		last = r.Params.Progress
	}
	return false
}

// streamPath returns where messages of a new HTTP+SSE client go, and its stream.
func (s *site) streamPath(ctx context.Context) (path string, stream *bufio.Reader, response *http.Response) {
	s.t.Helper()
	response, err := s.open(ctx, http.MethodGet, "/sse", "")
	if err != nil {
		s.t.Fatal(err)
	}
	stream = bufio.NewReader(response.Body)
	first, err := readEvent(stream)
	if err != nil {
		s.t.Fatal(err)
	}
	path = strings.TrimPrefix(first.data, s.url)
	return path, stream, response
}

// defects are why mcp-go's own transports are not used. A probe reports whether the defect is there.
var defects = []struct {
	name      string
	transport string
	probe     func(t *testing.T, s *site) bool
}{
	{"pages of every origin may call", "default", func(_ *testing.T, s *site) bool {
		hello, _, _ := strings.Cut(initialize("2025-11-25"), "\n")
		return s.post(hello, "Origin", "https://evil.example").status == http.StatusOK
	}},
	{"pages of every origin may read the stream", "SSE", func(_ *testing.T, s *site) bool {
		response, err := s.open(s.t.Context(), http.MethodGet, "/sse", "")
		if err != nil {
			s.t.Fatal(err)
		}
		defer response.Body.Close()
		return response.Header.Get("Access-Control-Allow-Origin") == "*"
	}},
	{"pages may send messages without preflight", "SSE", func(t *testing.T, s *site) bool {
		path, _, response := s.streamPath(t.Context())
		defer response.Body.Close()
		return s.do(http.MethodPost, path, ping("1"), "Content-Type", "text/plain", "Origin",
			"https://evil.example").status == http.StatusAccepted
	}},
	{"a forged session is good", "default", func(_ *testing.T, s *site) bool {
		return s.post(ping("1"), "Mcp-Session-Id", "mcp-session-67e55044-10b1-426f-9247-bb680e5fe0c8").status == http.StatusOK
	}},
	{"a session goes on after its end", "default", func(_ *testing.T, s *site) bool {
		session := s.shakeHands()
		s.do(http.MethodDelete, "/mcp", "", session...)
		return s.post(ping("1"), session...).status == http.StatusOK
	}},
	{"sessions are kept for ever", "default", func(_ *testing.T, s *site) bool {
		for range 50 {
			s.shakeHands()
		}
		before := heap()
		for range 500 {
			s.shakeHands()
		}
		return heap()-before > 500*4096
	}},
	{"a stranger cancels a call", "stateless", func(t *testing.T, s *site) bool {
		var flights []*flight
		for i := range 10 {
			flights = append(flights, s.launch(call(fmt.Sprint(i), "wait", `{}`)))
			receive(t, s.fakes.started)
		}
		for i := range flights {
			s.post(cancelled(fmt.Sprint(i)))
		}
		s.release()
		found := false
		for range flights {
			found = receive(t, s.fakes.ended) != nil || found
		}
		return found
	}},
	{"progress goes to whoever listens", "stateless", func(t *testing.T, s *site) bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		response, err := s.open(ctx, http.MethodGet, "/mcp", "", "Accept", "text/event-stream")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return false
		}
		leaked := make(chan bool, 1)
		go func() {
			e, err := readEvent(bufio.NewReader(response.Body))
			leaked <- err == nil && strings.Contains(e.data, "notifications/progress")
		}()
		for i := range 500 {
			s.post(stepping(fmt.Sprint(i)))
			select {
			case found := <-leaked:
				return found
			default:
			}
		}
		return false
	}},
	{"progress is lost", "default", func(t *testing.T, s *site) bool {
		session := s.shakeHands()
		for i := range 10 {
			if !complete(s.post(stepping(fmt.Sprint(i)), session...).messages(t), fmt.Sprint(i)) {
				return true
			}
		}
		return false
	}},
	{"progress comes after the result", "SSE", func(t *testing.T, s *site) bool {
		path, stream, response := s.streamPath(t.Context())
		defer response.Body.Close()
		for line := range strings.Lines(initialize("2024-11-05")) {
			s.do(http.MethodPost, path, line)
		}
		if _, err := readEvent(stream); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			s.do(http.MethodPost, path, stepping(fmt.Sprint(i)))
			var all []reply
			for len(all) == 0 || all[len(all)-1].Method != "" {
				e, err := readEvent(stream)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, parse(t, []byte(e.data)))
			}
			if !complete(all, fmt.Sprint(i)) {
				return true
			}
		}
		return false
	}},
	{"a message may be of any length", "default", func(_ *testing.T, s *site) bool {
		session := s.shakeHands()
		s.release()
		return s.post(padded(maxBody+1), session...).status == http.StatusOK
	}},
	{"calls outlive their client", "SSE", func(t *testing.T, s *site) bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		path, _, response := s.streamPath(ctx)
		for line := range strings.Lines(initialize("2024-11-05") + call("1", "wait", `{}`)) {
			s.do(http.MethodPost, path, line)
		}
		receive(t, s.fakes.started)
		cancel()
		_ = response.Body.Close()
		for s.do(http.MethodPost, path, ping("2")).status == http.StatusAccepted { // until the server knows
			continue
		}
		s.release()
		return receive(t, s.fakes.ended) == nil
	}},
	{"proxies may hold events back", "SSE", func(t *testing.T, s *site) bool {
		_, _, response := s.streamPath(t.Context())
		defer response.Body.Close()
		return response.Header.Get("X-Accel-Buffering") == ""
	}},
}

// mcp-go's transports have defects that ours replace. A test that fails for mcp-go says that a reason for them has gone.
func TestBareTransports(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			t.Run("mcp-go", func(t *testing.T) {
				if !d.probe(t, newBareSite(t, d.transport)) {
					t.Error("mcp-go has mended this: what replaces it may go")
				}
			})
			t.Run("ours", func(t *testing.T) {
				if d.probe(t, newSite(t, withSSE)) {
					t.Error("the defect is back")
				}
			})
		})
	}
}
