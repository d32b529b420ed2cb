package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/redis"
	"github.com/scnet-mcp/scnet-mcp/internal/userstate"
)

var _ guard.State = (*redis.Store)(nil)

// replicas are two views of one state. age lets time pass where it does not pass by itself.
type replicas struct {
	one, other guard.State
	age        func()
}

// TestState holds every State to the same rules.
func TestState(t *testing.T) {
	for name, start := range map[string]func(*testing.T) replicas{
		"memory": func(*testing.T) replicas {
			memory := guard.NewMemory(time.Now)
			return replicas{memory, memory, runtime.Gosched}
		},
		"file": func(t *testing.T) replicas {
			folder := t.TempDir()
			place := func() (string, error) { return folder, nil }
			return replicas{userstate.New(place, time.Now), userstate.New(place, time.Now), runtime.Gosched}
		},
		"simulated": func(t *testing.T) replicas {
			server := simulated(t)
			options := redis.Options{URL: "redis://" + server.Addr()}
			return replicas{open(t, options), open(t, options), func() { server.FastForward(10 * time.Millisecond) }}
		},
		"real": func(t *testing.T) replicas {
			options := redis.Options{URL: realServer(t)}
			return replicas{open(t, options), open(t, options), runtime.Gosched}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			for name, test := range map[string]func(*testing.T, replicas){
				"claims": testClaims, "epoch": testEpoch, "updates": testUpdates, "expiry": testExpiry, "one of many claims": testClaimRace,
				"no update is lost": testUpdateRace, "budget": testBudgetRace, "token": testTokenRace,
			} {
				t.Run(name, func(t *testing.T) { test(t, r) })
			}
		})
	}
}

func claim(t *testing.T, state guard.State, key string, until time.Time) bool {
	t.Helper()
	won, err := state.Claim(t.Context(), key, until)
	if err != nil {
		t.Error(err)
	}
	return won
}

func claimed(t *testing.T, state guard.State, key string) bool {
	t.Helper()
	taken, err := state.Claimed(t.Context(), key)
	if err != nil {
		t.Error(err)
	}
	return taken
}

func testClaims(t *testing.T, r replicas) {
	later := time.Now().Add(time.Hour)
	if claimed(t, r.one, "a") {
		t.Error("claimed by nobody")
	}
	if !claim(t, r.one, "a", later) || claim(t, r.other, "a", later) || claim(t, r.one, "a", later) {
		t.Error("the first claim did not win, or another did")
	}
	if !claimed(t, r.one, "a") || !claimed(t, r.other, "a") || claimed(t, r.other, "b") {
		t.Error("the claim is not seen, or one that nobody made")
	}
	for _, over := range []time.Time{{}, time.Now().Add(-time.Hour), time.Now()} {
		if claim(t, r.one, "over", over) || claimed(t, r.other, "over") {
			t.Errorf("a claim until %s was made", over)
		}
	}
}

// Whoever loses every claim has another epoch.
func testEpoch(t *testing.T, r replicas) {
	first, began := epoch(t, r.one)
	if second, again := epoch(t, r.other); first == "" || second != first || !again.Equal(began) || time.Since(began) > time.Hour {
		t.Errorf("%q since %s and %q since %s", first, began, second, again)
	}
}

func epoch(t *testing.T, state guard.State) (id string, began time.Time) {
	t.Helper()
	id, began, err := state.Epoch(t.Context())
	if err != nil {
		t.Error(err)
	}
	return id, began
}

func TestEpochEndsWithTheClaims(t *testing.T) {
	server := simulated(t)
	options := redis.Options{URL: "redis://" + server.Addr()}
	one, other := open(t, options), open(t, options)
	before, _ := epoch(t, one)
	server.FlushAll()
	ids := make(chan string, 20)
	together(cap(ids), func() {
		id, _ := epoch(t, other)
		ids <- id
	})
	after, _ := epoch(t, one)
	for range cap(ids) {
		if id := <-ids; id != after || id == before {
			t.Errorf("%q, %q, before %q", id, after, before)
		}
	}
	if err := server.Set(redis.DefaultPrefix+"epoch", "nonsense"); err != nil {
		t.Fatal(err)
	}
	if id, _, err := one.Epoch(t.Context()); err == nil {
		t.Errorf("nonsense is read as %q", id)
	}
}

func testExpiry(t *testing.T, r replicas) {
	if !claim(t, r.one, "short", time.Now().Add(50*time.Millisecond)) {
		t.Error("not claimed")
	}
	put(t, r.one, "short value", 50*time.Millisecond, "x")
	for limit := time.Now().Add(10 * time.Second); claimed(t, r.other, "short") || value(t, r.other, "short value") != ""; r.age() {
		if time.Now().After(limit) {
			t.Fatal("it does not end")
		}
	}
	if !claim(t, r.other, "short", time.Now().Add(time.Hour)) {
		t.Error("what has expired cannot be claimed again")
	}
}

func put(t *testing.T, state guard.State, key string, ttl time.Duration, text string) {
	t.Helper()
	if err := state.Update(t.Context(), key, ttl, func([]byte) ([]byte, error) { return []byte(text), nil }); err != nil {
		t.Error(err)
	}
}

var errLooked = errors.New("only looked")

func value(t *testing.T, state guard.State, key string) (text string) {
	t.Helper()
	err := state.Update(t.Context(), key, time.Hour, func(old []byte) ([]byte, error) {
		text = string(old)
		return []byte("must not be kept"), errLooked
	})
	if err != errLooked { //nolint:errorlint // the very error, not wrapped: its text is shown
		t.Errorf("the change's error became %v", err)
	}
	return text
}

func testUpdates(t *testing.T, r replicas) {
	if got := value(t, r.one, "v"); got != "" {
		t.Errorf("at first: %q", got)
	}
	for _, text := range []string{"one", "\x00\xff\r\n", strings.Repeat("long", 10_000), ""} {
		put(t, r.one, "v", time.Hour, text)
		for range 2 {
			if got := value(t, r.other, "v"); got != text {
				t.Errorf("%.20q came back as %.20q", text, got)
			}
		}
	}
	if claimed(t, r.one, "v") {
		t.Error("an empty value is kept")
	}
}

func together(n int, do func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(do)
	}
	all.Wait()
}

func testClaimRace(t *testing.T, r replicas) {
	var won, turn atomic.Int32
	together(50, func() {
		state := r.one
		if turn.Add(1)%2 == 0 {
			state = r.other
		}
		if claim(t, state, "race", time.Now().Add(time.Hour)) {
			won.Add(1)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d claims won", won.Load())
	}
}

func testUpdateRace(t *testing.T, r replicas) {
	var turn atomic.Int32
	together(20, func() {
		state := r.one
		if turn.Add(1)%2 == 0 {
			state = r.other
		}
		err := state.Update(t.Context(), "counter", time.Hour, func(old []byte) ([]byte, error) {
			return append(bytes.Clone(old), '+'), nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if got := value(t, r.one, "counter"); len(got) != 20 {
		t.Errorf("%d of 20 updates are left", len(got))
	}
}

func testBudgetRace(t *testing.T, r replicas) {
	budgets := []*guard.Budget{guard.NewLedger(r.one, time.Now).Budget("race", 20), guard.NewLedger(r.other, time.Now).Budget("race", 20)}
	var taken, turn atomic.Int32
	returns := make(chan func() error, 50)
	together(50, func() {
		budget := budgets[turn.Add(1)%2]
		receipt, err := budget.Take(t.Context(), 1)
		var refusal *guard.Refusal
		switch {
		case err == nil:
			taken.Add(1)
			returns <- func() error { return budget.Return(t.Context(), receipt, 1) }
		case !errors.As(err, &refusal) || refusal.Cause != nil:
			t.Errorf("%v", err)
		}
	})
	if taken.Load() != 20 {
		t.Errorf("%d of a budget of 20 were taken", taken.Load())
	}
	for range 5 {
		if err := (<-returns)(); err != nil {
			t.Error(err)
		}
	}
	if _, err := budgets[1].Take(t.Context(), 6); err == nil {
		t.Error("more than the other gave back")
	}
	if _, err := budgets[1].Take(t.Context(), 5); err != nil {
		t.Error(err)
	}
}

func testTokenRace(t *testing.T, r replicas) {
	key := []byte(strings.Repeat("k", 32))
	var all []*guard.Tokens
	for _, state := range []guard.State{r.one, r.other} {
		tokens, err := guard.NewTokens(key, state, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tokens.Close)
		all = append(all, tokens)
	}
	subject := guard.Subject{Tool: "delete_instances"}
	token, _, err := all[0].Issue(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	var won, turn atomic.Int32
	together(20, func() {
		if all[turn.Add(1)%2].Redeem(t.Context(), token, subject) == nil {
			won.Add(1)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d used one token", won.Load())
	}
	declined, _, err := all[0].Issue(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := all[1].Burn(t.Context(), declined); err != nil {
		t.Error(err)
	}
	if err := all[0].Check(t.Context(), declined, subject); !errors.Is(err, guard.ErrTokenUsed) {
		t.Errorf("burnt by another replica: %v", err)
	}
}

// Nothing but the epoch may be kept for ever, and everything has the prefix.
func TestKeys(t *testing.T) {
	for _, prefix := range []string{"", "other:"} {
		server := simulated(t)
		store := open(t, redis.Options{URL: "redis://" + server.Addr(), Prefix: prefix})
		claim(t, store, "claim", time.Now().Add(time.Hour))
		put(t, store, "value", time.Minute, "x")
		epoch(t, store)
		if err := store.Send(t.Context(), "me", []byte("x")); err != nil {
			t.Error(err)
		}
		if prefix == "" {
			prefix = redis.DefaultPrefix
		}
		keys := server.Keys()
		if got, want := fmt.Sprint(keys), fmt.Sprintf("[%[1]sclaim %[1]sepoch %[1]smail:me %[1]svalue]", prefix); got != want {
			t.Errorf("keys %s, want %s", got, want)
		}
		for _, key := range keys {
			if ttl := server.TTL(key); !strings.HasSuffix(key, "epoch") && ttl <= 0 || ttl > time.Hour {
				t.Errorf("%s is kept for %s", key, ttl)
			}
		}
	}
}

func TestValueWithoutAnEnd(t *testing.T) {
	store := open(t, redis.Options{URL: "redis://" + simulated(t).Addr()})
	if err := store.Update(t.Context(), "v", 0, func([]byte) ([]byte, error) { return []byte("x"), nil }); err == nil {
		t.Error("a value that is kept for no time is accepted")
	}
}

// When Redis is away, nothing is allowed.
func TestFailsClosed(t *testing.T) {
	server := simulated(t)
	store := open(t, redis.Options{URL: "redis://" + server.Addr()})
	tokens, err := guard.NewTokens(nil, store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	token, _, err := tokens.Issue(t.Context(), guard.Subject{})
	if err != nil {
		t.Fatal(err)
	}
	budget := guard.NewLedger(store, time.Now).Budget("local", 10)
	server.Close()

	checkAway := func() {
		t.Helper()
		for name, err := range map[string]error{
			"Check": tokens.Check(t.Context(), token, guard.Subject{}), "Redeem": tokens.Redeem(t.Context(), token, guard.Subject{}),
		} {
			if !errors.Is(err, guard.ErrTokenUnchecked) {
				t.Errorf("%s: %v", name, err)
			}
		}
		var refusal *guard.Refusal
		if _, err := budget.Take(t.Context(), 1); !errors.As(err, &refusal) || refusal.Cause == nil {
			t.Errorf("Take: %v", err)
		}
		if err := store.Ping(t.Context()); err == nil || store.Send(t.Context(), "me", nil) == nil {
			t.Errorf("Ping: %v", err)
		}
		if _, err := store.Receive(t.Context(), "me"); err == nil {
			t.Error("Receive: no error")
		}
	}
	checkAway()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := tokens.Redeem(t.Context(), token, guard.Subject{}); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	if _, err := budget.Take(t.Context(), 1); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	server.SetError("LOADING Redis is loading the dataset in memory")
	checkAway()
}

func TestEndedContext(t *testing.T) {
	store := open(t, redis.Options{URL: "redis://" + simulated(t).Addr()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if won, err := store.Claim(ctx, "k", time.Now().Add(time.Hour)); won || !errors.Is(err, context.Canceled) {
		t.Errorf("Claim: %v, %v", won, err)
	}
	set := func([]byte) ([]byte, error) { return []byte("x"), nil }
	if err := store.Update(ctx, "k", time.Hour, set); !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v", err)
	}
	if _, err := store.Receive(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Receive: %v", err)
	}
	if claimed(t, store, "k") {
		t.Error("something was kept")
	}
}
