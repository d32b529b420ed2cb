// Package rollout runs one step on many targets in stages: a few canaries, a pause with a look at them, then the rest,
// with bounded concurrency and a limit on failures.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Plan says how many targets there are and how carefully to go about them. Targets are known by their index and are
// started in ascending order.
type Plan struct {
	Targets     int
	Canary      int           // the first targets, finished before any other starts; 0: no canary batch, Targets: no other batch
	CanaryWait  time.Duration // the pause after the canary batch, before the look at it; unused without a canary batch
	Concurrency int           // attempts, or looks, under way at once, in the canary batch too; at least 1
	MaxFailures int           // no target is started once there are MORE failures than this: 0 stops at the first
}

func (p Plan) validate() error {
	switch {
	case p.Targets < 0:
		return errors.New("rollout: negative number of targets")
	case p.Canary < 0 || p.Canary > p.Targets:
		return fmt.Errorf("rollout: canary batch of %d, must be 0 to %d, the number of targets", p.Canary, p.Targets)
	case p.CanaryWait < 0:
		return errors.New("rollout: negative wait after the canary batch")
	case p.Concurrency < 1:
		return fmt.Errorf("rollout: concurrency %d, must be at least 1", p.Concurrency)
	case p.MaxFailures < 0:
		return errors.New("rollout: negative failure limit")
	}
	return nil
}

// Steps are what a rollout does with a target. Do and Check are called on several goroutines at once, and a panic or a
// [runtime.Goexit] in them becomes the target's error. What they write for a target may be read in Done of that target
// and once Run has returned.
type Steps struct {
	// Do makes the attempt and is called at most once per target. Its context carries the values of the one given to
	// Run but neither its cancellation nor its deadline, because a write cut off halfway has an unknown outcome. Run
	// waits for it, so it has to bound its own time.
	Do func(ctx context.Context, target int) error
	// Check looks at a canary target after the pause, if Do gave no error. An error is a failure of the target, also
	// when it only says that the look failed: what cannot be seen to be well does not let the others start. Check
	// changes nothing, so it gets Run's own context. Optional.
	Check func(ctx context.Context, target int) error
	// Permit is asked immediately before a target is started. An error keeps it, and every later one, from being started: what
	// was allowed when the rollout began may no longer be. It runs on Run's goroutine. Optional.
	Permit func(target int) error
	// Done hears what Do returned for a target, once per attempted target, with finished counting up from 1. It runs
	// on Run's goroutine, so calls never overlap, and a slow one holds up the rollout. Optional.
	Done func(target int, err error, finished, total int)
}

// Stop is the reason why a rollout left something undone.
type Stop string

// The reasons to stop. The one that first held something back is named, and of two at once the failures.
const (
	NotStopped   Stop = ""              // every target was attempted, and every canary that took it looked at
	CanaryFailed Stop = "canary_failed" // more failures than allowed in the canary batch or in the look at it
	FailureLimit Stop = "failure_limit" // more failures than allowed in the main batch
	Cancelled    Stop = "cancelled"     // the context ended
	Forbidden    Stop = "forbidden"     // Permit gave an error
)

// Target is what is known about one target. Err and CheckErr are apart because a target that was found unwell has still
// accepted what Do sent.
type Target struct {
	Canary    bool
	Attempted bool
	Err       error // what Do returned
	Checked   bool  // Check gave a verdict, which it does not when cancelled
	CheckErr  error // what Check returned
}

// Failed reports whether the attempt or the look at it failed.
func (t Target) Failed() bool { return t.Err != nil || t.CheckErr != nil }

// Result is what a rollout did.
type Result struct {
	Targets   []Target // one per target of the plan, in its order
	Attempted int      // how many were attempted: always the first ones
	Failures  int      // how many Failed
	Stopped   Stop
	Forbidden error // what Permit returned when it stopped the rollout
	// DoneErr is the panic of Done, which was not called again. The rollout went on: its results matter more than
	// their announcement.
	DoneErr error
}

// PanicError is the error of a target whose step panicked, so its outcome is unknown. It does not unwrap to a panic
// value that is an error: such an error may claim an outcome that nobody has seen.
type PanicError struct {
	Value any
	Stack []byte // not in the error text
}

// Error returns the panic value in words.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// errExited is the error of a step that ended its goroutine instead of returning.
var errExited = errors.New("rollout: the step ended its goroutine")

// Run carries out the plan and returns what is known about every target. The error is for a plan that cannot be carried
// out; then nothing was done.
//
// Failures of Do and of Check count together, over both batches. Once they exceed MaxFailures nothing new starts, but
// what is in flight finishes, so Do may fail up to Concurrency-1 times more; with a Concurrency of 1 the limit is exact.
// The look is not cut short by the limit, because it changes nothing and every canary's state is worth knowing.
//
// The main batch starts when the canary batch, the pause and the look have left the failures within the limit. The pause
// and the look are left out when the canary batch alone exceeds it. They take place when the canary batch is all there
// is, because the look has its own value; the pause is left out only if neither a look nor a main batch follows it.
//
// When ctx ends, nothing new starts, the pause and the looks are cut short, and Run returns once the attempts in flight
// have finished. No goroutine outlives Run.
func Run(ctx context.Context, p Plan, s Steps) (Result, error) {
	if err := p.validate(); err != nil {
		return Result{}, err
	}
	if s.Do == nil {
		return Result{}, errors.New("rollout: nothing to do")
	}
	r := &rollout{ctx: ctx, plan: p, steps: s, Result: Result{Targets: make([]Target, p.Targets)}}
	for i := range r.Targets[:p.Canary] {
		r.Targets[i].Canary = true
	}
	r.attempt(0, p.Canary, CanaryFailed)
	if p.Canary > 0 && r.Stopped == NotStopped {
		r.look()
	}
	r.attempt(p.Canary, p.Targets, FailureLimit)
	return r.Result, nil
}

// rollout is touched by Run's goroutine only.
type rollout struct {
	ctx   context.Context
	plan  Plan
	steps Steps
	Result
}

// mayGoOn reports whether there may be more, and is asked only when there is more to do: the first "no" is the reason that
// Run reports.
func (r *rollout) mayGoOn(overLimit Stop) bool {
	switch {
	case r.Stopped != NotStopped:
	case r.Failures > r.plan.MaxFailures:
		r.Stopped = overLimit
	case r.ctx.Err() != nil:
		r.Stopped = Cancelled
	}
	return r.Stopped == NotStopped
}

// attempt runs the batch from first up to end.
func (r *rollout) attempt(first, end int, overLimit Stop) {
	ctx := context.WithoutCancel(r.ctx)
	pool{
		n:        end - first,
		width:    r.plan.Concurrency,
		mayStart: func(i int) bool { return r.mayGoOn(overLimit) && r.isPermitted(first+i) },
		do:       func(i int) error { return r.steps.Do(ctx, first+i) },
		done: func(i int, err error) {
			target := &r.Targets[first+i]
			target.Attempted, target.Err = true, err
			r.Attempted++
			if err != nil {
				r.Failures++
			}
			r.announce(first+i, err)
		},
	}.run()
}

func (r *rollout) isPermitted(target int) bool {
	if r.steps.Permit == nil {
		return true
	}
	if err := r.steps.Permit(target); err != nil {
		r.Stopped, r.Forbidden = Forbidden, err
	}
	return r.Stopped == NotStopped
}

func (r *rollout) announce(target int, err error) {
	if r.steps.Done == nil || r.DoneErr != nil {
		return
	}
	defer func() {
		if value := recover(); value != nil {
			r.DoneErr = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	r.steps.Done(target, err, r.Attempted, r.plan.Targets)
}

// look waits and then checks the canary targets.
func (r *rollout) look() {
	var ran []int
	if r.steps.Check != nil {
		for i, target := range r.Targets[:r.plan.Canary] {
			if target.Err == nil {
				ran = append(ran, i)
			}
		}
	}
	mainFollows := r.plan.Canary < r.plan.Targets
	if len(ran) == 0 && !mainFollows || !r.mayGoOn(CanaryFailed) {
		return
	}
	r.pause()
	pool{
		n:     len(ran),
		width: r.plan.Concurrency,
		mayStart: func(int) bool {
			if r.ctx.Err() != nil {
				r.Stopped = Cancelled
			}
			return r.Stopped == NotStopped
		},
		do: func(i int) error { return r.steps.Check(r.ctx, ran[i]) },
		done: func(i int, err error) {
			if r.wasCancelled(err) {
				r.Stopped = Cancelled
				return
			}
			target := &r.Targets[ran[i]]
			target.Checked, target.CheckErr = true, err
			if err != nil {
				r.Failures++
			}
		},
	}.run()
	if mainFollows {
		r.mayGoOn(CanaryFailed)
	}
}

func (r *rollout) pause() {
	timer := time.NewTimer(r.plan.CanaryWait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
}

// wasCancelled reports whether err is the end of the context, which says nothing about the target.
func (r *rollout) wasCancelled(err error) bool {
	return r.ctx.Err() != nil && (errors.Is(err, r.ctx.Err()) || errors.Is(err, context.Cause(r.ctx)))
}

// pool calls do for 0 to n-1, in this order and at most width at once. All but do is called on the goroutine of run.
type pool struct {
	n, width int
	mayStart func(i int) bool
	do       func(i int) error
	done     func(i int, err error)
}

type outcome struct {
	i   int
	err error
}

func (p pool) run() {
	// With room for all that can be in flight, no goroutine is stuck if done does not return.
	outcomes := make(chan outcome, min(p.width, p.n))
	var running sync.WaitGroup
	defer running.Wait()
	for started, finished := 0, 0; ; {
		inFlight := started - finished
		// What has ended counts before anything else starts.
		if started < p.n && inFlight < p.width && len(outcomes) == 0 && p.mayStart(started) {
			i := started
			running.Go(func() { p.call(i, outcomes) })
			started++
			continue
		}
		if inFlight == 0 {
			return
		}
		o := <-outcomes
		finished++
		p.done(o.i, o.err)
	}
}

// call sends exactly one outcome, however do ends.
func (p pool) call(i int, outcomes chan<- outcome) {
	o := outcome{i, errExited}
	defer func() {
		if value := recover(); value != nil {
			o.err = &PanicError{Value: value, Stack: debug.Stack()}
		}
		outcomes <- o
	}()
	o.err = p.do(i)
}
