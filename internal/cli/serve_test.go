package cli

import (
	"runtime"
	"testing"
)

func TestLimitProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "2")
	limitProcessors()()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d processors, want %d: the user has set GOMAXPROCS", got, before)
	}
	t.Setenv("GOMAXPROCS", "")
	restore := limitProcessors()
	if got := runtime.GOMAXPROCS(0); got != 1 {
		t.Errorf("%d processors, want 1", got)
	}
	restore()
	if got := runtime.GOMAXPROCS(0); got < min(before, runtime.NumCPU()) {
		t.Errorf("%d processors afterwards, want %d", got, before)
	}
}
