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
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Start listens on addr ("127.0.0.1:0") for the token and platform hosts, and
// once more per region on the same address: on the ports that follow when addr
// names a port, on free ports when its port is 0. Only loopback addresses are
// accepted: the simulator hands out what it takes for secrets over plain HTTP.
func (s *Simulator) Start(addr string) error {
	name, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	if ip, err := netip.ParseAddr(name); name != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("simulator: %q is not a loopback address", name)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return fmt.Errorf("simulator: bad port %q", portText)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return errors.New("simulator: already started")
	}
	hosts := s.hosts()
	var listeners []net.Listener
	for i := range hosts {
		p := port
		if port != 0 {
			p += uint64(i)
		}
		l, err := net.Listen("tcp", net.JoinHostPort(name, strconv.FormatUint(p, 10)))
		if err != nil {
			for _, opened := range listeners {
				_ = opened.Close()
			}
			return fmt.Errorf("simulator: %w", err)
		}
		listeners = append(listeners, l)
	}

	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	for i, h := range hosts {
		h.url = "http://" + listeners[i].Addr().String()
		srv := &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          log.New(io.Discard, "", 0),
			BaseContext:       func(net.Listener) context.Context { return ctx },
		}
		s.servers = append(s.servers, srv)
		s.serving.Go(func() { _ = srv.Serve(listeners[i]) })
	}
	return nil
}

// Close stops listening. Answers being written are finished; requests that a
// fault holds back are dropped. It returns once all listeners are gone.
func (s *Simulator) Close() error {
	s.mu.Lock()
	servers, stop := s.servers, s.stop
	s.servers = nil
	s.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, srv := range servers {
		// Shutdown would wait seconds for connections that clients opened in
		// advance and never used; those are cut instead.
		if srv.Shutdown(ctx) != nil {
			errs = append(errs, srv.Close())
		}
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// URL is the base URL of the token and platform hosts ("http://127.0.0.1:PORT").
// Before Start it is a made-up address that only Transport knows.
func (s *Simulator) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.main.url
}

// RegionURL is scheme, host and port of a region, empty if there is no such
// region. Before Start it is a made-up address; see URL.
func (s *Simulator) RegionURL(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.region(id); r != nil {
		return r.host.url
	}
	return ""
}

// Transport reaches the simulator without a network, whether it listens or
// not, by the addresses that URL and RegionURL say at the time.
func (s *Simulator) Transport() *fakecloud.Transport {
	return &fakecloud.Transport{Handler: func(name string) http.Handler {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, h := range s.hosts() {
			if _, at, _ := strings.Cut(h.url, "://"); at == name {
				return h
			}
		}
		return nil
	}}
}

// hosts are the platform and the regions.
func (s *Simulator) hosts() []*host {
	hosts := []*host{s.main}
	for _, r := range s.regions {
		hosts = append(hosts, r.host)
	}
	return hosts
}
