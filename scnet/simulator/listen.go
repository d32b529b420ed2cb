package simulator

import (
	"errors"
	"net/http"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Start listens on addr ("127.0.0.1:0") for the token and platform hosts, and once more per region on the same address: on
// the ports that follow when addr names a port, on free ports when its port is 0. Only loopback addresses are accepted: the
// simulator hands out what it takes for secrets over plain HTTP.
func (s *Simulator) Start(addr string) error {
	hosts := s.hosts()
	handlers := make([]http.Handler, len(hosts))
	for i, h := range hosts {
		handlers[i] = h
	}
	urls, err := s.servers.Start(addr, handlers...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, h := range hosts {
		h.url = urls[i]
	}
	return nil
}

// Close stops listening. Answers being written are finished; requests that a fault holds back are dropped. It returns once
// all listeners are gone.
func (s *Simulator) Close() error {
	err := s.servers.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.regions {
		err = errors.Join(err, r.closeFiles())
	}
	return err
}

// URL is the base URL of the token and platform hosts ("http://127.0.0.1:PORT"). Before Start it is a made-up address that
// only Transport knows.
func (s *Simulator) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.main.url
}

// RegionURL is scheme, host and port of a region, empty if there is no such region. Before Start it is a made-up address; see
// URL.
func (s *Simulator) RegionURL(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.region(id); r != nil {
		return r.host.url
	}
	return ""
}

// Transport reaches the simulator without a network, whether it listens or not, by the addresses that URL and RegionURL say
// at the time.
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
