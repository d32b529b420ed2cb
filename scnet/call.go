package scnet

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// accountTimeout bounds one try of a login, a renewal or an address look-up. They are small, and whatever is asked for
// waits for them.
const accountTimeout = 8 * time.Second

// call is one request to SCNet.
type call struct {
	op        string
	region    *Region
	method    string
	url       string // complete, or for container calls what follows the region's address
	header    http.Header
	body      []byte
	write     bool // changes something
	login     bool // the token endpoint: its codes have meanings of their own
	container bool // the region's container service
	files     bool // the region's file service
	raw       bool // the answer is a file
	sent      bool // url is complete
	tries     int
	timeout   time.Duration
	maxBody   int64
	into      table         // takes the data of the answer; nil: it stays raw
	settle    upstream.Text // the read that shows whether a write of unknown outcome has happened
}

// exchange makes one call and returns its envelope, or an *Error.
func (c *Client) exchange(ctx context.Context, call call) (envelope, error) {
	call.sent = true
	resp, err := c.send(ctx, call)
	if err != nil {
		return envelope{}, err
	}
	if call.container || call.files { // the account's own answers bring tokens
		resp.Body = upstream.Mask(resp.Body, call.header.Get("Token"))
	}
	env, ok := parseEnvelope(resp.Body, call.into)
	if !ok || !env.ok() || !isSuccess(resp.Status) {
		return envelope{}, call.answerError(resp)
	}
	resp.Recycle() // an envelope, and what its data was decoded into, hold copies
	return env, nil
}

// download makes one call for a file and returns its answer, or an *Error.
func (c *Client) download(ctx context.Context, call call) (*upstream.Response, error) {
	call.sent = true
	resp, err := c.send(ctx, call)
	if err != nil || resp.Status == http.StatusRequestedRangeNotSatisfiable {
		return resp, err
	}
	if !isSuccess(resp.Status) || resp.Status != http.StatusPartialContent && isRefusal(resp) {
		return nil, call.answerError(resp)
	}
	return resp, nil
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// send makes one call and returns its answer, whatever that tells, or an *Error.
func (c *Client) send(ctx context.Context, call call) (*upstream.Response, error) {
	if c.cfg.UserAgent != "" {
		call.header.Set("User-Agent", c.cfg.UserAgent)
	}
	resp, err := c.upstream.Do(ctx, upstream.Request{
		Method: call.method, URL: call.url, Header: call.header, Body: call.body,
		Write: call.write, Tries: call.tries, Timeout: call.timeout, MaxBody: call.maxBody, Exact: call.raw,
	})
	var f *Error
	if errors.As(err, &f) {
		return nil, call.fail(*f)
	}
	return resp, nil
}

// withToken runs send with the region's token. When the service refuses the token it is discarded, and a read is sent
// once more with a new one; a write is not, so that it cannot run twice.
func (r *Region) withToken(ctx context.Context, write bool, send func(token) (envelope, error)) (envelope, error) {
	for try := 1; ; try++ {
		t, err := r.client.token(ctx, r)
		if err != nil {
			return envelope{}, err
		}
		env, err := send(t)
		if !errors.Is(err, ErrTokenRefused) {
			return env, err
		}
		r.client.discard(r, t)
		if write || try == 2 {
			return env, r.client.dated(err, t)
		}
	}
}

// dated adds to the refusal of t when t expired, if it did.
func (c *Client) dated(err error, t token) error {
	var f *Error
	if !errors.As(err, &f) || t.expires.IsZero() || !c.now().After(t.expires) {
		return err
	}
	f.Err = lang.Errorf("%w; %w", f.Err, c.expiry(t))
	return err
}

// expiry words how long ago t expired.
func (c *Client) expiry(t token) error {
	return lang.Errorf("%w %s ago, at %s", ErrTokenExpired, roughly(c.now().Sub(t.expires)),
		t.expires.In(ChinaTime).Format(time.DateTime))
}

// do sends a container call to the region's address. It moves on to the next address only when nothing could be sent to
// the current one.
func (r *Region) do(ctx context.Context, call call) (envelope, error) {
	call.container = true
	if call.header == nil {
		call.header = http.Header{}
	}
	return r.withToken(ctx, call.write, func(t token) (envelope, error) {
		addresses, current, err := r.addresses(ctx)
		if err != nil {
			return envelope{}, err
		}
		call.header.Set("Token", t.text.Reveal())
		for i := 0; ; i++ {
			at := (current + i) % len(addresses)
			each := call
			each.url = addresses[at] + "/ai/openapi/v2/" + strings.TrimPrefix(call.url, "/")
			env, err := r.client.exchange(ctx, each)
			var f *Error
			if errors.As(err, &f) && f.Delivery == upstream.NotSent && i+1 < len(addresses) && ctx.Err() == nil {
				continue
			}
			if i > 0 && (err == nil || f == nil || f.Delivery != upstream.NotSent) {
				r.remember(func(route *route) { route.current = at })
			}
			return env, err
		}
	})
}
