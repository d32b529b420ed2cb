package simulator

import (
	"slices"
	"time"
)

// Request is one request served, as kept in the journal.
type Request struct {
	Time      time.Time
	Operation Operation // empty for an unknown route
	AccessKey string    // as the Authorization header names it
	Method    string
	Path      string
	Query     string // raw, without the question mark
	Body      string // the first 4096 bytes
	Status    int    // HTTP status; 0 if the connection was cut instead
	Code      string // error code; empty if the answer had none
	RequestID string // what X-Request-Id said
}

const journalBody = 4096

// Requests returns the latest requests served, oldest first: at least the last
// 10,000. A request is in the journal before its answer is sent.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal.items)
}

// ring keeps between max and 2*max of the latest items, so that dropping the
// old ones costs little.
type ring[T any] struct {
	max   int
	items []T
}

func (r *ring[T]) add(item T) {
	if len(r.items) >= 2*r.max {
		r.items = append(r.items[:0:0], r.items[r.max:]...)
	}
	r.items = append(r.items, item)
}
