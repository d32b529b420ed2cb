package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Start listens on addr ("127.0.0.1:0"). Only loopback addresses are accepted:
// the simulator hands out what it takes for secrets over plain HTTP.
func (s *Simulator) Start(addr string) error {
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	if ip, err := netip.ParseAddr(name); name != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("simulator: %q is not a loopback address", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return errors.New("simulator: already started")
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.url = "http://" + listener.Addr().String()
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	s.server = srv
	s.serving.Go(func() { _ = srv.Serve(listener) })
	return nil
}

// Close stops listening. Answers being written are finished; requests that a
// fault holds back are dropped. It returns once the listener is gone.
func (s *Simulator) Close() error {
	s.mu.Lock()
	srv, stop := s.server, s.stop
	s.server = nil
	s.mu.Unlock()
	if srv == nil {
		return nil
	}
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// Shutdown would wait seconds for connections that clients opened in
	// advance and never used; those are cut instead.
	err := srv.Shutdown(ctx)
	if err != nil {
		err = srv.Close()
	}
	s.serving.Wait()
	return err
}

// URL is the endpoint of Workspace and of IAM ("http://127.0.0.1:PORT").
// Before Start it is a made-up address.
func (s *Simulator) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Handler serves what URL serves.
func (s *Simulator) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Transport reaches the simulator without a network, whether it listens or
// not. Every host name leads to it: clients make up those of IAM themselves.
func (s *Simulator) Transport() *fakecloud.Transport {
	return &fakecloud.Transport{Handler: func(string) http.Handler { return s.Handler() }}
}
