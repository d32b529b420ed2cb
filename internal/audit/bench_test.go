package audit

import (
	"context"
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

func BenchmarkVerify(b *testing.B) {
	s := newSample(b, 200)
	b.SetBytes(int64(len(s.data)))
	for b.Loop() {
		if r := s.from(0, s.data, true); r.Problem != nil {
			b.Fatal(r.Problem)
		}
	}
}
