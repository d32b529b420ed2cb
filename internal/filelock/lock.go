// Package filelock lets one process at a time work on files. The system releases a lock when its holder dies. Removing a lock
// file while processes run would let two of them in at once.
package filelock

import (
	"context"
	"errors"
	"time"
)

// ErrBusy says that another process has held the lock for too long.
var ErrBusy = errors.New("another process holds the lock")

// Suffix ends the name of the lock file of another file, which is beside it: that file itself is replaced or renamed.
const Suffix = ".lock"

// Lock waits for the lock on the file at path, which it makes, until ctx ends, at most for patience.
func Lock(ctx context.Context, path string, patience time.Duration) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, ErrBusy)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 16*time.Millisecond) {
		release, busy, err := Try(path)
		if err != nil || !busy {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
