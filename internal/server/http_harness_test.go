package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// site is a server of the fakes over HTTP, and who visits it.
type site struct {
	t       testing.TB
	fakes   *fakes
	http    *HTTP
	url     string
	client  *http.Client
	release func() // ends the calls of wait and stubborn
}

// newSite serves the fakes on a port of this machine.
func newSite(t testing.TB, changes ...func(*HTTPOptions)) *site {
	t.Helper()
	f := newFakes()
	listener, h := serveHTTP(&world{t: t, server: f.newServer(io.Discard)}, changes...)
	s := &site{t: t, fakes: f, http: h, url: listener.URL, client: listener.Client()}
	s.release = sync.OnceFunc(func() { close(f.release) })
	t.Cleanup(s.release)
	return s
}

// inBubble runs test with a served site whose clock and network are those of a synctest bubble. stop ends Serve and returns
// its error.
func inBubble(t *testing.T, test func(t *testing.T, s *site, l *pipes, stop func() error), changes ...func(*HTTPOptions)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		s := &site{t: t, fakes: f, url: "http://localhost"}
		s.release = sync.OnceFunc(func() { close(f.release) })
		options := HTTPOptions{Key: []byte("of this test"), RequestsPerSecond: 10_000}
		for _, change := range changes {
			change(&options)
		}
		s.http = f.newServer(io.Discard).NewHTTP(options)
		l := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		transport := &http.Transport{DialContext: l.dial}
		s.client = &http.Client{Transport: transport}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- s.http.Serve(ctx, l) }()
		stop := sync.OnceValue(func() error {
			cancel()
			return <-served
		})
		defer func() {
			transport.CloseIdleConnections()
			s.release()
			_ = stop()
			transport.CloseIdleConnections()
		}()
		test(t, s, l, stop)
	})
}

// pipes is a listener in memory.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepted <- server:
		return client, nil
	case <-p.closed:
	case <-ctx.Done():
	}
	return nil, fmt.Errorf("connection refused")
}

const (
	annsToken = "token-of-ann"
	bobsToken = "token-of-bob"
)

// callersOnly wants the tokens of ann and bob.
func callersOnly(o *HTTPOptions) {
	o.Authenticate = func(token string) (Caller, bool) {
		name, ok := map[string]string{annsToken: "ann", bobsToken: "bob"}[token]
		return Caller{Name: name, Entry: name}, ok
	}
}

func withSSE(o *HTTPOptions) { o.SSE = true }

// bearer are the headers of a caller.
func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// answer to one request.
type httpAnswer struct {
	status int
	header http.Header
	body   []byte
}

// message is the body as JSON-RPC.
func (a httpAnswer) message(t testing.TB) reply {
	t.Helper()
	return parse(t, bytes.TrimSpace(a.body))
}

// setHeaders sets pairs of names and values; an empty value removes.
func setHeaders(r *http.Request, pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		switch name, value := pairs[i], pairs[i+1]; {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Set(name, value)
		}
	}
}

// knock lets h answer one request without a network. The request's local address is 192.0.2.7.
func knock(ctx context.Context, h http.Handler, method, target, body string, headers ...string) httpAnswer {
	r := httptest.NewRequestWithContext(context.WithValue(ctx, http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7),
		Port: 8765}),
		method, "/", strings.NewReader(body))
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	r.Host = "localhost:8765"
	if method == http.MethodPost {
		setHeaders(r, []string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"})
	}
	setHeaders(r, headers)
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return httpAnswer{recorder.Code, recorder.Result().Header, recorder.Body.Bytes()}
}

// open sends a request and returns when its answer starts.
func (s *site) open(ctx context.Context, method, path, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		setHeaders(r, []string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"})
	}
	setHeaders(r, headers)
	return s.client.Do(r)
}

// try sends a request and reads the whole answer.
func (s *site) try(ctx context.Context, method, path, body string, headers ...string) (httpAnswer, error) {
	response, err := s.open(ctx, method, path, body, headers...)
	if err != nil {
		return httpAnswer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return httpAnswer{response.StatusCode, response.Header, text}, err
}

// do is try for what has to be answered.
func (s *site) do(method, path, body string, headers ...string) httpAnswer {
	s.t.Helper()
	a, err := s.try(s.t.Context(), method, path, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *site) post(body string, headers ...string) httpAnswer {
	s.t.Helper()
	return s.do(http.MethodPost, "/mcp", body, headers...)
}

// shakeHands opens a session and returns its header.
func (s *site) shakeHands(headers ...string) []string {
	s.t.Helper()
	hello, _, _ := strings.Cut(declares("2025-11-25", asks), "\n")
	a := s.post(hello, headers...)
	id := a.header.Get("Mcp-Session-Id")
	if a.status != http.StatusOK || id == "" {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return append([]string{"Mcp-Session-Id", id}, headers...)
}

// flight is a request whose answer is waited for elsewhere.
type flight struct {
	answer chan httpAnswer
	err    chan error
	hangUp context.CancelFunc
}

// launch posts without waiting.
func (s *site) launch(body string, headers ...string) *flight {
	ctx, cancel := context.WithCancel(s.t.Context())
	f := &flight{make(chan httpAnswer, 1), make(chan error, 1), cancel}
	go func() {
		if a, err := s.try(ctx, http.MethodPost, "/mcp", body, headers...); err != nil {
			f.err <- err
		} else {
			f.answer <- a
		}
	}()
	return f
}

// event is one server-sent event; name is empty for a comment.
type event struct{ name, data string }

// readEvent reads the next event or comment.
func readEvent(r *bufio.Reader) (event, error) {
	var e event
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
			return e, nil
		case strings.HasPrefix(line, ":"):
			e.data = line
		case strings.HasPrefix(line, "event: "):
			e.name = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: "):
			e.data = strings.TrimPrefix(line, "data: ")
		}
	}
}

// messages are those of a whole answer, be it JSON or a stream.
func (a httpAnswer) messages(t testing.TB) []reply {
	t.Helper()
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
		return []reply{a.message(t)}
	}
	var all []reply
	r := bufio.NewReader(bytes.NewReader(a.body))
	for {
		e, err := readEvent(r)
		if err != nil {
			return all
		}
		if e.name == "message" {
			all = append(all, parse(t, []byte(e.data)))
		}
	}
}

// stream is an HTTP+SSE client by hand.
type sseClient struct {
	s       *site
	headers []string
	path    string // where messages go
	events  chan event
	hangUp  func() // and wait until the stream is read no more
}

// openSSE opens a stream, which must begin with its endpoint.
func (s *site) openSSE(headers ...string) *sseClient {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	response, err := s.open(ctx, http.MethodGet, "/sse", "", headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &sseClient{s: s, headers: headers, events: make(chan event, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.events)
		defer response.Body.Close()
		r := bufio.NewReader(response.Body)
		for {
			e, err := readEvent(r)
			if err != nil {
				return
			}
			c.events <- e
		}
	}()
	c.hangUp = func() {
		cancel()
		<-done
	}
	s.t.Cleanup(c.hangUp)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("%d %s", response.StatusCode, response.Header)
	}
	first := receive(s.t, c.events)
	if first.name != "endpoint" || !strings.HasPrefix(first.data, "/message?sessionId=") {
		s.t.Fatalf("not the endpoint: %+v", first)
	}
	c.path = first.data
	return c
}

// send posts a message, which must be taken.
func (c *sseClient) send(message string) {
	c.s.t.Helper()
	if a := c.s.do(http.MethodPost, c.path, message, c.headers...); a.status != http.StatusAccepted || len(a.body) != 0 {
		c.s.t.Fatalf("%d %s", a.status, a.body)
	}
}

// next returns the stream's next message.
func (c *sseClient) next() reply {
	c.s.t.Helper()
	e := receive(c.s.t, c.events)
	if e.name != "message" {
		c.s.t.Fatalf("not a message: %+v", e)
	}
	return parse(c.s.t, []byte(e.data))
}

// ended checks that the stream ends without another message.
func (c *sseClient) endsNow() {
	c.s.t.Helper()
	select {
	case e, open := <-c.events:
		if open {
			c.s.t.Fatalf("unexpected: %+v", e)
		}
	case <-time.After(patience):
		c.s.t.Fatal("the stream is still open")
	}
}
