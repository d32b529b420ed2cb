package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

const dialTimeout = 10 * time.Second

// readBuffer holds the head of an answer and a page of 20 rows, which then take one read together.
const readBuffer = 32 << 10

// idlePerHost is as many as one client's calls run at the same time: with fewer, connections would be closed and opened again
// all the time while it is busy.
const idlePerHost = 64

// NewTransport returns the pool that New uses by default. It honours the proxy environment, and speaks HTTP/1.1 only: over
// HTTP/2 net/http itself sends a request again, whatever its method, when the stream or the connection is reset with a code
// that says "not processed" or nothing at all, and such codes were seen from servers that had acted.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		Protocols:             protocols,
		ReadBufferSize:        readBuffer,
		MaxIdleConns:          2 * idlePerHost,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: time.Second,
	}
}

var errResent = lang.Errorf("the connection broke after the request had left")

// delivery watches a request on its way out.
//
// In HTTP/1 the first header field marks the request as possibly sent: from there on net/http may flush its buffer. A pooled
// connection that turns out dead before that is replaced by net/http itself, which then has written nothing; only reads
// does it repeat later on, once for each dead connection in the pool. In HTTP/2, which a transport of the caller may speak,
// the whole request goes out again on the next connection; cancel prevents it, because the HTTP/2 client looks at the
// context right before it writes.
type delivery struct {
	left, http1 atomic.Bool
	cancel      context.CancelCauseFunc
}

func (d *delivery) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			if d.left.Load() && !d.http1.Load() {
				d.cancel(errResent)
			}
		},
		WroteHeaderField: func(name string, _ []string) {
			if !d.left.Swap(true) {
				d.http1.Store(!strings.HasPrefix(name, ":")) // HTTP/2 begins with pseudo fields, or tells only of the end
			}
		},
		WroteHeaders: func() { d.left.Store(true) },
	})
}

func (d *delivery) known() Delivery {
	if d.left.Load() {
		return Unknown
	}
	return NotSent
}

// Errors that a caller can tell apart.
var (
	ErrInsecureURL = lang.Errorf("only https is allowed, or http on a loopback address")
	ErrTooLarge    = lang.Errorf("the answer is larger than allowed")
	ErrTimeout     = lang.Errorf("no answer in time")
	ErrHost        = lang.Errorf("the host name is not known")
	ErrTLS         = lang.Errorf("no secure connection")
	ErrClosedPort  = lang.Errorf("nothing accepts connections there")
)

// plainCause names the problem behind err and drops what net/http puts round it: the URL, and a proxy address that may
// hold a password.
func plainCause(ctx context.Context, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	cause := context.Cause(ctx)
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if errors.Is(cause, errResent) || cause != nil && ended {
		return cause
	}
	if strings.Contains(err.Error(), "invalid proxy address") {
		return lang.Errorf("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY holds an address that cannot be parsed")
	}
	var (
		unknown *net.DNSError
		record  tls.RecordHeaderError
		check   *tls.CertificateVerificationError
		host    x509.HostnameError
	)
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return lang.Errorf("%w: DNS has no address for %s", ErrHost, unknown.Name)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return lang.Errorf("%w: what answers there does not speak TLS", ErrTLS)
	case errors.As(err, &check), errors.As(err, &host):
		return lang.Errorf("%w: %w", ErrTLS, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return lang.Errorf("%w: %w", ErrClosedPort, err)
	}
	return err
}
