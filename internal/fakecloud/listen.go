package fakecloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Servers are handlers that listen on a port each. They can be started once.
type Servers struct {
	mu      sync.Mutex
	started bool
	servers []*http.Server
	stop    context.CancelFunc
	serving sync.WaitGroup
}

// Start serves the handlers at one address: on the ports that follow where addr names a port, on free ports where its
// port is 0. urls says where, in the order of the handlers. Only loopback addresses are accepted: simulators hand out
// what they take for secrets over plain HTTP.
func (s *Servers) Start(addr string, handlers ...http.Handler) (urls []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return nil, errors.New("simulator: already started")
	}
	name, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	if ip, err := netip.ParseAddr(name); name != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("simulator: %q is not a loopback address", name)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("simulator: bad port %q", portText)
	}
	var listeners []net.Listener
	for i := range handlers {
		p := port
		if port != 0 {
			p += uint64(i)
		}
		l, err := net.Listen("tcp", net.JoinHostPort(name, strconv.FormatUint(p, 10)))
		if err != nil {
			for _, opened := range listeners {
				_ = opened.Close()
			}
			return nil, fmt.Errorf("simulator: %w", err)
		}
		listeners = append(listeners, l)
		urls = append(urls, "http://"+l.Addr().String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.started, s.stop = true, cancel
	for i, h := range handlers {
		srv := &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          log.New(io.Discard, "", 0),
			BaseContext:       func(net.Listener) context.Context { return ctx },
		}
		s.servers = append(s.servers, srv)
		s.serving.Go(func() { _ = srv.Serve(listeners[i]) })
	}
	return urls, nil
}

// Close stops listening. Answers being written are finished; requests that a fault holds back are dropped. It returns
// once all listeners are gone.
func (s *Servers) Close() error {
	s.mu.Lock()
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	if servers == nil {
		return nil
	}
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, srv := range servers {
		// Shutdown would wait seconds for connections that clients opened in advance and never used; those are cut instead.
		if srv.Shutdown(ctx) != nil {
			errs = append(errs, srv.Close())
		}
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// Duration is d, or fallback where it is zero; a negative one means none.
func Duration(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return max(d, 0)
}
