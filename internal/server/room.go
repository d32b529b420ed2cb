package server

import "sync"

// Limits of what waits or is worked on at the same time. Without them the memory that calls hold while the service is slow
// would grow with the patience of their clients.
const (
	maxBytesInFlight = 64 << 20 // of messages, over HTTP
	maxBytesOfCaller = 16 << 20 // of messages of one caller
	messageOverhead  = 8 << 10  // what a message costs besides its bytes
)

// room is a number of bytes that messages share.
type room struct {
	limit int64

	mu    sync.Mutex
	used  int64
	freed chan struct{} // closed when there is more room; nil: nobody waits
}

func newRoom(limit int64) *room { return &room{limit: limit} }

// take reports whether there was room for n bytes.
func (r *room) take(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fits(n)
}

func (r *room) fits(n int64) bool {
	if r.used+n > r.limit {
		return false
	}
	r.used += n
	return true
}

func (r *room) isEmpty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used == 0
}

func (r *room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
	if r.freed != nil {
		close(r.freed)
		r.freed = nil
	}
}

// wait takes n bytes as soon as there is room. It returns false when broken or stop closes before.
func (r *room) wait(n int64, broken, stop <-chan struct{}) bool {
	for {
		r.mu.Lock()
		if r.fits(n) {
			r.mu.Unlock()
			return true
		}
		if r.freed == nil {
			r.freed = make(chan struct{})
		}
		freed := r.freed
		r.mu.Unlock()
		select {
		case <-freed:
		case <-broken:
			return false
		case <-stop:
			return false
		}
	}
}

// cost is what a message of n bytes takes of a room.
func cost(n int64) int64 { return n + messageOverhead }

// charge is what one message takes of several rooms.
type charge struct {
	rooms []*room
	n     int64
}

// keep gives back what goes beyond n.
func (c *charge) keep(n int64) {
	for _, r := range c.rooms {
		r.give(c.n - n)
	}
	c.n = n
}

// end gives everything back.
func (c *charge) end() { c.keep(0) }
