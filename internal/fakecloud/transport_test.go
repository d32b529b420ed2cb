package fakecloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// serving is a transport to one host whose handler is f.
func serving(f http.HandlerFunc) *fakecloud.Transport {
	return &fakecloud.Transport{Handler: func(host string) http.Handler {
		if host != "cloud.test" {
			return nil
		}
		return f
	}}
}

func request(ctx context.Context, t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTransport(t *testing.T) {
	wire := serving(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Seen", fmt.Sprint(r.Method, " ", r.Host, " ", r.RequestURI, " ", r.Header.Get("X-Sent")))
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "too late")
		_, _ = w.Write(body)
	})
	r := request(t.Context(), t, http.MethodPut, "https://cloud.test/a%2Fb?c=d", "hello")
	r.Header["x-sent"] = []string{"yes"}
	resp, err := (&http.Client{Transport: wire}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if got := resp.Header.Get("X-Seen"); err != nil || string(body) != "hello" || resp.StatusCode != http.StatusTeapot ||
		got != "PUT cloud.test /a%2Fb?c=d yes" || resp.Header.Get("X-Late") != "" || resp.ContentLength != 5 {
		t.Errorf("%v, %q, %q, %v", resp, body, got, err)
	}
}

func TestTransportHead(t *testing.T) {
	wire := serving(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "7")
		_, _ = io.WriteString(w, "ignored")
	})
	resp, err := wire.RoundTrip(request(t.Context(), t, http.MethodHead, "https://cloud.test/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) > 0 || resp.ContentLength != 7 {
		t.Errorf("%q, %v, length %d", body, err, resp.ContentLength)
	}
}

func TestTransportFlush(t *testing.T) {
	wire := serving(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "length unknown")
	})
	resp, err := wire.RoundTrip(request(t.Context(), t, http.MethodGet, "https://cloud.test/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "length unknown" || resp.ContentLength != -1 {
		t.Errorf("%q, %v, length %d", body, err, resp.ContentLength)
	}
}

// TestTransportTells checks what a client learns of how far its request got, and in which order.
func TestTransportTells(t *testing.T) {
	var steps []string
	note := func(step string) { steps = append(steps, step) }
	wire := serving(func(w http.ResponseWriter, _ *http.Request) {
		note("handled")
		fakecloud.Drop(w)
	})
	wire.Before = func(*http.Request) { note("before") }
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteHeaders: func() { note("headers") },
		WroteRequest: func(info httptrace.WroteRequestInfo) { note("request") },
	})
	_, err := wire.RoundTrip(request(ctx, t, http.MethodPost, "https://cloud.test/", "x"))
	if want := []string{"headers", "request", "before", "handled"}; !errors.Is(err, syscall.ECONNRESET) || !slices.Equal(steps, want) {
		t.Errorf("%v, %v", err, steps)
	}

	steps = nil
	_, err = wire.RoundTrip(request(ctx, t, http.MethodPost, "https://elsewhere.test/", "x"))
	var dns *net.DNSError
	if !errors.As(err, &dns) || len(steps) > 0 {
		t.Errorf("an unknown host: %v, %v", err, steps)
	}
}

// TestTransportInBubble holds a request back on the clock of a bubble, until the client has had enough.
func TestTransportInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := serving(func(w http.ResponseWriter, r *http.Request) {
			if !fakecloud.Sleep(r.Context(), time.Hour) {
				fakecloud.Drop(w)
			}
		})
		began := time.Now()
		if _, err := wire.RoundTrip(request(t.Context(), t, http.MethodGet, "https://cloud.test/", "")); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Hour {
			t.Errorf("took %s", took)
		}
		why := errors.New("had enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, why)
		defer cancel()
		if _, err := wire.RoundTrip(request(ctx, t, http.MethodGet, "https://cloud.test/", "")); !errors.Is(err, why) {
			t.Errorf("err = %v", err)
		}
		if _, err := wire.RoundTrip(request(ctx, t, http.MethodGet, "https://cloud.test/", "")); !errors.Is(err, why) {
			t.Errorf("with a context that is over: %v", err)
		}
	})
}
