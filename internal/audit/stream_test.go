package audit

import (
	"bufio"
	"io"
	"runtime"
	"strings"
	"testing"
)

// endless gives out a log of so many records, made as they are read.
type endless struct {
	left int
	last head
	line []byte
	full uint64 // memory in use before the last record
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.line) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		if e.left == 1 {
			e.full = inUse()
		}
		e.left--
		r := Record{Seq: e.last.Seq + 1, Time: epoch, Event: Intent, Call: "c", Prev: e.last.Hash, Error: strings.Repeat("x", maxError)}
		for range 200 {
			r.Targets = append(r.Targets, Target{ID: strings.Repeat("y", maxText)})
		}
		if r.Seq == 1 {
			r.Event = Opened
		}
		line, hash, err := encode(r)
		if err != nil {
			return 0, err
		}
		e.line, e.last = line, head{r.Seq, hash}
	}
	n := copy(p, e.line)
	e.line = e.line[n:]
	return n, nil
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestStream verifies 5 MB, of which next to nothing may stay in memory.
func TestStream(t *testing.T) {
	const size = 100
	e := &endless{left: size, last: head{0, firstPrev}}
	v := &verifier{headErr: io.EOF, pending: newIntents()}
	before := inUse()
	if err := v.read(bufio.NewReaderSize(e, maxLine)); err != nil {
		t.Fatal(err)
	}
	if v.report.Problem != nil || v.report.Records != size {
		t.Errorf("%d records, %+v", v.report.Records, v.report.Problem)
	}
	if grown := int64(e.full) - int64(before); grown > 1<<20 {
		t.Errorf("%d bytes were in use at the end", grown)
	}
}
