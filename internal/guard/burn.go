package guard

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	firstBurnPause = time.Second
	maxBurnPause   = 30 * time.Second
	burnTimeout    = 5 * time.Second // of one try
)

// burns are the claims that a State has to be told once it can be reached again. While there are any, one goroutine tries.
type burns struct {
	mu      sync.Mutex
	pending map[string]time.Time // until when, by key
	running bool
	stop    chan struct{}
	worker  sync.WaitGroup
	closed  bool
}

// add tries to claim key until then, in the background.
func (b *burns) add(state State, key string, until time.Time, now func() time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.pending == nil {
		b.pending, b.stop = map[string]time.Time{}, make(chan struct{})
	}
	b.pending[key] = until
	if !b.running {
		b.running = true
		b.worker.Go(func() { b.repeat(state, now) })
	}
}

// close ends the tries after a last one.
func (b *burns) close() {
	b.mu.Lock()
	if !b.closed && b.stop != nil {
		close(b.stop)
	}
	b.closed = true
	b.mu.Unlock()
	b.worker.Wait()
}

// repeat tries until nothing is pending.
func (b *burns) repeat(state State, now func() time.Time) {
	for pause := firstBurnPause; ; pause = min(2*pause, maxBurnPause) {
		timer, last := time.NewTimer(pause), false
		select {
		case <-timer.C:
		case <-b.stop:
			timer.Stop()
			last = true
		}
		b.try(state, now())
		b.mu.Lock()
		if len(b.pending) == 0 || last {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
	}
}

// try claims what is pending, up to the first failure: the others would wait for the same State.
func (b *burns) try(state State, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), burnTimeout)
	defer cancel()
	b.mu.Lock()
	todo := maps.Clone(b.pending)
	b.mu.Unlock()
	for key, until := range todo {
		if now.Before(until) {
			if _, err := state.Claim(ctx, key, until); err != nil {
				return
			}
		}
		b.mu.Lock()
		delete(b.pending, key)
		b.mu.Unlock()
	}
}
