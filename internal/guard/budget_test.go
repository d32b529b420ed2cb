package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

func TestBudget(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	budget := guard.NewBudget("local", 10, guard.NewMemory(clock), clock)
	take := func(count int, want string) {
		t.Helper()
		err := budget.Take(t.Context(), count)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("Take(%d) = %v, want %q", count, err, want)
		}
	}
	take(11, "allows 10 per hour")
	take(6, "")
	now = now.Add(20 * time.Minute)
	take(4, "")
	take(1, "room in 40m0s")
	take(7, "room in 1h0m0s")
	now = now.Add(40 * time.Minute)
	take(6, "")
	take(1, "room in 20m0s")
	giveBack(t, budget, 5)
	take(5, "")
	take(1, "is reached")
}

func giveBack(t *testing.T, budget *guard.Budget, count int) {
	t.Helper()
	if err := budget.Return(t.Context(), count); err != nil {
		t.Error(err)
	}
}

// kept returns what a state keeps under key.
func kept(t *testing.T, state guard.State, key string) string {
	t.Helper()
	var text string
	_ = state.Update(t.Context(), key, time.Hour, func(old []byte) ([]byte, error) {
		text = string(old)
		return nil, errors.New("only looked")
	})
	return text
}

// What is kept must stay small however many calls there are, and must not forget early.
func TestBudgetKeepsOneEntryASecond(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	state := guard.NewMemory(clock)
	budget := guard.NewBudget("local", 100, state, clock)
	for range 30 {
		if err := budget.Take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		now = now.Add(100 * time.Millisecond)
	}
	const want = "[[1800000000900,10],[1800000001900,10],[1800000002900,10]]"
	if got := kept(t, state, "budget:local"); got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
	now = time.UnixMilli(1800000000900).Add(time.Hour - time.Millisecond)
	if err := budget.Room(t.Context(), 71); err == nil {
		t.Error("the first was forgotten early")
	}
	now = now.Add(time.Millisecond)
	if err := budget.Room(t.Context(), 80); err != nil {
		t.Error(err)
	}
	giveBack(t, budget, 30)
	if got := kept(t, state, "budget:local"); got != "" {
		t.Errorf("kept %s after everything was given back", got)
	}
}

func TestRoomTakesNothing(t *testing.T) {
	budget := guard.NewBudget("local", 0, guard.NewMemory(time.Now), time.Now)
	for range 2 {
		if err := budget.Room(t.Context(), guard.DefaultMaxMutationsPerHour); err != nil {
			t.Error(err)
		}
	}
	checkRule(t, "more than the limit", budget.Room(t.Context(), guard.DefaultMaxMutationsPerHour+1), "max-mutations-per-hour")
}

func TestBudgetsOfOneAccountShare(t *testing.T) {
	state := guard.NewMemory(time.Now)
	one, other := guard.NewBudget("a", 3, state, time.Now), guard.NewBudget("a", 3, state, time.Now)
	foreign := guard.NewBudget("b", 3, state, time.Now)
	for _, budget := range []*guard.Budget{one, other, foreign} {
		if err := budget.Take(t.Context(), map[bool]int{true: 3, false: 1}[budget == foreign]); err != nil {
			t.Error(err)
		}
	}
	checkRule(t, "used by another", other.Take(t.Context(), 2), "max-mutations-per-hour")
}

var errDown = errors.New("dial tcp 10.0.0.7:6379: connection refused")

// broken is a State that cannot be reached.
type broken struct{}

func (broken) Claim(context.Context, string, time.Time) (bool, error) { return false, errDown }

func (broken) Claimed(context.Context, string) (bool, error) { return false, errDown }

func (broken) Update(context.Context, string, time.Duration, func([]byte) ([]byte, error)) error {
	return errDown
}

func TestBudgetThatCannotBeCheckedRefuses(t *testing.T) {
	budget := guard.NewBudget("local", 10, broken{}, time.Now)
	for name, err := range map[string]error{"Room": budget.Room(t.Context(), 1), "Take": budget.Take(t.Context(), 1)} {
		var refusal *guard.Refusal
		if !errors.As(err, &refusal) || refusal.Rule != "max-mutations-per-hour" || !errors.Is(refusal.Cause, errDown) {
			t.Fatalf("%s: %v", name, err)
		}
		text := err.Error()
		if !strings.Contains(text, "cannot be reached") || !strings.Contains(text, "nothing was changed") ||
			strings.Contains(text, "10.0.0.7") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if err := budget.Return(t.Context(), 1); !errors.Is(err, errDown) {
		t.Errorf("Return: %v", err)
	}
}

// A shared budget that says that less than nothing was spent makes no room.
func TestBudgetThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"[[1800000000000,-3]]", "[[1800000000000,0]]", "[[1800000000000]]", "{}", "[", `[["x",1]]`} {
		clock := func() time.Time { return time.Unix(1_800_000_000, 0) }
		state := guard.NewMemory(clock)
		put := func([]byte) ([]byte, error) { return []byte(text), nil }
		if err := state.Update(t.Context(), "budget:x", time.Hour, put); err != nil {
			t.Fatal(err)
		}
		checkRule(t, text, guard.NewBudget("x", 10, state, clock).Take(t.Context(), 1), "max-mutations-per-hour")
	}
}

// gone is a State that nobody can use after the caller has gone.
type gone struct{ guard.State }

func (g gone) Update(ctx context.Context, key string, ttl time.Duration, change func([]byte) ([]byte, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return g.State.Update(ctx, key, ttl, change)
}

func TestReturnAfterTheCallerHasGone(t *testing.T) {
	budget := guard.NewBudget("x", 1, gone{guard.NewMemory(time.Now)}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	if err := budget.Take(ctx, 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := budget.Return(ctx, 1); err != nil {
		t.Error(err)
	}
	if err := budget.Take(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

// FuzzBudget finds anything at all in the shared state. It must refuse what it cannot read, and never allow more than the
// limit.
func FuzzBudget(f *testing.F) {
	for _, seed := range []string{"", "[]", "[[1800000000000,3]]", "[[1800000000000,-3]]", "[[1,2,3]]", "{",
		"[[9223372036854775807,1]]"} {
		f.Add(seed, 4)
	}
	clock := func() time.Time { return time.Unix(1_800_000_000, 0) }
	f.Fuzz(func(t *testing.T, text string, count int) {
		state := guard.NewMemory(clock)
		put := func([]byte) ([]byte, error) { return []byte(text), nil }
		if err := state.Update(t.Context(), "budget:x", time.Hour, put); err != nil {
			t.Fatal(err)
		}
		budget := guard.NewBudget("x", 10, state, clock)
		err := budget.Take(t.Context(), count)
		var refusal *guard.Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("%v", err)
		}
		if err == nil && count > 10 {
			t.Errorf("%d of 10 were taken", count)
		}
		if err == nil && count > 0 {
			var entries [][2]int64
			if err := json.Unmarshal([]byte(kept(t, state, "budget:x")), &entries); err != nil {
				t.Error(err)
			}
		}
		_ = budget.Return(t.Context(), count)
	})
}
