// Package upstream makes single HTTP exchanges with a paid cloud service under rules that hold for every service: TLS
// except on loopback, no redirects, proxies from the environment, capped answers, reads retried, writes never repeated
// once a byte may have left. Requests carry the trace of their context.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// Limits of an exchange.
const (
	DefaultTimeout = 20 * time.Second // one try, from the dial to the last byte of the answer
	DefaultMaxBody = 1 << 20          // bytes of an answer

	dialTimeout = 10 * time.Second
	maxTries    = 3
	// maxRetryAfter is the longest wait that a server may ask for. Callers of an MCP server give up after about a
	// minute; a longer wait is reported instead of slept.
	maxRetryAfter = 15 * time.Second
)

// Delivery tells how far a request got.
type Delivery int

// The three things that can be known about a request.
const (
	NotSent  Delivery = iota // no byte of it left this machine
	Unknown                  // it may have left, and no answer came
	Answered                 // an HTTP answer came
)

// String returns "not sent", "unknown" or "answered".
func (d Delivery) String() string {
	switch d {
	case NotSent:
		return "not sent"
	case Unknown:
		return "unknown"
	case Answered:
		return "answered"
	}
	return strconv.Itoa(int(d))
}

// Request is one exchange.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte // nil sends none

	// Write says that the request changes something: it is tried again only while no byte of it has left.
	Write   bool
	Timeout time.Duration // per try; 0 means DefaultTimeout
	MaxBody int64         // bytes; 0 means DefaultMaxBody
}

// Response is a complete answer, whatever its status.
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte
	RetryAfter time.Duration // what the server asked for; 0 when it did not
	Skew       time.Duration // the server's clock minus ours, by its Date header
	HasSkew    bool
}

// Error says that no complete answer came.
type Error struct {
	Delivery Delivery
	Err      error
}

// Error returns the cause in words, without URL or proxy credentials.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors that a caller can tell apart.
var (
	ErrInsecureURL = errors.New("only https is allowed, or http on a loopback address")
	ErrTooLarge    = errors.New("the answer is larger than allowed")
	ErrTimeout     = errors.New("no answer in time")
)

// Client makes exchanges over one connection pool. It is safe for concurrent use.
type Client struct {
	// Observe, unless nil, is called once after each try, before any wait for the next, with the status of the answer and
	// the time that the try took. The status is 0 when no complete answer came. Set it before the first Do; calls may
	// overlap.
	Observe func(status int, took time.Duration)

	http    *http.Client
	now     func() time.Time
	backoff func(try int) time.Duration
}

// New returns a Client. A nil transport means a pool of its own that honours the proxy environment; now is the clock
// that Retry-After dates and clock skew are measured with.
func New(transport http.RoundTripper, now func() time.Time) *Client {
	if transport == nil {
		dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
		transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          32,
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   dialTimeout,
			ExpectContinueTimeout: time.Second,
		}
	}
	return &Client{
		http: &http.Client{
			Transport: transport,
			// A followed redirect would carry the credential headers along; http.Client strips only the well-known ones.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:     now,
		backoff: fullJitter,
	}
}

// CloseIdleConnections closes the pool's idle connections.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// Do makes the exchange. It returns a Response for every HTTP answer, also for 4xx and 5xx, and an *Error otherwise.
//
// A read is tried up to three times on connection errors and on 429, 502, 503 and 504, with jittered waits or the one
// that Retry-After names. A try that times out is not repeated: the caller has waited long enough.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	if _, err := CheckURL(r.URL); err != nil {
		return nil, &Error{NotSent, err}
	}
	for try := 1; ; try++ {
		started := time.Now() // now may be a clock that is set
		resp, err := c.once(ctx, r)
		c.observe(resp, time.Since(started))
		wait, again := c.retry(r, try, resp, err)
		if !again || ctx.Err() != nil {
			return resp, err
		}
		logRetry(ctx, r, try, wait, err)
		if !sleep(ctx, wait) {
			return resp, err
		}
	}
}

func (c *Client) observe(resp *Response, took time.Duration) {
	if c.Observe == nil {
		return
	}
	status := 0
	if resp != nil {
		status = resp.Status
	}
	c.Observe(status, took)
}

func (c *Client) retry(r Request, try int, resp *Response, err error) (time.Duration, bool) {
	if try >= maxTries {
		return 0, false
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) ||
			errors.Is(err, ErrInsecureURL) || errors.Is(err, ErrTooLarge) || (r.Write && e.Delivery != NotSent) {
			return 0, false
		}
		return c.backoff(try), true
	}
	if r.Write {
		return 0, false
	}
	switch resp.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return 0, false
	}
	if resp.RetryAfter > 0 {
		return resp.RetryAfter, resp.RetryAfter <= maxRetryAfter
	}
	return c.backoff(try), true
}

func (c *Client) once(ctx context.Context, r Request) (*Response, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	tryCtx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w (%s)", ErrTimeout, timeout))
	defer cancel()

	// The first header field marks the request as possibly sent: from there on net/http may flush its buffer. A pooled
	// connection that turns out dead before that is replaced by net/http itself, which writes nothing twice.
	var left atomic.Bool
	traced := httptrace.WithClientTrace(tryCtx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { left.Store(true) },
		WroteHeaders:     func() { left.Store(true) },
	})
	fail := func(err error) error {
		delivery := NotSent
		if left.Load() {
			delivery = Unknown
		}
		return &Error{delivery, plainCause(tryCtx, err)}
	}

	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(traced, r.Method, r.URL, body)
	if err != nil {
		return nil, &Error{NotSent, plainCause(tryCtx, err)}
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if parent := trace.From(ctx); parent != "" {
		req.Header.Set(trace.Header, string(parent))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fail(err)
	}
	defer func() { _ = resp.Body.Close() }()

	limit := r.MaxBody
	if limit == 0 {
		limit = DefaultMaxBody
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fail(fmt.Errorf("the answer broke off: %w", err))
	}
	if int64(len(content)) > limit {
		return nil, fail(fmt.Errorf("%w (%d bytes)", ErrTooLarge, limit))
	}
	out := &Response{Status: resp.StatusCode, Header: resp.Header, Body: content}
	out.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), c.now())
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		out.Skew, out.HasSkew = date.Sub(c.now()), true
	}
	return out, nil
}

// plainCause drops what net/http puts round an error: the URL, and a proxy address that may hold a password.
func plainCause(ctx context.Context, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return cause
	}
	if strings.Contains(err.Error(), "invalid proxy address") {
		return errors.New("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY holds an address that cannot be parsed")
	}
	return err
}

// CheckURL parses raw and demands https, or http on a loopback host, and neither user nor fragment.
func CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the address cannot be parsed as a URL")
	}
	switch {
	case u.Host == "" || u.Hostname() == "":
		return nil, errors.New("the address has no host; it must look like https://host:port")
	case u.User != nil || u.Fragment != "":
		return nil, errors.New("the address must hold neither a user name nor a fragment")
	case u.Scheme == "https":
	case u.Scheme == "http" && IsLoopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("%w (%s)", ErrInsecureURL, Endpoint(raw))
	}
	return u, nil
}

// IsLoopback reports whether host, without port, names this machine's loopback interface.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Endpoint returns host and path of raw for messages: a query or a user name may hold what must not be shown.
func Endpoint(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unparsable address)"
	}
	return u.Host + u.EscapedPath()
}
