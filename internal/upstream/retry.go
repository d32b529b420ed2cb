package upstream

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

const (
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 4 * time.Second
)

// fullJitter returns a random wait between 0 and the exponential bound of try, so that clients that failed together do
// not come back together.
func fullJitter(try int) time.Duration {
	bound := min(firstBackoff<<(try-1), maxBackoff)
	return rand.N(bound)
}

// sleep waits for d and reports false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func logRetry(ctx context.Context, r Request, try int, wait time.Duration, cause error) {
	var traced []any // a field only where there is a trace
	if id := trace.From(ctx).ID(); id != "" {
		traced = []any{"trace_id", id}
	}
	zerolog.Ctx(ctx).Debug().Str("method", r.Method).Str("url", Endpoint(r.URL)).Int("try", try).Dur("wait", wait).
		Fields(traced).AnErr("cause", cause).Msg("upstream request is tried again")
}

// retryAfter reads a Retry-After header: seconds or a date. What cannot be read, or lies in the past, is 0.
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
