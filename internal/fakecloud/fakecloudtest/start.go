package fakecloudtest

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// Noon is what the clock of a test says first.
var Noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

// Clock stands still until it is told to move.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that says noon.
func NewClock() *Clock { return &Clock{now: Noon} }

// Now returns what the clock says.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Start lets a simulator listen until the test ends.
func Start(t testing.TB, sim interface {
	Start(addr string) error
	Close() error
}) {
	t.Helper()
	if err := sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
}

// NewClient returns a client that follows no redirects and leaves no connections behind.
func NewClient(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Settle waits until count is at least want, because a request that its client has given up may reach the journal late, and
// checks that it is not more.
func Settle(t testing.TB, what string, want int, count func() int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); count() < want && time.Now().Before(deadline); {
		<-time.After(time.Millisecond)
	}
	if got := count(); got != want {
		t.Errorf("%d requests to %s, want %d", got, what, want)
	}
}
