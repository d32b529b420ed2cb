package fakecloud

import (
	"slices"
	"sync"
)

// Journal keeps the latest items, at least Max of them and at most twice as many, so that dropping the old ones costs
// little. It is safe for concurrent use.
type Journal[T any] struct {
	Max   int
	mu    sync.Mutex
	items []T
}

// Add adds an item.
func (j *Journal[T]) Add(item T) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.items) >= 2*j.Max {
		j.items = append(j.items[:0:0], j.items[j.Max:]...)
	}
	j.items = append(j.items, item)
}

// All returns the items, oldest first.
func (j *Journal[T]) All() []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.items)
}

// Excerpt is as much of a body as a journal keeps.
func Excerpt(body []byte) string { return string(body[:min(len(body), 4096)]) }
