package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// problems returns what is wrong with the log at path, over all of its files.
func problems(t testing.TB, path string) (found []Problem) {
	t.Helper()
	for _, r := range checkAll(t, path) {
		if r.Problem != nil {
			found = append(found, *r.Problem)
		}
	}
	return found
}

func wantProblem(t testing.TB, path string, kind Kind, part string) {
	t.Helper()
	if found := problems(t, path); len(found) != 1 || found[0].Kind != kind || !strings.Contains(found[0].Detail.String(), part) {
		t.Errorf("want one problem, %s with %q, got %+v", kind, part, found)
	}
}

// rotatedLog is a log of changes in several files.
func rotatedLog(t testing.TB) (path string, l *Log, files []Report) {
	t.Helper()
	path = place(t)
	l = open(t, path, Options{MaxBytes: 2000})
	for i := range 20 {
		add(t, l, call(i))
	}
	return path, l, checkAll(t, path)
}

func TestMissingBeginning(t *testing.T) {
	path, l, files := rotatedLog(t)
	if err := os.Remove(files[0].File); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, path, Missing, "no record says that retention removed")
	add(t, l, call(20)) // and it stays so
	wantProblem(t, path, Missing, "no record says that retention removed")
}

func TestMissingLog(t *testing.T) {
	path, _, files := rotatedLog(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, path, Missing, "the log that follows this file is not there")
	if err := os.Remove(path + headSuffix); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, path, Missing, "the log that follows this file is not there")
	if len(files) < 3 {
		t.Fatal("too few files")
	}
}

func TestRetention(t *testing.T) {
	path := place(t)
	now := epoch
	l := open(t, path, Options{MaxBytes: 2000, KeepFor: 30 * 24 * time.Hour, Now: func() time.Time { return now }})
	for i := range 40 {
		now = now.Add(48 * time.Hour)
		add(t, l, call(i))
	}
	files := checkAll(t, path)
	if len(problems(t, path)) != 0 || !strings.Contains(files[0].Beginning.String(), "removed by retention") || files[0].Records == 0 {
		t.Fatalf("%+v", files)
	}
	if oldest := now.Sub(files[0].First); oldest < 30*24*time.Hour || oldest > 90*24*time.Hour {
		t.Errorf("the oldest record is %s old", oldest)
	}
	// What retention did not remove is missed.
	if err := os.Remove(files[0].File); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, path, Missing, "no record says that retention removed")
}

// TestRetentionWithoutTraffic rotates by age, too.
func TestRetentionWithoutTraffic(t *testing.T) {
	path := place(t)
	now := epoch
	l := open(t, path, Options{KeepFor: 24 * time.Hour, Now: func() time.Time { return now }})
	for i := range 6 {
		add(t, l, call(i))
		now = now.Add(25 * time.Hour)
	}
	files := checkAll(t, path)
	if len(files) != 2 || files[0].Beginning.IsZero() || len(problems(t, path)) != 0 {
		t.Errorf("%+v", files)
	}
}

// TestInterruptedRetention has the mark in the log and a part of the files still there.
func TestInterruptedRetention(t *testing.T) {
	path := place(t)
	now := epoch
	options := Options{MaxBytes: 1, KeepFor: 24 * time.Hour, Now: func() time.Time { return now }}
	l := open(t, path, options)
	for i := range 6 {
		add(t, l, call(i))
		now = now.Add(time.Second)
	}
	files := checkAll(t, path)
	kept := map[string][]byte{}
	for _, r := range files[1:] {
		kept[r.File] = read(t, r.File)
	}
	now = now.Add(48 * time.Hour)
	add(t, l, call(6))
	for file, content := range kept {
		if _, err := os.Stat(file); err != nil {
			write(t, file, content)
		}
	}
	if found := problems(t, path); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

// TestRemovedWhileRunning takes the log and its head from under a server.
func TestRemovedWhileRunning(t *testing.T) {
	for name, build := range map[string]func() (string, *Log){
		"one file": func() (string, *Log) { return filled(t, 6) },
		"rotated":  func() (string, *Log) { path, l, _ := rotatedLog(t); return path, l },
	} {
		path, l := build()
		ended := l.changes.end
		for _, file := range []string{path, path + headSuffix} {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		add(t, l, call(30))
		first := records(t, path)[0]
		noted(t, first, "were removed while this server ran")
		if first.Seq != ended.Seq+1 || first.Prev != ended.Hash {
			t.Errorf("%s: %+v", name, first)
		}
		if found := problems(t, path); len(found) != 1 || found[0].Kind != Missing {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestEndCutWhileRunning(t *testing.T) {
	path, l := filled(t, 6)
	data := read(t, path)
	write(t, path, data[:bytes.LastIndexByte(data[:len(data)-1], '\n')+1])
	if err := os.Remove(path + headSuffix); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), call(6)); err == nil || !strings.Contains(err.Error(), "this server has seen record 6") {
		t.Errorf("%v", err)
	}
}

// forge returns a record that continues the file at path as the log would.
func forge(t testing.TB, path string) []byte {
	t.Helper()
	all := records(t, path)
	last := all[len(all)-1]
	line, _, err := encode(Record{Seq: last.Seq + 1, Time: last.Time, Event: Result, Call: "forged", Prev: last.Hash})
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestForgedEnd(t *testing.T) {
	path, l := filled(t, 6)
	write(t, path, append(read(t, path), forge(t, path)...))
	if r := check(t, path); r.Problem != nil || r.Tail != TailAhead || !strings.Contains(r.TailWhy.String(), "added by another program") {
		t.Errorf("%s %s", r.Tail, r.TailWhy)
	}
	add(t, l, call(6))
	noted(t, records(t, path)[7], "it named record 6, the log ended at 7")
}

func TestForgedEndOfRotatedFile(t *testing.T) {
	for _, withHead := range []bool{false, true} {
		path, _, files := rotatedLog(t)
		old := files[1].File
		line := forge(t, old)
		write(t, old, append(read(t, old), line...))
		if withHead {
			r, _ := parse(line)
			if err := writeHead(old, head{r.Seq, r.Hash}); err != nil {
				t.Fatal(err)
			}
		}
		if found := problems(t, path); len(found) != 1 {
			t.Errorf("the head too %v: %+v", withHead, found)
		}
	}
}

// TestCutWithoutHead removes the last change and the head. An attempt after it tells.
func TestCutWithoutHead(t *testing.T) {
	path, l := filled(t, 6)
	add(t, l, Record{Event: Previewed})
	data := read(t, path)
	write(t, path, data[:bytes.LastIndexByte(data[:len(data)-1], '\n')+1])
	if err := os.Remove(path + headSuffix); err != nil {
		t.Fatal(err)
	}
	if r := check(t, path); r.Problem != nil || r.Tail != TailUnknown {
		t.Errorf("the file alone: %+v", r)
	}
	wantProblem(t, path, Missing, "an attempt was recorded after record 6")
}

// TestTruncatedUnderneath cuts the file between the look at it and the write, as a rotator does that copies and truncates.
func TestTruncatedUnderneath(t *testing.T) {
	for name, size := range map[string]int64{"emptied": 0, "cut": 700} {
		t.Run(name, func(t *testing.T) {
			path, armed := place(t), false
			l := open(t, path, Options{KeepFor: 24 * time.Hour, Now: func() time.Time {
				if armed { // current asks for the time after it has looked at the file
					armed = false
					if err := os.Truncate(path, size); err != nil {
						t.Error(err)
					}
				}
				return epoch
			}})
			for i := range 5 {
				add(t, l, call(i))
			}
			armed = true
			last := call(5)
			last.Time = epoch
			add(t, l, last)
			got := records(t, path)
			noted(t, got[0], "was cut by another program")
			if len(got) != 2 || got[1].Event != Result || got[0].Seq != 7 {
				t.Errorf("%+v", got)
			}
			if len(problems(t, path)) == 0 {
				t.Error("nothing is missing")
			}
		})
	}
}

// TestOldLog verifies a log of the time before attempts had a file of their own, and continues it.
func TestOldLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.CopyFS(filepath.Dir(path), os.DirFS(filepath.Join("testdata", "old"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	before := checkAll(t, path)
	if len(before) != 5 || len(problems(t, path)) != 0 || before[4].Seq != 33 {
		t.Fatalf("%+v", before)
	}
	l := open(t, path, Options{MaxBytes: 2500})
	add(t, l, Record{Event: Previewed, Call: "new"}, call(9), Record{Event: Declined, Call: "new"})
	if found := problems(t, path); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	var order []string
	for r, err := range Records(path) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event != Opened {
			order = append(order, string(r.Event)+" "+r.Call)
		}
	}
	got := strings.Join(order[len(order)-5:], ", ")
	if len(order) != 9*3+1+3 || got != "refused r8, declined d, previewed new, result c4, declined new" {
		t.Errorf("%d records, the last are %s", len(order), got)
	}
}
