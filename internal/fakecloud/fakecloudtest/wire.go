package fakecloudtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// RoundTrip is an http.RoundTripper without a network.
type RoundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper. What is answered has left.
func (f RoundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f(r)
	if err == nil {
		Left(r)
	}
	return resp, err
}

// Left says that a request has left, as http.Transport does. A RoundTrip that loses the answer calls it.
func Left(r *http.Request) {
	if hooks := httptrace.ContextClientTrace(r.Context()); hooks != nil && hooks.WroteHeaders != nil {
		hooks.WroteHeaders()
	}
}

// Answer is a response with a body.
func Answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// Canned gives every request the same answer.
func Canned(status int, body string) RoundTrip {
	return func(*http.Request) (*http.Response, error) { return Answer(status, body), nil }
}

// Spy is a transport that keeps what goes over the wire.
type Spy struct {
	http.Transport
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

// RoundTrip implements http.RoundTripper.
func (s *Spy) RoundTrip(r *http.Request) (*http.Response, error) {
	var body bytes.Buffer
	if r.Body != nil {
		copied, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		if _, err := body.ReadFrom(copied); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.requests = append(s.requests, r.Clone(context.Background()))
	s.bodies = append(s.bodies, body.String())
	s.mu.Unlock()
	return s.Transport.RoundTrip(r)
}

// Sent returns the requests so far, oldest first, and their bodies.
func (s *Spy) Sent() ([]*http.Request, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests), slices.Clone(s.bodies)
}

// Requests returns the requests so far, oldest first.
func (s *Spy) Requests() []*http.Request {
	requests, _ := s.Sent()
	return requests
}

// Last returns the newest request and its body.
func (s *Spy) Last() (*http.Request, string) {
	requests, bodies := s.Sent()
	return requests[len(requests)-1], bodies[len(bodies)-1]
}

// Statuses are those that a client observes of its requests.
type Statuses struct {
	mu  sync.Mutex
	got []int
}

// Observe takes one; a request that takes no time is not one.
func (s *Statuses) Observe(t testing.TB) func(status int, took time.Duration) {
	return func(status int, took time.Duration) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if took <= 0 {
			t.Errorf("took %s", took)
		}
		s.got = append(s.got, status)
	}
}

// Got returns the statuses so far, oldest first.
func (s *Statuses) Got() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// Elsewhere is the address of a server that a redirect names and that must not be asked.
func Elsewhere(t *testing.T) string {
	var followed atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(func() {
		server.Close()
		if n := followed.Load(); n != 0 {
			t.Errorf("%d redirects were followed", n)
		}
	})
	return server.URL
}

// Uncertain checks after which answers a write may have happened all the same. bodies says of each body which statuses make
// it certain that nothing happened. write makes a write that gets this answer.
func Uncertain(
	t *testing.T, bodies map[string][]int, statuses []int, write func(status int, body string) *upstream.Failure,
) {
	t.Helper()
	for body, certain := range bodies {
		for _, status := range statuses {
			f := write(status, body)
			if f.Uncertain == slices.Contains(certain, status) {
				t.Errorf("HTTP %d %s: uncertain %v, %v", status, body, f.Uncertain, f)
			}
			if f.Uncertain && (f.Retryable || strings.Contains(f.Hint.English, "try again")) {
				t.Errorf("HTTP %d %s: retryable %v, hint %q", status, body, f.Retryable, f.Hint)
			}
		}
	}
}
