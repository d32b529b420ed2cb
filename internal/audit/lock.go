package audit

import (
	"context"
	"fmt"
	"time"
)

const (
	lockSuffix = ".lock"
	// lockWait bounds the wait for other processes, so that a stopped one cannot hold up every call for ever.
	lockWait = 10 * time.Second
)

// lock waits until no other process works on the log. The lock is on a file beside the log, because the log itself is
// renamed when it rotates; the system releases it when its holder dies. Removing the lock file while servers run would
// let two of them in at once.
func lock(ctx context.Context, log string) (release func(), err error) {
	deadline := time.Now().Add(lockWait)
	for wait := time.Millisecond; ; wait = min(2*wait, 16*time.Millisecond) {
		release, busy, err := tryLock(log + lockSuffix)
		if err != nil {
			return nil, fmt.Errorf("the audit log cannot be locked: %w", err)
		}
		if !busy {
			return release, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another process has held the lock of the audit log for %s", lockWait)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process holds the lock of the audit log: %w", context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}
