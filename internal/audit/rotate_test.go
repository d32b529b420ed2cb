package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func checkAll(t testing.TB, path string) []Report {
	t.Helper()
	reports, err := VerifyAll(path)
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

func TestRotation(t *testing.T) {
	path := place(t)
	l := open(t, path, Options{MaxBytes: 2000})
	for i := range 40 {
		add(t, l, call(i))
	}
	reports := checkAll(t, path)
	if len(reports) < 5 {
		t.Fatalf("%d files", len(reports))
	}
	total, next := 0, uint64(1)
	for i, r := range reports {
		if r.Problem != nil || r.Tail != TailComplete || len(r.Unfinished) != 0 {
			t.Errorf("%s: %s %+v %+v", r.File, r.Tail, r.Problem, r.Unfinished)
		}
		got := records(t, r.File)
		if got[0].Event != Opened || got[0].Seq != next {
			t.Errorf("%s begins with %+v", r.File, got[0])
		}
		if i > 0 && (r.Continues != filepath.Base(reports[i-1].File) || got[0].Note != "") {
			t.Errorf("%s continues %s, note %q", r.File, r.Continues, got[0].Note)
		}
		total, next = total+len(got), r.Seq+1
	}
	if total != 40+len(reports) {
		t.Errorf("%d records in %d files", total, len(reports))
	}
	if name := filepath.Base(reports[0].File); !strings.HasPrefix(name, "audit-20260301T0800") || !strings.HasSuffix(name, "-5.jsonl") {
		t.Errorf("rotated to %s", name)
	}
}

// TestAttemptsAreKeptApart pushes attempts through more files than stay. No change is lost by it.
func TestAttemptsAreKeptApart(t *testing.T) {
	path := place(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := []string{"audit-notes.jsonl", "audit-x-20250101T000000Z-5.jsonl", "audit-20250101-5.jsonl", "audit-20250101T000000Z-x.jsonl"}
	for _, name := range foreign {
		write(t, filepath.Join(filepath.Dir(path), name), []byte("x"))
	}
	l := open(t, path, Options{MaxBytes: 1, KeepAttempts: 3})
	add(t, l, call(0), call(1))
	for range 12 {
		add(t, l, Record{Event: Previewed})
	}
	var names []string
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	// The log, its lock, and the two old files, each but the lock with a head; the attempts and three old files likewise.
	if want := len(foreign) + 1 + 2*3 + 2*4; len(names) != want {
		t.Errorf("want %d files, got %q", want, names)
	}
	reports := checkAll(t, path)
	if len(reports) != 3+4 {
		t.Fatalf("%d files", len(reports))
	}
	if first, last := reports[3], reports[6]; first.Continues == "" || first.Beginning.IsZero() || last.Seq != 24 {
		t.Errorf("%+v\n%+v", first, last)
	}
	for _, r := range reports {
		if r.Problem != nil || r.Tail != TailComplete {
			t.Errorf("%s: %+v", r.File, r.Problem)
		}
	}
}

// TestCrashInRotation stops after the renaming.
func TestCrashInRotation(t *testing.T) {
	path, l := filled(t, 5)
	name, err := l.changes.rotate()
	if err != nil {
		t.Fatal(err)
	}
	add(t, open(t, path, Options{}), call(4))
	if r := sound(t, path, 2); r.Continues != name {
		t.Errorf("continues %q", r.Continues)
	}
	if r := records(t, path)[0]; r.Seq != 6 || r.Note != "" {
		t.Errorf("%+v", r)
	}
}

func TestRotationOverwritesNothing(t *testing.T) {
	path, l := filled(t, 5)
	l.changes.now = clock()
	name := filepath.Join(filepath.Dir(path), "audit-20260301T080001Z-5.jsonl")
	write(t, name, []byte("x"))
	l.changes.maxBytes = 1
	add(t, l, call(4))
	noted(t, records(t, path)[5], "could not be rotated")
	if string(read(t, name)) != "x" {
		t.Error("a file was overwritten")
	}
	sound(t, path, 6)
	add(t, l, call(5)) // a second later the name is another one
	sound(t, path, 2)
}

func TestGapBetweenFiles(t *testing.T) {
	build := func() (string, []Report) {
		path := place(t)
		l := open(t, path, Options{MaxBytes: 2000})
		for i := range 20 {
			add(t, l, call(i))
		}
		return path, checkAll(t, path)
	}
	path, before := build()
	if err := os.Remove(before[1].File); err != nil {
		t.Fatal(err)
	}
	after := checkAll(t, path)
	if p := after[1].Problem; p == nil || p.Kind != Missing || p.Seq != before[1].Seq-uint64(before[1].Records)+1 {
		t.Errorf("%+v", p)
	}
	path, before = build()
	for _, name := range []string{path, path + headSuffix} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	add(t, open(t, path, Options{}), call(0))
	sound(t, path, 2)
	after = checkAll(t, path)
	if p := after[len(after)-1].Problem; len(after) != len(before) || p == nil || p.Kind != Missing || !strings.Contains(p.Detail.String(), "anew") {
		t.Errorf("%+v", p)
	}
}

// TestForgedOldFile replaces a rotated file by one that is sound in itself.
func TestForgedOldFile(t *testing.T) {
	path := place(t)
	l := open(t, path, Options{MaxBytes: 2000})
	for i := range 8 {
		add(t, l, call(i))
	}
	old := checkAll(t, path)[0].File
	var forged []byte
	prev := firstPrev
	for _, r := range records(t, old) {
		r.Prev, r.Rule = prev, "harmless"
		line, hash, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		forged, prev = append(forged, line...), hash
	}
	write(t, old, forged)
	if err := writeHead(old, head{uint64(len(records(t, old))), prev}); err != nil {
		t.Fatal(err)
	}
	sound(t, old, len(records(t, old)))
	if p := checkAll(t, path)[1].Problem; p == nil || p.Kind != Changed {
		t.Errorf("%+v", p)
	}
}
