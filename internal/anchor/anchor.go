// Package anchor sends the checkpoints of the audit log to another machine, where those who can write the log cannot take
// them back.
package anchor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Limits of a Sender.
const (
	maxWaiting   = 256              // checkpoints; a later one covers what an earlier one does
	postTimeout  = 10 * time.Second // of one request
	firstPause   = time.Second      // after a failure; each further one doubles it
	longestPause = time.Minute
	lastPatience = 3 * time.Second // at the end
)

// Outcome is what became of a request or of a checkpoint.
type Outcome string

// The outcomes.
const (
	Sent   Outcome = "sent"
	Failed Outcome = "failed" // a request, which is repeated
	Lost   Outcome = "lost"   // a checkpoint that is not sent any more
)

// Outcomes returns every outcome.
func Outcomes() []string { return []string{string(Sent), string(Failed), string(Lost)} }

// Watch is told what happens. Every member may be nil.
type Watch struct {
	Outcome func(Outcome)
	Waiting func(more int) // how many more checkpoints wait, or fewer if it is negative
}

// Sender sends checkpoints one after the other and repeats what failed. Send never waits: when there are too many, the oldest
// is given up. It is safe for concurrent use.
type Sender struct {
	url    string
	token  secret.Value
	client *http.Client

	mu      sync.Mutex
	waiting []audit.Checkpoint
	lost    int
	wake    chan struct{}
	watch   Watch
	log     zerolog.Logger

	ending context.Context // ends when nothing more is awaited
	end    context.CancelFunc
	stop   chan struct{} // closed when the last ones should go out
	done   chan struct{}
}

// New returns a Sender that posts to address, with token, if it is set, as bearer token. Close ends it.
func New(address string, token secret.Value) (*Sender, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, lang.Errorf("the address is not a URL such as https://collector.example.org/checkpoints")
	case u.User != nil || u.Fragment != "":
		return nil, lang.Errorf("the address must hold neither a user name nor a fragment")
	case token.IsSet() && u.Scheme == "http" && !upstream.IsLoopback(u.Hostname()):
		return nil, lang.Errorf("a token needs https, because it could be read on the way")
	case !upstream.IsHeaderValue(token.Reveal()):
		return nil, lang.Errorf("the token holds a character that cannot be sent")
	}
	s := &Sender{
		url: address, token: token, log: zerolog.Nop(),
		client: &http.Client{
			Timeout: postTimeout,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	go s.run()
	return s, nil
}

// WatchWith makes s tell watch and log what happens from now on.
func (s *Sender) WatchWith(watch Watch, log zerolog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch, s.log = watch, log
}

// Send takes a checkpoint to be sent. It does not wait.
func (s *Sender) Send(c audit.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting = append(s.waiting, c); len(s.waiting) > maxWaiting {
		s.giveUp(s.waiting[0])
		s.waiting = slices.Delete(s.waiting, 0, 1)
	} else {
		s.more(1)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close sends what waits, for a few seconds, and ends s. The error says how many could not be sent.
func (s *Sender) Close() error {
	close(s.stop)
	patience := time.AfterFunc(lastPatience, s.end)
	defer patience.Stop()
	<-s.done
	s.end()
	s.client.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.waiting {
		s.giveUp(c)
		s.more(-1)
	}
	s.waiting = nil
	if s.lost > 0 {
		return lang.Errorf("%d checkpoints of the audit log were not sent", s.lost)
	}
	return nil
}

// giveUp notes that c is not sent any more. The mutex must be held.
func (s *Sender) giveUp(c audit.Checkpoint) {
	s.lost++
	s.tell(Lost)
	s.log.Warn().Str("log", c.Log).Uint64("seq", c.Seq).
		Msg("a checkpoint of the audit log could not be sent elsewhere; the next one covers the same records")
}

func (s *Sender) tell(o Outcome) {
	if s.watch.Outcome != nil {
		s.watch.Outcome(o)
	}
}

func (s *Sender) more(n int) {
	if s.watch.Waiting != nil {
		s.watch.Waiting(n)
	}
}

// run sends until the Sender is closed and nothing waits, or time is up.
func (s *Sender) run() {
	defer close(s.done)
	pause := time.Duration(0)
	for {
		c, found := s.next()
		if !found {
			select {
			case <-s.wake:
				continue
			case <-s.stop:
			}
			if _, found = s.next(); !found {
				return
			}
			continue
		}
		err := s.post(c)
		s.note(c, err, pause > 0)
		if err == nil || isFinal(err) {
			pause = 0
			continue
		}
		if pause = min(max(firstPause, 2*pause), longestPause); !s.rest(pause) {
			return
		}
	}
}

func (s *Sender) next() (c audit.Checkpoint, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return c, false
	}
	return s.waiting[0], true
}

// note tells how the sending of c went. When it began to fail, and when it works again, stands in the log.
func (s *Sender) note(c audit.Checkpoint, err error, failing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, c) // it may have been given up meanwhile
	switch {
	case err == nil:
		s.tell(Sent)
		if failing {
			s.log.Info().Msg("checkpoints of the audit log can be sent elsewhere again")
		}
	case isFinal(err):
		s.tell(Failed)
		s.log.Error().Err(err).Msg("the receiver does not take a checkpoint of the audit log")
		if i >= 0 {
			s.giveUp(c)
		}
	default:
		s.tell(Failed)
		if !failing {
			s.log.Warn().Err(err).Msg("the checkpoints of the audit log cannot be sent elsewhere; this is tried again")
		}
		return
	}
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.more(-1)
	}
}

// rest waits before the next request. At the end it does not. It reports whether there may be another request.
func (s *Sender) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ending.Done():
		return false
	case <-s.stop:
	}
	select {
	case <-time.After(min(pause, firstPause)):
		return true
	case <-s.ending.Done():
		return false
	}
}

// isFinal reports whether the receiver would say the same to every repetition: what it says of the sender can be put right,
// what it says of a checkpoint cannot.
func isFinal(err error) bool {
	var status upstream.StatusError
	if !errors.As(err, &status) {
		return false
	}
	never := []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	return slices.Contains(never, int(status))
}

// post sends c as one line of JSON.
func (s *Sender) post(c audit.Checkpoint) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(s.ending, http.MethodPost, s.url, bytes.NewReader(append(body, '\n')))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "scnet-mcp")
	if s.token.IsSet() {
		request.Header.Set("Authorization", "Bearer "+s.token.Reveal())
	}
	return upstream.Deliver(s.client, request)
}
