// Package upstream talks HTTP to paid cloud services under rules that hold for every service: TLS except on loopback,
// no redirects, proxies from the environment, capped answers, reads retried, writes sent at most once.
//
// A [Client] makes single exchanges; a call passes the links that New chains up. What goes wrong, here or in the client of a
// service, is a [Failure]. [Walk] pages through lists, [Wait] sleeps with a context.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// Limits of an exchange.
const (
	DefaultTimeout = 20 * time.Second // one try, from the dial to the last byte of the answer
	DefaultMaxBody = 1 << 20          // bytes of an answer

	clockTimeout = 4 * time.Second
)

// Request is one exchange.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte // nil sends none

	// Write says that the request changes something: it is tried again only while not a byte of it has left.
	Write   bool
	Timeout time.Duration // per try; 0 means DefaultTimeout
	MaxBody int64         // bytes; 0 means DefaultMaxBody
	Tries   int           // 0 means 3
	Exact   bool          // the answer is a file: a byte order mark is part of it
}

// Response is a complete answer, whatever its status.
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte        // without a byte order mark, unless Exact
	RetryAfter time.Duration // what the server asked for; 0 when it did not
	Skew       time.Duration // the server's clock minus ours, by its Date header
	HasSkew    bool

	buffer *bytes.Buffer // of Body
}

// buffers are of bodies that nobody needs any more.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxReused is how long a buffer may be to be kept for another body: longer ones are rare.
const maxReused = 1 << 20

// Recycle gives up the body: its memory is used for another answer. The caller and whatever it decoded must not hold a part
// of it.
func (r *Response) Recycle() {
	if r.buffer != nil && r.buffer.Cap() <= maxReused {
		buffers.Put(r.buffer)
	}
	r.Body, r.buffer = nil, nil
}

// exchange is a link of the chain that a Request passes. Its error is a *Failure.
type exchange func(context.Context, Request) (*Response, error)

// Client makes exchanges over one connection pool. It is safe for concurrent use.
type Client struct {
	// Observe, unless nil, is called once after each try, before any wait for the next, with the status of the answer and
	// the time that the try took. The status is 0 when no complete answer came. Set it before the first Do; calls may
	// overlap.
	Observe func(status int, took time.Duration)

	http    *http.Client
	now     func() time.Time
	backoff func(try int) time.Duration
	chain   exchange

	mu      sync.Mutex
	skew    time.Duration
	hasSkew bool
}

// New returns a Client. A nil transport means NewTransport; now is the clock that Retry-After dates and clock skew are
// measured with.
func New(transport http.RoundTripper, now func() time.Time) *Client {
	if transport == nil {
		transport = NewTransport()
	}
	c := &Client{
		http: &http.Client{
			Transport: transport,
			// A followed redirect would carry the credential headers along; http.Client strips only the well-known ones.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:     now,
		backoff: fullJitter,
	}
	// The order is important: each try is observed, and its answer tells the time.
	c.chain = c.checking(c.retrying(c.pacing(c.observing(tracing(c.timing(c.send))))))
	return c
}

// CloseIdleConnections closes the pool's idle connections.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// Do makes the exchange. It returns a Response for every HTTP answer, also for 4xx and 5xx, and a *Failure otherwise.
//
// A read is tried up to three times on connection errors and on 429, 502, 503 and 504, with jittered waits or the one
// that Retry-After names. A try that times out is not repeated: the caller has waited long enough.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	resp, err := c.chain(ctx, r)
	var f *Failure
	if !errors.As(err, &f) {
		return resp, nil
	}
	permanent := errors.Is(f.Err, ErrInsecureURL) || errors.Is(f.Err, ErrTooLarge)
	f.Kind = Unavailable
	switch cause := context.Cause(ctx); {
	case errors.Is(f.Err, ErrInsecureURL):
		f.Kind = Setup
	case cause != nil && errors.Is(f.Err, cause) && !errors.Is(cause, context.DeadlineExceeded):
		f.Kind = Cancelled
	}
	f.Endpoint = r.Method + " " + Endpoint(r.URL)
	f.Retryable = !permanent && (!r.Write || f.Delivery == NotSent)
	f.Uncertain = r.Write && f.Delivery != NotSent
	return nil, f
}

// ClockSkew returns the service's clock minus ours as the last answer showed it, to about a second; false before any.
func (c *Client) ClockSkew() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew, c.hasSkew
}

// MeasureClock asks the server at address for its time, for ClockSkew. It sends no credential and takes any HTTP answer.
func (c *Client) MeasureClock(ctx context.Context, address string) error {
	_, err := c.Do(ctx, Request{Method: http.MethodHead, URL: address, Timeout: clockTimeout})
	return err
}

// checking refuses an address that must not be spoken to.
func (c *Client) checking(next exchange) exchange {
	return func(ctx context.Context, r Request) (*Response, error) {
		if _, err := CheckURL(r.URL); err != nil {
			return nil, &Failure{Delivery: NotSent, Err: err}
		}
		return next(ctx, r)
	}
}

func (c *Client) observing(next exchange) exchange {
	return func(ctx context.Context, r Request) (*Response, error) {
		started := time.Now() // now may be a clock that is set
		resp, err := next(ctx, r)
		if c.Observe != nil {
			status := 0
			if resp != nil {
				status = resp.Status
			}
			c.Observe(status, time.Since(started))
		}
		return resp, err
	}
}

// tracing makes a span of each try, if spans are wanted. Neither path nor query belongs in it: they name what calls are
// about.
func tracing(next exchange) exchange {
	return func(ctx context.Context, r Request) (*Response, error) {
		ctx, span := trace.Start(ctx, trace.Client, r.Method)
		if span == nil {
			return next(ctx, r)
		}
		span.Set("http.request.method", r.Method)
		if u, err := url.Parse(r.URL); err == nil {
			span.Set("server.address", u.Hostname())
		}
		resp, err := next(ctx, r)
		failure := ""
		switch {
		case errors.Is(err, ErrTimeout):
			failure = "timeout"
		case err != nil:
			failure = "no_answer"
		default:
			span.Set("http.response.status_code", int64(resp.Status))
			if resp.Status >= http.StatusBadRequest {
				failure = strconv.Itoa(resp.Status)
			}
		}
		span.End(failure)
		return resp, err
	}
}

// timing reads the headers that speak of time.
func (c *Client) timing(next exchange) exchange {
	return func(ctx context.Context, r Request) (*Response, error) {
		resp, err := next(ctx, r)
		if err != nil {
			return nil, err
		}
		resp.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), c.now())
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			resp.Skew, resp.HasSkew = date.Sub(c.now()), true
			c.mu.Lock()
			c.skew, c.hasSkew = resp.Skew, true
			c.mu.Unlock()
		}
		return resp, nil
	}
}

// send makes one try.
func (c *Client) send(ctx context.Context, r Request) (*Response, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	limited, stop := context.WithTimeoutCause(ctx, timeout, lang.Errorf("%w (%s)", ErrTimeout, timeout))
	defer stop()
	try, cancel := context.WithCancelCause(limited)
	defer cancel(nil)
	way := &delivery{cancel: cancel}
	fail := func(err error) (*Response, error) {
		return nil, &Failure{Delivery: way.known(), Err: plainCause(try, err)}
	}
	req, err := newRequest(way.trace(try), r)
	if err != nil {
		return fail(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = resp.Body.Close() }()

	limit := r.MaxBody
	if limit == 0 {
		limit = DefaultMaxBody
	}
	buffer, _ := buffers.Get().(*bytes.Buffer)
	content, err := readAll(buffer, io.LimitReader(resp.Body, limit+1), min(resp.ContentLength, limit))
	if err != nil {
		return fail(lang.Errorf("the answer broke off: %w", err))
	}
	if int64(len(content)) > limit {
		return fail(lang.Errorf("%w (%d bytes)", ErrTooLarge, limit))
	}
	if !r.Exact {
		content = bytes.TrimPrefix(content, []byte("\ufeff"))
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: content, buffer: buffer}, nil
}

// readAll reads to the end. expected is how much is announced, -1 if nothing is: room for it is made at once.
func readAll(content *bytes.Buffer, in io.Reader, expected int64) ([]byte, error) {
	content.Reset()
	content.Grow(int(max(expected, 0)) + bytes.MinRead) // which the last read wants, that finds the end
	_, err := content.ReadFrom(in)
	return content.Bytes(), err
}

// newRequest builds r with the trace of ctx.
func newRequest(ctx context.Context, r Request) (*http.Request, error) {
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, body)
	if err != nil {
		return nil, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if parent := trace.From(ctx); parent != "" {
		req.Header.Set(trace.Header, string(parent))
		if state := trace.StateFrom(ctx); state != "" {
			req.Header.Set(trace.StateHeader, state)
		}
	}
	// Bytes that follow an answer on an idle connection are printed by net/http's own logger, past level and redaction.
	// A HEAD that is answered with a body is the likely case.
	req.Close = r.Method == http.MethodHead
	return req, nil
}
