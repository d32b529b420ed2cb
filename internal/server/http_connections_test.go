package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Who keeps connections open shuts out nobody, and ends no call.
func TestIdleConnections(t *testing.T) {
	f := newFakes()
	h := f.newServer(io.Discard).NewHTTP(HTTPOptions{Key: []byte("of this test"), MaxConnections: 8})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()
	s := &site{t: t, fakes: f, http: h, url: "http://" + l.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	running := s.launch(call("1", "wait", `{}`))
	receive(t, f.started)
	var flood []net.Conn
	for i := range 50 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		flood = append(flood, conn)
		if i%2 == 0 { // one that has been used before
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			_, _ = conn.Read(make([]byte, 1))
		}
		if a := s.post(ping("2"), "Connection", "close"); a.status != http.StatusOK {
			t.Fatalf("after %d connections: %d", i+1, a.status)
		}
	}
	close(f.release)
	if a := receive(t, running.answer); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, conn := range flood {
		_ = conn.Close()
	}
	s.client.CloseIdleConnections()
	cancel()
	if err := receive(t, served); err != nil {
		t.Error(err)
	}
}

// While every connection has a request under way, a new one waits.
func TestBusyConnections(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site, _ *pipes, _ func() error) {
		first, second := s.launch(call("1", "wait", `{}`)), s.launch(call("2", "wait", `{}`))
		receive(t, s.fakes.started)
		receive(t, s.fakes.started)
		third := s.launch(ping("3"))
		select {
		case a := <-third.answer:
			t.Errorf("it was served: %d", a.status)
		case <-time.After(5 * time.Second):
		}
		s.release()
		for _, f := range []*flight{first, second, third} {
			if a := receive(t, f.answer); a.status != http.StatusOK {
				t.Errorf("%d", a.status)
			}
		}
	}, func(o *HTTPOptions) { o.MaxConnections = 2 })
}

// One caller's streams leave room for another's.
func TestStreamsOfCaller(t *testing.T) {
	s := newSite(t, callersOnly, withSSE, func(o *HTTPOptions) { o.MaxConnections = 64 })
	for range 4 {
		s.openSSE(bearer(annsToken)...)
	}
	for _, open := range []func() httpAnswer{
		func() httpAnswer { return s.do(http.MethodGet, "/sse", "", bearer(annsToken)...) },
		func() httpAnswer {
			return s.post(modern("1", "subscriptions/listen", `"notifications":{}`),
				append(newEraHeaders("subscriptions/listen", ""), bearer(annsToken)...)...)
		},
	} {
		if a := open(); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	s.openSSE(bearer(bobsToken)...)
}

// What one caller's calls ask of the service has a rate, and does not take another's share.
func TestUpstreamRateOfCaller(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site, _ *pipes, _ func() error) {
		begun := time.Now()
		anns := s.launch(call("1", "fetch", `{"n":60}`), bearer(annsToken)...)
		synctest.Wait()
		if a := s.post(call("1", "fetch", `{"n":20}`), bearer(bobsToken)...); a.message(t).tool(t).IsError || time.Since(begun) != 0 {
			t.Errorf("%s after %s", a.body, time.Since(begun))
		}
		if a := receive(t, anns.answer); a.message(t).tool(t).IsError || time.Since(begun) < 4*time.Second {
			t.Errorf("%s after %s", a.body, time.Since(begun))
		}
	}, callersOnly, func(o *HTTPOptions) { o.RequestsPerSecond = 10 })
}
