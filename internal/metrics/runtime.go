package metrics

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"
)

// writeRuntime appends the metrics of the Go runtime, under the names by which dashboards know them.
func writeRuntime(out *exposition) {
	out.head("go_info", gauge, "Information about the Go environment.")
	out.sample("go_info", 1, "version", runtime.Version())
	out.one("go_goroutines", gauge, "Number of goroutines that exist.", float64(runtime.NumGoroutine()))
	threads, _ := runtime.ThreadCreateProfile(nil)
	out.one("go_threads", gauge, "Number of OS threads created.", float64(threads))
	out.one("go_sched_gomaxprocs_threads", gauge, "Number of OS threads that can run Go code at the same time (GOMAXPROCS).",
		float64(runtime.GOMAXPROCS(0)))
	out.one("go_gc_gogc_percent", gauge, "How much the heap may grow before it is collected (GOGC).", gcPercent())
	out.one("go_gc_gomemlimit_bytes", gauge, "Memory limit of the Go runtime (GOMEMLIMIT).", float64(debug.SetMemoryLimit(-1)))
	writePauses(out)
	writeHeap(out)
}

// gcPercent is what GOGC says, or the program has set since. Only this package can read it without setting it.
func gcPercent() float64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 100
	}
	return float64(sample[0].Value.Uint64())
}

func writePauses(out *exposition) {
	const name = "go_gc_duration_seconds"
	stats := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&stats)
	out.head(name, summary, "Time for which garbage collections stopped the program.")
	for i, pause := range stats.PauseQuantiles {
		out.sample(name, pause.Seconds(), "quantile", number(float64(i)/4))
	}
	out.sample(name+"_sum", stats.PauseTotal.Seconds())
	out.sample(name+"_count", float64(stats.NumGC))
	out.one("go_memstats_last_gc_time_seconds", gauge, "Unix time of the last garbage collection.",
		float64(stats.LastGC.UnixNano())/1e9)
}

func writeHeap(out *exposition) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, each := range []struct {
		name  string
		value uint64
		help  string
	}{
		{"alloc_bytes", m.Alloc, "Number of bytes allocated in the heap and in use."},
		{"alloc_bytes_total", m.TotalAlloc, "Number of bytes ever allocated in the heap."},
		{"mallocs_total", m.Mallocs, "Number of heap objects ever allocated."},
		{"frees_total", m.Frees, "Number of heap objects ever freed."},
		{"sys_bytes", m.Sys, "Number of bytes obtained from the system."},
		{"heap_alloc_bytes", m.HeapAlloc, "Number of heap bytes allocated and in use, as go_memstats_alloc_bytes."},
		{"heap_sys_bytes", m.HeapSys, "Number of heap bytes obtained from the system."},
		{"heap_idle_bytes", m.HeapIdle, "Number of heap bytes waiting to be used."},
		{"heap_inuse_bytes", m.HeapInuse, "Number of heap bytes in use."},
		{"heap_released_bytes", m.HeapReleased, "Number of heap bytes given back to the system."},
		{"heap_objects", m.HeapObjects, "Number of heap objects."},
		{"stack_inuse_bytes", m.StackInuse, "Number of bytes that stacks of goroutines use."},
		{"stack_sys_bytes", m.StackSys, "Number of bytes obtained from the system for stacks."},
		{"mspan_inuse_bytes", m.MSpanInuse, "Number of bytes that mspan structures use."},
		{"mspan_sys_bytes", m.MSpanSys, "Number of bytes obtained from the system for mspan structures."},
		{"mcache_inuse_bytes", m.MCacheInuse, "Number of bytes that mcache structures use."},
		{"mcache_sys_bytes", m.MCacheSys, "Number of bytes obtained from the system for mcache structures."},
		{"buck_hash_sys_bytes", m.BuckHashSys, "Number of bytes in the hash table of the profiler."},
		{"gc_sys_bytes", m.GCSys, "Number of bytes for the metadata of garbage collection."},
		{"other_sys_bytes", m.OtherSys, "Number of bytes for everything else that is obtained from the system."},
		{"next_gc_bytes", m.NextGC, "Size of the heap at which the next garbage collection begins."},
	} {
		kind := gauge
		if strings.HasSuffix(each.name, "_total") {
			kind = counter
		}
		out.one("go_memstats_"+each.name, kind, each.help, float64(each.value))
	}
}
