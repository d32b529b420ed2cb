package scnet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Unlimited is the TimeLimit of an instance that runs until somebody stops it.
const Unlimited = "unlimited"

// maxTimeLimit is far beyond any limit of a resource group, and keeps sums of it from overflowing.
const maxTimeLimit = 100_000 * time.Hour

var clock = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9]{1,6}):([0-5][0-9]):([0-5][0-9])$`)
})

// ParseTimeLimit reads a time limit as the service writes it: HH:MM:SS, whose hours may exceed 24, or "unlimited", which is
// 0. Known is false for anything else.
func ParseTimeLimit(limit string) (d time.Duration, known bool) {
	limit = strings.TrimSpace(limit)
	if strings.EqualFold(limit, Unlimited) {
		return 0, true
	}
	parts := clock().FindStringSubmatch(limit)
	if parts == nil {
		return 0, false
	}
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(parts[i+1]) // at most six digits
		d += time.Duration(n) * unit
	}
	return d, d > 0 && d <= maxTimeLimit
}

// TimeLimit writes d as the service wants it; 0 is Unlimited.
func TimeLimit(d time.Duration) string {
	if d == 0 {
		return Unlimited
	}
	s := int64(d / time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}
