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
	budget := guard.NewLedger(guard.NewMemory(clock), clock).Budget("local", 10)
	take := func(count int, want string) guard.Receipt {
		t.Helper()
		receipt, err := budget.Take(t.Context(), count)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("Take(%d) = %v, want %q", count, err, want)
		}
		return receipt
	}
	take(11, "allows 10 per hour")
	take(6, "")
	now = now.Add(20 * time.Minute)
	take(4, "")
	take(1, "room in 40m0s")
	take(7, "room in 1h0m0s")
	now = now.Add(40 * time.Minute)
	receipt := take(6, "")
	take(1, "room in 20m0s")
	giveBack(t, budget, receipt, 5)
	take(5, "")
	take(1, "is reached")
}

func giveBack(t *testing.T, budget *guard.Budget, receipt guard.Receipt, count int) {
	t.Helper()
	if err := budget.Return(t.Context(), receipt, count); err != nil {
		t.Error(err)
	}
}

func taken(t *testing.T, budget *guard.Budget, count int) guard.Receipt {
	t.Helper()
	receipt, err := budget.Take(t.Context(), count)
	if err != nil {
		t.Error(err)
	}
	return receipt
}

// checkFull reports an error unless count changes are refused.
func checkFull(t *testing.T, name string, budget *guard.Budget, count int) {
	t.Helper()
	_, err := budget.Take(t.Context(), count)
	checkRule(t, name, err, "max-mutations-per-hour")
}

// What a call gives back is its own: the newest entry may be another call's, and leaves the window later.
func TestReturnTakesOffTheOwnEntry(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	state := guard.NewMemory(clock)
	budget := guard.NewLedger(state, clock).Budget("x", 10)
	first := taken(t, budget, 5)
	now = now.Add(50 * time.Minute)
	taken(t, budget, 5)
	for range 2 { // more than was taken is not given back
		giveBack(t, budget, first, 100)
	}
	now = now.Add(10 * time.Minute)
	checkFull(t, "the second call's are still counted", budget, 6)
	taken(t, budget, 5)
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
	budget := guard.NewLedger(state, clock).Budget("local", 100)
	var receipts []guard.Receipt
	for range 30 {
		receipts = append(receipts, taken(t, budget, 1))
		now = now.Add(100 * time.Millisecond)
	}
	got := kept(t, state, "budget:local")
	for _, want := range []string{`"at":1800000000900,"count":10}`, `"at":1800000001900,"count":10}`, `"at":1800000002900,"count":10}`} {
		if !strings.Contains(got, want) || strings.Count(got, `"at"`) != 3 {
			t.Errorf("kept %s, want %s", got, want)
		}
	}
	now = time.UnixMilli(1800000000900).Add(time.Hour - time.Millisecond)
	if err := budget.Room(t.Context(), 71); err == nil {
		t.Error("the first was forgotten early")
	}
	now = now.Add(time.Millisecond)
	if err := budget.Room(t.Context(), 80); err != nil {
		t.Error(err)
	}
	for _, receipt := range receipts {
		giveBack(t, budget, receipt, 1)
	}
	if got := kept(t, state, "budget:local"); !strings.HasSuffix(got, `"spent":[]}`) {
		t.Errorf("kept %s after everything was given back", got)
	}
}

func TestRoomTakesNothing(t *testing.T) {
	budget := guard.NewLedger(guard.NewMemory(time.Now), time.Now).Budget("local", 0)
	for range 2 {
		if err := budget.Room(t.Context(), guard.DefaultMaxMutationsPerHour); err != nil {
			t.Error(err)
		}
	}
	checkRule(t, "more than the limit", budget.Room(t.Context(), guard.DefaultMaxMutationsPerHour+1), "max-mutations-per-hour")
}

func TestBudgetsOfOneAccountShare(t *testing.T) {
	state := guard.NewMemory(time.Now)
	one, other := guard.NewLedger(state, time.Now).Budget("a", 3), guard.NewLedger(state, time.Now).Budget("a", 3)
	foreign := guard.NewLedger(state, time.Now).Budget("b", 3)
	for _, budget := range []*guard.Budget{one, other, foreign} {
		taken(t, budget, map[bool]int{true: 3, false: 1}[budget == foreign])
	}
	checkFull(t, "used by another", other, 2)
}

var errDown = errors.New("dial tcp 10.0.0.7:6379: connection refused")

// broken is a State that cannot be reached.
type broken struct{}

func (broken) Claim(context.Context, string, time.Time) (bool, error) { return false, errDown }

func (broken) Claimed(context.Context, string) (bool, error) { return false, errDown }

func (broken) Epoch(context.Context) (string, time.Time, error) { return "", time.Time{}, errDown }

func (broken) Update(context.Context, string, time.Duration, func([]byte) ([]byte, error)) error {
	return errDown
}

func TestBudgetThatCannotBeCheckedRefuses(t *testing.T) {
	budget := guard.NewLedger(broken{}, time.Now).Budget("local", 10)
	_, taking := budget.Take(t.Context(), 1)
	for name, err := range map[string]error{"Room": budget.Room(t.Context(), 1), "Take": taking} {
		var refusal *guard.Refusal
		if !errors.As(err, &refusal) || refusal.Rule != "max-mutations-per-hour" || !errors.Is(refusal.Cause, errDown) {
			t.Fatalf("%s: %v", name, err)
		}
		text := err.Error()
		if !strings.Contains(text, "cannot be reached") || strings.Contains(text, "10.0.0.7") || !refusal.Temporary {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A shared budget that says that less than nothing was spent makes no room, and neither does a sum that overflows.
func TestBudgetThatCannotBeRead(t *testing.T) {
	for _, spent := range []string{
		`[{"at":1800000000000,"count":-3}]`, `[{"at":1800000000000,"count":0}]`, `[{"at":1800000000000}]`, "{}", "[",
		`[{"at":"x","count":1}]`, `[{"at":1800000000000,"count":9223372036854775807}]`, "[[1800000000000,3]]",
		`[{"at":1800000000000,"count":9223372036854775807},{"at":1800000001000,"count":9223372036854775807}]`,
	} {
		text := `{"id":"a","revision":1,"spent":` + spent + "}"
		clock := func() time.Time { return time.Unix(1_800_000_000, 0) }
		state := guard.NewMemory(clock)
		put := func([]byte) ([]byte, error) { return []byte(text), nil }
		if err := state.Update(t.Context(), "budget:x", time.Hour, put); err != nil {
			t.Fatal(err)
		}
		checkFull(t, text, guard.NewLedger(state, clock).Budget("x", 10), 1)
	}
}

// lost is a State that can lose everything, as a Redis server without persistence does, or go back to what it was before.
type lost struct {
	*guard.Memory
	now     func() time.Time
	elapsed func() time.Duration // nil: by now

	flushBeforeUpdate bool // once
}

func (l *lost) flush() {
	l.Memory = guard.NewMemory(l.now)
	if l.elapsed != nil {
		guard.SetElapsed(l.Memory, l.elapsed)
	}
}

func (l *lost) Update(ctx context.Context, key string, ttl time.Duration, change func([]byte) ([]byte, error)) error {
	if l.flushBeforeUpdate {
		l.flushBeforeUpdate = false
		l.flush()
	}
	return l.Memory.Update(ctx, key, ttl, change)
}

// A State that has lost what was spent does not make room: every process adds what it saw, and waits for the others.
func TestBudgetOutlivesTheState(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	state := &lost{Memory: guard.NewMemory(clock), now: clock}
	ledgers := []*guard.Ledger{guard.NewLedger(state, clock), guard.NewLedger(state, clock)}
	one, other := ledgers[0].Budget("x", 10), ledgers[1].Budget("x", 10)
	taken(t, one, 3)
	taken(t, other, 4)
	now = now.Add(time.Minute)
	taken(t, one, 1)
	state.flush()
	for name, err := range map[string]error{"Room": one.Room(t.Context(), 1), "Take": second(one.Take(t.Context(), 1))} {
		var refusal *guard.Refusal
		if !errors.As(err, &refusal) || !refusal.Temporary || !strings.Contains(err.Error(), "try again in 10s") {
			t.Errorf("%s before the other can have told what it took: %v", name, err)
		}
	}
	now = now.Add(2 * time.Second)
	for _, ledger := range ledgers {
		if err := ledger.Share(t.Context()); err != nil {
			t.Error(err)
		}
	}
	now = now.Add(10 * time.Second)
	checkFull(t, "8 are spent", one, 3)
	taken(t, one, 1)
	checkFull(t, "9 are spent", other, 2)
	taken(t, other, 1)
	checkFull(t, "10 are spent", one, 1)
	now = now.Add(time.Hour)
	taken(t, other, 10)
}

func second(_ guard.Receipt, err error) error { return err }

// What the State loses between a look at it and the update is noticed after the update, and given back.
func TestBudgetWhoseStateIsLostMeanwhile(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	state := &lost{Memory: guard.NewMemory(clock), now: clock}
	one, other := guard.NewLedger(state, clock).Budget("x", 10), guard.NewLedger(state, clock).Budget("x", 10)
	taken(t, other, 10)
	if err := one.Room(t.Context(), 1); err == nil {
		t.Error("10 of 10 are spent")
	}
	now = now.Add(time.Hour)
	if err := one.Room(t.Context(), 10); err != nil {
		t.Error(err)
	}
	taken(t, other, 10)
	state.flushBeforeUpdate = true
	checkFull(t, "the other took 10", one, 10)
	if got := kept(t, state, "budget:x"); !strings.HasSuffix(got, `"spent":[]}`) {
		t.Errorf("%s was not given back", got)
	}
}

// A loss is noticed once. After it, what is given back stays so, whoever comes first.
func TestReturnAfterALoss(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	state := &lost{Memory: guard.NewMemory(clock), now: clock}
	ledgers := []*guard.Ledger{guard.NewLedger(state, clock), guard.NewLedger(state, clock)}
	one, other := ledgers[0].Budget("x", 10), ledgers[1].Budget("x", 10)
	taken(t, one, 1)
	taken(t, other, 1)
	state.flush()
	for range 2 {
		for _, ledger := range ledgers {
			if err := ledger.Share(t.Context()); err != nil {
				t.Error(err)
			}
		}
		now = now.Add(10 * time.Second)
	}
	receipt := taken(t, one, 8)
	checkFull(t, "10 are spent", other, 1)
	giveBack(t, one, receipt, 8)
	taken(t, other, 8)
}

// After a failover to a copy that is behind, the account has the same id and misses updates.
func TestBudgetOutlivesAnOldCopy(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	state := guard.NewMemory(clock)
	one, other := guard.NewLedger(state, clock).Budget("x", 10), guard.NewLedger(state, clock).Budget("x", 10)
	taken(t, one, 1)
	taken(t, other, 1)
	copied := kept(t, state, "budget:x")
	now = now.Add(time.Minute)
	taken(t, one, 5)
	taken(t, other, 1)
	put := func([]byte) ([]byte, error) { return []byte(copied), nil }
	if err := state.Update(t.Context(), "budget:x", time.Hour, put); err != nil {
		t.Fatal(err)
	}
	taken(t, one, 1)   // knows of 7
	taken(t, other, 1) // knows of 8, with one's new one 9
	checkFull(t, "10 are spent", one, 1)
}

// A wall clock that jumps makes no room.
func TestBudgetOutlivesAJump(t *testing.T) {
	for _, jump := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		clock := newJumpy()
		state := guard.NewMemory(clock.now)
		guard.SetElapsed(state, clock.elapsed)
		ledger := guard.NewLedger(state, clock.now)
		guard.SetLedgerElapsed(ledger, clock.elapsed)
		budget := ledger.Budget("x", 10)
		taken(t, budget, 6)
		clock.jump(jump)
		checkFull(t, "after a jump", budget, 5)
		taken(t, budget, 4)
		clock.jump(-jump)
		checkFull(t, "after a jump back", budget, 1)
		clock.pass(59 * time.Minute)
		checkFull(t, "before the hour is over", budget, 1)
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
	budget := guard.NewLedger(gone{guard.NewMemory(time.Now)}, time.Now).Budget("x", 1)
	ctx, cancel := context.WithCancel(t.Context())
	receipt, err := budget.Take(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := budget.Return(ctx, receipt, 1); err != nil {
		t.Error(err)
	}
	taken(t, budget, 1)
}

// FuzzBudget finds anything at all in the shared state. It must refuse what it cannot read, and never allow more than the
// limit.
func FuzzBudget(f *testing.F) {
	for _, seed := range []string{
		"[]", `[{"by":"a","at":1800000000000,"count":3}]`, `[{"at":1800000000000,"count":-3}]`, "[[1,2]]", "{",
		`[{"at":9223372036854775807,"count":1}]`, `[{"at":1800000000000,"count":9223372036854775807}]`,
	} {
		f.Add(`{"id":"a","revision":1,"spent":`+seed+"}", 4)
	}
	clock := func() time.Time { return time.Unix(1_800_000_000, 0) }
	f.Fuzz(func(t *testing.T, text string, count int) {
		state := guard.NewMemory(clock)
		put := func([]byte) ([]byte, error) { return []byte(text), nil }
		if err := state.Update(t.Context(), "budget:x", time.Hour, put); err != nil {
			t.Fatal(err)
		}
		budget := guard.NewLedger(state, clock).Budget("x", 10)
		receipt, err := budget.Take(t.Context(), count)
		var refusal *guard.Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("%v", err)
		}
		if err == nil && count > 10 {
			t.Errorf("%d of 10 were taken", count)
		}
		if err == nil && count > 0 {
			var entries struct {
				Spent []struct{ At, Count int64 }
			}
			if err := json.Unmarshal([]byte(kept(t, state, "budget:x")), &entries); err != nil {
				t.Error(err)
			}
		}
		_ = budget.Return(t.Context(), receipt, count)
	})
}
