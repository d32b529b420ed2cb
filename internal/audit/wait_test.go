package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/filelock"
)

// held locks the log at path as another process does.
func held(t testing.TB, path string) (release func()) {
	t.Helper()
	release, err := filelock.Lock(t.Context(), path+filelock.Suffix, lockWait)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

// TestHeldLock has many calls wait at once. Each waits as long as its own context allows, not after the others.
func TestHeldLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, l := filled(t, 3)
		release := held(t, path)
		before := read(t, path)
		start := time.Now()
		var waiting sync.WaitGroup
		for i := range 64 {
			waiting.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%2)*time.Second)
				defer cancel()
				if err := l.Append(ctx, call(2*i)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%d: %v", i, err)
				}
				if took := time.Since(start); took != time.Duration(1+i%2)*time.Second {
					t.Errorf("%d: waited %s", i, took)
				}
			})
		}
		waiting.Wait()

		// Without a deadline some seconds are enough, and once somebody has waited in vain, a moment is.
		for _, want := range []time.Duration{lockWait, stuckWait, stuckWait} {
			start := time.Now()
			if err := l.Append(t.Context(), call(2)); !errors.Is(err, ErrBusy) || time.Since(start) != want {
				t.Errorf("%v after %s, want %s", err, time.Since(start), want)
			}
		}
		if !bytes.Equal(read(t, path), before) {
			t.Error("something was written under a lock that was not ours")
		}
		release()
		add(t, l, call(2))
		sound(t, path, 4)
		if l.stuck {
			t.Error("a lock that was released counts as held")
		}
	})
}

// TestReleasedLock writes what has waited together.
func TestReleasedLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 50
		path, l := filled(t, 1)
		release := held(t, path)
		var waiting sync.WaitGroup
		for i := range calls {
			waiting.Go(func() { add(t, l, call(2*i)) })
		}
		synctest.Wait()
		if batch := l.next(false); len(batch) != calls {
			t.Errorf("%d records wait together", len(batch))
		}
		release()
		waiting.Wait()
		sound(t, path, 1+calls)
	})
}

func TestEndedContext(t *testing.T) {
	path, l := filled(t, 2)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the client went away")
	cancel(reason)
	if err := l.Append(ctx, call(2)); !errors.Is(err, reason) {
		t.Errorf("%v", err)
	}
	if err := l.Append(context.WithoutCancel(ctx), call(1)); err != nil {
		t.Errorf("a result: %v", err)
	}
	sound(t, path, 3)
}

func TestLazy(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "state", "audit.jsonl")
	nowhere := errors.New("HOME is not set")
	l := Lazy(func() (string, error) { return path, nowhere }, Options{})
	if err := l.Append(t.Context(), call(0)); !errors.Is(err, nowhere) {
		t.Errorf("%v", err)
	}
	nowhere = nil
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first record: %v", err)
	}
	add(t, l, call(0))
	sound(t, path, 2)

	// A broken log is moved aside, as by Open.
	write(t, path, read(t, path)[:200])
	add(t, Lazy(func() (string, error) { return path, nil }, Options{}), call(1))
	noted(t, records(t, path)[0], "was moved to")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	path, l := filled(t, 3)
	var heard []string
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	add(t, l, call(2))
	l.mu.Lock() // until the goroutine that writes has passed the note on
	writing := l.writing
	l.mu.Unlock()
	if writing != nil {
		<-writing
	}
	l.WarnTo(func(note string) { heard = append(heard, note) })
	if len(heard) != 1 || !strings.Contains(heard[0], "emptied") {
		t.Errorf("%q", heard)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	add(t, l, call(3))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(heard) != 2 || !strings.Contains(heard[1], "removed") {
		t.Errorf("%q", heard)
	}
}

const childAcknowledged = "AUDIT_TEST_ACKNOWLEDGED"

// TestKilledCommit kills a process that writes many records at once. Every one that was acknowledged is in the log.
func TestKilledCommit(t *testing.T) {
	if os.Getenv(childAcknowledged) != "" {
		l := open(t, "audit.jsonl", Options{MaxBytes: 50_000, Now: time.Now})
		var out sync.Mutex
		for g := range 32 {
			go func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("%d-%d", g, i)
					if l.Append(context.Background(), Record{Event: Intent, Call: name}) == nil {
						out.Lock()
						_, _ = fmt.Fprintln(os.Stdout, "ack", name)
						out.Unlock()
					}
				}
			}()
		}
		select {}
	}
	path := place(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKilledCommit$")
	cmd.Dir = filepath.Dir(path)
	cmd.Env = append(os.Environ(), childAcknowledged+"=1")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		if name, found := strings.CutPrefix(lines.Text(), "ack "); found {
			acknowledged[name] = true
		}
		if len(acknowledged) == 2000 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if len(acknowledged) < 2000 {
		t.Fatalf("%d records were acknowledged", len(acknowledged))
	}
	add(t, open(t, path, Options{Now: time.Now}), call(0)) // repairs the end
	for r, err := range Records(path) {
		if err != nil {
			t.Error(err)
		}
		delete(acknowledged, r.Call)
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged records are not in the log: %v", len(acknowledged), acknowledged)
	}
	for _, report := range checkAll(t, path) {
		if report.Problem != nil {
			t.Errorf("%s: %+v", report.File, report.Problem)
		}
	}
}
