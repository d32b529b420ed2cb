package scnet

import (
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

// spanUnits are the units of a duration, in the order in which they come.
var spanUnits = []struct {
	letter byte
	unit   time.Duration
}{{'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// maxSpanDigits is how many digits a number of a duration may have.
const maxSpanDigits = 5

// parseSpan reads the service's durations: 14d 23h 48m.
func parseSpan(text string) (total time.Duration, known bool) {
	rest := strings.TrimSpace(text)
	for _, each := range spanUnits {
		rest = strings.TrimPrefix(rest, " ")
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > maxSpanDigits || digits == len(rest) || rest[digits] != each.letter {
			continue
		}
		n, _ := strconv.Atoi(rest[:digits]) // at most five digits
		total += time.Duration(n) * each.unit
		rest, known = rest[digits+1:], true
	}
	if !known || rest != "" {
		return 0, false
	}
	return total, true
}
