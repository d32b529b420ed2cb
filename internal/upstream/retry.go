package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

const (
	maxTries = 3
	// maxRetryAfter is the longest wait that a server may ask for. Callers of an MCP server give up after about a
	// minute; a longer wait is reported instead of slept.
	maxRetryAfter = 15 * time.Second

	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 4 * time.Second
)

// Wait sleeps for d and reports false when ctx ends first.
func Wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retrying repeats tries that may succeed later and cannot do harm.
func (c *Client) retrying(next exchange) exchange {
	return func(ctx context.Context, r Request) (*Response, error) {
		if r.Tries == 0 {
			r.Tries = maxTries
		}
		for try := 1; ; try++ {
			resp, err := next(ctx, r)
			wait, again := c.again(r, try, resp, err)
			if !again || ctx.Err() != nil {
				return resp, err
			}
			logRetry(ctx, r, try, wait, err)
			if !Wait(ctx, wait) {
				return resp, err
			}
		}
	}
}

// again reports whether r is sent once more, and after which wait.
func (c *Client) again(r Request, try int, resp *Response, err error) (time.Duration, bool) {
	if try >= r.Tries {
		return 0, false
	}
	if err != nil {
		var f *Failure
		if !errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) || errors.Is(err, ErrTooLarge) ||
			r.Write && f.Delivery != NotSent {
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

// fullJitter returns a random wait between 0 and the exponential bound of try, so that clients that failed together do
// not come back together.
func fullJitter(try int) time.Duration {
	bound := min(firstBackoff<<(try-1), maxBackoff)
	return rand.N(bound)
}

func logRetry(ctx context.Context, r Request, try int, wait time.Duration, cause error) {
	var traced []any // a field only where there is a trace
	if id := trace.From(ctx).ID(); id != "" {
		traced = []any{"trace_id", id}
	}
	zerolog.Ctx(ctx).Debug().Str("method", r.Method).Str("url", Endpoint(r.URL)).Int("try", try).Dur("wait", wait).
		Fields(traced).AnErr("cause", cause).Msg("upstream request is tried again")
}

// retryAfter reads a Retry-After header: seconds or a date. It returns 0 for a value that cannot be read or lies in the past.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	const longest = 24 * time.Hour
	if seconds, err := strconv.Atoi(header); err == nil {
		return min(max(time.Duration(min(seconds, int(longest/time.Second)))*time.Second, 0), longest)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longest)
	}
	return 0
}
