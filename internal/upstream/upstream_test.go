package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roundTrip is an http.RoundTripper without a network, so that waits can run on a fake clock.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header http.Header) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("{}"))}
}

func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		write     bool
		status    int
		header    http.Header
		err       error
		wantTries int32
		wantWait  time.Duration // at least, and exactly for Retry-After
	}{
		"read 200":                     {status: 200, wantTries: 1},
		"read 500 is final":            {status: 500, wantTries: 1},
		"read 429":                     {status: 429, wantTries: 3},
		"read 502":                     {status: 502, wantTries: 3},
		"read 503":                     {status: 503, wantTries: 3},
		"read 504":                     {status: 504, wantTries: 3},
		"read with Retry-After":        {status: 503, header: http.Header{"Retry-After": {"7"}}, wantTries: 3, wantWait: 14 * time.Second},
		"read with a long Retry-After": {status: 429, header: http.Header{"Retry-After": {"3600"}}, wantTries: 1},
		"read connection error":        {err: io.ErrUnexpectedEOF, wantTries: 3},
		"write 503":                    {write: true, status: 503, wantTries: 1},
		"write 429":                    {write: true, status: 429, wantTries: 1},
		"write that never left":        {write: true, err: errors.New("dial refused"), wantTries: 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int32
				client := New(roundTrip(func(*http.Request) (*http.Response, error) {
					tries.Add(1)
					if c.err != nil {
						return nil, c.err
					}
					return answer(c.status, c.header), nil
				}), time.Now)
				start := time.Now()
				resp, err := client.Do(t.Context(), Request{Method: "GET", URL: "https://scnet.example/x", Write: c.write})
				if (err != nil) != (c.err != nil) {
					t.Fatalf("err = %v", err)
				}
				if err == nil && resp.Status != c.status {
					t.Errorf("status = %d", resp.Status)
				}
				if got := tries.Load(); got != c.wantTries {
					t.Errorf("%d tries, want %d", got, c.wantTries)
				}
				if waited := time.Since(start); waited < c.wantWait || (c.wantWait > 0 && waited != c.wantWait) {
					t.Errorf("waited %s, want %s", waited, c.wantWait)
				}
			})
		})
	}
}

func TestCancelEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		client := New(roundTrip(func(*http.Request) (*http.Response, error) {
			return answer(503, http.Header{"Retry-After": {"10"}}), nil
		}), time.Now)
		start := time.Now()
		resp, err := client.Do(ctx, Request{Method: "GET", URL: "https://scnet.example/x"})
		if err != nil || resp.Status != 503 || time.Since(start) != time.Second {
			t.Errorf("resp %v, err %v after %s", resp, err, time.Since(start))
		}
	})
}

func TestTimeoutIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		client := New(roundTrip(func(r *http.Request) (*http.Response, error) {
			tries.Add(1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}), time.Now)
		_, err := client.Do(t.Context(), Request{Method: "GET", URL: "https://scnet.example/x", Timeout: 5 * time.Second})
		if !errors.Is(err, ErrTimeout) || tries.Load() != 1 {
			t.Errorf("err %v after %d tries", err, tries.Load())
		}
	})
}

// rawServer answers each connection with serve and counts the connections.
func rawServer(t *testing.T, serve func(net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String(), connections
}

func TestDeliveryOverRealConnections(t *testing.T) {
	readAll := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 64<<10)) }
	refused := "http://127.0.0.1:1"
	closes, closeCount := rawServer(t, readAll)
	cut, _ := rawServer(t, func(conn net.Conn) {
		readAll(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	})
	for name, c := range map[string]struct {
		url   string
		write bool
		want  Delivery
	}{
		"refused read":       {refused, false, NotSent},
		"refused write":      {refused, true, NotSent},
		"closed after write": {closes, true, Unknown},
		"cut answer":         {cut, true, Unknown},
		"insecure":           {"http://198.51.100.7/x", true, NotSent},
	} {
		t.Run(name, func(t *testing.T) {
			client := New(nil, time.Now)
			client.backoff = func(int) time.Duration { return 0 }
			defer client.CloseIdleConnections()
			_, err := client.Do(t.Context(), Request{Method: "POST", URL: c.url, Body: []byte("x"), Write: c.write})
			var e *Failure
			if !errors.As(err, &e) || e.Delivery != c.want {
				t.Errorf("err = %v (%T), want delivery %q", err, err, c.want)
			}
			if strings.Contains(err.Error(), c.url) && !errors.Is(err, ErrInsecureURL) {
				t.Errorf("the URL is in the error: %v", err)
			}
		})
	}
	if got := closeCount.Load(); got != 1 {
		t.Errorf("a write was sent %d times", got)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Bool
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer target.Close()
	source := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	defer source.Close()
	client := New(nil, time.Now)
	defer client.CloseIdleConnections()
	resp, err := client.Do(t.Context(), Request{Method: "GET", URL: source.URL, Header: http.Header{"Token": {"t"}}})
	if err != nil || resp.Status != http.StatusTemporaryRedirect || reached.Load() {
		t.Errorf("resp %v, err %v, target reached %v", resp, err, reached.Load())
	}
}

func TestAnswerIsCapped(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 101))
	}))
	defer server.Close()
	client := New(nil, time.Now)
	defer client.CloseIdleConnections()
	if _, err := client.Do(t.Context(), Request{Method: "GET", URL: server.URL, MaxBody: 100}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("101 bytes of 100: %v", err)
	}
	if resp, err := client.Do(t.Context(), Request{Method: "GET", URL: server.URL, MaxBody: 101}); err != nil || len(resp.Body) != 101 || !resp.HasSkew {
		t.Errorf("101 bytes of 101: %v, %v", resp, err)
	}
}

func TestProxyPasswordStaysOut(t *testing.T) {
	client := New(&http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, errors.New(`invalid proxy address "http://me:hunter2@bad host": parse error`)
	}}, time.Now)
	client.backoff = func(int) time.Duration { return 0 }
	_, err := client.Do(t.Context(), Request{Method: "GET", URL: "https://scnet.example"})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("err = %v", err)
	}
}

func TestCheckURL(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://api.scnet.cn":       true,
		"https://a.b:65106/ai":       true,
		"http://127.0.0.1:80":        true,
		"http://127.8.9.1":           true,
		"http://[::1]:1":             true,
		"http://localhost:1":         true,
		"http://localhost.evil.test": false,
		"http://10.0.0.1":            false,
		"http://api.scnet.cn":        false,
		"ftp://127.0.0.1":            false,
		"https://u:p@host":           false,
		"https://host/#f":            false,
		"api.scnet.cn":               false,
		"https://":                   false,
		"https://:80":                false,
		"://":                        false,
	} {
		if _, err := CheckURL(raw); (err == nil) != ok {
			t.Errorf("CheckURL(%q) = %v", raw, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"3":                             3 * time.Second,
		"-3":                            0,
		"999999999999":                  24 * time.Hour,
		"99999999999999999999999":       0,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", header, got, want)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	f.Add("https://api.scnet.cn")
	f.Add("http://localhost")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := CheckURL(raw)
		if err == nil && u.Scheme != "https" && !IsLoopback(u.Hostname()) {
			t.Errorf("CheckURL(%q) let %s through", raw, u)
		}
		_ = Endpoint(raw)
	})
}

func TestUntrustedCertificateGetsNothing(t *testing.T) {
	var reached atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	client := New(nil, time.Now)
	client.backoff = func(int) time.Duration { return 0 }
	defer client.CloseIdleConnections()
	_, err := client.Do(t.Context(), Request{Method: "POST", URL: server.URL, Header: http.Header{"Token": {"t"}}, Write: true})
	var e *Failure
	if !errors.As(err, &e) || e.Delivery != NotSent || reached.Load() {
		t.Errorf("err = %v, reached %v", err, reached.Load())
	}
}

func TestProxyThatRefuses(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	at, err := url.Parse(strings.Replace(proxy.URL, "http://", "http://me:hunter2@", 1))
	if err != nil {
		t.Fatal(err)
	}
	client := New(&http.Transport{Proxy: http.ProxyURL(at)}, time.Now)
	client.backoff = func(int) time.Duration { return 0 }
	defer client.CloseIdleConnections()
	_, err = client.Do(t.Context(), Request{Method: "POST", URL: "https://scnet.invalid", Write: true})
	var e *Failure
	if !errors.As(err, &e) || e.Delivery != NotSent || strings.Contains(err.Error(), "hunter2") || asked.Load() == 0 {
		t.Errorf("err = %v", err)
	}
}

func TestHeaderThatCannotBeSent(t *testing.T) {
	client := New(nil, time.Now)
	client.backoff = func(int) time.Duration { return 0 }
	_, err := client.Do(t.Context(), Request{Method: "GET", URL: "http://127.0.0.1:1", Header: http.Header{"Token": {"hunter2\n"}}})
	var e *Failure
	if !errors.As(err, &e) || e.Delivery != NotSent || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v", err)
	}
	if _, err := client.Do(t.Context(), Request{Method: "G T", URL: "http://127.0.0.1:1"}); !errors.As(err, &e) || e.Delivery != NotSent {
		t.Errorf("err = %v", err)
	}
}

func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("the client went away")
		client := New(roundTrip(func(r *http.Request) (*http.Response, error) {
			cancel(reason)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}), time.Now)
		_, err := client.Do(ctx, Request{Method: "GET", URL: "https://scnet.example/x"})
		if !errors.Is(err, reason) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	for try, bound := range map[int]time.Duration{1: firstBackoff, 2: 2 * firstBackoff, 3: 4 * firstBackoff, 20: maxBackoff} {
		for range 50 {
			if wait := fullJitter(try); wait < 0 || wait >= bound {
				t.Errorf("wait %s before try %d, bound %s", wait, try+1, bound)
			}
		}
	}
}
