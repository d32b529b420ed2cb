package server

import (
	"context"
	"sync"
	"time"
)

// tally counts the tool calls that run, so that the process does not end before they have recorded what they did.
type tally struct {
	all *tally // counts them too; nil: none does

	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil: nobody waits
}

type tallyKey struct{}

func withTally(ctx context.Context, t *tally) context.Context {
	return context.WithValue(ctx, tallyKey{}, t)
}

// started counts a tool call on ctx until ended is called.
func started(ctx context.Context) (ended func()) {
	t, _ := ctx.Value(tallyKey{}).(*tally)
	t.add(1)
	return func() { t.add(-1) }
}

func (t *tally) add(n int) {
	if t == nil {
		return
	}
	t.all.add(n)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n += n; t.n == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// wait waits until no call runs, at most for limit.
func (t *tally) wait(limit time.Duration) {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	waitFor(idle, limit)
}
