package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// ledger is what clients were answered while a server was stopped under them.
type ledger struct {
	mu       sync.Mutex
	answered int             // tool calls, with a complete answer
	deleted  map[string]bool // instances that an answer calls deleted
	turned   int             // calls that were refused because the server stops
	cut      int             // calls without an answer
}

// errOver ends a client of a server that is stopping.
var errOver = errors.New("the server is stopping")

// enter notes what became of a call, and returns errOver when there is no more to expect.
func (l *ledger) enter(got answer, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil && got.status != 0:
		return fmt.Errorf("an answer is not whole: %w", err)
	case err != nil:
		l.cut++
		return errOver
	case got.status == http.StatusServiceUnavailable && strings.Contains(got.text, "nothing was done"):
		l.turned++
		return errOver
	case got.status != http.StatusOK || got.Error != nil || got.Result.IsError:
		return got.fault("unexpected", nil)
	}
	l.answered++
	if o, err := got.outcome(); err == nil && len(o.Targets) == 1 && o.Targets[0].Outcome == "deleted" {
		l.deleted[o.Targets[0].ID] = true
	}
	return nil
}

// work lists, previews and deletes one instance after the other until the server stops.
func (l *ledger) work(ctx context.Context, a *agent, ids []string) error {
	for _, id := range ids {
		if err := l.enter(a.call(ctx, "list_instances", `{}`)); err != nil {
			return err
		}
		shown, err := a.call(ctx, "delete_instances", deletion(id, ""))
		if err := l.enter(shown, err); err != nil {
			return err
		}
		preview, err := shown.outcome()
		if err != nil {
			return err
		}
		if err := l.enter(a.call(ctx, "delete_instances", deletion(id, with(preview.Preview.Token)))); err != nil {
			return err
		}
	}
	return errors.New("there is nothing left to delete, and the server does not stop")
}

// A server that is told to stop answers every call that it has begun, and begins no other.
func TestHTTPTerminateUnderLoad(t *testing.T) {
	needs(t, unix...)
	const clients, each = 16, 40
	sim, settings := laboratory(t, clients*each)
	sim.Inject(simulator.Fault{Latency: 20 * time.Millisecond}) // so that calls are under way at any time
	s := serve(t, "http", settings, "--log-level", "info", "--requests-per-second", "10000",
		"--max-mutations-per-hour", strconv.Itoa(clients*each))
	book := &ledger{deleted: map[string]bool{}}
	group, ctx := errgroup.WithContext(t.Context())
	for i := range clients {
		a := opened(t, s.url, []string{legacyEra, modernEra}[i%2], "")
		group.Go(func() error {
			var ids []string
			for n := range each {
				ids = append(ids, instance(i*each+n))
			}
			if err := book.work(ctx, a, ids); !errors.Is(err, errOver) {
				return fmt.Errorf("client %d: %w", i, err)
			}
			return nil
		})
	}
	until(t, "many are deleted", func() bool {
		book.mu.Lock()
		defer book.mu.Unlock()
		return len(book.deleted) >= 2*clients
	})
	s.signal(syscall.SIGTERM)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if !s.exitsWithin(patience) || s.err != nil {
		t.Fatalf("the server ended with %v", s.err)
	}
	s.verify()

	begun, done := map[string]bool{}, map[string]bool{}
	for _, r := range s.records("") {
		switch r.Event {
		case "intent":
			begun[r.Call] = true
		case "result":
			done[r.Call] = true
			if id := r.Targets[0].ID; !book.deleted[id] {
				t.Errorf("%s was deleted, and no client knows: %+v", id, r)
			}
		}
	}
	logged := strings.Count(s.output.String(), `"message":"tool call"`) // at most: under load lines may be left out
	t.Logf("%d calls answered, %d in the log, %d refused, %d not taken; %d deleted",
		book.answered, logged, book.turned, book.cut, len(done))
	if n := deletions(sim); len(begun) != len(done) || len(done) != len(book.deleted) || n != len(done) {
		t.Errorf("%d begun, %d done, %d known to clients, %d sent", len(begun), len(done), len(book.deleted), n)
	}
	if logged > book.answered || logged == 0 {
		t.Errorf("the server carried out %d calls and answered %d", logged, book.answered)
	}
}

// simulatorAt starts a simulated SCNet as a program of its own, and returns the settings that reach it.
func simulatorAt(t testing.TB, port int, args ...string) (*daemon, []string) {
	t.Helper()
	d := run(t, nil, binary, append([]string{"simulator", "--listen", "127.0.0.1:" + strconv.Itoa(port)}, args...)...)
	d.says(`CLUSTER_ID=\S+\n`)
	var settings []string
	for line := range strings.Lines(d.output.String()) {
		if setting, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			settings = append(settings, setting)
		}
	}
	return d, settings
}

// witness lists again and again, and counts what comes back.
type witness struct {
	good, bad atomic.Int64
}

func (w *witness) watch(ctx context.Context, a *agent) error {
	for ctx.Err() == nil {
		got, err := a.call(ctx, "list_instances", `{}`)
		switch text := got.reply.text(); {
		case ctx.Err() != nil:
		case err != nil:
			return err
		case got.status == http.StatusOK && got.Error == nil && !got.Result.IsError && got.Result.StructuredContent != nil:
			w.good.Add(1)
		case got.status == http.StatusOK && got.Result.IsError && strings.Contains(text, "Nothing was changed") &&
			(strings.Contains(text, "was not sent") || strings.Contains(text, "no answer came")):
			w.bad.Add(1)
		default:
			return got.fault("unexpected", nil)
		}
	}
	return nil
}

// demoEnded is an instance of every simulator that can be deleted.
const demoEnded = "195d453c7a424b32ac8593512fec6a26"

// While the service is away calls say so. When it is back they work, and the server was never restarted.
func TestHTTPServiceDies(t *testing.T) {
	needs(t, unix...)
	t.Parallel() // it mostly waits, like the others that are
	port := freePort(t, 3)
	service, settings := simulatorAt(t, port, "--fault", "delete:latency=1h")
	s := serve(t, "http", settings, "--requests-per-second", "100000")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	witnesses := make([]*witness, 8)
	for i := range witnesses {
		witnesses[i] = &witness{}
		a := opened(t, s.url, []string{legacyEra, modernEra}[i%2], "")
		group.Go(func() error { return witnesses[i].watch(ctx, a) })
	}
	all := func(what string, count func(*witness) *atomic.Int64) {
		t.Helper()
		before := make([]int64, len(witnesses))
		for i, w := range witnesses {
			before[i] = count(w).Load()
		}
		until(t, what, func() bool {
			if ctx.Err() != nil {
				t.Fatal(group.Wait())
			}
			for i, w := range witnesses {
				if count(w).Load() == before[i] {
					return false
				}
			}
			return true
		})
	}
	good := func(w *witness) *atomic.Int64 { return &w.good }
	bad := func(w *witness) *atomic.Int64 { return &w.bad }

	all("everybody is answered", good)
	ann := opened(t, s.url, legacyEra, "")
	token, _, err := ann.preview(t.Context(), demoEnded)
	if err != nil {
		t.Fatal(err)
	}
	var cut answer
	var deleting errgroup.Group
	deleting.Go(func() (err error) {
		cut, err = ann.call(t.Context(), "delete_instances", deletion(demoEnded, with(token)))
		return err
	})
	until(t, "the deletion is under way", func() bool { return len(s.records("intent")) == 1 })
	service.kill()
	all("everybody is told that the service is away", bad)
	s.becomes(http.StatusServiceUnavailable)
	simulatorAt(t, port)
	all("everybody is answered again", good)
	s.becomes(http.StatusOK)

	cancel()
	if err := errors.Join(deleting.Wait(), group.Wait()); err != nil {
		t.Error(err)
	}
	// Either the deletion was sent and its answer never came, or it came too late to be sent at all.
	if o, err := cut.outcome(); err != nil || o.State != "unknown" &&
		(o.State != "failed" || !strings.Contains(cut.text, "connection refused")) {
		t.Errorf("%v: %s", err, cut.text)
	}
	for i, w := range witnesses {
		t.Logf("client %d: %d lists, %d errors", i, w.good.Load(), w.bad.Load())
	}
	token, _, err = ann.preview(t.Context(), demoEnded)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := ann.call(t.Context(), "delete_instances", deletion(demoEnded, with(token))); err != nil || !done.deleted() {
		t.Errorf("%v: %s", err, done.text)
	}
	if n := strings.Count(s.output.String(), `"not ready"`); n == 0 || n > 10 {
		t.Errorf("%d lines in the log say that the server is not ready", n) // a stranger could fill a disk
	}
	s.stop()
	s.verify()
}
