package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
		{Event: audit.Declined, Caller: "team:q7x2", Subject: "eve\u202e", Issuer: "https://idp.example.org", Tool: "stop_instances"},
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
		"":                                      "previewed intent result refused declined",
		"--tool=restart_instance":               "refused",
		"--caller=ann":                          "previewed intent result",
		"--caller=team":                         "declined",
		"--caller=team:q7x2":                    "declined",
		"--caller=https://idp.example.org":      "",
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
			contains(t, "the table", out, "TARGETS", "i-1: deleted", "bob", "preview_token", "protect", "team: eve\ufffd")
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

// A server signs its log and sends the checkpoints elsewhere; a log that was written anew does not pass.
func TestAuditKey(t *testing.T) {
	var mu sync.Mutex
	var sent []byte
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") == "Bearer t0ken" {
			sent = append(sent, body...)
		}
	}))
	defer web.Close()
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	code, public, errs := run(t, nil, "", "audit", "keygen", in("key"))
	if public = strings.TrimSpace(public); code != 0 || len(public) != 60 || strings.Contains(errs, public) {
		t.Fatalf("exit %d, %q, %s", code, public, errs)
	}
	contains(t, "keygen", errs, "--audit-key "+in("key"), "audit verify FILE --key")
	if code, _, errs := run(t, nil, "", "audit", "keygen", in("key")); code != exitError || !strings.Contains(errs, "exists") {
		t.Errorf("a second time: exit %d, %s", code, errs)
	}
	log := filepath.Join(folder, "state", "audit.jsonl")
	token := map[string]string{"SCNET_MCP_AUDIT_ANCHOR_TOKEN": "t0ken"}
	code, _, errs = run(t, token, "", "call", "--demo", "--audit-log", log, "--audit-key", in("key"), "--audit-anchor", web.URL,
		"--confirm", "restart_instance", "instance_id="+completedID)
	if code != 0 && code != 4 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	mu.Lock()
	content := append([]byte("2026-11-24 host: "), sent...)
	mu.Unlock()
	var checkpoint audit.Checkpoint
	if err := json.NewDecoder(bytes.NewReader(content[17:])).Decode(&checkpoint); err != nil || checkpoint.Seq < 3 {
		t.Fatalf("%q: %v", content, err)
	}
	writeFile(t, in("anchors"), string(content)+"\nsomething else\n")
	code, out, errs := run(t, nil, "", "audit", "verify", "--strict", log, "--key", public, "--anchors", in("anchors"))
	if code != 0 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	contains(t, "verify", out, "signed: up to record", checkpoint.Key, "1 agree", "1 lines without a checkpoint", "the chain is intact")

	forged, err := audit.NewKey(in("other"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, in("public"), forged.Public().String()+"\n")
	for name, c := range map[string]struct {
		arguments []string
		want      string
	}{
		"another key":            {[]string{"--key", in("public")}, "forged"},
		"no key":                 {[]string{"--key", in("none")}, "neither a public key"},
		"the private key":        {[]string{"--key", in("key")}, "this is a private key"},
		"anchors without key":    {[]string{"--anchors", in("anchors")}, "give the public key"},
		"no anchors":             {[]string{"--anchors", in("public"), "--key", public}, "there is no checkpoint"},
		"no file of anchors":     {[]string{"--anchors", in("none"), "--key", public}, "no such file"},
		"a log without any":      {[]string{"--key", public}, "BROKEN"},
		"anchors of another log": {[]string{"--key", public, "--anchors", in("anchors")}, "BROKEN"},
	} {
		file := log
		if strings.HasPrefix(name, "a log") || strings.HasPrefix(name, "anchors of") {
			file = aLog(t)
		}
		code, out, errs := run(t, nil, "", append([]string{"audit", "verify", file}, c.arguments...)...)
		if code != exitError || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d: %s%s", name, code, out, errs)
		}
	}
}

func TestAuditKeyFlags(t *testing.T) {
	folder := t.TempDir()
	key := filepath.Join(folder, "key")
	if _, err := audit.NewKey(key); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "text"), "hello")
	log := "--audit-log=" + filepath.Join(folder, "log", "audit.jsonl")
	for name, c := range map[string]struct{ arguments, want string }{
		"no key":           {"--audit-key=" + filepath.Join(folder, "none") + " " + log, "--audit-key"},
		"not a key":        {"--audit-key=" + filepath.Join(folder, "text") + " " + log, "--audit-key"},
		"beside the log":   {"--audit-key=" + key + " --audit-log=" + filepath.Join(folder, "audit.jsonl"), "in the folder of the audit log"},
		"without a log":    {"--audit-key=" + key + " --audit-log=off", "--audit-log=off turns off"},
		"anchors alone":    {"--audit-anchor=https://x.example.org " + log, "give --audit-key"},
		"not an address":   {"--audit-anchor=x.example.org --audit-key=" + key + " " + log, "not a URL"},
		"a bad days count": {"--audit-keep-days=-1 " + log, "--audit-keep-days"},
	} {
		code, _, errs := run(t, nil, "", append(strings.Fields("call --demo "+c.arguments), "list_instances")...)
		if code == 0 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
	}
}
