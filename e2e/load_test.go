package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// loadTime is how long the load lasts unless the environment variable SCNET_MCP_LOAD says something else.
const loadTime = 2 * time.Second

func duration(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv("SCNET_MCP_LOAD")
	if text == "" {
		return loadTime
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("SCNET_MCP_LOAD is %q, no duration such as 60s", text)
	}
	return d
}

// settles waits until the server's resident memory is at most limit KB. Calls meanwhile let its collector run.
func (s *site) settles(a *agent, what string, limit int) {
	s.t.Helper()
	now, lowest := 0, 1<<40
	defer func() { s.t.Logf("%s: %.1f MB, at most %.1f MB", what, float64(lowest)/1024, float64(limit)/1024) }()
	until(s.t, what, func() bool {
		for range 10 {
			if _, err := a.list(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
		}
		now = s.memory("VmRSS")
		lowest = min(lowest, now)
		return now <= limit
	})
}

// mixed makes one call after the other until ctx ends, and returns how long each took.
func mixed(ctx context.Context, a *agent) (took []time.Duration, err error) {
	for i := 0; ctx.Err() == nil; i++ {
		tool, arguments := "list_instances", `{}`
		switch i % 4 {
		case 1:
			arguments = `{"detail":true,"limit":200}`
		case 2:
			tool, arguments = "delete_instances", deletion(instance(i%20), "")
		case 3:
			tool, arguments = "restart_instance", fmt.Sprintf(`{"instance_id":%q}`, instance(i%20))
		}
		begun := time.Now()
		got, err := a.call(context.WithoutCancel(ctx), tool, arguments) // the last one is finished too
		if err != nil {
			return took, err
		}
		if _, err := got.outcome(); err != nil {
			return took, fmt.Errorf("%s: %w", tool, err)
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// 64 clients of both eras at the same time get what they ask for, and the server does not grow.
func TestHTTPLoad(t *testing.T) {
	needs(t, "linux")
	const clients = 64
	_, settings := laboratory(t, 20)
	s := serve(t, "http", settings, "--requests-per-second", "1000000")
	agents := make([]*agent, clients)
	for i := range agents {
		agents[i] = opened(t, s.url, []string{legacyEra, modernEra}[i%2], "")
	}
	ctx, cancel := context.WithTimeout(t.Context(), duration(t))
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	times := make([][]time.Duration, clients)
	begun := time.Now()
	for i, a := range agents {
		group.Go(func() (err error) {
			times[i], err = mixed(ctx, a)
			return err
		})
	}
	quarter := time.NewTimer(duration(t) / 4)
	defer quarter.Stop()
	select {
	case <-quarter.C:
	case <-ctx.Done():
	}
	early := s.memory("VmRSS")
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	all := slices.Concat(times...)
	slices.Sort(all)
	for i, own := range times {
		if len(own) == 0 {
			t.Errorf("client %d was never answered", i)
		}
	}
	t.Logf("%d calls of %d clients in %s: %.0f calls/s, p50 %s, p99 %s", len(all), clients, took.Round(time.Millisecond),
		float64(len(all))/took.Seconds(), all[len(all)/2].Round(time.Microsecond), all[len(all)*99/100].Round(time.Microsecond))
	t.Logf("resident memory after a quarter: %.1f MB, at the end: %.1f MB", float64(early)/1024, float64(s.memory("VmRSS"))/1024)
	if n := s.metric("http_requests_total", `status="5xx"`); n != 0 {
		t.Errorf("%g answers with a status of 500 or more", n)
	}
	if n := s.metric("tool_calls_total"); int(n) != len(all) {
		t.Errorf("%g calls counted, %d answered", n, len(all))
	}
	s.settles(opened(t, s.url, modernEra, ""), "resident memory after the load", early+10<<10)
	s.stop()
	s.verify()
}

// A handshake leaves nothing in memory.
func TestHTTPManyInitializations(t *testing.T) {
	needs(t, "linux")
	_, settings := laboratory(t, 1)
	s := serve(t, "http", settings, "--requests-per-second", "1000000")
	probe := opened(t, s.url, modernEra, "")
	initialize := func(n int) {
		t.Helper()
		var left atomic.Int64
		left.Store(int64(n))
		var group errgroup.Group
		for range 8 {
			a := newAgent(t, s.url, legacyEra, "")
			group.Go(func() error {
				for left.Add(-1) >= 0 {
					if err := a.initialize(t.Context()); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	initialize(1000)
	before := s.memory("VmRSS")
	initialize(10_000)
	s.settles(probe, "resident memory after 10,000 handshakes", before+5<<10)
}

// slowly keeps n connections open that send a byte now and then, half within the header and half within the body, until ctx
// ends. Who is cut off comes again; those within the header are counted.
func slowly(ctx context.Context, t testing.TB, address string, n int, cut *atomic.Int64) {
	const header = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n"
	dial := func(i int) net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return nil
		}
		begin := header
		if i%2 == 0 {
			begin += "\r\n"
		}
		_, _ = io.WriteString(c, begin)
		return c
	}
	connections := make([]net.Conn, n)
	defer func() {
		for _, c := range connections {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		for i, c := range connections {
			if c != nil {
				if _, err := c.Write([]byte("a")); err == nil {
					continue
				}
				_ = c.Close()
				cut.Add(int64(i % 2))
			}
			if connections[i] = dial(i); connections[i] == nil {
				return
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// Connections that hardly send anything, longer than the server waits for them, stop nobody.
func TestHTTPSlowClients(t *testing.T) {
	needs(t, unix...)
	t.Parallel()
	_, settings := laboratory(t, 2)
	s := serve(t, "http", settings, "--requests-per-second", "1000000", "--max-connections", "250")
	ctx, cancel := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	var cut atomic.Int64
	slow.Go(func() { slowly(ctx, t, strings.TrimPrefix(s.url, "http://"), 200, &cut) })
	defer slow.Wait()
	defer cancel()
	a := opened(t, s.url, legacyEra, "")
	calls := 0
	until(t, "those within the header are cut off", func() bool {
		for range 20 {
			if _, err := a.list(t.Context()); err != nil {
				t.Fatal(err)
			}
			calls++
		}
		return cut.Load() >= 100
	})
	t.Logf("%d calls meanwhile", calls)
}

// idle opens n streams that nobody reads any further.
func idle(t testing.TB, address string, n int) (streams []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		streams = append(streams, c)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		_, err = io.WriteString(c, "GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
		buffer, text := make([]byte, 4096), ""
		for err == nil && !strings.Contains(text, "event: endpoint") {
			var read int
			read, err = c.Read(buffer)
			text += string(buffer[:read])
		}
		if err != nil {
			t.Fatalf("stream %d: %v: %s", len(streams), err, text)
		}
	}
	return streams
}

// Streams that nobody uses stop nobody, and their memory comes back.
func TestHTTPIdleStreams(t *testing.T) {
	needs(t, "linux")
	const n = 1000
	_, settings := laboratory(t, 2)
	s := serve(t, "sse", settings, "--requests-per-second", "1000000")
	a := opened(t, s.url, legacyEra, "")
	for range 200 {
		if _, err := a.list(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := s.memory("VmRSS")
	streams := idle(t, strings.TrimPrefix(s.url, "http://"), n)
	if open := s.metric("streams_open"); open != n {
		t.Errorf("%g streams are open", open)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	used := listen(t, client, s.url, "")
	for range 50 {
		if _, err := a.list(t.Context()); err != nil {
			t.Fatal(err)
		}
		used.calls(t, client, "")
	}
	t.Logf("resident memory before: %.1f MB, with %d streams: %.1f MB", float64(before)/1024, n, float64(s.memory("VmRSS"))/1024)
	var problems []error
	for _, c := range streams {
		problems = append(problems, c.Close())
	}
	if err := errors.Join(problems...); err != nil {
		t.Error(err)
	}
	until(t, "the streams are closed", func() bool { return s.metric("streams_open") == 1 })
	s.settles(a, "resident memory after the streams", before+10<<10)
}
