package guard

import (
	"sync"
	"time"
)

// budgetWindow is the time over which a Budget counts.
const budgetWindow = time.Hour

// Budget limits how many instances are changed per hour. It is safe for concurrent use.
type Budget struct {
	limit int
	now   func() time.Time

	mu    sync.Mutex
	spent []spending // oldest first
}

type spending struct {
	at    time.Time
	count int
}

// NewBudget returns a Budget of limit changes in any hour; limit 0 means DefaultMaxMutationsPerHour.
func NewBudget(limit int, now func() time.Time) *Budget {
	if limit == 0 {
		limit = DefaultMaxMutationsPerHour
	}
	return &Budget{limit: limit, now: now}
}

// Room returns nil when count changes could be taken now.
func (b *Budget) Room(count int) error {
	err := b.Take(count)
	if err == nil {
		b.Return(count)
	}
	return err
}

// Take takes count changes, all or none. It returns a *Refusal that says when there will be room.
func (b *Budget) Take(count int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for len(b.spent) > 0 && now.Sub(b.spent[0].at) >= budgetWindow {
		b.spent = b.spent[1:]
	}
	used := 0
	for _, s := range b.spent {
		used += s.count
	}
	if used+count <= b.limit {
		b.spent = append(b.spent, spending{now, count})
		return nil
	}
	if count > b.limit {
		return refuse("max-mutations-per-hour", "%d changes in one call; the operator allows %d per hour", count, b.limit)
	}
	room := b.limit - used
	for _, s := range b.spent {
		if room += s.count; room >= count {
			wait := budgetWindow - now.Sub(s.at)
			return refuse("max-mutations-per-hour", "the hourly limit of %d changes is reached (%d used, %d wanted); there is room in %s",
				b.limit, used, count, wait.Round(time.Second))
		}
	}
	return refuse("max-mutations-per-hour", "the hourly limit of %d changes is reached", b.limit)
}

// Return gives back what was taken but not used.
func (b *Budget) Return(count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.spent) - 1; i >= 0 && count > 0; i-- {
		back := min(count, b.spent[i].count)
		b.spent[i].count -= back
		count -= back
	}
}
