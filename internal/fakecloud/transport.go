package fakecloud

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"syscall"
)

// Transport is an http.RoundTripper that calls handlers in this process. It starts no goroutine and opens no socket, so
// that a client and a simulator can live together on the clock of a testing/synctest bubble.
type Transport struct {
	// Handler returns what serves a host, such as "region-11250.scnet.test"; nil if the name does not resolve.
	Handler func(host string) http.Handler
	// Before, if set, sees each request when it counts as sent and before it is handled. It may wait, cancel or panic. Set
	// it while no request is under way.
	Before func(*http.Request)
}

// RoundTrip implements http.RoundTripper. Like http.Transport it tells an httptrace.ClientTrace in the request's context
// that the request was written: clients decide by that whether a change may have happened.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	if err := context.Cause(r.Context()); err != nil {
		return nil, err
	}
	handler := t.Handler(r.URL.Host)
	if handler == nil {
		unknown := &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: unknown}
	}
	if hooks := httptrace.ContextClientTrace(r.Context()); hooks != nil {
		if hooks.WroteHeaders != nil {
			hooks.WroteHeaders()
		}
		if hooks.WroteRequest != nil {
			hooks.WroteRequest(httptrace.WroteRequestInfo{})
		}
	}
	if t.Before != nil {
		t.Before(r)
	}
	a := &exchange{header: http.Header{}}
	handler.ServeHTTP(a, received(r))
	if err := context.Cause(r.Context()); err != nil {
		return nil, err
	}
	if a.dropped {
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return a.response(r), nil
}

// received is a request as a server sees it.
func received(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	header := make(http.Header, len(in.Header))
	for name, values := range in.Header { // clients may write names in any way, servers read them in one
		for _, v := range values {
			header.Add(name, v)
		}
	}
	in.Header = header
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1234"
	return in
}

// exchange is an http.ResponseWriter that keeps the answer.
type exchange struct {
	header  http.Header
	sent    http.Header // as of WriteHeader
	status  int
	body    bytes.Buffer
	dropped bool
	flushed bool // before the body's end, which is what leaves its length unknown
}

func (e *exchange) Header() http.Header { return e.header }

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 {
		e.status, e.sent = status, e.header.Clone()
	}
}

func (e *exchange) Write(p []byte) (int, error) {
	e.WriteHeader(http.StatusOK)
	return e.body.Write(p)
}

// Flush implements http.Flusher.
func (e *exchange) Flush() {
	e.WriteHeader(http.StatusOK)
	e.flushed = true
}

func (e *exchange) drop() { e.dropped = true }

func (e *exchange) response(r *http.Request) *http.Response {
	e.WriteHeader(http.StatusOK)
	body := e.body.Bytes()
	if r.Method == http.MethodHead {
		body = nil
	}
	length := int64(len(body))
	if n, err := strconv.ParseInt(e.sent.Get("Content-Length"), 10, 64); err == nil && r.Method == http.MethodHead {
		length = n
	} else if err != nil && e.flushed {
		length = -1
	}
	return &http.Response{
		Status: strconv.Itoa(e.status) + " " + http.StatusText(e.status), StatusCode: e.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: e.sent, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: length, Request: r,
	}
}
