package scnet

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Limit returns how long the instance may run. It reports false if there is no limit, or none that can be read.
func (in Instance) Limit() (time.Duration, bool) {
	limit, known := ParseTimeLimit(in.TimeLimit)
	return limit, known && limit > 0
}

// Left returns how long the instance may still run, as the service says or as its start and its limit show.
func (in Instance) Left(now time.Time) (time.Duration, bool) {
	if left, ok := parseSpan(in.Remaining); ok {
		return left, true
	}
	limit, limited := in.Limit()
	if !limited || in.StartedAt.IsZero() || !in.Status.Is(Running) {
		return 0, false
	}
	return max(in.StartedAt.Add(limit).Sub(now), 0), true
}

// Ran returns how long the instance has run, or ran before it ended.
func (in Instance) Ran(now time.Time) (time.Duration, bool) {
	switch {
	case !in.StartedAt.IsZero() && in.Status.Is(Running):
		return max(now.Sub(in.StartedAt), 0), true
	case !in.StartedAt.IsZero() && in.EndedAt.After(in.StartedAt):
		return in.EndedAt.Sub(in.StartedAt), true
	}
	return parseSpan(in.Duration)
}

// TotalAccelerators returns the accelerators of all containers together.
func (in Instance) TotalAccelerators() int { return in.Accelerators * max(in.Containers, 1) }

var spanPattern = regexp.MustCompile(`^(?:(\d{1,5})d)? ?(?:(\d{1,5})h)? ?(?:(\d{1,5})m)? ?(?:(\d{1,5})s)?$`)

// parseSpan reads the service's durations: 14d 23h 48m.
func parseSpan(text string) (time.Duration, bool) {
	parts := spanPattern.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil || strings.TrimSpace(text) == "" {
		return 0, false
	}
	total := time.Duration(0)
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if n, err := strconv.Atoi(parts[i+1]); err == nil {
			total += time.Duration(n) * unit
		}
	}
	return total, true
}
