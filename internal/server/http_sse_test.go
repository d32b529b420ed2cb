package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// The older transport answers on its stream, /mcp works beside it.
func TestSSE(t *testing.T) {
	s := newSite(t, withSSE)
	c := s.openSSE()
	hello, told, _ := strings.Cut(initialize("2024-11-05"), "\n")
	c.send(hello)
	if r := c.next(); !strings.Contains(r.line, `"protocolVersion":"2024-11-05"`) || string(r.ID) != `"init"` {
		t.Error(r.line)
	}
	c.send(told)
	c.send(call("9007199254740993", "echo", `{"text":"a"}`))
	if r := c.next(); string(r.ID) != "9007199254740993" || r.tool(t).IsError {
		t.Error(r.line)
	}
	c.send(call(`"p"`, "panic", `{}`))
	if r := c.next(); !r.tool(t).IsError || strings.Contains(r.line, panicText) {
		t.Error(r.line)
	}
	for body, code := range map[string]int{"": -32700, "{": -32700, "[]": -32600,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`: -32600} {
		if a := s.do(http.MethodPost, c.path, body); a.status != http.StatusBadRequest || a.message(t).code() != code {
			t.Errorf("%q: %d %s", body, a.status, a.body)
		}
	}
	if a := s.post(ping("1")); a.status != http.StatusOK {
		t.Errorf("/mcp: %d", a.status)
	}
	c.hangUp()
}

// Who knows an id, and is not its caller, has nothing of it.
func TestSSESessionsOfOthers(t *testing.T) {
	s := newSite(t, withSSE, callersOnly)
	c := s.openSSE(bearer(annsToken)...)
	for name, m := range map[string]struct {
		path    string
		headers []string
		want    int
	}{
		"another caller": {c.path, bearer(bobsToken), 404}, "nobody": {c.path, nil, 401}, "wrong id": {"/message?sessionId=x",
			bearer(annsToken), 404},
		"no id": {"/message", bearer(annsToken), 404}, "longer id": {c.path + "x", bearer(annsToken), 404},
		"a form": {c.path, append(bearer(annsToken), "Content-Type", "application/x-www-form-urlencoded"), 415},
		"a text": {c.path, append(bearer(annsToken), "Content-Type", "text/plain"), 415},
		"a page": {c.path, append(bearer(annsToken), "Origin", "https://evil.example"), 403},
	} {
		if a := s.do(http.MethodPost, m.path, call("1", "wait", `{}`), m.headers...); a.status != m.want || len(s.fakes.started) != 0 {
			t.Errorf("%s: %d, %d calls", name, a.status, len(s.fakes.started))
		}
	}
	if other := s.openSSE(bearer(annsToken)...); other.path == c.path {
		t.Error("two streams have the same id")
	}
	c.hangUp()
	s.release()
}

// On the stream, too, progress is whole, in order and before the result.
func TestSSEProgress(t *testing.T) {
	s := newSite(t, withSSE)
	c := s.openSSE()
	var posts sync.WaitGroup
	turns := make(chan struct{}, 16)
	for i := range 200 {
		posts.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			c.send(withMeta(call(fmt.Sprint(i), "steps", `{"n":20}`), fmt.Sprintf(`"progressToken":%d`, i)))
		})
	}
	of, finished := map[string][]reply{}, 0
	for finished < 200 {
		r := c.next()
		key := string(r.ID)
		if r.Method == "notifications/progress" {
			key = fmt.Sprint(r.Params.ProgressToken)
		} else {
			finished++
		}
		of[key] = append(of[key], r)
	}
	posts.Wait()
	c.send(ping(`"last"`))
	if r := c.next(); string(r.ID) != `"last"` {
		t.Errorf("after all results: %s", r.line)
	}
	for i := range 200 {
		rises(t, of[fmt.Sprint(i)], fmt.Sprint(i), 20)
	}
}

// A human is asked on the stream, and answers with a message.
func TestSSEElicitation(t *testing.T) {
	for answer, acts := range map[string]bool{yes: true, `{"action":"decline"}`: false, `{"action":"accept","content":{}}`: false} {
		w := newWorld(t, guard.Policy{})
		listener, h := serveHTTP(w, withSSE, callersOnly)
		s := &site{t: t, http: h, url: listener.URL, client: listener.Client()}
		c, stranger := s.openSSE(bearer(annsToken)...), s.openSSE(bearer(annsToken)...)
		for _, client := range []*sseClient{c, stranger} {
			for line := range strings.Lines(declares("2024-11-05", asks)) {
				client.send(line)
			}
			client.next()
		}
		c.send(call("1", "delete_instances", deletion(running, confirmed)))
		asked := c.next()
		if asked.Method != "elicitation/create" {
			t.Fatal(asked.line)
		}
		stranger.send(answered(string(asked.ID), yes))
		if a := s.do(http.MethodPost, c.path, answered(string(asked.ID), yes), bearer(bobsToken)...); a.status != http.StatusNotFound {
			t.Error(a.status)
		}
		w.untouched()
		c.send(answered(string(asked.ID), answer))
		if r := c.next().tool(t); acts {
			w.outcome("delete_instances", r)
			w.recorded(audit.Result, "elicited")
		} else {
			refused(t, r, "Do not repeat")
			w.untouched()
		}
		c.hangUp()
		stranger.hangUp()
	}
}

func TestSSECancel(t *testing.T) {
	s := newSite(t, withSSE)
	c, other := s.openSSE(), s.openSSE()
	c.send(call("7", "wait", `{}`))
	receive(t, s.fakes.started)
	other.send(cancelled("7"))
	other.send(ping("1"))
	other.next()
	if len(s.fakes.ended) != 0 {
		t.Error("another stream cancelled it")
	}
	c.send(cancelled("7"))
	if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.send(ping("8"))
	if r := c.next(); string(r.ID) != "8" {
		t.Errorf("a cancelled call was answered: %s", r.line)
	}
	c.send(call("9", "wait", `{}`))
	receive(t, s.fakes.started)
	c.hangUp()
	if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the client is gone, and the call ended with %v", err)
	}
}

// A stream that is closing takes no message, rather than to lose it.
func TestSSEMessageToClosingStream(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site, _ *pipes, _ func() error) {
		c := s.openSSE()
		c.send(call("1", "stubborn", `{}`))
		receive(t, s.fakes.started)
		c.hangUp()
		synctest.Wait() // the server knows, and waits for the call
		if a := s.do(http.MethodPost, c.path, ping("2")); a.status != http.StatusNotFound {
			t.Errorf("%d", a.status)
		}
	}, withSSE)
}

// A silent stream shows proxies that it lives, and stays open.
func TestSSEKeepAlive(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site, _ *pipes, _ func() error) {
		c := s.openSSE()
		begun := time.Now()
		for i := range 20 {
			e := <-c.events
			if e.data != ": keep-alive" || e.name != "" || time.Since(begun) != time.Duration(i+1)*keepAlive {
				t.Fatalf("after %s: %+v", time.Since(begun), e)
			}
		}
		c.send(ping("1"))
		c.next()
		c.hangUp()
	}, withSSE)
}

// Streams may take half of the connections.
func TestSSETooManyStreams(t *testing.T) {
	var open atomic.Int64
	s := newSite(t, withSSE, func(o *HTTPOptions) {
		o.MaxConnections = 6
		o.Watch.StreamOpened = func(string) func() {
			open.Add(1)
			return func() { open.Add(-1) }
		}
	})
	clients := []*sseClient{s.openSSE(), s.openSSE(), s.openSSE()}
	listen := func() httpAnswer {
		return s.post(modern("1", "subscriptions/listen", `"notifications":{}`), newEraHeaders("subscriptions/listen", "")...)
	}
	if a := s.do(http.MethodGet, "/sse", ""); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" ||
		open.Load() != 3 {
		t.Errorf("%d %v, %d open", a.status, a.header, open.Load())
	}
	if a := listen(); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := s.post(ping("1")); a.status != http.StatusOK {
		t.Errorf("a call: %d", a.status)
	}
	for _, c := range clients {
		c.hangUp()
	}
	for deadline := time.Now().Add(patience); open.Load() != 0 && time.Now().Before(deadline); {
		s.post(ping("1"))
	}
	s.openSSE().hangUp()
}

// Recheck closes the streams of those who would not be let in any more.
func TestRecheck(t *testing.T) {
	var gone atomic.Value
	gone.Store("")
	s := newSite(t, withSSE, callersOnly, func(o *HTTPOptions) {
		o.StillValid = func(c Caller) bool { return c.Name != gone.Load() && c.Entry == c.Name }
	})
	anns, bobs := s.openSSE(bearer(annsToken)...), s.openSSE(bearer(bobsToken)...)
	anns.send(call("1", "wait", `{}`))
	receive(t, s.fakes.started)
	s.http.Recheck()
	bobs.send(ping("1"))
	bobs.next()
	anns.send(ping("2"))
	anns.next()
	gone.Store("ann")
	s.http.Recheck()
	if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for e := range anns.events { // the call may still have said that it was cancelled
		if strings.Contains(e.data, `"result"`) && !strings.Contains(e.data, `"isError":true`) {
			t.Errorf("%+v", e)
		}
	}
	bobs.send(ping("2"))
	bobs.next()
	bobs.hangUp()
}

// What a caller may do is what his token allows at the time of the call, not what it did when the stream was opened.
func TestSSEFollowsPolicy(t *testing.T) {
	box := func(text string) *toolbox.Toolbox {
		return toolbox.New(toolbox.Rules{}, []toolbox.Tool{
			declareFake("which", guard.Read, func(context.Context, textInput) (textOutput, error) { return textOutput{Echo: text}, nil }),
		})
	}
	var current atomic.Pointer[toolbox.Toolbox]
	current.Store(box("before"))
	server := New(Options{Name: "s", Version: "1", Log: zerolog.New(io.Discard), Toolbox: box("nobody's")})
	listener, h := serveHTTP(&world{t: t, server: server}, withSSE, func(o *HTTPOptions) {
		o.Authenticate = func(string) (Caller, bool) { return Caller{Name: "ann", Toolbox: current.Load()}, true }
	})
	s := &site{t: t, http: h, url: listener.URL, client: listener.Client()}
	c := s.openSSE(bearer(annsToken)...)
	for _, want := range []string{"before", "after"} {
		c.send(call("1", "which", `{}`))
		if r := c.next(); !bytes.Contains(r.tool(t).Structured, []byte(want)) {
			t.Errorf("want %s: %s", want, r.line)
		}
		current.Store(box("after"))
	}
	c.hangUp()
}
