package simulator

import (
	"net/http"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Start listens on addr ("127.0.0.1:0"). Only loopback addresses are accepted: the simulator hands out what it takes for
// secrets over plain HTTP.
func (s *Simulator) Start(addr string) error {
	urls, err := s.servers.Start(addr, s)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = urls[0]
	return nil
}

// Close stops listening, as the simulator of SCNet does.
func (s *Simulator) Close() error { return s.servers.Close() }

// URL is the endpoint of Workspace and of IAM ("http://127.0.0.1:PORT"). Before Start it is a made-up address.
func (s *Simulator) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Transport reaches the simulator without a network, whether it listens or not. Every host name leads to it: clients make up
// those of IAM themselves.
func (s *Simulator) Transport() *fakecloud.Transport {
	return &fakecloud.Transport{Handler: func(string) http.Handler { return s }}
}

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

// Requests returns the latest requests served, oldest first: at least the last 10,000. A request is in the journal before its
// answer is sent.
func (s *Simulator) Requests() []Request { return s.journal.All() }
