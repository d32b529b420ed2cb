package server

import (
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// forwarder passes on what mcp-go itself sends to a session, in order and before what is written after flush. It runs only
// when something was sent.
type forwarder struct {
	send  func(any) error
	ended <-chan struct{}

	started bool
	queue   chan mcp.JSONRPCNotification
	flushes chan chan struct{}
	mu      sync.Mutex
}

// channel returns where mcp-go puts notifications.
func (f *forwarder) channel() chan<- mcp.JSONRPCNotification {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.started {
		f.started = true
		f.queue = make(chan mcp.JSONRPCNotification, 100)
		f.flushes = make(chan chan struct{})
		go f.run()
	}
	return f.queue
}

func (f *forwarder) run() {
	for {
		select {
		case n := <-f.queue:
			_ = f.send(n)
		case flushed := <-f.flushes:
			for len(f.queue) > 0 {
				_ = f.send(<-f.queue)
			}
			close(flushed)
		case <-f.ended:
			return
		}
	}
}

// flush returns when what mcp-go has sent until now is written.
func (f *forwarder) flush() {
	f.mu.Lock()
	started := f.started
	f.mu.Unlock()
	if !started {
		return
	}
	flushed := make(chan struct{})
	select {
	case f.flushes <- flushed:
		<-flushed
	case <-f.ended:
	}
}
