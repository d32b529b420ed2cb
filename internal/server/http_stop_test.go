package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// At the end running calls are answered, silent streams closed, and new calls refused.
func TestStop(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site, l *pipes, stop func() error) {
		idle, busy := s.openSSE(), s.openSSE()
		busy.send(call("1", "stubborn", `{"text":"over SSE"}`))
		running := s.launch(call("2", "stubborn", `{"text":"over HTTP"}`))
		receive(t, s.fakes.started)
		receive(t, s.fakes.started)
		synctest.Wait()
		begun := time.Now()
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		synctest.Wait()
		idle.endsNow()
		if took := time.Since(begun); took != 0 {
			t.Errorf("streams were closed after %s", took)
		}
		if c, err := l.dial(t.Context(), "", ""); err == nil {
			_ = c.Close()
			t.Error("a new connection was taken")
		}
		for route, method := range map[string]string{"/mcp": http.MethodPost, busy.path: http.MethodPost, "/sse": http.MethodGet} {
			a := knock(t.Context(), s.http.Handler(), method, route, call("4", "echo", `{}`))
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Connection") != "close" {
				t.Errorf("%s: %d %v", route, a.status, a.header)
			}
		}
		if a := knock(t.Context(), s.http.Handler(), http.MethodGet, "/readyz", ""); a.status != http.StatusServiceUnavailable ||
			!strings.Contains(string(a.body), "stopping") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := knock(t.Context(), s.http.Handler(), http.MethodGet, "/healthz", ""); a.status != http.StatusOK {
			t.Errorf("%d", a.status)
		}
		<-time.After(DefaultGrace - 2*time.Second)
		s.release()
		if r := busy.next(); string(r.ID) != "1" || !strings.Contains(r.line, "over SSE") {
			t.Error(r.line)
		}
		busy.endsNow()
		if a := receive(t, running.answer); !strings.Contains(string(a.body), "over HTTP") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}, withSSE)
}

// What takes longer than the grace is cancelled, and says so; what does not heed that is cut off, and Serve says so.
func TestStopCutsLongCalls(t *testing.T) {
	const grace = 3 * time.Second
	for _, tool := range []string{"wait", "stubborn"} {
		inBubble(t, func(t *testing.T, s *site, _ *pipes, stop func() error) {
			running := s.launch(call("2", tool, `{}`))
			receive(t, s.fakes.started)
			begun := time.Now()
			err := stop()
			if took := time.Since(begun); took < grace || took > grace+settle+2*wrapUp+time.Second {
				t.Errorf("%s: %v after %s", tool, err, took)
			}
			if tool == "stubborn" {
				if err == nil {
					t.Error("Serve did not say that a call was cut off")
				}
				receive(t, running.err)
				return
			}
			if err != nil {
				t.Error(err)
			}
			if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
				t.Errorf("the call ended with %v", err)
			}
			if a := receive(t, running.answer); a.status != http.StatusOK || !a.message(t).tool(t).IsError {
				t.Errorf("%d %s", a.status, a.body)
			}
		}, func(o *HTTPOptions) { o.Grace = grace })
	}
}

// What a call did is recorded before the end, also when it takes its time after the cancellation.
func TestStopWaitsForRecords(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site, _ *pipes, stop func() error) {
		c := s.openSSE()
		c.send(call("1", "change", `{"n":20}`))
		running := s.launch(call("2", "change", `{"n":10}`))
		receive(t, s.fakes.started)
		receive(t, s.fakes.started)
		begun := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took < DefaultGrace+20*time.Second || took > DefaultGrace+21*time.Second {
			t.Errorf("it took %s", took)
		}
		if len(s.fakes.ended) != 2 {
			t.Errorf("%d of 2 calls have recorded what they did", len(s.fakes.ended))
		}
		receive(t, running.answer)
		if r := c.next(); string(r.ID) != "1" {
			t.Error(r.line)
		}
	}, withSSE)
}

// A call on a stream that takes longer is cancelled, and says so on the stream.
func TestStopCancelsLongCallsOnStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site, _ *pipes, stop func() error) {
		c := s.openSSE()
		c.send(call("1", "wait", `{}`))
		receive(t, s.fakes.started)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if r := c.next(); string(r.ID) != "1" || !r.tool(t).IsError {
			t.Error(r.line)
		}
		c.endsNow()
	}, withSSE)
}

// A server that fails to listen says so.
func TestServeFails(t *testing.T) {
	h := newFakes().newServer(noLog{}).NewHTTP(HTTPOptions{Key: []byte("k")})
	l := &pipes{closed: make(chan struct{})}
	_ = l.Close()
	if err := h.Serve(t.Context(), l); err == nil {
		t.Error("no error")
	}
}

// A question that is open at the end is not waited for.
func TestStopWhileAsking(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	h := w.server.NewHTTP(HTTPOptions{Key: []byte("k")})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, listener) }()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s := &site{t: t, http: h, url: "http://" + listener.Addr().String(), client: &http.Client{Transport: transport}}
	response, err := s.open(t.Context(), http.MethodPost, "/mcp", call("1", "delete_instances", deletion(running, confirmed)),
		s.shakeHands()...)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stream := bufio.NewReader(response.Body)
	if e, err := readEvent(stream); err != nil || !strings.Contains(e.data, "elicitation/create") {
		t.Fatalf("%+v, %v", e, err)
	}
	cancel()
	e, err := readEvent(stream)
	if err != nil || string(parse(t, []byte(e.data)).ID) != "1" {
		t.Errorf("%+v, %v", e, err)
	}
	if err := receive(t, served); err != nil {
		t.Error(err)
	}
	w.untouched()
}

// HTTP/2 ends a stream when a write deadline passes, although nothing is being written.
func TestStreamsOverHTTP2(t *testing.T) {
	certified := httptest.NewUnstartedServer(nil)
	certified.EnableHTTP2 = true
	certified.StartTLS()
	certified.Close()
	inBubble(t, func(t *testing.T, s *site, l *pipes, _ func() error) {
		trusting := certified.Client().Transport.(*http.Transport).TLSClientConfig
		transport := &http.Transport{DialContext: l.dial, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: trusting.RootCAs, ServerName: "example.com"}}
		defer transport.CloseIdleConnections()
		s.client, s.url = &http.Client{Transport: transport}, "https://localhost"
		c := s.openSSE()
		c.send(withMeta(call("1", "steps", `{"n":2}`), `"progressToken":1`))
		for range 10 {
			if e := <-c.events; e.name == "" && e.data != ": keep-alive" {
				t.Fatalf("the stream ended: %+v", e)
			}
		}
		c.send(call("2", "sleep", `{"n":20}`))
		for e := range c.events {
			if e.name == "message" && string(parse(t, []byte(e.data)).ID) == "2" {
				break
			}
		}
		c.hangUp()
		a := s.post(withMeta(call("3", "sleep", `{"n":40}`), `"progressToken":1`))
		if a.status != http.StatusOK || len(a.messages(t)) != 1 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}, withSSE, func(o *HTTPOptions) {
		o.TLS = &tls.Config{Certificates: certified.TLS.Certificates}
	})
}

// Probes do not ask the service more often than its answer may change.
func TestReadyIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var failure atomic.Pointer[error]
		h := newFakes().newServer(noLog{}).NewHTTP(HTTPOptions{Key: []byte("k"), Ready: func(context.Context) error {
			asked.Add(1)
			if err := failure.Load(); err != nil {
				return *err
			}
			return nil
		}})
		probe := func(wantStatus int, wantAsked int64) {
			t.Helper()
			a := knock(t.Context(), h.Handler(), http.MethodGet, "/readyz", "")
			if a.status != wantStatus || asked.Load() != wantAsked || strings.Contains(string(a.body), "secret") {
				t.Errorf("%d %s, asked %d times", a.status, a.body, asked.Load())
			}
		}
		probe(http.StatusOK, 1)
		probe(http.StatusOK, 1)
		<-time.After(readyFor - time.Millisecond)
		probe(http.StatusOK, 1)
		down := errors.New("secret details")
		failure.Store(&down)
		<-time.After(time.Millisecond)
		probe(http.StatusServiceUnavailable, 2)
		failure.Store(nil)
		<-time.After(unreadyFor - time.Millisecond)
		probe(http.StatusServiceUnavailable, 2)
		<-time.After(time.Millisecond)
		probe(http.StatusOK, 3)
	})
}

// Many probes at once make one check at a time, and share its answer.
func TestReadyAtOnce(t *testing.T) {
	var asked, inside, most atomic.Int64
	h := newFakes().newServer(noLog{}).NewHTTP(HTTPOptions{Key: []byte("k"), Ready: func(context.Context) error {
		asked.Add(1)
		most.Store(max(most.Load(), inside.Add(1)))
		for range 100 {
			runtime.Gosched()
		}
		inside.Add(-1)
		return nil
	}})
	probe := func() {
		var probes sync.WaitGroup
		for range 100 {
			probes.Go(func() {
				if a := knock(gone(), h.Handler(), http.MethodGet, "/readyz", ""); a.status != http.StatusOK {
					t.Errorf("%d", a.status)
				}
			})
		}
		probes.Wait()
	}
	probe()
	if asked.Load() != 1 {
		t.Errorf("%d checks", asked.Load())
	}
	var ticks atomic.Int64
	h.ready.now = func() time.Time { return time.Now().Add(time.Duration(ticks.Add(1)) * time.Hour) } // no answer holds
	probe()
	if asked.Load() != 101 || most.Load() != 1 {
		t.Errorf("%d checks, %d at the same time", asked.Load(), most.Load())
	}
}

// A check that hangs is given up.
func TestReadyGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakes().newServer(noLog{}).NewHTTP(HTTPOptions{Key: []byte("k"), Ready: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		begun := time.Now()
		if a := knock(gone(), h.Handler(), http.MethodGet, "/readyz", ""); a.status != http.StatusServiceUnavailable ||
			time.Since(begun) != readyTimeout {
			t.Errorf("%d after %s", a.status, time.Since(begun))
		}
	})
}
