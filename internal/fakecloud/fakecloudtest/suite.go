// Package fakecloudtest is what every simulator built on internal/fakecloud must do, as tests that each of them runs. It also
// holds what the tests of the simulators and of their clients share: a clock, transports, a spy.
package fakecloudtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Subject is a simulator as the suite sees it.
type Subject struct {
	Start     func(addr string) error
	Close     func() error
	Transport func() *fakecloud.Transport
	Ports     int // how many it listens on
	// Change makes a request that changes something and is answered with a JSON object; Changed tells whether it was carried
	// out.
	Change  func() *http.Request
	Changed func() bool
	// Inject parses a fault, without the name of the operation and its colon, and injects it for the operation of Change.
	Inject func(keys string) error
	Clear  func()
	// Last is the journal's newest entry: the name of its operation, its HTTP status, and how many entries there are.
	Last func() (name string, status, n int)
	Now  time.Time // what its clock says
}

// Run runs the suite on simulators that fresh makes. They do not listen yet.
func Run(t *testing.T, fresh func() Subject) {
	t.Run("listening", func(t *testing.T) { listening(t, fresh) })
	t.Run("fixed port", func(t *testing.T) { fixedPort(t, fresh) })
	t.Run("instead", func(t *testing.T) { instead(t, fresh) })
	t.Run("cut", func(t *testing.T) { cut(t, fresh) })
	t.Run("hold", func(t *testing.T) { hold(t, fresh) })
	t.Run("spoil", func(t *testing.T) { spoil(t, fresh) })
	t.Run("selection", func(t *testing.T) { selection(t, fresh) })
	t.Run("in process", func(t *testing.T) { inProcess(t, fresh) })
}

func listening(t *testing.T, fresh func() Subject) {
	for _, addr := range []string{
		":0", "0.0.0.0:0", "192.0.2.1:0", "example.com:0", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536",
	} {
		if err := fresh().Start(addr); err == nil {
			t.Errorf("Start(%q) succeeded", addr)
		}
	}
	for _, addr := range []string{"localhost:0", "127.0.0.1:0"} {
		s := fresh()
		if err := s.Start(addr); err != nil {
			t.Errorf("Start(%q): %v", addr, err)
		}
		if err := s.Start(addr); err == nil {
			t.Error("the second Start succeeded")
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := fresh().Close(); err != nil {
		t.Errorf("Close without Start: %v", err)
	}
}

func fixedPort(t *testing.T, fresh func() Subject) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := l.Addr().(*net.TCPAddr).Port
	// The last of the ports is taken: those before it must be free again afterwards.
	for range 2 {
		if err := fresh().Start("127.0.0.1:" + strconv.Itoa(taken-fresh().Ports+1)); err == nil {
			t.Error("Start with a port taken succeeded")
		}
	}
}

// lab is a subject that listens, and a client of it.
type lab struct {
	Subject
	t      *testing.T
	client *http.Client
}

func open(t *testing.T, fresh func() Subject) lab {
	t.Helper()
	s := fresh()
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return lab{s, t, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (l lab) inject(keys string) {
	l.t.Helper()
	if err := l.Inject(keys); err != nil {
		l.t.Fatal(err)
	}
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// change sends the request and returns the answer.
func (l lab) change() (answer, error) {
	resp, err := l.client.Do(l.Change())
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func instead(t *testing.T, fresh func() Subject) {
	for keys, want := range map[string]struct {
		status  int
		body    string
		headers string // Retry-After and Location
	}{
		"status=503,retry-after=7":          {503, "503 Service Unavailable\n", "7 "},
		"html":                              {502, "<html>", " "},
		"html,status=200":                   {200, "<html>", " "},
		"redirect=http://127.0.0.1:9/":      {307, "<html>", " http://127.0.0.1:9/"},
		"redirect=/login,status=302":        {302, "<html>", " /login"},
		"latency=1ms,status=429,truncate":   {429, "429 Too Many Requests\n", " "},
		"reset-after,hang-after,status=500": {500, "500 Internal Server Error\n", " "},
	} {
		t.Run(keys, func(t *testing.T) {
			l := open(t, fresh)
			l.inject(keys)
			got, err := l.change()
			if err != nil {
				t.Fatal(err)
			}
			headers := got.header.Get("Retry-After") + " " + got.header.Get("Location")
			if got.status != want.status || !strings.HasPrefix(got.body, want.body) || headers != want.headers {
				t.Errorf("HTTP %d, %q, %q", got.status, headers, got.body)
			}
			if name, status, n := l.Last(); name == "" || status != want.status || n != 1 || l.Changed() {
				t.Errorf("journal: %s %d, %d entries; changed: %t", name, status, n, l.Changed())
			}
			l.Clear()
			if got, err := l.change(); err != nil || got.status/100 != 2 || !l.Changed() {
				t.Errorf("without the fault: %v, %v", got, err)
			} else if date, err := http.ParseTime(got.header.Get("Date")); err != nil || !date.Equal(l.Now) {
				t.Errorf("Date: %s, %v", date, err)
			}
		})
	}
}

func cut(t *testing.T, fresh func() Subject) {
	for keys, changed := range map[string]bool{"reset": false, "reset-after": true} {
		l := open(t, fresh)
		l.inject(keys)
		if got, err := l.change(); err == nil {
			t.Errorf("%s: answered %v", keys, got)
		}
		if _, status, n := l.Last(); status != 0 || n != 1 || l.Changed() != changed {
			t.Errorf("%s: status %d, %d entries, changed: %t", keys, status, n, l.Changed())
		}
	}
}

// hold checks faults that hold an answer back: one client gives up, another waits until the simulator closes.
func hold(t *testing.T, fresh func() Subject) {
	for keys, changed := range map[string]bool{"latency=1h": false, "hang-after": true} {
		for _, patient := range []bool{false, true} {
			l := open(t, fresh)
			l.inject(keys)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				resp, err := l.client.Do(l.Change().WithContext(ctx))
				if err == nil {
					_ = resp.Body.Close()
				}
				done <- err
			}()
			for changed && !l.Changed() {
				runtime.Gosched()
			}
			if patient {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			} else {
				cancel()
			}
			if err := <-done; err == nil || !patient && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", keys, err)
			}
			cancel()
			if l.Changed() != changed {
				t.Errorf("%s: changed: %t", keys, l.Changed())
			}
		}
	}
}

func spoil(t *testing.T, fresh func() Subject) {
	l := open(t, fresh)
	l.inject("truncate")
	if got, err := l.change(); err != nil || json.Valid([]byte(got.body)) || !strings.HasPrefix(got.body, "{") || !l.Changed() {
		t.Errorf("truncated: %q, %v", got.body, err)
	}
	complete, err := open(t, fresh).change()
	if err != nil {
		t.Fatal(err)
	}
	whole := len(complete.body)
	for _, size := range []int{whole, whole + 13, whole + 14, 1 << 20} {
		l := open(t, fresh)
		l.inject("huge=" + strconv.Itoa(size))
		got, err := l.change()
		if n := len(got.body); err != nil || !json.Valid([]byte(got.body)) || size > whole+13 && n != size || n < whole {
			t.Errorf("padded to %d bytes: got %d, %v", size, n, err)
		}
	}
	l = open(t, fresh) // a client may stop reading a huge answer
	l.inject("huge=1000000000")
	resp, err := l.client.Do(l.Change())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Errorf("%d bytes: %v", n, err)
	}
	_ = resp.Body.Close()
}

func selection(t *testing.T, fresh func() Subject) {
	l := open(t, fresh)
	l.inject("after=1,times=2,status=500")
	l.inject("after=3,times=1,status=501") // counts only what the first one lets pass
	var got []string
	for range 6 {
		one, err := l.change()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strconv.Itoa(one.status))
	}
	failures := 0
	for i, status := range got {
		if status[0] == '5' {
			failures++
		}
		if want := map[int]string{1: "500", 2: "500", 5: "501"}[i]; want != "" && status != want || want == "" && status[0] == '5' {
			t.Errorf("the answers are %v", got)
		}
	}
	if failures != 3 {
		t.Errorf("%d faults acted", failures)
	}
}

func roundTrip(wire http.RoundTripper, r *http.Request) (status int, err error) {
	resp, err := wire.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func inProcess(t *testing.T, fresh func() Subject) {
	s := fresh()
	seen := 0
	wire := s.Transport()
	wire.Before = func(*http.Request) { seen++ }
	status, err := roundTrip(wire, s.Change())
	if err != nil || status/100 != 2 || !s.Changed() || seen != 1 {
		t.Errorf("HTTP %d, %v, changed: %t, seen %d", status, err, s.Changed(), seen)
	}
	if err := s.Inject("reset"); err != nil {
		t.Fatal(err)
	}
	var reset *net.OpError
	if status, err := roundTrip(wire, s.Change()); !errors.As(err, &reset) {
		t.Errorf("reset: HTTP %d, %v", status, err)
	}
	recorder := httptest.NewRecorder()
	defer func() {
		if recover() == nil {
			t.Errorf("a handler without a connection did not abort: %d", recorder.Code)
		}
	}()
	r := s.Change()
	wire.Handler(r.URL.Host).ServeHTTP(recorder, r)
}
