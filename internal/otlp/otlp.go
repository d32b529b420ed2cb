// Package otlp sends spans to a receiver of OpenTelemetry, over OTLP/HTTP in JSON. OpenTelemetry's own exporter would make
// the binary larger by 5.5 MB, more than a quarter.
package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Limits of an Exporter.
const (
	maxWaiting   = 2048 // spans
	maxBatch     = 512  // spans in a request
	sendEvery    = 5 * time.Second
	maxTries     = 4
	firstPause   = time.Second // before the second try; each further one doubles it
	lastPatience = 3 * time.Second
)

// Options say where spans go, and what they are spans of.
type Options struct {
	URL      string      // of the receiver, with /v1/traces
	Header   http.Header // may hold a credential
	Resource []trace.Attribute
	Version  string // of this program
	Timeout  time.Duration

	// Sent, unless nil, is told of spans that were sent or lost.
	Sent func(n int, ok bool)
	Log  zerolog.Logger
}

// Exporter is a trace.Recorder. It is safe for concurrent use.
type Exporter struct {
	options Options
	client  *http.Client

	mu      sync.Mutex
	waiting []*trace.Span
	lost    int // since the last request
	full    chan struct{}

	ending context.Context // ends when nothing more is awaited
	end    context.CancelFunc
	stop   chan struct{}
	done   chan struct{}
}

// New returns an Exporter. Close ends it.
func New(o Options) *Exporter {
	e := &Exporter{
		options: o,
		client: &http.Client{
			Timeout: o.Timeout,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		full: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	e.ending, e.end = context.WithCancel(context.Background())
	go e.run()
	return e
}

// Record takes a span. When too many wait, it is lost.
func (e *Exporter) Record(s *trace.Span) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) >= maxWaiting {
		e.lost++
		return
	}
	if e.waiting = append(e.waiting, s); len(e.waiting) >= maxBatch {
		select {
		case e.full <- struct{}{}:
		default:
		}
	}
}

// Close sends what waits, for a few seconds, and ends e.
func (e *Exporter) Close() {
	close(e.stop)
	patience := time.AfterFunc(lastPatience, e.end)
	defer patience.Stop()
	<-e.done
	e.end()
	e.client.CloseIdleConnections()
}

func (e *Exporter) run() {
	defer close(e.done)
	ticker := time.NewTicker(sendEvery)
	defer ticker.Stop()
	failing := false
	for stopping := false; !stopping; {
		select {
		case <-ticker.C:
		case <-e.full:
		case <-e.stop:
			stopping = true
		}
		for {
			batch, lost := e.take()
			e.tell(lost, false)
			if len(batch) == 0 {
				break
			}
			failing = e.note(len(batch), e.send(batch), failing)
			if failing {
				break
			}
		}
	}
	batch, lost := e.take()
	for ; len(batch) > 0; batch, _ = e.take() {
		lost += len(batch)
	}
	e.tell(lost, false)
}

// note tells how the sending of n spans went. When it began to fail, and when it works again, stands in the log.
func (e *Exporter) note(n int, err error, failing bool) (fails bool) {
	e.tell(n, err == nil)
	switch {
	case err != nil && !failing:
		e.options.Log.Warn().Err(err).Int("spans", n).Msg("traces cannot be sent; these spans are lost")
	case err == nil && failing:
		e.options.Log.Info().Msg("traces can be sent again")
	}
	return err != nil
}

func (e *Exporter) tell(n int, ok bool) {
	if n > 0 && e.options.Sent != nil {
		e.options.Sent(n, ok)
	}
}

// take returns the next spans to send, and how many were lost because there was no room.
func (e *Exporter) take() (batch []*trace.Span, lost int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.waiting), maxBatch)
	batch, e.waiting = e.waiting[:n:n], slices.Clone(e.waiting[n:])
	lost, e.lost = e.lost, 0
	return batch, lost
}

// send sends a batch, and tries again what the receiver may take later.
func (e *Exporter) send(batch []*trace.Span) error {
	body, err := json.Marshal(e.encode(batch))
	if err != nil {
		return err
	}
	pause := firstPause
	for try := 1; ; try++ {
		err := e.post(body)
		var status upstream.StatusError
		if err == nil || try == maxTries || errors.As(err, &status) && !isTemporary(status) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-e.ending.Done():
			timer.Stop()
			return err
		}
		pause *= 2
	}
}

// isTemporary reports whether OTLP allows the same request again.
func isTemporary(s upstream.StatusError) bool {
	return slices.Contains([]int{
		http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, int(s))
}

func (e *Exporter) post(body []byte) error {
	request, err := http.NewRequestWithContext(e.ending, http.MethodPost, e.options.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address of the receiver cannot be used")
	}
	for name, values := range e.options.Header {
		request.Header[name] = values
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "scnet-mcp/"+e.options.Version)
	return upstream.Deliver(e.client, request)
}
