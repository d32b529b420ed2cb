package server

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections bounds the number of connections. Nobody can shut others out by keeping connections open: to admit a new one,
// it closes the connection that has been without a request for the longest time. A client that sends a request at once is
// never the one that is closed.
type connections struct {
	net.Listener
	limit int

	mu     sync.Mutex
	open   map[net.Conn]*list.Element // the element is in idle; nil: a request is under way
	idle   *list.List                 // of net.Conn, the longest without a request first
	freed  chan struct{}              // has an element when there may be room
	closed chan struct{}
	once   sync.Once
}

func limitConnections(l net.Listener, limit int) *connections {
	return &connections{
		Listener: l, limit: limit,
		open: map[net.Conn]*list.Element{}, idle: list.New(), freed: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// Accept implements net.Listener. While every connection has a request under way, it waits.
func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for !c.admit(accepted) {
		select {
		case <-c.freed:
		case <-c.closed:
			_ = accepted.Close()
			return nil, net.ErrClosed
		}
	}
	return accepted, nil
}

func (c *connections) admit(accepted net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.limit {
		longest := c.idle.Front()
		if longest == nil {
			return false
		}
		conn, _ := longest.Value.(net.Conn)
		c.forget(conn)
		_ = conn.Close()
	}
	c.open[accepted] = c.idle.PushBack(accepted)
	return true
}

func (c *connections) forget(conn net.Conn) {
	if element := c.open[conn]; element != nil {
		c.idle.Remove(element)
	}
	delete(c.open, conn)
}

// Close implements net.Listener.
func (c *connections) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Listener.Close()
}

// changed is http.Server's ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	element, known := c.open[conn]
	if !known { // it was closed for a new one
		return
	}
	switch state {
	case http.StateActive:
		if element != nil {
			c.idle.Remove(element)
			c.open[conn] = nil
		}
	case http.StateIdle:
		if element == nil {
			c.open[conn] = c.idle.PushBack(conn)
		}
		c.wake()
	case http.StateClosed, http.StateHijacked:
		c.forget(conn)
		c.wake()
	case http.StateNew: // it was counted when it was accepted
	}
}

func (c *connections) wake() {
	select {
	case c.freed <- struct{}{}:
	default:
	}
}
