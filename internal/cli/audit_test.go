package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
)

// aLog is an audit log of a deletion, with a preview and a refusal, by two callers.
func aLog(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(path, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	node := []audit.Target{{ID: "i-1", Name: "train\u202e-01"}}
	for i, r := range []audit.Record{
		{Event: audit.Previewed, Caller: "ann", Tool: "delete_instances", Targets: node, State: "confirmation_required"},
		{Event: audit.Intent, Call: "c", Caller: "ann", Tool: "delete_instances", Targets: node, Consent: "preview_token"},
		{Event: audit.Result, Call: "c", Caller: "ann", Tool: "delete_instances", Targets: node, State: "done",
			Outcomes: []audit.Outcome{{ID: "i-1", Outcome: "deleted"}}},
		{Event: audit.Refused, Caller: "bob", Tool: "restart_instance", Rule: "protect", Targets: []audit.Target{{ID: "i-2"}}},
	} {
		r.Time = at.Add(time.Duration(i) * time.Hour)
		if err := log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAuditShow(t *testing.T) {
	path := aLog(t)
	for arguments, want := range map[string]string{
		"":                                      "previewed intent result refused",
		"--tool=restart_instance":               "refused",
		"--caller=ann":                          "previewed intent result",
		"--id=i-1 --since=2026-03-01T10:00:00Z": "result",
		"--id=i-3":                              "",
		"--since=2026-03-05":                    "",
		"--since=24h":                           "",
	} {
		code, out, errs := run(t, nil, "", append([]string{"audit", "show", path}, strings.Fields(arguments)...)...)
		var events []string
		for _, line := range strings.Split(strings.TrimSpace(out), "\n")[1:] {
			events = append(events, strings.Fields(line)[2])
		}
		if code != 0 || strings.Join(events, " ") != want {
			t.Errorf("%s: exit %d, %q, %s", arguments, code, events, errs)
		}
		if arguments == "" {
			contains(t, "the table", out, "TARGETS", "i-1: deleted", "bob", "preview_token", "protect")
			if strings.Contains(out, "\u202e") {
				t.Error("a name that turns the line around was printed")
			}
		}
	}
	if code, _, errs := run(t, nil, "", "audit", "show", path, "--since=yesterday"); code == 0 || !strings.Contains(errs, "such as 24h") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, _ := run(t, nil, "", "audit", "show", filepath.Join(t.TempDir(), "none.jsonl")); code != exitError {
		t.Errorf("a log that does not exist: exit %d", code)
	}
}

// An end that cannot be proven is told, and is an error where that is asked for.
func TestAuditVerifyStrict(t *testing.T) {
	path := aLog(t)
	if code, out, _ := run(t, nil, "", "audit", "verify", "--strict", path); code != 0 || !strings.HasSuffix(out, "the chain is intact\n") {
		t.Errorf("exit %d: %s", code, out)
	}
	if err := os.Remove(path + ".head"); err != nil {
		t.Fatal(err)
	}
	code, out, _ := run(t, nil, "", "audit", "verify", path)
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	contains(t, "verify", out, "end unknown", "cannot be proven", "--strict")
	code, out, _ = run(t, nil, "", "audit", "verify", "--strict", path)
	if code != exitError {
		t.Errorf("strict: exit %d", code)
	}
	contains(t, "verify --strict", out, "NOT PROVEN")

	// The change is gone, and with it the head. The refusal that came after it gives it away.
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	if err := os.WriteFile(path, []byte(strings.Join(lines[:1], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = run(t, nil, "", "audit", "verify", path)
	if code != exitError {
		t.Errorf("cut: exit %d", code)
	}
	contains(t, "verify", out, "BROKEN", "an attempt was recorded after record 3")
}
