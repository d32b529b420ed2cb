package guard_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

func TestAcceleratorCaps(t *testing.T) {
	operator := guard.Policy{MaxAccelerators: 8, MaxRunningAccelerators: 16}
	caller := guard.Policy{Caller: "ci", MaxAccelerators: 4, MaxRunningAccelerators: 6}
	for name, c := range map[string]struct {
		policy guard.Policy
		err    error
		want   string // "" if it is permitted
		later  bool
	}{
		"no cap":           {err: guard.Policy{}.PermitsAccelerators(1000)},
		"no running cap":   {err: guard.Policy{}.PermitsRunning(1000, 1000, 1000)},
		"fits":             {err: operator.PermitsAccelerators(8)},
		"too many":         {err: operator.PermitsAccelerators(9), want: "9 accelerators in one call; the operator allows 8"},
		"narrowed":         {err: operator.Narrow(caller).PermitsAccelerators(5), want: "5 accelerators in one call; the policy of caller ci allows 4"},
		"operator's, too":  {err: operator.Narrow(guard.Policy{Caller: "c", MaxAccelerators: 100}).PermitsAccelerators(9), want: "9 accelerators in one call; the operator allows 8"},
		"running fits":     {err: operator.PermitsRunning(10, 2, 4)},
		"running":          {err: operator.PermitsRunning(10, 0, 7), want: "10 accelerators are occupied or queued for, and this call would add 7; the operator allows 16 at once; stopping an instance makes room", later: true},
		"coming":           {err: operator.PermitsRunning(10, 3, 4), want: "10 accelerators are occupied or queued for, other calls are about to occupy 3, and this call would add 4; the operator allows 16 at once", later: true},
		"never":            {err: operator.PermitsRunning(0, 0, 17), want: "this call would occupy 17 accelerators; the operator allows 16 at once"},
		"running narrowed": {err: operator.Narrow(caller).PermitsRunning(4, 0, 3), want: "4 accelerators are occupied or queued for, and this call would add 3; the policy of caller ci allows 6 at once; stopping an instance makes room", later: true},
		"none wanted":      {err: operator.PermitsRunning(100, 0, 0)},
	} {
		if c.want == "" {
			if c.err != nil {
				t.Errorf("%s: %v", name, c.err)
			}
			continue
		}
		var refusal *guard.Refusal
		if !errors.As(c.err, &refusal) || refusal.Error() != c.want || refusal.Temporary != c.later {
			t.Errorf("%s: %v, want %q, temporary %v", name, c.err, c.want, c.later)
		}
	}
	if (guard.Policy{}).LimitsRunning() || !operator.LimitsRunning() || !(guard.Policy{}).Narrow(caller).LimitsRunning() {
		t.Error("LimitsRunning is wrong")
	}
}

func TestReservations(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	state := guard.NewMemory(clock)
	policy := guard.Policy{MaxRunningAccelerators: 8}
	occupied := 0
	count := func(context.Context) (int, error) { return occupied, nil }
	reserve := func(a *guard.Accelerators, n int) *guard.Reservation {
		t.Helper()
		r, err := a.Reserve(t.Context(), policy, n, count)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, other := guard.NewAccelerators(state, clock), guard.NewAccelerators(state, clock)

	held := reserve(one, 5)
	if _, err := other.Reserve(t.Context(), policy, 4, count); err == nil {
		t.Error("a replica does not see the reservation")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := one.Reserve(ctx, policy, 1, count); !errors.Is(err, context.Canceled) {
		t.Errorf("it is nobody else's turn: %v", err)
	}
	end(t, held)
	end(t, held) // ends nothing else
	end(t, reserve(other, 8))

	held = reserve(one, 5)
	held.Keep()
	if _, err := one.Reserve(t.Context(), policy, 4, count); err == nil {
		t.Error("a kept reservation does not count")
	}
	now = now.Add(10 * time.Minute)
	end(t, reserve(one, 8))

	occupied = 6
	_, err := one.Reserve(t.Context(), policy, 3, count)
	checkRule(t, "occupied", err, "max-running-accelerators")
	end(t, reserve(one, 2)) // the refused call has left nothing behind
}

func end(t *testing.T, r *guard.Reservation) {
	t.Helper()
	if err := r.End(t.Context()); err != nil {
		t.Error(err)
	}
}

// What cannot be checked is refused, and the turn goes on.
func TestReservationsFailClosed(t *testing.T) {
	broken := guard.NewAccelerators(brokenState{}, time.Now)
	none := func(context.Context) (int, error) { return 0, nil }
	for range 2 {
		_, err := broken.Reserve(t.Context(), guard.Policy{MaxRunningAccelerators: 8}, 1, none)
		checkRule(t, "broken state", err, "max-running-accelerators")
	}
	state := guard.NewMemory(time.Now)
	a := guard.NewAccelerators(state, time.Now)
	for range 2 {
		_, err := a.Reserve(t.Context(), guard.Policy{MaxRunningAccelerators: 8}, 1, func(context.Context) (int, error) {
			return 0, errors.New("region 20057 does not answer")
		})
		checkRule(t, "no count", err, "max-running-accelerators")
	}
	for _, kept := range []string{"{", `[{"id":"x","count":-9,"until":9999999999999}]`} {
		if err := state.Update(t.Context(), "accelerators", time.Hour, func([]byte) ([]byte, error) { return []byte(kept), nil }); err != nil {
			t.Fatal(err)
		}
		_, err := a.Reserve(t.Context(), guard.Policy{MaxRunningAccelerators: 8}, 1, none)
		checkRule(t, kept, err, "max-running-accelerators")
	}
}

type brokenState struct{ guard.State }

func (brokenState) Update(context.Context, string, time.Duration, func([]byte) ([]byte, error)) error {
	return errors.New("no connection")
}

// Whatever two replicas start at once, and however late it shows in the list, the cap holds.
func TestReservationsHoldTheCap(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			const limit = 8
			state := guard.NewMemory(time.Now)
			replicas := []*guard.Accelerators{guard.NewAccelerators(state, time.Now), guard.NewAccelerators(state, time.Now)}
			var mu sync.Mutex
			really, shown, started := 0, 0, 0
			change := func(f func()) { mu.Lock(); defer mu.Unlock(); f() }
			pause := func(r *rand.Rand) { <-time.After(time.Duration(r.IntN(1000)) * time.Millisecond) }
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(i)))
					for range 10 {
						pause(r)
						n := 1 + r.IntN(5)
						reservation, err := replicas[i%2].Reserve(t.Context(), guard.Policy{MaxRunningAccelerators: limit}, n, func(context.Context) (seen int, _ error) {
							pause(r)
							change(func() { seen = shown })
							pause(r)
							return seen, nil
						})
						if err != nil {
							continue
						}
						change(func() {
							started++
							if really += n; really > limit {
								t.Errorf("seed %d: %d accelerators are occupied", seed, really)
							}
						})
						if r.IntN(4) == 0 { // it never shows in time
							reservation.Keep()
							change(func() { shown += n })
						} else {
							pause(r)
							change(func() { shown += n })
							end(t, reservation)
						}
						pause(r)
						change(func() { really -= n; shown -= n })
					}
				})
			}
			all.Wait()
			if started == 0 {
				t.Error("nothing was started at all")
			}
		})
	}
}
