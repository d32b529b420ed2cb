package bench_test

import (
	"fmt"
	"testing"
)

// BenchmarkCall is one call of list_instances over stdio, from the line that is read to the line that is written. It shows at
// most 200 rows, and counts all.
func BenchmarkCall(b *testing.B) {
	for _, rows := range []int{20, 200, 2000, 20000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			w := newWorld(b, rows)
			call := w.stdio(b)
			call() // log in
			b.SetBytes(w.service.bytes())
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// BenchmarkRequest is the part of it that the client of the service does.
func BenchmarkRequest(b *testing.B) {
	for _, rows := range []int{20, 200} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			w := newWorld(b, rows)
			w.page(b)
			b.SetBytes(w.service.bytes())
			b.ReportAllocs()
			for b.Loop() {
				w.page(b)
			}
		})
	}
}
