package guard_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// What expired must not pile up although nobody asks for it again.
func TestMemoryForgets(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	memory := guard.NewMemory(func() time.Time { return now })
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	for i := range 100_000 {
		if won, err := memory.Claim(t.Context(), fmt.Sprint(i), now.Add(time.Minute)); !won || err != nil {
			t.Fatal(won, err)
		}
		now = now.Add(time.Second)
	}
	if after := heap(); after > before+2<<20 {
		t.Errorf("%d bytes are kept for 60 claims that hold", after-before)
	}
	runtime.KeepAlive(memory)
}

func BenchmarkMemoryClaim(b *testing.B) {
	memory := guard.NewMemory(time.Now)
	for i := 0; b.Loop(); i++ {
		_, _ = memory.Claim(b.Context(), fmt.Sprint(i), time.Now().Add(time.Minute))
	}
}
