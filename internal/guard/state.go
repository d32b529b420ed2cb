package guard

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// State is what several replicas of one server, or several processes of one user, share: which tokens were used, and what
// was spent. A key belongs either to Claim or to Update. It must be safe for concurrent use.
type State interface {
	// Claim claims key until then. Of several claims of one key one wins and gets true. A claim that would be over at once
	// is not made.
	Claim(ctx context.Context, key string, until time.Time) (bool, error)
	// Claimed reports whether key is claimed now.
	Claimed(ctx context.Context, key string) (bool, error)
	// Update replaces what is kept under key by what change makes of it, as one step, and keeps it for ttl, which must be
	// positive. Old is empty when nothing is kept; an empty new forgets the key. change may be called again when another
	// update came in between; its error ends the update and nothing is replaced. change must not use the State.
	Update(ctx context.Context, key string, ttl time.Duration, change func(old []byte) (new []byte, err error)) error
	// Epoch names what the State remembers, and says since when. A State that has lost its claims has another epoch.
	Epoch(ctx context.Context) (id string, began time.Time, err error)
}

// clockSkew is how much longer a State keeps what it must not forget early, because a replica's clock may be behind.
const clockSkew = time.Minute

// sweepFrom is how many entries a Memory keeps at least before it looks for expired ones.
const sweepFrom = 64

// Memory is a State of one process. It forgets only what is over by the wall clock and by the time that has passed: a wall
// clock may jump. It is safe for concurrent use.
type Memory struct {
	now   func() time.Time
	epoch string
	began time.Time
	// elapsed is the time that has passed since began, which a jump of the wall clock does not change.
	elapsed func() time.Duration

	mu      sync.Mutex
	entries map[string]entry
	sweepAt int // look for expired entries when there are this many
}

type entry struct {
	value []byte        // of an Update
	until time.Time     // by the wall clock
	end   time.Duration // by elapsed
}

// NewMemory returns an empty Memory.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{
		now: now, epoch: rand.Text(), began: now(), elapsed: elapsedSince(now), entries: map[string]entry{}, sweepAt: sweepFrom,
	}
}

// elapsedSince returns a clock that starts at 0. Where now is time.Now, it is monotonic.
func elapsedSince(now func() time.Time) func() time.Duration {
	began := now()
	return func() time.Duration { return now().Sub(began) }
}

// Epoch implements State. It never fails.
func (m *Memory) Epoch(context.Context) (id string, began time.Time, err error) {
	return m.epoch, m.began, nil
}

// Claim implements State. It never fails.
func (m *Memory) Claim(_ context.Context, key string, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.get(key); taken || !m.now().Before(until) {
		return false, nil
	}
	m.put(key, entry{until: until, end: m.elapsed() + until.Sub(m.now())})
	return true, nil
}

// Claimed implements State. It never fails.
func (m *Memory) Claimed(_ context.Context, key string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, taken := m.get(key)
	return taken, nil
}

// Update implements State. It fails only with change's error.
func (m *Memory) Update(
	_ context.Context, key string, ttl time.Duration, change func(old []byte) (new []byte, err error),
) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, _ := m.get(key)
	value, err := change(old.value)
	if err != nil {
		return err
	}
	if len(value) == 0 {
		delete(m.entries, key)
		return nil
	}
	m.put(key, entry{value: value, until: m.now().Add(ttl), end: m.elapsed() + ttl})
	return nil
}

func (m *Memory) get(key string) (entry, bool) {
	e, found := m.entries[key]
	if found && m.isOver(e) {
		delete(m.entries, key)
		return entry{}, false
	}
	return e, found
}

// isOver compares wall clocks: Round takes the monotonic reading away, which would hide a jump.
func (m *Memory) isOver(e entry) bool {
	return !m.now().Round(0).Before(e.until.Round(0)) && m.elapsed() >= e.end
}

// put sweeps when the entries have doubled since the last time, so that a sweep costs little for each entry that was put.
func (m *Memory) put(key string, e entry) {
	m.entries[key] = e
	if len(m.entries) < m.sweepAt {
		return
	}
	for old, e := range m.entries {
		if m.isOver(e) {
			delete(m.entries, old)
		}
	}
	m.sweepAt = max(sweepFrom, 2*len(m.entries))
}
