package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// mailbox is a Mailbox of one process, which delivers nothing before its gate is open.
type mailbox struct {
	claims *guard.Memory
	gate   chan struct{}

	mu    sync.Mutex
	boxes map[string]chan []byte
	sent  atomic.Int64
	down  atomic.Bool // nothing can be claimed
}

func newMailbox() *mailbox {
	return &mailbox{claims: guard.NewMemory(time.Now), gate: make(chan struct{})}
}

func (m *mailbox) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	if m.down.Load() {
		return false, errors.New("down")
	}
	return m.claims.Claim(ctx, key, until)
}

func (m *mailbox) box(address string) chan []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boxes == nil {
		m.boxes = map[string]chan []byte{}
	}
	if m.boxes[address] == nil {
		m.boxes[address] = make(chan []byte, 100)
	}
	return m.boxes[address]
}

func (m *mailbox) Send(_ context.Context, address string, message []byte) error {
	m.sent.Add(1)
	m.box(address) <- message
	return nil
}

func (m *mailbox) Receive(ctx context.Context, address string) ([]byte, error) {
	select {
	case message := <-m.box(address):
		<-m.gate
		return message, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// The answer to a question may come to another replica than the one that asked. The first counts, also when it is still on
// its way when another one comes to the replica that asked.
func TestReplicas(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string // posted in turn, to one replica after the other
		acts    bool
		down    bool // which answer is the first cannot be checked
	}{
		"yes": {answers: []string{yes}, acts: true}, "yes, again and again": {answers: []string{yes, yes, yes, yes}, acts: true},
		"no": {answers: []string{`{"action":"decline"}`}}, "no, then yes": {answers: []string{`{"action":"decline"}`, yes}},
		"no, while the state is away": {answers: []string{yes, yes, `{"action":"decline"}`, yes}, down: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, guard.Policy{})
			second := New(Options{Name: "scnet", Version: "1", Log: zerolog.New(io.Discard), Toolbox: w.server.tools})
			shared := newMailbox()
			options := HTTPOptions{Key: []byte("of both"), Mailbox: shared, RequestsPerSecond: 10_000}
			callersOnly(&options)
			replicas := []http.Handler{w.server.NewHTTP(options).Handler(), second.NewHTTP(options).Handler()}
			var turn atomic.Int64
			listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				replicas[turn.Add(1)%2].ServeHTTP(w, r)
			}))
			t.Cleanup(listener.Close)
			s := &site{t: t, url: listener.URL, client: listener.Client()}
			session := s.shakeHands(bearer(annsToken)...)
			stranger := s.shakeHands(bearer(bobsToken)...)
			response, err := s.open(t.Context(), http.MethodPost, "/mcp", call("1", "delete_instances", deletion(running, confirmed)),
				session...)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			stream := bufio.NewReader(response.Body)
			asked, err := readEvent(stream)
			if err != nil || !strings.Contains(asked.data, "elicitation/create") {
				t.Fatalf("%+v, %v", asked, err)
			}
			id := string(parse(t, []byte(asked.data)).ID)
			for range 2 { // both replicas
				if a := s.post(answered(id, yes), stranger...); a.status != http.StatusAccepted {
					t.Errorf("a stranger's answer: %d", a.status)
				}
			}
			w.untouched()
			if n := shared.sent.Load(); n != 0 {
				t.Errorf("%d answers of a stranger were kept", n)
			}
			shared.down.Store(c.down)
			for _, answer := range c.answers {
				if a := s.post(answered(id, answer), session...); a.status != http.StatusAccepted {
					t.Errorf("%d", a.status)
				}
			}
			close(shared.gate)
			e, err := readEvent(stream)
			if err != nil {
				t.Fatal(err)
			}
			result := parse(t, []byte(e.data)).tool(t)
			if n := shared.sent.Load(); n != 1 { // the first one, which came to the other replica
				t.Errorf("%d answers were passed on", n)
			}
			if !c.acts {
				refused(t, result, "Do not repeat")
				w.untouched()
				return
			}
			w.outcome("delete_instances", result)
			w.recorded(audit.Result, "elicited")
			if n := w.sent(simulator.EndpointDelete); n != 1 {
				t.Errorf("%d deletions", n)
			}
		})
	}
}
