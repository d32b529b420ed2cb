package audit

import (
	"bytes"
	"testing"
)

// FuzzVerify reads arbitrary bytes, alone and behind a sound log.
func FuzzVerify(f *testing.F) {
	s := newSample(f, 4)
	for _, seed := range [][]byte{nil, []byte("\n"), []byte("{}"), s.data, s.lines[0], s.lines[3], s.lines[3][:90], bytes.Repeat([]byte("a\n"), 9)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		alone := s.from(0, data, false)
		if alone.Tail == "" || alone.TailWhy.IsZero() {
			t.Errorf("nothing is said about the tail: %+v", alone)
		}
		if len(data) > 0 && alone.Problem == nil && !bytes.HasPrefix(s.data, data) {
			t.Errorf("%q counts as a log", data)
		}
		extended := s.from(len(s.lines), data, true)
		if sound := extended.Problem == nil && extended.Tail == TailComplete; sound != (len(data) == 0) {
			t.Errorf("%q was added: %s %+v", data, extended.Tail, extended.Problem)
		}
	})
}
