package upstream

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

const parent = trace.Parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

func TestEveryTryCarriesTheTrace(t *testing.T) {
	for name, c := range map[string]struct {
		parent trace.Parent
		header http.Header
		want   []string // of one try
		logged bool
	}{
		"none":               {},
		"none, and a header": {header: http.Header{"Token": {"t"}}},
		"trace":              {parent: parent, want: []string{string(parent)}, logged: true},
		"trace replaces": {
			parent: parent, header: http.Header{"Traceparent": {"x", "y"}}, want: []string{string(parent)}, logged: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries int
				client := New(roundTrip(func(r *http.Request) (*http.Response, error) {
					tries++
					if got := r.Header.Values(trace.Header); !slices.Equal(got, c.want) {
						t.Errorf("try %d carries %q, want %q", tries, got, c.want)
					}
					return answer(503, nil), nil
				}), time.Now)
				var lines bytes.Buffer
				before := c.header.Clone()
				ctx := trace.With(zerolog.New(&lines).WithContext(t.Context()), c.parent)
				if _, err := client.Do(ctx, Request{Method: "GET", URL: "https://scnet.example/x", Header: c.header}); err != nil {
					t.Fatal(err)
				}
				if tries != maxTries {
					t.Errorf("%d tries", tries)
				}
				if len(c.header) != len(before) || !slices.Equal(c.header["Traceparent"], before["Traceparent"]) {
					t.Errorf("the caller's header became %v", c.header)
				}
				want := 0
				if c.logged {
					want = maxTries - 1
				}
				if got := strings.Count(lines.String(), `"trace_id":"0af7651916cd43dd8448eb211c80319c"`); got != want {
					t.Errorf("%d lines with the trace's id, want %d: %s", got, want, &lines)
				}
				if !c.logged && strings.Contains(lines.String(), "trace_id") {
					t.Errorf("a trace's id without a trace: %s", &lines)
				}
			})
		})
	}
}

// seen is what Observe was told.
type seen struct {
	status int
	took   time.Duration
}

func TestEveryTryIsObserved(t *testing.T) {
	const second = time.Second
	refused := errors.New("dial refused")
	for name, c := range map[string]struct {
		statuses []int // of the tries; 0 is a connection error
		url      string
		write    bool
		want     []seen
	}{
		"one":                {statuses: []int{200}, want: []seen{{200, second}}},
		"refused by service": {statuses: []int{404}, want: []seen{{404, second}}},
		"retried":            {statuses: []int{503, 0, 200}, want: []seen{{503, second}, {0, second}, {200, second}}},
		"given up":           {statuses: []int{0, 0, 0}, want: []seen{{0, second}, {0, second}, {0, second}}},
		"write":              {statuses: []int{503}, write: true, want: []seen{{503, second}}},
		"never tried":        {url: "http://scnet.example"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := c.statuses
				client := New(roundTrip(func(*http.Request) (*http.Response, error) {
					status := left[0]
					left = left[1:]
					Wait(t.Context(), second)
					if status == 0 {
						return nil, refused
					}
					return answer(status, nil), nil
				}), func() time.Time { return time.Time{} })
				var got []seen
				client.Observe = func(status int, took time.Duration) { got = append(got, seen{status, took}) }
				if c.url == "" {
					c.url = "https://scnet.example"
				}
				_, _ = client.Do(t.Context(), Request{Method: "GET", URL: c.url, Write: c.write})
				if !slices.Equal(got, c.want) || len(left) > 0 {
					t.Errorf("observed %v, want %v; %d answers were not fetched", got, c.want, len(left))
				}
			})
		})
	}
}

func TestAnswerThatIsTooLargeIsObservedAsNone(t *testing.T) {
	client := New(roundTrip(func(*http.Request) (*http.Response, error) { return answer(200, nil), nil }), time.Now)
	var got []int
	client.Observe = func(status int, _ time.Duration) { got = append(got, status) }
	_, err := client.Do(t.Context(), Request{Method: "GET", URL: "https://scnet.example", MaxBody: 1})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("err = %v", err)
	}
	if !slices.Equal(got, []int{0}) {
		t.Errorf("observed %v", got)
	}
}
