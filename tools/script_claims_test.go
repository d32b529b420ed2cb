package tools_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// storage is a world over HTTP whose home is a directory of this machine and whose clock can be moved on. Its containers do
// nothing with a script: what they would leave is left by the test.
type storage struct {
	*world
	home  string
	ahead atomic.Int64
}

func openStorage(t *testing.T, instances []simulator.Instance, changes ...func(*setup)) *storage {
	t.Helper()
	s := &storage{home: t.TempDir()}
	began := time.Now().Truncate(time.Second)
	o := setup{instances: instances, storage: s.home, listens: true, onScript: func(simulator.ScriptRun) {}}
	o.rules.Now = func() time.Time { return began.Add(time.Duration(s.ahead.Load())) }
	for _, change := range changes {
		change(&o)
	}
	s.world = newWorld(t, o)
	return s
}

// runs are the directories of runs that are there.
func (s *storage) runs() []string {
	found, _ := filepath.Glob(s.home + "/.scnet-mcp/runs/*")
	return found
}

// leave writes a file into the only run's directory, as a container does.
func (s *storage) leave(t *testing.T, name, content string) {
	t.Helper()
	runs := s.runs()
	if len(runs) != 1 {
		t.Fatalf("runs %q", runs)
	}
	if err := os.WriteFile(filepath.Join(runs[0], name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start leaves what a container does that has begun and written something.
func (s *storage) start(t *testing.T, name, stdout string) {
	t.Helper()
	s.leave(t, name+".started", "")
	s.leave(t, name+".beat", "\n")
	s.leave(t, name+".out", stdout)
	s.leave(t, name+".err", "")
}

// end leaves the record of a container whose script is over after 12 seconds.
func (s *storage) end(t *testing.T, name, state, exit, stdout string) {
	t.Helper()
	s.start(t, name, stdout)
	s.leave(t, name+".done", fmt.Sprintf("scnet-mcp-run 1 %s\nname=%s\nstate=%s\nexit=%s\nstart=1000\nend=1012\nshell=sh\nuid=0\n"+
		"out_bytes=%d\nerr_bytes=0\nend_of_record\n", filepath.Base(s.runs()[0]), name, state, exit, len(stdout)))
}

// scriptRuns decodes what became of scripts, of execute_script or get_script_output.
func scriptRuns(t *testing.T, r reply) []tools.ScriptRun {
	t.Helper()
	var out struct {
		Runs []tools.ScriptRun
		tools.ScriptRun
	}
	if err := json.Unmarshal(r.Structured, &out); err != nil {
		t.Fatal(err)
	}
	if out.Runs == nil && out.State != "" && out.InstanceID != "" {
		return []tools.ScriptRun{out.ScriptRun}
	}
	return out.Runs
}

// claimed is a claim: what a result may say of a run.
type claimed struct {
	state   tools.ScriptState
	exit    string // "" when no exit code is told
	each    string // reasons of the containers
	reason  string // where DIR is the run's directory
	next    string
	kept    bool
	notSeen int
}

// TestClaims: whatever happens, a result says what is known and no more. The rows are those of the design's list of results.
func TestClaims(t *testing.T) {
	const again = "Call get_script_output again with this run_id and wait_seconds=40. Do not run the script again."
	for name, c := range map[string]struct {
		containers int
		happens    func(t *testing.T, s *storage)
		later      time.Duration
		want       claimed
	}{
		"completed": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "exited", "0", "hi\n") },
			want: claimed{state: tools.ScriptSucceeded, exit: "0", each: "exit code 0 after 12s"}},
		"completed: not with 0": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "exited", "3", "hi\n") },
			want: claimed{state: tools.ScriptFailed, exit: "3", each: "exit code 3 after 12s"}},
		"completed: killed": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "exited", "137", "hi\n") },
			want: claimed{state: tools.ScriptFailed, exit: "137", each: "exit code 137 (killed, perhaps because memory ran out) after 12s"}},
		"completed: terminated": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "exited", "143", "hi\n") },
			want: claimed{state: tools.ScriptFailed, exit: "143", each: "exit code 143 (terminated) after 12s"}},
		"timeout": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "timeout", "143", "hi\n") },
			want: claimed{state: tools.ScriptTimeout, exit: "143", each: "killed after 12s: it took longer than timeout_seconds"}},
		"cancelled": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "cancelled", "9", "hi\n") },
			want: claimed{state: tools.ScriptCancelled, exit: "9", each: "killed on request after 12s"}},
		"running": {happens: func(t *testing.T, s *storage) { s.start(t, "c", "hi\n") }, later: time.Minute,
			want: claimed{state: tools.ScriptRunning, each: "still running", kept: true, next: again,
				reason: "Still running after 60 s; this is not an error. Do not run it again"}},
		"not seen yet": {later: 44 * time.Second,
			want: claimed{state: tools.ScriptPending, notSeen: 1, kept: true, next: again,
				reason: "SCNet accepted the script; no container has reported in within 44 s"}},
		"not_seen": {later: 45 * time.Second,
			want: claimed{state: tools.ScriptNotSeen, notSeen: 1, kept: true, next: again,
				reason: "SCNet accepted the script, but no container reported in within 45 s. Either it has not been scheduled yet, or the container " +
					"does not see DIR; in that case the script was not run. Mount a directory when the instance is created, name output_dir, or use " +
					"capture=off"}},
		"not_seen: and the instance stopped": {later: 50 * time.Second, happens: func(_ *testing.T, s *storage) {
			s.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Status = simulator.Terminated })
		}, want: claimed{state: tools.ScriptNotSeen, notSeen: 1, kept: true, next: again,
			reason: "SCNet accepted the script, but no container reported in within 50 s. Either it has not been scheduled yet, or the container " +
				"does not see DIR; in that case the script was not run. Mount a directory when the instance is created, name output_dir, or use " +
				"capture=off. The instance is Terminated"}},
		"not_seen: and never any more": {later: 15 * time.Minute,
			want: claimed{state: tools.ScriptNotSeen, notSeen: 1,
				reason: "No container reported in within 900 s, and none can any more: the script was not run"}},
		"unreadable": {happens: func(t *testing.T, s *storage) {
			s.end(t, "c", "exited", "0", "hi\n")
			s.Inject(simulator.Fault{Endpoint: simulator.EndpointFileDownload, Code: "911030"})
		}, want: claimed{state: tools.ScriptUnknown, each: "the file service may not read what it left; exit code unknown", kept: true,
			next: again, reason: "The file service may not read DIR (911030); look there over SSH or Jupyter"}},
		"corrupt": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "corrupt", "", "") },
			want: claimed{state: tools.ScriptNotRun, each: "not run: the script arrived damaged, or the container has no decoder for it"}},
		"noshell": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "noshell", "", "") },
			want: claimed{state: tools.ScriptNotRun, each: "not run: the container lacks the shell"}},
		"nowrite": {happens: func(t *testing.T, s *storage) { s.end(t, "c", "nowrite", "", "") },
			want: claimed{state: tools.ScriptNotRun, each: "not run: no output could be written"}},
		"interrupted": {happens: func(t *testing.T, s *storage) {
			s.start(t, "c", "hi\n")
			s.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Status = simulator.Terminated })
		}, want: claimed{state: tools.ScriptLost, each: "started, then its container stopped; exit code unknown", kept: true,
			reason: "It started, then the instance stopped or started again; exit code unknown. The instance is Terminated"}},
		"interrupted: deleted": {happens: func(t *testing.T, s *storage) {
			s.start(t, "c", "hi\n")
			s.RemoveInstance(home, id(1))
		}, want: claimed{state: tools.ScriptLost, each: "started, then its container stopped; exit code unknown", kept: true,
			reason: "It started, then the instance stopped or started again; exit code unknown. The instance is deleted"}},
		"lost": {happens: func(t *testing.T, s *storage) { s.start(t, "c", "hi\n") }, later: 5 * time.Minute,
			want: claimed{state: tools.ScriptLost, each: "started, and gives no sign of life any more; exit code unknown", kept: true,
				reason: "It started, and there is no sign of life any more; exit code unknown"}},
		"record missing": {happens: func(t *testing.T, s *storage) {
			s.start(t, "c", "hi\n")
			s.leave(t, "c.done", "")
		}, want: claimed{state: tools.ScriptLost, kept: true,
			each: "finished, but its record is missing or incomplete (is the disk full?); exit code unknown"}},
		"partial": {containers: 3, later: 20 * time.Second, happens: func(t *testing.T, s *storage) {
			s.end(t, "a", "exited", "0", "hi\n")
			s.end(t, "b", "exited", "3", "hi\n")
			s.start(t, "c", "hi\n")
		}, want: claimed{state: tools.ScriptFailed, exit: "0 3", each: "exit code 0 after 12s|exit code 3 after 12s|still running", kept: true, next: again,
			reason: "2 of 3 containers finished"}},
		"partial: one not seen": {containers: 2, later: time.Minute, happens: func(t *testing.T, s *storage) { s.end(t, "a", "exited", "0", "hi\n") },
			want: claimed{state: tools.ScriptNotSeen, exit: "0", each: "exit code 0 after 12s", kept: true, next: again, notSeen: 1,
				reason: "Within 60 s, 1 of 2 containers did not report in. 1 of 2 containers finished"}},
		"partial: one never any more": {containers: 2, later: time.Hour, happens: func(t *testing.T, s *storage) { s.end(t, "a", "exited", "0", "hi\n") },
			want: claimed{state: tools.ScriptNotSeen, exit: "0", each: "exit code 0 after 12s", notSeen: 1,
				reason: "1 of 2 containers did not report in within 3600 s, and cannot any more: there the script was not run. 1 of 2 containers finished"}},
	} {
		t.Run(name, func(t *testing.T) {
			instance := job(1, simulator.Running)
			instance.TaskNumber = max(c.containers, 1)
			s := openStorage(t, []simulator.Instance{instance})
			begun := s.confirmed(t, "execute_script", arguments{"instance_ids": ids(1), "script": "date", "wait_seconds": 0})
			runs := scriptRuns(t, begun)
			if begun.State != "waiting" || len(runs) != 1 || runs[0].State != tools.ScriptPending {
				t.Fatalf("%s\n%s", begun.State, begun.Text)
			}
			if c.happens != nil {
				c.happens(t, s)
			}
			s.ahead.Store(int64(c.later))
			dir := s.runs()[0]
			s.holds(t, s.call(t, "get_script_output", arguments{"run_id": runs[0].RunID}), dir, c.want)
		})
	}
}

// holds compares a result of one run with what it may claim, in data and in text.
func (s *storage) holds(t *testing.T, r reply, dir string, want claimed) {
	t.Helper()
	runs := scriptRuns(t, r)
	if len(runs) != 1 {
		t.Fatalf("%d runs\n%s", len(runs), r.Text)
	}
	run := runs[0]
	var each, exits []string
	for _, c := range run.Containers {
		each = append(each, c.Reason.String())
		if c.ExitCode != nil {
			exits = append(exits, fmt.Sprint(*c.ExitCode))
		}
	}
	reason, _, _ := strings.Cut(strings.ReplaceAll(run.Reason.String(), dir, "DIR"), ". Its directory stays")
	got := claimed{
		state: run.State, exit: strings.Join(exits, " "), each: strings.Join(each, "|"), reason: reason, next: r.Next, kept: run.Left != "",
		notSeen: run.NotSeen,
	}
	if strings.HasPrefix(run.Reason.String(), "Its directory stays") {
		got.reason = ""
	}
	if got != want {
		t.Errorf("claims %+v\nwant   %+v", got, want)
	}
	if (run.Left != "") != slices.Contains(s.runs(), dir) || run.Left != "" && run.Left != dir {
		t.Errorf("left %q, and there is %q", run.Left, s.runs())
	}
	wantParts(t, r.Text, append(each, string(want.state), strings.ReplaceAll(want.reason, "DIR", dir), want.next, run.Left)...)
}

// TestClaimsBeforeAndWithoutARun: what is said when nothing was sent, when SCNet refused, and when its answer was lost.
func TestClaimsBeforeAndWithoutARun(t *testing.T) {
	plain := arguments{"instance_ids": ids(1), "script": "date", "wait_seconds": 0}
	t.Run("no_storage", func(t *testing.T) {
		s := openStorage(t, jobs(1, simulator.Running))
		s.Inject(simulator.Fault{Endpoint: simulator.EndpointFileList, Code: "911030"})
		r, _ := s.previewed(t, "execute_script", plain)
		wantParts(t, r.Text, "no output: code 911030", "The plain script is sent. Its output and exit code cannot be had. It redirects nothing, so what it prints is lost.")
		r = s.call(t, "execute_script", plain.with(arguments{"capture": "required"}))
		wantOutcomes(t, r, "failed", "failed")
		wantParts(t, r.Targets[0].Note.String(), "not sent: no output could be captured: code 911030")
		wantParts(t, r.Text, r.Targets[0].Note.String())
		s.nothingSent(t)
	})
	t.Run("no_storage: seen late", func(t *testing.T) {
		s := openStorage(t, jobs(1, simulator.Running))
		_, confirming := s.previewed(t, "execute_script", plain)
		s.Inject(simulator.Fault{Endpoint: simulator.EndpointFileMkdir, Code: "911501"})
		r := s.call(t, "execute_script", confirming)
		wantOutcomes(t, r, "failed", "failed")
		wantParts(t, r.Targets[0].Note.String(), "911501")
		if len(scriptRuns(t, r)) != 0 || len(s.runs()) != 0 {
			t.Errorf("left %q\n%s", s.runs(), r.Text)
		}
		s.nothingSent(t)
	})
	t.Run("rejected", func(t *testing.T) {
		s := openStorage(t, jobs(1, simulator.Running))
		_, confirming := s.previewed(t, "execute_script", plain)
		s.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, Code: "716864"})
		r := s.call(t, "execute_script", confirming)
		wantOutcomes(t, r, "failed", "rejected")
		wantParts(t, r.Text, "716864")
		if len(scriptRuns(t, r)) != 0 || len(s.runs()) != 0 {
			t.Errorf("left %q\n%s", s.runs(), r.Text)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		s := openStorage(t, jobs(1, simulator.Running))
		_, confirming := s.previewed(t, "execute_script", plain)
		s.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, ResetAfter: true})
		r := s.call(t, "execute_script", confirming)
		wantOutcomes(t, r, "unknown", "unknown")
		dir := s.runs()[0]
		s.holds(t, r, dir, claimed{
			state: tools.ScriptUnknown, notSeen: 1, kept: true, next: r.Next,
			reason: "Whether SCNet took the script is not known, and no container has reported in. It was not sent again",
		})
		wantParts(t, r.Next, "get_script_output", scriptRuns(t, r)[0].RunID)
		// Another process knows no more: it must not say that SCNet accepted the script.
		s.holds(t, s.call(t, "get_script_output", arguments{"run_id": scriptRuns(t, r)[0].RunID}), dir, claimed{
			state: tools.ScriptUnknown, notSeen: 1, kept: true, next: "Call get_script_output again with this run_id and wait_seconds=40. Do not run the script again.",
			reason: "Whether SCNet took the script is not known, and no container has reported in. It was not sent again",
		})
		s.end(t, "c", "exited", "0", "hi\n")
		s.holds(t, s.call(t, "get_script_output", arguments{"run_id": scriptRuns(t, r)[0].RunID}), dir,
			claimed{state: tools.ScriptSucceeded, exit: "0", each: "exit code 0 after 12s"})
		s.wantSent(t, simulator.EndpointExecute, 1)
	})
	t.Run("may not look", func(t *testing.T) {
		s := openStorage(t, jobs(1, simulator.Running))
		run := scriptRuns(t, s.confirmed(t, "execute_script", plain))[0]
		s.Inject(simulator.Fault{Endpoint: simulator.EndpointFileList, Code: "911030"})
		s.fails(t, "get_script_output", arguments{"run_id": run.RunID}, "run "+run.RunID+" was not found; but in ", "may not look into "+s.home)
	})
	t.Run("cannot be looked at", func(t *testing.T) {
		s := openStorage(t, jobs(1, simulator.Running))
		_, confirming := s.previewed(t, "execute_script", plain)
		s.Inject(simulator.Fault{Endpoint: simulator.EndpointFileList, Code: "10001", After: 1})
		r := s.call(t, "execute_script", confirming)
		run := scriptRuns(t, r)[0]
		if run.State != tools.ScriptUnknown || r.State != "unknown" || run.RunID == "" || run.Left == "" {
			t.Errorf("%+v\n%s", run, r.Text)
		}
		if strings.Contains(r.Text, "was not run") {
			t.Errorf("it claims too much:\n%s", r.Text)
		}
	})
}
