package upstream

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream/hostile"
)

func TestNothingIsSentAgainBehindOurBack(t *testing.T) {
	t.Parallel()
	for _, mode := range hostile.Modes() {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				t.Run(string(mode)+"/"+protocol+"/"+method, func(t *testing.T) {
					t.Parallel()
					server := hostile.Start(t, mode)
					client := New(server.Trust(NewTransport(), protocol == "HTTP/2"), time.Now)
					defer client.CloseIdleConnections()
					client.backoff = func(int) time.Duration { return 0 }
					r := Request{Method: method, URL: server.URL + "/x", Write: method != "GET"}
					if method == "POST" {
						r.Body = []byte("{}")
					}
					_, err := client.Do(t.Context(), r)
					most := 1
					if !r.Write {
						most = maxTries
					}
					journal := server.Journal()
					var f *Failure
					if !errors.As(err, &f) || len(journal) > most || len(journal) > 0 && f.Delivery != Unknown {
						t.Errorf("%v, %.300q", err, journal)
					}
				})
			}
		}
	}
}

func TestDefaultTransportSpeaksHTTP1(t *testing.T) {
	t.Parallel()
	server := hostile.Start(t, hostile.GoAwayZero)
	client := New(server.Trust(NewTransport(), false), time.Now)
	defer client.CloseIdleConnections()
	_, _ = client.Do(t.Context(), Request{Method: "POST", URL: server.URL + "/x", Write: true})
	if got := server.Journal(); len(got) != 1 || got[0] != "HTTP/1.1 POST /x" {
		t.Errorf("%q arrived", got)
	}
}

// TestHeadWithABodyIsNotLogged needs the process's logger for itself.
func TestHeadWithABodyIsNotLogged(t *testing.T) {
	var logged bytes.Buffer
	before := log.Writer()
	log.SetOutput(&logged)
	t.Cleanup(func() { // after the server has seen the connection end, and so after whatever is logged about it
		log.SetOutput(before)
		if logged.Len() > 0 {
			t.Errorf("logged: %s", &logged)
		}
	})
	address, connections := rawServer(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 64<<10))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\nsecret")
		_, _ = conn.Read(make([]byte, 1)) // until the client closes
	})
	transport := NewTransport()
	client := New(transport, time.Now)
	if err := client.MeasureClock(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if _, known := client.ClockSkew(); !known || connections.Load() != 1 {
		t.Errorf("known %v after %d connections", known, connections.Load())
	}
	client.CloseIdleConnections()
}

func TestErrorsNameTheMistake(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	for name, c := range map[string]struct {
		url   string
		cause error
	}{
		"no TLS":          {strings.Replace(plain.URL, "http:", "https:", 1), ErrTLS},
		"own certificate": {untrusted.URL, ErrTLS},
		"closed port":     {"http://127.0.0.1:1", ErrClosedPort},
		"plain http":      {"http://198.51.100.7", ErrInsecureURL},
	} {
		client := New(nil, time.Now)
		client.backoff = func(int) time.Duration { return 0 }
		_, err := client.Do(t.Context(), Request{Method: "GET", URL: c.url})
		client.CloseIdleConnections()
		var f *Failure
		if !errors.As(err, &f) || !errors.Is(err, c.cause) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Advise(Text{}, nil); f.Hint.English == "" || f.Hint.Chinese == "" || strings.Contains(f.Hint.English, "firewall") {
			t.Errorf("%s: hint %q", name, f.Hint)
		}
	}
	unknown := New(roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "api.scnet.example", IsNotFound: true}}
	}), time.Now)
	unknown.backoff = func(int) time.Duration { return 0 }
	if _, err := unknown.Do(t.Context(), Request{Method: "GET", URL: "https://api.scnet.example"}); !errors.Is(err, ErrHost) ||
		!strings.Contains(err.Error(), "api.scnet.example") {
		t.Errorf("err = %v", err)
	}
}
