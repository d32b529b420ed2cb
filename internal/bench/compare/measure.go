package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// subject is one thing that is measured.
type subject struct {
	name  string
	rows  int  // that each call is about; 0: it has none
	alone bool // it is measured with one caller only
	pid   int  // of the process whose time counts; 0: this one
	call  func(context.Context) error
	close func()
}

// sample is what one measurement found.
type sample struct {
	perSecond     float64
	median, p99   time.Duration
	processorTime time.Duration // of one call
}

// measure lets so many callers call each for a while, one call after the other.
func measure(ctx context.Context, s subject, callers int, duration time.Duration) (sample, error) {
	for range min(callers, 16) { // warm up: connections, pools
		if err := s.call(ctx); err != nil {
			return sample{}, err
		}
	}
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	before, begun := processorTime(s.pid), time.Now()
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			var own []time.Duration
			var err error
			for time.Since(begun) < duration && err == nil {
				started := time.Now()
				err = s.call(ctx)
				own = append(own, time.Since(started))
			}
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, own...), errors.Join(failed, err)
		})
	}
	running.Wait()
	if failed != nil {
		return sample{}, failed
	}
	passed, used := time.Since(begun), processorTime(s.pid)-before
	slices.Sort(took)
	return sample{
		perSecond: float64(len(took)) / passed.Seconds(), median: took[len(took)/2], p99: took[len(took)*99/100],
		processorTime: used / time.Duration(len(took)),
	}, nil
}

// medians takes the median of each figure.
func medians(samples []sample) sample {
	middle := func(of func(sample) float64) float64 {
		var values []float64
		for _, s := range samples {
			values = append(values, of(s))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return sample{
		perSecond:     middle(func(s sample) float64 { return s.perSecond }),
		median:        time.Duration(middle(func(s sample) float64 { return float64(s.median) })),
		p99:           time.Duration(middle(func(s sample) float64 { return float64(s.p99) })),
		processorTime: time.Duration(middle(func(s sample) float64 { return float64(s.processorTime) })),
	}
}

// tick is the unit of processor time in /proc.
const tick = 10 * time.Millisecond

// processorTime is what a process has used; 0 where it cannot be told.
func processorTime(pid int) time.Duration {
	if pid == 0 {
		var used syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}
