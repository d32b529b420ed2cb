package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestLines(t *testing.T) {
	path, _ := filled(t, 3)
	lines := strings.SplitAfter(string(read(t, path)), "\n")
	want := []string{
		`{"seq":1,"time":"2026-03-01T08:00:01Z","event":"opened","prev":"` + firstPrev + `","hash":"`,
		`{"seq":2,"time":"2026-03-01T08:00:02Z","event":"intent","call":"c0","caller":"local","client":"claude-code",` +
			`"client_version":"2.1","transport":"stdio","tool":"delete_instance","risk":"destructive","region":"wuhan",` +
			`"targets":[{"id":"ins-0042","name":"训练 <a&b>","status":"Running"}],` +
			`"arguments":{"confirm":"true","name":"sha256:2c26b46b68ffc68f"},"prev":"`,
		`{"seq":3,`,
	}
	if len(lines) != len(want)+1 || lines[len(want)] != "" {
		t.Fatalf("%d lines", len(lines))
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d:\n%s\nwant\n%s", i+1, lines[i], want[i])
		}
	}
	report := sound(t, path, 3)
	if !report.First.Equal(epoch.Add(time.Second)) || !report.Last.Equal(epoch.Add(3*time.Second)) || report.Seq != 3 || report.Continues != "" {
		t.Errorf("%+v", report)
	}
}

func TestGivenTimeStays(t *testing.T) {
	path, l := filled(t, 1)
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.FixedZone("CST", 8*3600))
	add(t, l, Record{Event: Intent, Call: "c", Time: at, Seq: 77, Prev: "x", Hash: "y", Note: "z", Continues: "w"})
	r := records(t, path)[1]
	if !r.Time.Equal(at) || r.Time.Location() != time.UTC || r.Seq != 2 || r.Note != "" || r.Continues != "" {
		t.Errorf("%+v", r)
	}
	sound(t, path, 2)
}

func TestEvents(t *testing.T) {
	path, l := filled(t, 1)
	for _, r := range []Record{{}, {Event: Opened}, {Event: "other"}, {Event: Intent}, {Event: Result}} {
		if err := l.Append(context.Background(), r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
	add(t, l, Record{Event: Refused}, Record{Event: Previewed}, Record{Event: Declined})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(context.Background(), Record{Event: Refused}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	sound(t, path, 1)
	sound(t, attemptsPath(path), 4)
}

func TestReopen(t *testing.T) {
	path, l := filled(t, 5)
	_ = l.Close()
	add(t, open(t, path, Options{}), call(4), call(5))
	report := sound(t, path, 7)
	if len(report.Unfinished) != 0 {
		t.Errorf("unfinished: %+v", report.Unfinished)
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	path := filepath.Join(t.TempDir(), "a", "b", "audit.jsonl")
	l := open(t, path, Options{MaxBytes: 1})
	add(t, l, call(0), call(1))
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(path)), func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s: %s", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o620, 0o602, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(context.Background(), call(2)); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: Append: %v", mode, err)
		}
		if _, err := Open(path, Options{}); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: Open: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	add(t, l, call(2))
}

func TestUnsafeFiles(t *testing.T) {
	folder := t.TempDir()
	real, link := filepath.Join(folder, "real.jsonl"), filepath.Join(folder, "link.jsonl")
	open(t, real, Options{})
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	notes := filepath.Join(folder, "notes.txt")
	write(t, notes, []byte("buy milk\n"))
	for _, path := range []string{link, notes, folder} {
		if _, err := Open(path, Options{}); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if string(read(t, notes)) != "buy milk\n" {
		t.Error("a foreign file was touched")
	}
	if _, err := Open(filepath.Join(notes, "audit.jsonl"), Options{}); err == nil {
		t.Error("a file served as the folder")
	}
}

func TestLongRecords(t *testing.T) {
	path, l := filled(t, 1)
	long := strings.Repeat("长", 3000)
	worst := strings.Repeat("\x01", 3000)

	fits := Record{Event: Intent, Call: "a"}
	for range 1000 {
		fits.Targets = append(fits.Targets, Target{ID: "instance-0123456789", Name: "training-node-on-the-left", Status: "Running"})
		fits.Outcomes = append(fits.Outcomes, Outcome{ID: "instance-0123456789", Outcome: "unknown", Code: "timeout"})
	}
	tooMuch := Record{
		Event: Result, Call: worst, Caller: worst, Client: worst, ClientVersion: worst, Transport: worst, Server: worst,
		Tool: worst, Risk: worst, Region: worst, Rule: worst, Consent: worst, Token: worst, State: worst, Trace: worst,
		Error: worst, Script: &Script{SHA256: worst}, Arguments: map[string]string{},
	}
	for i := range 200 {
		tooMuch.Targets = append(tooMuch.Targets, Target{worst, worst, worst})
		tooMuch.Outcomes = append(tooMuch.Outcomes, Outcome{worst, worst, worst, worst})
		tooMuch.Arguments[string(rune('一'+i))+worst] = worst
	}
	add(t, l, fits, Record{Event: Intent, Call: "b", Error: long, Arguments: map[string]string{"name": long}}, tooMuch)

	for i, line := range strings.SplitAfter(string(read(t, path)), "\n") {
		if len(line) > maxLine {
			t.Errorf("line %d has %d bytes", i+1, len(line))
		}
	}
	got := records(t, path)
	if len(got[1].Targets) != 1000 || len(got[1].Outcomes) != 1000 || got[1].Note != "" {
		t.Errorf("%d targets, %d outcomes, note %q", len(got[1].Targets), len(got[1].Outcomes), got[1].Note)
	}
	noted(t, got[2], "cut: error, arguments")
	if text := got[2].Error; !strings.HasSuffix(text, "长…") || len(text) > maxError+len("…") {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	noted(t, got[3], "of 200 targets left out")
	noted(t, got[3], "of 200 outcomes left out")
	noted(t, got[3], "168 of 200 arguments left out")
	if len(tooMuch.Targets) != 200 || tooMuch.Targets[0].ID != worst || tooMuch.Script.SHA256 != worst {
		t.Error("the caller's record was changed")
	}
	sound(t, path, 4)

	// An attempt is smaller still: who may only ask must not fill the disk.
	asked := tooMuch
	asked.Event = Refused
	add(t, l, asked, Record{Event: Refused, Client: long, Error: long, Targets: fits.Targets})
	sound(t, attemptsPath(path), 3)
	got = records(t, attemptsPath(path))
	if len(got[2].Client) > maxName+len("…") || len(got[2].Error) > maxError/4+len("…") || len(got[2].Targets) == 0 {
		t.Errorf("%+v", got[2])
	}
	for line := range bytes.Lines(read(t, attemptsPath(path))) {
		if len(line) > 24<<10 || bytes.Contains(line, []byte(`"seq":3`)) && len(line) > maxAttempt {
			t.Errorf("%d bytes", len(line))
		}
	}
}

// A client names itself. The name must not hide anything from whoever reads the log.
func TestNames(t *testing.T) {
	path, l := filled(t, 1)
	add(t, l, Record{
		Event: Intent, Call: "c", Caller: "ann\u2066",
		Client: "a\u202egnirts\x1b[2J\nb" + strings.Repeat("x", 500), ClientVersion: "1\u200b",
	})
	r := records(t, path)[1]
	shown := r.Client + r.ClientVersion + r.Caller
	if strings.ContainsAny(shown, "\u202e\x1b\n\u200b\u2066") || len(r.Client) > maxName+len("…") {
		t.Errorf("%q, %q, %q", r.Client, r.ClientVersion, r.Caller)
	}
}

func TestEncodingError(t *testing.T) {
	path, l := filled(t, 1)
	var unsupported *json.MarshalerError
	tooLate := Record{Event: Intent, Call: "a", Time: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if err := l.Append(context.Background(), tooLate); !errors.As(err, &unsupported) {
		t.Errorf("%v", err)
	}
	add(t, l, Record{Event: Intent, Call: "b"})
	sound(t, path, 2)
}
