package audit

import (
	"bufio"
	"bytes"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

const tampered = 200

// sample is a log in memory with the state of a verifier before each of its lines, so that a change is verified from
// its own line on: what comes before is as it was.
type sample struct {
	data   []byte
	lines  [][]byte
	head   head
	starts []int
	before []verifier
	reader *bufio.Reader
}

var theSample *sample

// sampleOf200 is made once: it takes hundreds of syncs.
func sampleOf200(t testing.TB) *sample {
	if theSample == nil {
		theSample = newSample(t, tampered)
	}
	return theSample
}

func newSample(t testing.TB, records int) *sample {
	path, _ := filled(t, records)
	h, err := readHead(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{data: read(t, path), head: h, reader: bufio.NewReaderSize(nil, maxLine)}
	v := verifier{head: &s.head, pending: newIntents()}
	at := 0
	for line := range bytes.Lines(s.data) {
		s.lines, s.starts, s.before = append(s.lines, line), append(s.starts, at), append(s.before, v)
		at += len(line)
		if v.line(line) || v.report.Problem != nil {
			t.Fatalf("line %d: %+v", v.lines, v.report.Problem)
		}
	}
	s.before = append(s.before, v)
	if len(s.lines) != records {
		t.Fatalf("%d lines", len(s.lines))
	}
	return s
}

// lineAt returns the index of the line that byte at stands in.
func (s *sample) lineAt(at int) int {
	k, _ := slices.BinarySearch(s.starts, at+1)
	return k - 1
}

// from verifies the lines before k as they were, followed by rest.
func (s *sample) from(k int, rest []byte, withHead bool) Report {
	v := s.before[k]
	v.pending = newIntents()
	if !withHead {
		v.head, v.headErr = nil, fs.ErrNotExist
	}
	s.reader.Reset(bytes.NewReader(rest))
	if err := v.read(s.reader); err != nil {
		panic(err)
	}
	return v.report
}

// TestIncremental compares the short way of these tests with the real one.
func TestIncremental(t *testing.T) {
	s := newSample(t, 10)
	for at := 0; at < len(s.data); at += 7 {
		k := s.lineAt(at)
		data := slices.Clone(s.data)
		data[at] ^= 1
		whole, short := verifyBytes(data, &s.head), s.from(k, data[s.starts[k]:], true)
		if whole.Problem == nil || !reflect.DeepEqual(whole.Problem, short.Problem) || whole.Tail != short.Tail {
			t.Fatalf("byte %d: %+v and %+v", at, whole.Problem, short.Problem)
		}
	}
}

func TestEveryByte(t *testing.T) {
	s := sampleOf200(t)
	data := slices.Clone(s.data)
	for k, line := range s.lines {
		start := s.starts[k]
		next := min(k+3, len(s.lines))
		end := len(s.data)
		if next < len(s.lines) {
			end = s.starts[next] // a problem in line k ends the reading
		}
		for i := range line {
			at, was := start+i, s.data[start+i]
			// One bit, another case, another digit, a line end.
			for _, now := range []byte{was ^ 1, was ^ 0x20, '0' + (was+1)%10, '\n'} {
				if now == was {
					continue
				}
				data[at] = now
				for _, withHead := range []bool{true, false} {
					if !withHead && k < len(s.lines)-1 {
						continue // the head is compared at the end
					}
					r := s.from(k, data[start:end], withHead)
					if r.Problem == nil || r.Problem.Line != k+1 || r.Records != k {
						t.Fatalf("byte %d, line %d, %q to %q: %d records hold, %+v", at, k+1, was, now, r.Records, r.Problem)
					}
				}
			}
			data[at] = was
		}
	}
}

func TestEveryTruncation(t *testing.T) {
	s := sampleOf200(t)
	for k, line := range s.lines {
		for i := range line {
			r := s.from(k, line[:i], true)
			last := k == len(s.lines)-1 && i == len(line)-1 // only the last line end is gone
			switch {
			case r.Problem == nil || r.Records != k || r.Problem.Line != k+1:
				t.Fatalf("line %d cut to %d bytes: %+v", k+1, i, r)
			case last && (r.Tail != TailTorn || r.Problem.Kind != Torn):
				t.Fatalf("line %d cut to %d bytes: %s %+v", k+1, i, r.Tail, r.Problem)
			case !last && (r.Tail != TailCut || r.Problem.Kind != Missing || r.Problem.Seq < uint64(k)+1):
				t.Fatalf("line %d cut to %d bytes: %s %+v", k+1, i, r.Tail, r.Problem)
			}
			r = s.from(k, line[:i], false)
			if i == 0 && (r.Problem != nil || r.Tail != TailUnknown) || i > 0 && (r.Problem == nil || r.Tail != TailTorn) {
				t.Fatalf("line %d cut to %d bytes, no head: %s %+v", k+1, i, r.Tail, r.Problem)
			}
		}
	}
}

func TestEveryInsertion(t *testing.T) {
	s := newSample(t, 10)
	for at := range len(s.data) + 1 {
		k := s.lineAt(at)
		for _, more := range []string{"\n", " ", "\r", "x", "\x00", "\ufeff"} {
			data := slices.Concat(s.data[s.starts[k]:at], []byte(more), s.data[at:])
			if r := s.from(k, data, true); r.Problem == nil || r.Problem.Line < k+1 || r.Problem.Line > k+2 {
				t.Fatalf("%q at byte %d: %+v", more, at, r.Problem)
			}
		}
	}
}

func TestEveryDeletion(t *testing.T) {
	s := sampleOf200(t)
	for k := range s.lines {
		r := s.from(k, bytes.Join(s.lines[k+1:], nil), true)
		seq := uint64(k + 1)
		if k == 0 {
			seq = 0 // without the opened record, nothing says where the file began
		}
		if r.Problem == nil || r.Problem.Kind != Missing || r.Problem.Line != k+1 || r.Problem.Seq != seq || r.Records != k {
			t.Fatalf("record %d: %+v", k+1, r.Problem)
		}
	}
}

func TestEveryDuplicate(t *testing.T) {
	s := sampleOf200(t)
	random := rand.New(rand.NewPCG(1, 2))
	for k := range s.lines {
		at := k + 1
		if k%2 == 1 {
			at += random.IntN(len(s.lines) - k)
		}
		lines := slices.Insert(slices.Clone(s.lines), at, s.lines[k])
		r := s.from(k, bytes.Join(lines[k:], nil), true)
		if r.Problem == nil || r.Problem.Kind != Repeated || r.Problem.Line != at+1 || r.Problem.Seq != uint64(k+1) {
			t.Fatalf("record %d at line %d: %+v", k+1, at+1, r.Problem)
		}
	}
}

func TestSwaps(t *testing.T) {
	s := sampleOf200(t)
	random := rand.New(rand.NewPCG(1, 2))
	swap := func(i, j int) {
		lines := slices.Clone(s.lines)
		lines[i], lines[j] = lines[j], lines[i]
		r := s.from(i, bytes.Join(lines[i:], nil), true)
		seq := uint64(i + 1)
		if i == 0 {
			seq = 0
		}
		if r.Problem == nil || r.Problem.Kind != Reordered || r.Problem.Line != i+1 || r.Problem.Seq != seq {
			t.Fatalf("%d and %d: %+v", i+1, j+1, r.Problem)
		}
	}
	for i := range len(s.lines) - 1 {
		swap(i, i+1)
	}
	for range 100 {
		i, j := random.IntN(len(s.lines)), random.IntN(len(s.lines))
		if i != j {
			swap(min(i, j), max(i, j))
		}
	}
}

// TestRewritten changes a record and gives it the hash that fits.
func TestRewritten(t *testing.T) {
	s := sampleOf200(t)
	for k, line := range s.lines {
		r, _ := parse(line)
		r.Tool = "list_instances"
		forged, hash, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Clone(s.lines)
		lines[k] = forged
		report := s.from(k, bytes.Join(lines[k:], nil), true)
		if p := report.Problem; p == nil || p.Kind != Changed || p.Seq != uint64(k+1) {
			t.Fatalf("record %d: %+v", k+1, p)
		}
		if k == len(s.lines)-1 {
			continue // the head alone knows the last one
		}
		r, _ = parse(s.lines[k+1])
		r.Prev = hash
		if lines[k+1], _, err = encode(r); err != nil {
			t.Fatal(err)
		}
		report = s.from(k, bytes.Join(lines[k:], nil), true)
		if p := report.Problem; p == nil || p.Kind != Changed || p.Seq != uint64(k+2) {
			t.Fatalf("records %d and %d: %+v", k+1, k+2, p)
		}
	}
}
