package audit

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func BenchmarkAppend(b *testing.B) {
	l := open(b, place(b), Options{MaxBytes: 1 << 40})
	for i := 0; b.Loop(); i++ {
		if err := l.Append(context.Background(), call(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendTogether has many callers, whose records share their syncs.
func BenchmarkAppendTogether(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			l := open(b, place(b), Options{MaxBytes: 1 << 40})
			var work sync.WaitGroup
			var next atomic.Int64
			for range callers {
				work.Go(func() {
					for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
						if err := l.Append(context.Background(), call(i)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			work.Wait()
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newSample(b, 200)
	b.SetBytes(int64(len(s.data)))
	for b.Loop() {
		if r := s.from(0, s.data, true); r.Problem != nil {
			b.Fatal(r.Problem)
		}
	}
}
