package rollout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDo    = errors.New("rejected")
	errCheck = errors.New("left Running")
)

// states has one letter per target: c canary, m main, upper case when Do failed, C! and c! when the look failed, c? when
// there was none though Do gave no error, - not attempted.
func states(r Result) string {
	var b strings.Builder
	for _, t := range r.Targets {
		letter := "m"
		if t.Canary {
			letter = "c"
		}
		switch {
		case !t.Attempted:
			letter = "-"
		case t.Err != nil:
			letter = strings.ToUpper(letter)
		case t.CheckErr != nil:
			letter += "!"
		case t.Canary && !t.Checked:
			letter += "?"
		}
		b.WriteString(letter)
	}
	return b.String()
}

func among(targets []int, target int, err error) error {
	for _, t := range targets {
		if t == target {
			return err
		}
	}
	return nil
}

func TestStages(t *testing.T) {
	const (
		attempt = time.Second
		look    = 100 * time.Millisecond
		soak    = time.Minute
	)
	for name, c := range map[string]struct {
		plan      Plan
		fails     []int // targets whose Do fails
		unwell    []int // targets whose Check fails
		unchecked bool  // without Check
		cancelAt  time.Duration
		want      string
		failures  int
		stopped   Stop
		took      time.Duration
	}{
		"nothing":                {plan: Plan{Concurrency: 1}, want: ""},
		"one by one":             {plan: Plan{Targets: 3, Concurrency: 1}, want: "mmm", took: 3 * attempt},
		"more workers than work": {plan: Plan{Targets: 3, Concurrency: 10}, want: "mmm", took: attempt},
		"wait without a canary":  {plan: Plan{Targets: 2, CanaryWait: soak, Concurrency: 2}, want: "mm", took: attempt},
		"first failure stops": {
			plan: Plan{Targets: 4, Concurrency: 1}, fails: []int{1},
			want: "mM--", failures: 1, stopped: FailureLimit, took: 2 * attempt,
		},
		"as many failures as allowed": {
			plan: Plan{Targets: 4, Concurrency: 1, MaxFailures: 2}, fails: []int{0, 2},
			want: "MmMm", failures: 2, took: 4 * attempt,
		},
		"one failure more than allowed": {
			plan: Plan{Targets: 4, Concurrency: 1, MaxFailures: 1}, fails: []int{0, 2},
			want: "MmM-", failures: 2, stopped: FailureLimit, took: 3 * attempt,
		},
		"nothing left to stop": {
			plan: Plan{Targets: 2, Concurrency: 1}, fails: []int{1},
			want: "mM", failures: 1, took: 2 * attempt,
		},
		"failures in flight": {
			plan: Plan{Targets: 9, Concurrency: 3}, fails: []int{0, 1, 2},
			want: "MMM------", failures: 3, stopped: FailureLimit, took: attempt,
		},
		"canary, soak, look, rest": {
			plan: Plan{Targets: 5, Canary: 2, CanaryWait: soak, Concurrency: 3},
			want: "ccmmm", took: attempt + soak + look + attempt,
		},
		"concurrency holds in every stage": {
			plan: Plan{Targets: 5, Canary: 3, CanaryWait: soak, Concurrency: 2},
			want: "cccmm", took: 2*attempt + soak + 2*look + attempt,
		},
		"soak without a look": {
			plan: Plan{Targets: 2, Canary: 1, CanaryWait: soak, Concurrency: 1}, unchecked: true,
			want: "c?m", took: attempt + soak + attempt,
		},
		"canary fails, no soak": {
			plan: Plan{Targets: 5, Canary: 2, CanaryWait: soak, Concurrency: 2}, fails: []int{1},
			want: "c?C---", failures: 1, stopped: CanaryFailed, took: attempt,
		},
		"canary stops within its batch": {
			plan: Plan{Targets: 5, Canary: 3, CanaryWait: soak, Concurrency: 1}, fails: []int{0},
			want: "C----", failures: 1, stopped: CanaryFailed, took: attempt,
		},
		"canary within the limit": {
			plan: Plan{Targets: 4, Canary: 2, CanaryWait: soak, Concurrency: 1, MaxFailures: 1}, fails: []int{0},
			want: "Ccmm", failures: 1, took: 2*attempt + soak + look + 2*attempt,
		},
		"canary left Running": {
			plan: Plan{Targets: 4, Canary: 2, CanaryWait: soak, Concurrency: 2}, unwell: []int{0},
			want: "c!c--", failures: 1, stopped: CanaryFailed, took: attempt + soak + look,
		},
		"the look goes on past the limit": {
			plan: Plan{Targets: 4, Canary: 3, Concurrency: 1}, unwell: []int{0, 2},
			want: "c!cc!-", failures: 2, stopped: CanaryFailed, took: 3*attempt + 3*look,
		},
		"both batches share the limit": {
			plan: Plan{Targets: 6, Canary: 2, Concurrency: 1, MaxFailures: 2}, fails: []int{0, 3}, unwell: []int{1},
			want: "Cc!mM--", failures: 3, stopped: FailureLimit, took: 2*attempt + look + 2*attempt,
		},
		"canary only": {
			plan: Plan{Targets: 2, Canary: 2, CanaryWait: soak, Concurrency: 2}, unwell: []int{1},
			want: "cc!", failures: 1, took: attempt + soak + look,
		},
		"canary only, limit exceeded, look left out": {
			plan: Plan{Targets: 2, Canary: 2, CanaryWait: soak, Concurrency: 2}, fails: []int{1},
			want: "c?C", failures: 1, stopped: CanaryFailed, took: attempt,
		},
		"canary only, nothing to look at": {
			plan: Plan{Targets: 1, Canary: 1, CanaryWait: soak, Concurrency: 2, MaxFailures: 1}, fails: []int{0},
			want: "C", failures: 1, took: attempt,
		},
		"canary only, no look": {
			plan: Plan{Targets: 1, Canary: 1, CanaryWait: soak, Concurrency: 2}, unchecked: true,
			want: "c?", took: attempt,
		},
		"cancelled in the canary batch": {
			plan: Plan{Targets: 4, Canary: 2, CanaryWait: soak, Concurrency: 1}, cancelAt: attempt / 2,
			want: "c?---", stopped: Cancelled, took: attempt,
		},
		"cancelled in the soak": {
			plan: Plan{Targets: 4, Canary: 2, CanaryWait: soak, Concurrency: 2}, cancelAt: attempt + soak/2,
			want: "c?c?--", stopped: Cancelled, took: attempt + soak/2,
		},
		"cancelled in the look": {
			plan: Plan{Targets: 4, Canary: 2, CanaryWait: soak, Concurrency: 1}, cancelAt: 2*attempt + soak + look + look/2,
			want: "cc?--", stopped: Cancelled, took: 2*attempt + soak + look + look/2,
		},
		"cancelled in the last look": {
			plan: Plan{Targets: 1, Canary: 1, Concurrency: 1}, cancelAt: attempt + look/2,
			want: "c?", stopped: Cancelled, took: attempt + look/2,
		},
		"cancelled in the main batch": {
			plan: Plan{Targets: 6, Concurrency: 2}, cancelAt: attempt + attempt/2,
			want: "mmmm--", stopped: Cancelled, took: 2 * attempt,
		},
		"cancelled before a failure that stops": {
			plan: Plan{Targets: 3, Concurrency: 1}, cancelAt: attempt + attempt/2, fails: []int{1},
			want: "mM-", failures: 1, stopped: FailureLimit, took: 2 * attempt,
		},
		"cancelled with the last ones in flight": {
			plan: Plan{Targets: 2, Concurrency: 2}, cancelAt: attempt / 2,
			want: "mm", took: attempt,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancelAt > 0 {
					time.AfterFunc(c.cancelAt, cancel)
				}
				steps := Steps{
					Do: func(_ context.Context, target int) error {
						<-time.After(attempt)
						return among(c.fails, target, errDo)
					},
					Check: func(ctx context.Context, target int) error {
						select {
						case <-time.After(look):
						case <-ctx.Done():
							return fmt.Errorf("reading: %w", ctx.Err())
						}
						return among(c.unwell, target, errCheck)
					},
				}
				if c.unchecked {
					steps.Check = nil
				}
				start := time.Now()
				r, err := Run(ctx, c.plan, steps)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if got := states(r); got != c.want {
					t.Errorf("states %q, want %q", got, c.want)
				}
				if r.Failures != c.failures || r.Stopped != c.stopped {
					t.Errorf("%d failures, stopped %q; want %d, %q", r.Failures, r.Stopped, c.failures, c.stopped)
				}
			})
		})
	}
}

func TestInvalidPlans(t *testing.T) {
	do := func(context.Context, int) error {
		t.Error("a target was attempted")
		return nil
	}
	for name, c := range map[string]struct {
		plan  Plan
		steps Steps
	}{
		"negative targets":  {Plan{Targets: -1, Concurrency: 1}, Steps{Do: do}},
		"negative canary":   {Plan{Targets: 1, Canary: -1, Concurrency: 1}, Steps{Do: do}},
		"canary too large":  {Plan{Targets: 1, Canary: 2, Concurrency: 1}, Steps{Do: do}},
		"negative wait":     {Plan{Targets: 1, CanaryWait: -1, Concurrency: 1}, Steps{Do: do}},
		"no concurrency":    {Plan{Targets: 1}, Steps{Do: do}},
		"negative failures": {Plan{Targets: 1, Concurrency: 1, MaxFailures: -1}, Steps{Do: do}},
		"no step":           {Plan{Targets: 1, Concurrency: 1}, Steps{}},
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := Run(t.Context(), c.plan, c.steps); err == nil || r.Targets != nil {
				t.Errorf("got %+v, %v; want an error alone", r, err)
			}
		})
	}
}

// A thousand targets take as long as the concurrency says, with as many goroutines.
func TestThousandTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const concurrency = 10
		var inFlight, most, goroutines atomic.Int64
		before := int64(runtime.NumGoroutine())
		start := time.Now()
		r, err := Run(t.Context(), Plan{Targets: 1000, Concurrency: concurrency}, Steps{
			Do: func(context.Context, int) error {
				raise(&most, inFlight.Add(1))
				defer inFlight.Add(-1)
				<-time.After(100 * time.Millisecond)
				raise(&goroutines, int64(runtime.NumGoroutine()))
				return nil
			},
		})
		if err != nil || r.Attempted != 1000 || r.Failures != 0 || r.Stopped != NotStopped {
			t.Fatalf("attempted %d, failures %d, stopped %q, error %v", r.Attempted, r.Failures, r.Stopped, err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v, want 10s", took)
		}
		if most.Load() != concurrency {
			t.Errorf("%d in flight at once, want %d", most.Load(), concurrency)
		}
		// A goroutine that has delivered its outcome may not have ended when the next one starts.
		if extra := goroutines.Load() - before; extra > 2*concurrency {
			t.Errorf("%d more goroutines than before", extra)
		}
	})
}

func raise(most *atomic.Int64, n int64) {
	for {
		old := most.Load()
		if n <= old || most.CompareAndSwap(old, n) {
			return
		}
	}
}

type contextKey struct{}

// The attempt in flight sees values, but no cancellation and no deadline, and Run waits for it.
func TestAttemptsAreNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey{}, "value"), time.Second)
		defer cancel()
		r, err := Run(ctx, Plan{Targets: 3, Concurrency: 2}, Steps{Do: func(ctx context.Context, _ int) error {
			<-time.After(5 * time.Second)
			if _, has := ctx.Deadline(); has || ctx.Err() != nil || ctx.Value(contextKey{}) != "value" {
				t.Errorf("attempt with %v", ctx)
			}
			return nil
		}})
		if err != nil || states(r) != "mm-" || r.Stopped != Cancelled {
			t.Errorf("states %q, stopped %q, error %v", states(r), r.Stopped, err)
		}
	})
}

func TestCancelledBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Run(ctx, Plan{Targets: 3, Canary: 1, CanaryWait: time.Hour, Concurrency: 2}, Steps{
		Do: func(context.Context, int) error { return errDo },
	})
	if err != nil || states(r) != "---" || r.Attempted != 0 || r.Stopped != Cancelled {
		t.Errorf("states %q, attempted %d, stopped %q, error %v", states(r), r.Attempted, r.Stopped, err)
	}
}

// A look that fails for a reason of its own counts, also when the context ends at the same moment, and one that was cut
// off for the context's cause does not.
func TestLookAndCancellation(t *testing.T) {
	cause := errors.New("client went away")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"own reason": {errCheck, "c!-"},
		"cause":      {fmt.Errorf("reading: %w", cause), "c?-"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			r, err := Run(ctx, Plan{Targets: 2, Canary: 1, Concurrency: 1, MaxFailures: 1}, Steps{
				Do:    func(context.Context, int) error { return nil },
				Check: func(context.Context, int) error { cancel(cause); return c.err },
			})
			if err != nil || states(r) != c.want || r.Stopped != Cancelled {
				t.Errorf("states %q, want %q; stopped %q, error %v", states(r), c.want, r.Stopped, err)
			}
		})
	}
}

func TestPanics(t *testing.T) {
	var announced []int
	r, err := Run(t.Context(), Plan{Targets: 8, Canary: 3, Concurrency: 2, MaxFailures: 5}, Steps{
		Do: func(_ context.Context, target int) error {
			switch target {
			case 0:
				panic(errDo)
			case 4:
				panic("boom")
			case 5:
				runtime.Goexit()
			}
			return nil
		},
		Check: func(_ context.Context, target int) error {
			switch target {
			case 1:
				panic("look")
			case 2:
				runtime.Goexit()
			}
			return nil
		},
		Done: func(target int, _ error, _, _ int) { announced = append(announced, target) },
	})
	if err != nil || states(r) != "Cc!c!mMMmm" || r.Failures != 5 || r.Stopped != NotStopped || len(announced) != 8 {
		t.Fatalf("states %q, failures %d, stopped %q, announced %v, error %v", states(r), r.Failures, r.Stopped, announced, err)
	}
	for text, err := range map[string]error{
		"panic: rejected": r.Targets[0].Err, "panic: look": r.Targets[1].CheckErr, "panic: boom": r.Targets[4].Err,
	} {
		var p *PanicError
		if !errors.As(err, &p) || err.Error() != text || !strings.Contains(string(p.Stack), "TestPanics") {
			t.Errorf("got %v, want %s with the stack of the step", err, text)
		}
		if errors.Is(err, errDo) {
			t.Errorf("%v passes for an outcome", err)
		}
	}
	if r.Targets[2].CheckErr == nil || r.Targets[5].Err == nil {
		t.Error("a step that ended its goroutine passes for ok")
	}
}

func TestPanicInDone(t *testing.T) {
	calls := 0
	r, err := Run(t.Context(), Plan{Targets: 5, Concurrency: 2}, Steps{
		Do:   func(context.Context, int) error { return nil },
		Done: func(int, error, int, int) { calls++; panic("client gone") },
	})
	if err != nil || states(r) != "mmmmm" || calls != 1 {
		t.Errorf("states %q, %d calls, error %v", states(r), calls, err)
	}
	if r.DoneErr == nil || r.DoneErr.Error() != "panic: client gone" {
		t.Errorf("DoneErr %v", r.DoneErr)
	}
}

// A failure that came while Done was slow counts before the next target starts.
func TestSlowDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(t.Context(), Plan{Targets: 4, Concurrency: 2}, Steps{
			Do: func(_ context.Context, target int) error {
				<-time.After(time.Duration(1+target) * time.Second)
				return among([]int{1}, target, errDo)
			},
			Done: func(int, error, int, int) { <-time.After(time.Minute) },
		})
		if err != nil || states(r) != "mM--" || r.Stopped != FailureLimit {
			t.Errorf("states %q, stopped %q, error %v", states(r), r.Stopped, err)
		}
	})
}

// A caller that leaves in Done, as t.FailNow does, leaves no goroutine behind.
func TestExitInDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int64
		var caller sync.WaitGroup
		caller.Go(func() {
			_, _ = Run(t.Context(), Plan{Targets: 50, Concurrency: 5}, Steps{
				Do: func(_ context.Context, target int) error {
					running.Add(1)
					defer running.Add(-1)
					<-time.After(time.Duration(1+target) * time.Second)
					return nil
				},
				Done: func(int, error, int, int) { runtime.Goexit() },
			})
		})
		caller.Wait()
		if running.Load() != 0 {
			t.Errorf("%d attempts outlived Run", running.Load())
		}
	})
}

// scenario is a plan with what will happen in it.
type scenario struct {
	plan     Plan
	do       []error
	check    []error
	took     []time.Duration // of an attempt
	noCheck  bool
	cancelAt time.Duration // 0: never
}

func (s scenario) String() string {
	return fmt.Sprintf("%+v do %v check %v (left out: %v) cancel at %v", s.plan, s.do, s.check, s.noCheck, s.cancelAt)
}

// model does by the book, one target after the other and without cancellation, what Run has to do.
func (s scenario) model() Result {
	r := Result{Targets: make([]Target, s.plan.Targets)}
	for i := range s.plan.Canary {
		r.Targets[i].Canary = true
	}
	exceeded := func() bool { return r.Failures > s.plan.MaxFailures }
	for i := range r.Targets {
		if i == s.plan.Canary && !exceeded() {
			for j := range r.Targets[:i] {
				if t := &r.Targets[j]; t.Err == nil && !s.noCheck {
					t.Checked, t.CheckErr = true, s.check[j]
					if t.CheckErr != nil {
						r.Failures++
					}
				}
			}
		}
		if exceeded() {
			r.Stopped = FailureLimit
			if i <= s.plan.Canary && s.plan.Canary > 0 {
				r.Stopped = CanaryFailed
			}
			return r
		}
		r.Targets[i].Attempted, r.Targets[i].Err = true, s.do[i]
		r.Attempted++
		if s.do[i] != nil {
			r.Failures++
		}
	}
	if s.plan.Canary == s.plan.Targets && !s.noCheck {
		blocked := exceeded()
		for j := range r.Targets {
			t := &r.Targets[j]
			switch {
			case t.Err != nil:
			case blocked:
				r.Stopped = CanaryFailed
			default:
				t.Checked, t.CheckErr = true, s.check[j]
				if t.CheckErr != nil {
					r.Failures++
				}
			}
		}
	}
	return r
}

// verify runs the scenario and holds the result against what must be true of every rollout.
func (s scenario) verify(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if s.cancelAt > 0 {
		defer time.AfterFunc(s.cancelAt, cancel).Stop()
	}
	var (
		p                  = s.plan
		runs               = make([]atomic.Int64, p.Targets)
		looks              = make([]atomic.Int64, p.Targets)
		inFlight, most     atomic.Int64
		canaryDone         atomic.Int64
		announced          = make([]bool, p.Targets)
		finished, failures int
		overAt             = -1 // how many had finished when the limit was exceeded, or at the cancellation
	)
	enter := func() { raise(&most, inFlight.Add(1)) }
	leave := func() { inFlight.Add(-1) }
	steps := Steps{
		Do: func(_ context.Context, i int) error {
			enter()
			defer leave()
			runs[i].Add(1)
			if i >= p.Canary && int(canaryDone.Load()) != p.Canary {
				t.Errorf("target %d started before the canary batch had finished", i)
			}
			if s.took[i] > 0 {
				<-time.After(s.took[i])
			}
			if i < p.Canary {
				canaryDone.Add(1)
			}
			return s.do[i]
		},
		Check: func(_ context.Context, i int) error {
			enter()
			defer leave()
			looks[i].Add(1)
			return s.check[i]
		},
		Done: func(i int, err error, n, total int) {
			finished++
			if n != finished || total != p.Targets || announced[i] || !errors.Is(err, s.do[i]) {
				t.Errorf("Done(%d, %v, %d, %d) as call %d, announced before: %v", i, err, n, total, finished, announced[i])
			}
			announced[i] = true
			if err != nil {
				failures++
			}
			if overAt < 0 && (failures > p.MaxFailures || ctx.Err() != nil) {
				overAt = finished
			}
		},
	}
	if s.noCheck {
		steps.Check = nil
	}
	r, err := Run(ctx, p, steps)
	if err != nil {
		t.Fatal(err)
	}

	if len(r.Targets) != p.Targets || r.Attempted != finished {
		t.Errorf("%d targets, %d attempted, %d announced; want %d targets", len(r.Targets), r.Attempted, finished, p.Targets)
	}
	doFailures, allFailures, unlooked := 0, 0, false
	for i, target := range r.Targets {
		ran, looked := int(runs[i].Load()), int(looks[i].Load())
		if target.Canary != (i < p.Canary) || target.Attempted != (i < r.Attempted) {
			t.Errorf("target %d of %d attempted: %+v", i, r.Attempted, target)
		}
		if want := map[bool]int{true: 1}[target.Attempted]; ran != want || announced[i] != target.Attempted {
			t.Errorf("target %d ran %d times, announced: %v, reported: %+v", i, ran, announced[i], target)
		}
		if want := map[bool]int{true: 1}[target.Checked]; looked != want || looked > 0 && (i >= p.Canary || target.Err != nil) {
			t.Errorf("target %d was looked at %d times, reported: %+v", i, looked, target)
		}
		if target.Attempted && !errors.Is(target.Err, s.do[i]) || target.Checked && !errors.Is(target.CheckErr, s.check[i]) {
			t.Errorf("target %d: %+v, want %v and %v", i, target, s.do[i], s.check[i])
		}
		if target.Err != nil {
			doFailures++
		}
		if target.Failed() {
			allFailures++
		}
		unlooked = unlooked || i < p.Canary && target.Err == nil && !target.Checked && !s.noCheck
	}
	if r.Failures != allFailures {
		t.Errorf("%d failures, counted %d", r.Failures, allFailures)
	}
	if doFailures > p.MaxFailures && doFailures-p.MaxFailures > p.Concurrency {
		t.Errorf("%d attempts failed", doFailures)
	}
	if overAt >= 0 && r.Attempted-overAt > p.Concurrency-1 {
		t.Errorf("%d attempts though it was over after %d", r.Attempted, overAt)
	}
	if most.Load() > int64(p.Concurrency) {
		t.Errorf("%d in flight at once", most.Load())
	}
	if undone := r.Attempted < p.Targets || unlooked; undone != (r.Stopped != NotStopped) {
		t.Errorf("stopped %q, left something undone: %v", r.Stopped, undone)
	}
	if r.Stopped == Cancelled && ctx.Err() == nil {
		t.Error("stopped as cancelled without a cancellation")
	}
	if r.Stopped == FailureLimit || r.Stopped == CanaryFailed {
		inCanary := p.Canary > 0 && r.Attempted <= p.Canary
		if r.Failures <= p.MaxFailures || inCanary != (r.Stopped == CanaryFailed) {
			t.Errorf("stopped %q after %d attempts with %d failures", r.Stopped, r.Attempted, r.Failures)
		}
	}
	if p.Concurrency == 1 && ctx.Err() == nil {
		if want := s.model(); !reflect.DeepEqual(r, want) {
			t.Errorf("got  %+v\nwant %+v", r, want)
		}
	}
	if t.Failed() {
		t.Log(s)
	}
}

func randomScenario(random *rand.Rand) scenario {
	n := random.IntN(30)
	s := scenario{
		plan: Plan{
			Targets:     n,
			Canary:      random.IntN(n + 1),
			CanaryWait:  time.Duration(random.IntN(3)) * time.Second,
			Concurrency: 1 + random.IntN(6),
			MaxFailures: random.IntN(5),
		},
		do: make([]error, n), check: make([]error, n), took: make([]time.Duration, n),
		noCheck: random.IntN(4) == 0,
	}
	switch random.IntN(4) {
	case 0:
		s.plan.Canary = 0
	case 1:
		s.plan.Canary = min(n, 2)
	}
	odds := []float64{0, 0.1, 0.5, 1}
	doFails, checkFails := odds[random.IntN(len(odds))], odds[random.IntN(len(odds))]
	for i := range n {
		if random.Float64() < doFails {
			s.do[i] = errDo
		}
		if random.Float64() < checkFails {
			s.check[i] = errCheck
		}
		s.took[i] = time.Duration(random.IntN(5)) * 100 * time.Millisecond // many ties
	}
	if random.IntN(3) == 0 {
		s.cancelAt = time.Duration(1 + random.Int64N(int64(5*time.Second)))
	}
	return s
}

func TestRandomRollouts(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		for range 5000 {
			if randomScenario(random).verify(t); t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

func FuzzRun(f *testing.F) {
	f.Add(uint8(0), uint8(0), uint8(1), uint8(0), uint16(0), []byte{})
	f.Add(uint8(5), uint8(2), uint8(1), uint8(0), uint16(0), []byte{0, 2, 0, 0, 0})
	f.Add(uint8(9), uint8(9), uint8(3), uint8(1), uint16(700), []byte{1, 0x10, 0x21, 2})
	f.Add(uint8(40), uint8(4), uint8(200), uint8(3), uint16(0), []byte{0, 0, 0, 0, 1, 0x31, 0x11, 1})
	f.Fuzz(func(t *testing.T, targets, canary, concurrency, maxFailures uint8, cancelAt uint16, outcomes []byte) {
		n := int(targets)
		s := scenario{
			plan: Plan{
				Targets:     n,
				Canary:      int(canary) % (n + 1),
				CanaryWait:  time.Second,
				Concurrency: max(1, int(concurrency)),
				MaxFailures: int(maxFailures),
			},
			do: make([]error, n), check: make([]error, n), took: make([]time.Duration, n),
			noCheck:  concurrency%8 == 0,
			cancelAt: time.Duration(cancelAt) * time.Millisecond,
		}
		// A byte per target: bit 0 Do fails, bit 1 Check fails, the upper half how long the attempt takes.
		for i, b := range outcomes[:min(n, len(outcomes))] {
			if b&1 != 0 {
				s.do[i] = errDo
			}
			if b&2 != 0 {
				s.check[i] = errCheck
			}
			s.took[i] = time.Duration(b>>4) * 100 * time.Millisecond
		}
		synctest.Test(t, s.verify)
	})
}

func BenchmarkThousandTargets(b *testing.B) {
	steps := Steps{Do: func(context.Context, int) error { return nil }}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := Run(b.Context(), Plan{Targets: 1000, Concurrency: 10}, steps); err != nil || r.Attempted != 1000 {
			b.Fatal(r.Attempted, err)
		}
	}
}

// What is forbidden in the middle is not started, and what is under way ends.
func TestForbiddenInTheMiddle(t *testing.T) {
	const attempt, soak = time.Second, time.Minute
	errGone := errors.New("removed")
	for name, c := range map[string]struct {
		plan      Plan
		forbidden time.Duration // from then on
		want      string
		stop      Stop
	}{
		"from the beginning":     {Plan{Targets: 3, Concurrency: 2}, 0, "---", Forbidden},
		"in the first batch":     {Plan{Targets: 4, Canary: 3, CanaryWait: soak, Concurrency: 1}, attempt + 1, "c?c?--", Forbidden},
		"during the canary wait": {Plan{Targets: 4, Canary: 2, CanaryWait: soak, Concurrency: 2}, attempt + soak/2, "cc--", Forbidden},
		"between the others":     {Plan{Targets: 5, Concurrency: 2}, attempt + 1, "mmmm-", Forbidden},
		"afterwards":             {Plan{Targets: 2, Concurrency: 1}, 10 * attempt, "mm", NotStopped},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				r, err := Run(t.Context(), c.plan, Steps{
					Do:    func(context.Context, int) error { <-time.After(attempt); return nil },
					Check: func(context.Context, int) error { return nil },
					Permit: func(int) error {
						if time.Since(started) >= c.forbidden {
							return errGone
						}
						return nil
					},
				})
				if err != nil || states(r) != c.want || r.Stopped != c.stop || errors.Is(r.Forbidden, errGone) != (c.stop == Forbidden) {
					t.Errorf("%s, %s, %v, %v", states(r), r.Stopped, r.Forbidden, err)
				}
			})
		})
	}
}
