package audit

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnfinishedIntents(t *testing.T) {
	path, l := filled(t, 1)
	add(t, l, call(0), call(2), call(4), call(3))
	report := sound(t, path, 5)
	if len(report.Unfinished) != 2 || report.Unfinished[0].Call != "c0" || report.Unfinished[1].Call != "c2" || report.UnfinishedMore {
		t.Errorf("%+v", report.Unfinished)
	}
	if report.Unfinished[0].Targets[0].ID != "ins-0042" {
		t.Errorf("%+v", report.Unfinished[0])
	}
	for i := range maxUnfinished {
		add(t, l, call(10+2*i))
	}
	if report := check(t, path); len(report.Unfinished) != maxUnfinished || !report.UnfinishedMore {
		t.Errorf("%d, more %t", len(report.Unfinished), report.UnfinishedMore)
	}
}

// TestTornLine leaves every possible part of a record behind, as a crash in the middle of the write does.
func TestTornLine(t *testing.T) {
	path, l := filled(t, 4)
	whole, before := read(t, path), l.changes.size
	h := read(t, path+headSuffix)
	add(t, l, call(3))
	line := read(t, path)[before:]
	for n := 1; n < len(line); n += 13 {
		write(t, path, append(bytes.Clone(whole), line[:n]...))
		write(t, path+headSuffix, h)
		if r := check(t, path); r.Problem == nil || r.Problem.Kind != Torn || r.Tail != TailTorn || r.Problem.Seq != 5 || r.Records != 4 {
			t.Fatalf("%d bytes: %s %+v", n, r.Tail, r.Problem)
		}
		add(t, open(t, path, Options{}), call(4))
		got := records(t, path)
		noted(t, got[4], "bytes of an unfinished line were dropped")
		if !bytes.HasPrefix(read(t, path), whole) {
			t.Fatal("complete records were changed")
		}
		sound(t, path, 5)
	}
}

func TestMissingLineEnd(t *testing.T) {
	path, l := filled(t, 4)
	write(t, path, bytes.TrimSuffix(read(t, path), []byte("\n")))
	if r := check(t, path); r.Problem == nil || r.Problem.Kind != Torn || r.Tail != TailTorn {
		t.Errorf("%s %+v", r.Tail, r.Problem)
	}
	add(t, l, call(3))
	noted(t, records(t, path)[4], "a line end was missing")
	sound(t, path, 5)
}

// TestCrashBeforeHead has the record on disk and the head not yet written.
func TestCrashBeforeHead(t *testing.T) {
	path, l := filled(t, 4)
	old := read(t, path+headSuffix)
	add(t, l, call(3))
	write(t, path+headSuffix, old)
	if r := check(t, path); r.Problem != nil || r.Tail != TailAhead || r.Records != 5 {
		t.Errorf("%s %+v", r.Tail, r.Problem)
	}
	add(t, open(t, path, Options{}), call(4))
	if r := sound(t, path, 6); len(r.Notes) != 1 || r.Notes[0].Seq != 6 {
		t.Errorf("%+v", r.Notes)
	}
	noted(t, records(t, path)[5], "it named record 4, the log ended at 5")
}

// TestCrashBeforeHeadAndRotation must not number two records alike.
func TestCrashBeforeHeadAndRotation(t *testing.T) {
	path, l := filled(t, 4)
	old := read(t, path+headSuffix)
	add(t, l, call(3))
	write(t, path+headSuffix, old)
	add(t, open(t, path, Options{MaxBytes: 1}), call(4))
	for _, report := range checkAll(t, path) {
		if report.Problem != nil || report.Tail != TailComplete {
			t.Errorf("%s: %s %+v", report.File, report.Tail, report.Problem)
		}
	}
}

func TestHeads(t *testing.T) {
	for name, test := range map[string]struct {
		head string // "" removes it
		tail Tail
		kind Kind
		note string // of the next record; "" where the log counts as broken
	}{
		"none":     {"", TailUnknown, "", "there was no head file"},
		"garbage":  {"{", TailUnknown, "", "the head file cannot be read"},
		"empty":    {`{}`, TailUnknown, "", "names no record"},
		"huge":     {`{"seq":18446744073709551615,"hash":"` + firstPrev + `"}`, TailUnknown, "", "names no record"},
		"old":      {`{"seq":1,"hash":"FIRST"}`, TailAhead, "", "the head file was old"},
		"later":    {`{"seq":9,"hash":"` + firstPrev + `"}`, TailCut, Missing, ""},
		"other":    {`{"seq":5,"hash":"` + firstPrev + `"}`, TailUnknown, Changed, ""},
		"behind":   {`{"seq":4,"hash":"` + firstPrev + `"}`, TailUnknown, Changed, ""},
		"old lies": {`{"seq":2,"hash":"` + firstPrev + `"}`, TailUnknown, Changed, "the head file was old"},
	} {
		t.Run(name, func(t *testing.T) {
			path, l := filled(t, 5)
			content := strings.ReplaceAll(test.head, "FIRST", records(t, path)[0].Hash)
			write(t, path+headSuffix, []byte(content))
			if content == "" {
				_ = os.Remove(path + headSuffix)
			}
			report := check(t, path)
			var kind Kind
			if report.Problem != nil {
				kind = report.Problem.Kind
			}
			if report.Tail != test.tail || report.TailWhy.IsZero() || kind != test.kind {
				t.Errorf("%s (%s) %+v", report.Tail, report.TailWhy, report.Problem)
			}
			l.changes.seen = nil // as another process would see it
			err := l.Append(context.Background(), call(4))
			if (test.note == "") != errors.Is(err, ErrBroken) {
				t.Fatalf("%v", err)
			}
			if err == nil {
				noted(t, records(t, path)[5], test.note)
				sound(t, path, 6)
			}
		})
	}
}

func TestBrokenLogs(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(data []byte) []byte
		kind   Kind
		tail   Tail
	}{
		"last record changed": {func(data []byte) []byte { data[len(data)-sealLen-4] ^= 1; return data }, Changed, TailUnknown},
		"blank line":          {func(data []byte) []byte { return append(data, '\n') }, Unreadable, TailUnknown},
		"cut":                 {func(data []byte) []byte { return data[:bytes.LastIndexByte(data[:len(data)-1], '\n')+1] }, Missing, TailCut},
		"cut in a line":       {func(data []byte) []byte { return data[:len(data)-9] }, Missing, TailCut},
		"cut to nearly nil":   {func(data []byte) []byte { return data[:20] }, Missing, TailCut},
		"endless line":        {func(data []byte) []byte { return append(data, make([]byte, 3*maxLine)...) }, Unreadable, TailUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			path, l := filled(t, 6)
			end := l.changes.end
			data := test.damage(read(t, path))
			write(t, path, data)
			l.changes.seen = nil // a change that leaves the size alone is noticed by Verify, and by processes that come later
			if err := l.Append(context.Background(), call(6)); !errors.Is(err, ErrBroken) {
				t.Fatalf("%v", err)
			}
			if got := read(t, path); !bytes.Equal(got, data) {
				t.Fatal("a broken log was changed")
			}
			fresh := open(t, path, Options{})
			add(t, fresh, call(6))
			add(t, l, call(7)) // the process that was refused goes on too
			sound(t, path, 3)
			first := records(t, path)[0]
			noted(t, first, "was moved to "+first.Continues)
			if !strings.HasPrefix(first.Continues, "audit.jsonl.broken-2026") || first.Seq != end.Seq+1 || first.Prev != end.Hash {
				t.Errorf("%+v", first)
			}
			aside := filepath.Join(filepath.Dir(path), first.Continues)
			report := check(t, aside)
			if report.Problem == nil || report.Problem.Kind != test.kind || report.Tail != test.tail {
				t.Errorf("%s %+v", report.Tail, report.Problem)
			}
			if all := checkAll(t, path); len(all) != 2 || all[0].Problem == nil || all[1].Problem != nil {
				t.Errorf("%+v", all)
			}
		})
	}
}

func TestRemovedAndEmptiedLog(t *testing.T) {
	for name, remove := range map[string]func(string) error{
		"removed": os.Remove,
		"emptied": func(path string) error { return os.Truncate(path, 0) },
	} {
		path, l := filled(t, 6)
		if err := remove(path); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(path)
		if name == "removed" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v, %v", report, err)
		}
		if name == "emptied" && (err != nil || report.Tail != TailCut || report.Problem == nil) {
			t.Errorf("%+v, %v", report, err)
		}
		add(t, l, call(5))
		sound(t, path, 2)
		first := records(t, path)[0]
		noted(t, first, "the file that ended with record 6 was removed")
		if first.Seq != 7 {
			t.Errorf("%+v", first)
		}
	}
}

func TestVerifyOddFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if _, err := Verify(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := VerifyAll(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := Verify(filepath.Dir(path)); err == nil {
		t.Error("a folder was verified")
	}
	write(t, path, nil)
	if r := check(t, path); r.Problem != nil || r.Tail != TailUnknown || r.Records != 0 {
		t.Errorf("empty: %+v", r)
	}
	add(t, open(t, path, Options{}), call(0))
	sound(t, path, 2)
}
