package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/redis"
)

func mailboxes(t *testing.T, test func(t *testing.T, sender, receiver *redis.Store)) {
	for name, start := range map[string]func(*testing.T) string{
		"simulated": func(t *testing.T) string { return "redis://" + simulated(t).Addr() },
		"real":      func(t *testing.T) string { return realServer(t) },
	} {
		t.Run(name, func(t *testing.T) {
			options := redis.Options{URL: start(t)}
			test(t, open(t, options), open(t, options))
		})
	}
}

func send(t *testing.T, store *redis.Store, address, message string) {
	t.Helper()
	if err := store.Send(t.Context(), address, []byte(message)); err != nil {
		t.Error(err)
	}
}

func receive(t *testing.T, store *redis.Store, address string) string {
	t.Helper()
	message, err := store.Receive(t.Context(), address)
	if err != nil {
		t.Error(err)
	}
	return string(message)
}

func TestMailbox(t *testing.T) {
	mailboxes(t, func(t *testing.T, sender, receiver *redis.Store) {
		long := string(bytes.Repeat([]byte("\x00long\r\n"), 10_000))
		for _, message := range []string{"first", "", long} {
			send(t, sender, "a", message)
		}
		send(t, sender, "b", "for another")
		for _, want := range []string{"first", "", long} {
			if got := receive(t, receiver, "a"); got != want {
				t.Errorf("got %.20q, want %.20q", got, want)
			}
		}
		if got := receive(t, receiver, "b"); got != "for another" {
			t.Errorf("got %q", got)
		}
	})
}

// Receivers that wait must not take the connections that tokens are checked over, and everybody gets a turn.
func TestManyReceivers(t *testing.T) {
	server := simulated(t)
	options := redis.Options{URL: "redis://" + server.Addr()}
	sender, receiver := open(t, options), open(t, options)
	const receivers, connections = 300, 64
	var all sync.WaitGroup
	for i := range receivers {
		all.Go(func() {
			if got, want := receive(t, receiver, fmt.Sprint(i)), fmt.Sprint("to ", i); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	// After some rounds most of them have waited for a connection for longer than they may.
	for limit := time.Now().Add(30 * time.Second); server.CommandCount() < 5*connections; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%d commands on %d connections", server.CommandCount(), server.CurrentConnectionCount())
		}
	}
	if n := server.CurrentConnectionCount(); n != connections {
		t.Errorf("%d connections wait, want %d", n, connections)
	}
	if !claim(t, receiver, "token", time.Now().Add(time.Hour)) {
		t.Error("not claimed")
	}
	for i := range receivers {
		send(t, sender, fmt.Sprint(i), fmt.Sprint("to ", i))
	}
	all.Wait()
}

// Whenever a receiver gives up, the message is either its or the next one's.
func TestNoMessageIsLost(t *testing.T) {
	mailboxes(t, func(t *testing.T, sender, receiver *redis.Store) {
		type result struct {
			message []byte
			err     error
		}
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				address := fmt.Sprint(i)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				results := make(chan result, 1)
				all.Go(func() {
					message, err := receiver.Receive(ctx, address)
					results <- result{message, err}
				})
				if i%2 == 0 {
					cancel()
				}
				send(t, sender, address, address)
				cancel()
				got := <-results
				if errors.Is(got.err, context.Canceled) {
					got.message, got.err = receiver.Receive(t.Context(), address)
				}
				if got.err != nil || string(got.message) != address {
					t.Errorf("%s: %q, %v", address, got.message, got.err)
				}
			})
		}
		all.Wait()
	})
}

func TestReceiveUntilTheDeadline(t *testing.T) {
	mailboxes(t, func(t *testing.T, _, receiver *redis.Store) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		started := time.Now()
		if message, err := receiver.Receive(ctx, "nobody"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q, %v", message, err)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
