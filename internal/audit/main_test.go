package audit

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// clock ticks a second with every look.
func clock() func() time.Time {
	var ticks atomic.Int64
	return func() time.Time { return epoch.Add(time.Duration(ticks.Add(1)) * time.Second) }
}

func place(t testing.TB) string { return filepath.Join(t.TempDir(), "state", "audit.jsonl") }

func open(t testing.TB, path string, o Options) *Log {
	t.Helper()
	if o.Now == nil {
		o.Now = clock()
	}
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t testing.TB, l *Log, records ...Record) {
	t.Helper()
	for _, r := range records {
		if err := l.Append(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// call is the i-th record of a log in which every call has an intent and a result.
func call(i int) Record {
	r := Record{
		Event: Intent, Call: fmt.Sprintf("c%d", i/2), Caller: "local", Client: "claude-code", ClientVersion: "2.1",
		Transport: "stdio", Tool: "delete_instance", Risk: "destructive", Region: "wuhan",
		Targets:   []Target{{ID: "ins-0042", Name: "训练 <a&b>", Status: "Running"}},
		Arguments: map[string]string{"confirm": "true", "name": "sha256:2c26b46b68ffc68f"},
	}
	if i%2 == 1 {
		r.Event, r.Consent, r.State, r.DurationMS = Result, "elicited", "done", 812
		r.Outcomes = []Outcome{{ID: "ins-0042", Outcome: "accepted"}}
	}
	return r
}

// filled is a log of n records, the opened one included.
func filled(t testing.TB, n int) (path string, l *Log) {
	t.Helper()
	path = place(t)
	l = open(t, path, Options{})
	for i := range n - 1 {
		add(t, l, call(i))
	}
	return path, l
}

func check(t testing.TB, path string) Report {
	t.Helper()
	report, err := Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// sound demands that the log at path is intact and complete, with as many records.
func sound(t testing.TB, path string, records int) Report {
	t.Helper()
	report := check(t, path)
	if report.Problem != nil || report.Tail != TailComplete || report.Records != records {
		t.Fatalf("want %d sound records, got %d: %s (%s) %+v", records, report.Records, report.Tail, report.TailWhy, report.Problem)
	}
	return report
}

// verifyBytes is Verify in memory.
func verifyBytes(data []byte, h *head) Report {
	v := &verifier{head: h, headErr: fs.ErrNotExist, pending: newIntents()}
	if err := v.read(bufio.NewReaderSize(bytes.NewReader(data), maxLine)); err != nil {
		panic(err)
	}
	return v.report
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// records parses the file at path.
func records(t testing.TB, path string) []Record {
	t.Helper()
	var found []Record
	for line := range bytes.Lines(read(t, path)) {
		r, problem := parse(line)
		if problem != nil {
			t.Fatalf("%s: %s", path, problem.Detail)
		}
		found = append(found, r)
	}
	return found
}

func noted(t testing.TB, r Record, part string) {
	t.Helper()
	if !strings.Contains(r.Note, part) {
		t.Errorf("record %d: note %q does not say %q", r.Seq, r.Note, part)
	}
}
