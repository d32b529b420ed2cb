package guard_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// replica is one process of the model.
type replica struct {
	tokens *guard.Tokens
	ledger *guard.Ledger
	budget *guard.Budget
	taken  []taking // what nobody gave back
}

// taking are changes that were taken after some time had passed.
type taking struct {
	passed  time.Duration
	receipt guard.Receipt
	count   int
}

// within returns what was taken in the hour before passed. After an hour to the instant it counts no more.
func within(passed time.Duration, taken []taking) (sum int) {
	for _, t := range taken {
		if passed-t.passed < time.Hour {
			sum += t.count
		}
	}
	return sum
}

// world is what the model of consent is checked against: replicas on one state that can be lost, clocks that jump, and what
// a perfect memory would know.
type world struct {
	t        *testing.T
	random   *rand.Rand
	clock    *jumpy
	state    *lost
	replicas []*replica
	// apart: the replicas do not tell each other what was spent, as when they cannot reach the state after it was lost.
	apart bool

	issued   []string
	consents map[string]int // by token
	declined map[string]bool
	refused  int // changes for which there was no room
}

const modelLimit = 10

func newModel(t *testing.T, seed uint64, apart bool) *world {
	clock := newJumpy()
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), clock: clock, apart: apart,
		consents: map[string]int{}, declined: map[string]bool{},
	}
	w.state = &lost{now: clock.now, elapsed: clock.elapsed}
	w.state.flush()
	for range 3 {
		r := &replica{tokens: tokensOn(t, []byte(strings.Repeat("k", 32)), w.state, clock.now), ledger: guard.NewLedger(w.state, clock.now)}
		guard.SetTokensElapsed(r.tokens, clock.elapsed)
		guard.SetLedgerElapsed(r.ledger, clock.elapsed)
		r.budget = r.ledger.Budget("x", modelLimit)
		w.replicas = append(w.replicas, r)
	}
	w.pass(t.Context(), time.Second) // everybody has reached the state
	return w
}

// step does one thing that may happen.
func (w *world) step(ctx context.Context) {
	r := w.replicas[w.random.IntN(len(w.replicas))]
	switch w.random.IntN(11) {
	case 0:
		w.issued = append(w.issued, issue(w.t, r.tokens, subject))
	case 1, 2:
		if token := w.pick(); token != "" && r.tokens.Redeem(ctx, token, subject) == nil {
			w.consents[token]++
		}
	case 3:
		if token := w.pick(); token != "" && r.tokens.Burn(ctx, token) == nil {
			w.declined[token] = true
		}
	case 4:
		w.jump(ctx)
	case 5:
		w.pass(ctx, time.Duration(w.random.IntN(20))*time.Minute)
	case 6:
		w.pass(ctx, time.Duration(w.random.IntN(20))*time.Second)
	case 7:
		w.state.flush()
	case 8, 9:
		w.state.flushBeforeUpdate = w.random.IntN(8) == 0
		w.take(ctx, r, 1+w.random.IntN(4))
		w.state.flushBeforeUpdate = false
	case 10:
		w.giveBack(ctx, r)
	}
}

func (w *world) take(ctx context.Context, r *replica, count int) {
	receipt, err := r.budget.Take(ctx, count)
	if err != nil {
		w.refused++
		return
	}
	r.taken = append(r.taken, taking{w.clock.elapsed(), receipt, count})
}

func (w *world) giveBack(ctx context.Context, r *replica) {
	if len(r.taken) == 0 {
		return
	}
	last := r.taken[len(r.taken)-1]
	if r.budget.Return(ctx, last.receipt, last.count) == nil {
		r.taken = r.taken[:len(r.taken)-1]
	}
}

// pass lets time go by. Meanwhile every replica shares what it knows.
func (w *world) pass(ctx context.Context, d time.Duration) {
	const every = 5 * time.Second // one try of two fails
	for d > 0 {
		w.clock.pass(min(d, every))
		for _, i := range w.random.Perm(len(w.replicas)) {
			if w.apart {
				break
			}
			if err := w.replicas[i].ledger.Share(ctx); err != nil {
				w.t.Fatal(err)
			}
		}
		if d -= every; d > time.Minute { // what is long is only as long
			w.clock.pass(d - time.Minute)
			d = time.Minute
		}
	}
}

// jump sets the wall clock of all replicas. Before it they see what was spent: one that first sees it afterwards can only
// believe the time that is written there.
func (w *world) jump(ctx context.Context) {
	w.pass(ctx, 20*time.Second) // a loss has been noticed and is over
	for _, r := range w.replicas {
		_ = r.budget.Room(ctx, 1) // may say no
	}
	w.clock.jump(time.Duration(w.random.IntN(240)-120) * time.Minute)
}

func (w *world) pick() string {
	if len(w.issued) == 0 {
		return ""
	}
	return w.issued[w.random.IntN(len(w.issued))]
}

// check holds whatever has happened: no token consents twice, or after a no, and no process takes more than the limit in an
// hour. Neither do all of them together, as long as they can tell each other what they took.
func (w *world) check(seed uint64, before map[string]int) {
	for token, n := range w.consents {
		if n > 1 || (w.declined[token] && n > before[token]) {
			w.t.Fatalf("seed %d: a token consented %d times, declined: %v", seed, n, w.declined[token])
		}
	}
	sum := 0
	for i, r := range w.replicas {
		own := within(w.clock.elapsed(), r.taken)
		if own > modelLimit {
			w.t.Fatalf("seed %d: replica %d took %d of %d", seed, i, own, modelLimit)
		}
		sum += own
	}
	if sum > modelLimit && !w.apart {
		w.t.Fatalf("seed %d: the replicas took %d of %d", seed, sum, modelLimit)
	}
}

// TestModelOfConsent walks at random through what may happen.
func TestModelOfConsent(t *testing.T) {
	for _, apart := range []bool{false, true} {
		consents, taken, refused := 0, 0, 0
		for seed := range uint64(200) {
			w := newModel(t, seed, apart)
			for range 80 {
				before := maps.Clone(w.consents)
				w.step(t.Context())
				w.check(seed, before)
			}
			consents, refused = consents+len(w.consents), refused+w.refused
			for _, r := range w.replicas {
				taken += len(r.taken)
			}
		}
		if consents < 100 || taken < 200 || refused < 200 { // a model in which nothing happens shows nothing
			t.Errorf("apart %v: only %d consents, %d changes taken, %d refused", apart, consents, taken, refused)
		}
	}
}
