package tools_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// auditLog opens a log and returns a function that reads what is in it, after a check of its chain.
func auditLog(t testing.TB) (*audit.Log, func() []audit.Record) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(path, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return log, func() []audit.Record { return auditRecords(t, path) }
}

func auditRecords(t testing.TB, path string) []audit.Record {
	t.Helper()
	reports, err := audit.VerifyAll(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, report := range reports {
		if report.Problem != nil || report.Tail != audit.TailComplete {
			t.Errorf("the log is not sound: %+v", report)
		}
	}
	var records []audit.Record
	for r, err := range audit.Records(path) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event != audit.Opened {
			records = append(records, r)
		}
	}
	return records
}

// steps shortens records to what happened.
func steps(records []audit.Record) []string {
	var out []string
	for _, r := range records {
		step := string(r.Event)
		for _, word := range []string{r.Rule, r.Consent, r.State} {
			if word != "" {
				step += " " + word
			}
		}
		out = append(out, step)
	}
	return out
}

func TestEveryAttemptIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := auditLog(t)
		const script = "export PASSWORD=hunter2\n"
		w := newWorld(t, setup{instances: append(jobs(2, simulator.Running), job(3, simulator.Failed), job(4, simulator.Failed)),
			rules: toolbox.Rules{Audit: log, Policy: guard.Policy{Protect: patterns(t, id(3))}}})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, After: 1, Code: "716864", Latency: 250 * time.Millisecond})
		w.fails(t, "execute_script", arguments{"instance_ids": ids(2), "script": map[string]any{"hunter2": script}, "concurrency": script, script: 1})
		w.fails(t, "execute_script", execution(script, id(9)))
		w.fails(t, "restart_instance", arguments{"instance_id": id(3), "confirm": true})
		w.fails(t, "execute_script", execution(script, ids(11)...))
		preview, second := w.previewed(t, "execute_script", execution(script, ids(2)...).with(arguments{"concurrency": 1}))
		if _, err := w.asked(t, "execute_script", second.with(arguments{"preview_token": ""}), func(q guard.Question) guard.Answer {
			return guard.Answer{Action: guard.Decline, Token: q.Token}
		}); err == nil {
			t.Error("declined, and no error")
		}
		wantOutcomes(t, w.call(t, "execute_script", second), "partial", "accepted", "rejected")
		w.call(t, "execute_script", second)
		w.call(t, "delete_instances", deletion(id(8)))
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, Code: "716868"})
		w.fails(t, "restart_instance", arguments{"instance_id": id(4), "confirm": true}, "716868")

		all := records()
		want := []string{
			"refused arguments", "refused plan", "refused protect", "refused max-targets", "previewed none confirmation_required",
			"previewed asked confirmation_required", "declined decline", "intent preview_token", "result preview_token partial",
			"previewed token_used confirmation_required", "nothing_to_do failed", "intent flag", "result flag failed",
		}
		if got := steps(all); !slices.Equal(got, want) {
			t.Fatalf("steps %q\nwant  %q", got, want)
		}
		digest := sha256.Sum256([]byte(script))
		intent, result := all[7], all[8]
		for which, r := range map[string]audit.Record{"intent": intent, "result": result} {
			if r.Call == "" || r.Caller != "local" || r.Client != "test" || r.Transport != "stdio" || r.Tool != "execute_script" || r.Risk != "destructive" ||
				r.Region != "华东一区【昆山】 (11250)" || len(r.Targets) != 2 || r.Targets[1] != (audit.Target{ID: id(2), Name: "job-002", Status: "Running"}) ||
				*r.Script != (audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(script)}) || r.Token != guard.TokenID(preview.Token) ||
				r.Arguments["concurrency"] != "1" || r.Arguments["confirm"] != "true" || !strings.HasPrefix(r.Arguments["script"], "sha256:") {
				t.Errorf("%s %+v", which, r)
			}
		}
		if intent.Call != result.Call || intent.Outcomes != nil || result.DurationMS != 250 || len(result.Outcomes) != 2 ||
			result.Outcomes[1].Outcome != "rejected" || !strings.Contains(result.Outcomes[1].Code, "716864") {
			t.Errorf("intent %+v\nresult %+v", intent, result)
		}
		if last := all[12]; len(last.Outcomes) != 1 || last.Outcomes[0].Outcome != "refused" || !strings.Contains(last.Error, "716868") {
			t.Errorf("the refused restart: %+v", last)
		}
		written := string(encodedRecords(all))
		for _, secret := range []string{"hunter2", preview.Token} {
			if strings.Contains(written, secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	})
}

func encodedRecords(all []audit.Record) []byte {
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return text
}

// fill makes the log at path impossible to write, as a full disk does, in a way that also stops root.
func fill(t testing.TB, path string) {
	t.Helper()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestAuditLogThatCannotBeWritten(t *testing.T) {
	for tool, a := range map[string]arguments{
		"delete_instances": deletion(id(1)), "execute_script": execution("date", id(1)), "restart_instance": {"instance_id": id(2), "confirm": true},
	} {
		for _, optional := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%s, optional %v", tool, optional), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "audit.jsonl")
				log, err := audit.Open(path, audit.Options{})
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, setup{instances: []simulator.Instance{job(1, simulator.Running), job(2, simulator.Failed)},
					rules: toolbox.Rules{Audit: log, AuditOptional: optional, MaxMutationsPerHour: 1}})
				again := a
				if tool != "restart_instance" {
					_, again = w.previewed(t, tool, a)
				}
				fill(t, path)
				if optional {
					if r := w.call(t, tool, again); !strings.Contains(r.Text, "the audit log could not be written") || w.writes() != 1 {
						t.Errorf("%d writes: %s", w.writes(), r.Text)
					}
					return
				}
				w.fails(t, tool, again, "audit log cannot be written", "nothing was done", "Nothing was changed")
				w.nothingSent(t)

				// The budget of one was not used up by it.
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(path+".away", path); err != nil {
					t.Fatal(err)
				}
				if tool != "restart_instance" {
					_, again = w.previewed(t, tool, a)
				}
				if r := w.call(t, tool, again); w.writes() != 1 {
					t.Errorf("afterwards: %s", r.Text)
				}
			})
		}
	}
}

func TestAuditLogThatFillsUpInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		log, err := audit.Open(path, audit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, setup{instances: jobs(1, simulator.Running), rules: toolbox.Rules{Audit: log}})
		w.wire.Before = func(r *http.Request) {
			if r.Method == http.MethodDelete {
				fill(t, path)
			}
		}
		r := w.confirmed(t, "delete_instances", deletion(id(1)))
		wantOutcomes(t, r, "done", "deleted")
		wantParts(t, r.Text, "Note: the audit log could not be written after the change.")
	})
}

func TestFaultsOfOursAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := auditLog(t)
		w := newWorld(t, setup{instances: jobs(2, simulator.Failed), rules: toolbox.Rules{Audit: log}})
		w.wire.Before = func(r *http.Request) {
			if isWrite(r, "restart") || strings.Contains(r.URL.Path, id(2)) {
				panic("secret of the server")
			}
		}
		err := w.fails(t, "restart_instance", restart, "a fault in the server", "may be done, half-done or not done", "read what it was about again")
		if strings.Contains(toolbox.Explain(lang.English, err), "secret") {
			t.Errorf("the panic is in the answer: %v", err)
		}
		// One while the targets are looked up, which happens on goroutines of their own.
		err = w.fails(t, "delete_instances", deletion(ids(2)...), "a fault in the server", "error id")
		if text := toolbox.Explain(lang.English, err); strings.Contains(text, "secret") || strings.Contains(text, "half-done") {
			t.Errorf("%s", text)
		}
		all := records()
		if got := steps(all); !slices.Equal(got, []string{"intent flag", "result flag unknown", "refused plan"}) {
			t.Fatalf("steps %q", got)
		}
		if last := all[1]; len(last.Outcomes) != 1 || last.Outcomes[0] != (audit.Outcome{ID: id(1), Outcome: "unknown"}) || strings.Contains(last.Error, "secret") {
			t.Errorf("%+v", last)
		}
	})
}

// A process that dies in the middle leaves an intent without a result.
func TestCrashShowsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		log, err := audit.Open(path, audit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, setup{instances: jobs(1, simulator.Failed), rules: toolbox.Rules{Audit: log}})
		w.wire.Before = func(r *http.Request) {
			if isWrite(r, "restart") {
				runtime.Goexit() // nothing after this runs, as little as it would after a crash
			}
		}
		var dead sync.WaitGroup
		dead.Go(func() { _, _ = w.try(t.Context(), toolbox.Call{Tool: "restart_instance", Arguments: encoded(restart)}) })
		dead.Wait()
		report, err := audit.Verify(path)
		if err != nil || report.Problem != nil || len(report.Unfinished) != 1 || report.Unfinished[0].Targets[0].ID != id(1) {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// A token that comes back as a name is neither in the result nor in the audit log: it may still hold.
func TestPreviewTokenIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := auditLog(t)
		w := newWorld(t, setup{instances: jobs(1, simulator.Running), rules: toolbox.Rules{Audit: log}})
		r, _ := w.previewed(t, "delete_instances", deletion(id(1)))
		w.AddInstance(home, simulator.Instance{ID: id(2), Name: "copy of " + r.Token, Status: simulator.Running})
		again := w.call(t, "delete_instances", deletion(id(2)).with(arguments{"preview_token": r.Token}))
		if strings.Contains(again.Text, r.Token) || len(again.Targets) != 1 || again.Targets[0].Name != "copy of [preview_token]" {
			t.Errorf("%+v", again.Targets)
		}
		all := records()
		if last := all[len(all)-1]; len(last.Targets) != 1 || last.Targets[0].Name != "copy of [preview_token]" {
			t.Errorf("%+v", last)
		}
	})
}

// held is an audit log that nobody can write to, because another process holds its lock.
type held struct{}

func (held) Append(ctx context.Context, _ audit.Record) error {
	<-ctx.Done()
	return ctx.Err()
}

// A read does not wait for the audit log, also when it is refused, which is recorded.
func TestReadsDoNotWaitForTheAuditLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running), rules: toolbox.Rules{Audit: held{}}})
		began := time.Now()
		w.call(t, "list_instances", arguments{})
		w.rules.Policy.DisabledTools = []string{"list_instances"}
		w.toolbox = toolbox.New(w.rules, w.tools)
		w.fails(t, "list_instances", arguments{}, "Refused: ")
		if took := time.Since(began); took > 150*time.Millisecond {
			t.Errorf("the reads took %s", took)
		}
	})
}
