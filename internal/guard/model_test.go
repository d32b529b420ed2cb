package guard_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// world is what the model of consent is checked against: replicas on one state that can be lost, clocks that
// jump, and what a perfect memory would know. Budgets are not in it yet.
type world struct {
	t        *testing.T
	random   *rand.Rand
	clock    *jumpy
	state    *lost
	replicas []*guard.Tokens

	issued   []string
	consents map[string]int // by token
	declined map[string]bool
}

func newModel(t *testing.T, seed uint64) *world {
	clock := newJumpy()
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), clock: clock, consents: map[string]int{}, declined: map[string]bool{}}
	w.state = &lost{guard.NewMemory(clock.now), clock.now}
	for range 2 {
		tokens := tokensOn(t, []byte(strings.Repeat("k", 32)), w.state, clock.now)
		guard.SetTokensElapsed(tokens, clock.elapsed)
		w.replicas = append(w.replicas, tokens)
	}
	guard.SetElapsed(w.state.Memory, clock.elapsed)
	return w
}

// step does one thing that may happen.
func (w *world) step(ctx context.Context) {
	i := w.random.IntN(len(w.replicas))
	tokens := w.replicas[i]
	switch w.random.IntN(7) {
	case 0:
		w.issued = append(w.issued, issue(w.t, tokens, subject))
	case 1, 2:
		if token := w.pick(); token != "" && tokens.Redeem(ctx, token, subject) == nil {
			w.consents[token]++
		}
	case 3:
		if token := w.pick(); token != "" && tokens.Burn(ctx, token) == nil {
			w.declined[token] = true
		}
	case 4:
		w.clock.jump(time.Duration(w.random.IntN(240)-120) * time.Minute)
	case 5:
		w.clock.pass(time.Duration(w.random.IntN(20)) * time.Minute)
	case 6:
		w.lose()
	}
}

// lose empties the state.
func (w *world) lose() {
	w.state.flush()
	guard.SetElapsed(w.state.Memory, w.clock.elapsed)
}

func (w *world) pick() string {
	if len(w.issued) == 0 {
		return ""
	}
	return w.issued[w.random.IntN(len(w.issued))]
}

// check holds whatever has happened: no token consents twice, or after a no.
func (w *world) check(seed uint64, before map[string]int) {
	for token, n := range w.consents {
		if n > 1 || (w.declined[token] && n > before[token]) {
			w.t.Fatalf("seed %d: a token consented %d times, declined: %v", seed, n, w.declined[token])
		}
	}
}

// TestModelOfConsent walks at random through what may happen.
func TestModelOfConsent(t *testing.T) {
	consents := 0
	for seed := range uint64(300) {
		w := newModel(t, seed)
		for range 60 {
			before := map[string]int{}
			for token, n := range w.consents {
				before[token] = n
			}
			w.step(t.Context())
			w.check(seed, before)
		}
		consents += len(w.consents)
	}
	if consents < 100 { // a model in which nothing happens shows nothing
		t.Errorf("only %d consents happened", consents)
	}
}
