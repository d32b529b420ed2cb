package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// interruption is why a context ended that a signal ended.
type interruption struct{ signal os.Signal }

func (interruption) Error() string { return "interrupted" }

// Unwrap makes an interruption a cancellation, as everything below this package knows it.
func (interruption) Unwrap() error { return context.Canceled }

// exitStatus is the one that shells give a command that a signal ended.
func (i interruption) exitStatus() int {
	if s, ok := i.signal.(syscall.Signal); ok {
		return 128 + int(s)
	}
	return exitError
}

// interrupted returns the interruption that ended ctx, if one did.
func interrupted(ctx context.Context) (i interruption, yes bool) {
	return i, errors.As(context.Cause(ctx), &i)
}

// untilSignal returns a context that the first of the signals ends. The next one does what it does by default: it ends the
// process at once.
func untilSignal(ctx context.Context, signals ...os.Signal) (_ context.Context, stop context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, signals...)
	go func() {
		select {
		case s := <-arrived:
			cancel(interruption{s})
		case <-ctx.Done():
		}
		signal.Stop(arrived)
	}()
	return ctx, func() { cancel(context.Canceled) }
}
