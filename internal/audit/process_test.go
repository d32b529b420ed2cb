package audit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	childRuns  = "AUDIT_TEST_CHILD"
	childMax   = "AUDIT_TEST_MAX"
	childCalls = "AUDIT_TEST_CALLS"
)

// TestChild is what the other processes run, in the folder of the log.
func TestChild(t *testing.T) {
	if os.Getenv(childRuns) == "" {
		t.Skip("runs in a process of its own")
	}
	size, _ := strconv.ParseInt(os.Getenv(childMax), 10, 64)
	calls, _ := strconv.Atoi(os.Getenv(childCalls))
	l := open(t, "audit.jsonl", Options{MaxBytes: size, Now: time.Now})
	for i := range calls {
		name := fmt.Sprintf("%d-%d", os.Getpid(), i)
		add(t, l, Record{Event: Intent, Call: name}, Record{Event: Result, Call: name})
	}
}

func child(t *testing.T, path string, size, calls int) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChild$")
	cmd.Dir = filepath.Dir(path)
	cmd.Env = append(os.Environ(), childRuns+"=1", childMax+"="+strconv.Itoa(size), childCalls+"="+strconv.Itoa(calls))
	return cmd
}

// TestManyWriters lets goroutines with one Log, with Logs of their own, and other processes write to one file.
func TestManyWriters(t *testing.T) {
	for name, size := range map[string]int{"one file": 0, "rotating": 4000} {
		t.Run(name, func(t *testing.T) {
			const processes, goroutines, calls = 3, 4, 15
			path := place(t)
			options := Options{MaxBytes: int64(size), Now: time.Now}
			shared := open(t, path, options)
			var work sync.WaitGroup
			for range processes {
				work.Go(func() {
					if out, err := child(t, path, size, calls).CombinedOutput(); err != nil {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
			for g := range goroutines {
				l := shared
				if g%2 == 1 {
					l = open(t, path, options)
				}
				work.Go(func() {
					for i := range calls {
						name := fmt.Sprintf("g%d-%d", g, i)
						for _, event := range []Event{Intent, Result} {
							if err := l.Append(context.Background(), Record{Event: event, Call: name}); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			var watching sync.WaitGroup
			stop := make(chan struct{})
			watching.Go(func() { // a reader at any moment sees a sound log
				for {
					select {
					case <-stop:
						return
					default:
						if r, err := Verify(path); err == nil && (r.Problem != nil || r.Tail != TailComplete) {
							t.Errorf("while written: %s (%s) %+v", r.Tail, r.TailWhy, r.Problem)
							return
						}
					}
				}
			})
			work.Wait()
			close(stop)
			watching.Wait()

			seen := map[string]int{}
			total := 0
			for _, r := range checkAll(t, path) {
				if r.Problem != nil || r.Tail != TailComplete || len(r.Unfinished) != 0 {
					t.Errorf("%s: %s %+v %+v", r.File, r.Tail, r.Problem, r.Unfinished)
				}
				for _, record := range records(t, r.File) {
					if record.Note != "" {
						t.Errorf("record %d: %s", record.Seq, record.Note)
					}
					if record.Event != Opened {
						seen[record.Call]++
						total++
					}
				}
			}
			if want := (processes + goroutines) * calls; len(seen) != want || total != 2*want {
				t.Errorf("%d calls, %d records", len(seen), total)
			}
		})
	}
}

// TestKilledWriter kills a process in the middle of its work.
func TestKilledWriter(t *testing.T) {
	path := place(t)
	l := open(t, path, Options{Now: time.Now})
	killed := child(t, path, 0, 1_000_000)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	for own := uint64(1); l.changes.end.Seq < own+10; own++ { // until the other process has written as many
		add(t, l, Record{Event: Intent, Call: "own"})
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	add(t, l, Record{Event: Intent, Call: "own"})
	report := check(t, path)
	if report.Problem != nil || report.Tail != TailComplete || len(report.Unfinished) > 2 {
		t.Errorf("%s (%s) %+v %+v", report.Tail, report.TailWhy, report.Problem, report.Unfinished)
	}
}
