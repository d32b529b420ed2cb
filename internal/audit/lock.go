package audit

import "time"

const lockSuffix = ".lock"

// lock waits some seconds until no other process works on the log at path. The lock is on a file beside the log, because
// the log itself is renamed when it rotates; the system releases it when its holder dies. Removing the lock file while
// servers run would let two of them in at once.
func lock(path string) (release func(), locked bool) {
	const pause = 4 * time.Millisecond
	for waited := time.Duration(0); waited < lockWait; waited += pause {
		release, busy, err := tryLock(path + lockSuffix)
		if err != nil || !busy {
			return release, err == nil
		}
		<-time.After(pause)
	}
	return nil, false
}
