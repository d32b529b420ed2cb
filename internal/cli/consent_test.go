package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

const (
	runningID   = "530491fa7c8e47348f01de73e627a6a7" // qwen-finetune-01 of the demo region
	completedID = "195d453c7a424b32ac8593512fec6a26" // Instances_2204208761
)

// sent counts what was sent to an endpoint.
func sent(s *simulator.Simulator, endpoint simulator.Endpoint) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Endpoint == endpoint {
			n++
		}
	}
	return n
}

func TestCallNeedsConsent(t *testing.T) {
	s := simulate(t, simulator.Options{})
	env := account(s)
	env["SCNET_CLUSTER_ID"] = "11250"
	arguments := []string{"call", "delete_instances", "instance_ids=" + completedID}

	code, out, errs := run(t, env, "", arguments...)
	if code != toolbox.ExitConsent || sent(s, simulator.EndpointDelete) != 0 {
		t.Errorf("exit %d, %d deletes sent", code, sent(s, simulator.EndpointDelete))
	}
	contains(t, "stdout", out, "PREVIEW. Nothing has been changed.", "Instances_2204208761", "deleted for good")
	contains(t, "stderr", errs, "Nothing was changed. To do this, repeat the command with --confirm")
	if strings.Contains(out+errs, "preview_token") || strings.Contains(out+errs, "the user") {
		t.Errorf("a script is told what a model has to repeat: %s%s", out, errs)
	}
	_, out, _ = run(t, env, "", append(arguments, "--json")...)
	contains(t, "next", out, `"next":"Repeat the command with --confirm, or with confirm=true and preview_token=`)
	code, out, errs = run(t, env, "", append(arguments, "--consent=delete_instances=human")...)
	if code != toolbox.ExitConsent {
		t.Errorf("exit %d: %s", code, out)
	}
	contains(t, "stderr", errs, "wants a person's answer", "at a terminal")

	code, out, errs = run(t, env, "", append(arguments, "--confirm")...)
	if code != 0 || sent(s, simulator.EndpointDelete) != 1 {
		t.Errorf("exit %d, %d deletes sent", code, sent(s, simulator.EndpointDelete))
	}
	contains(t, "stdout", out, "done: 1 deleted")
	contains(t, "stderr", errs, "PREVIEW.")

	code, out, _ = run(t, env, "", append(arguments, "--confirm", "--json")...)
	if code != 1 || sent(s, simulator.EndpointDelete) != 1 {
		t.Errorf("what is gone: exit %d, %d deletes sent", code, sent(s, simulator.EndpointDelete))
	}
	contains(t, "stdout", out, `"outcome":"not_found"`)
}

func TestCallUnderPolicy(t *testing.T) {
	s := simulate(t, simulator.Options{})
	for name, c := range map[string]struct {
		flags []string
		env   map[string]string
		code  int
		want  string
	}{
		"read-only":                {[]string{"--read-only"}, nil, exitError, "runs read-only"},
		"read-only, environment":   {nil, map[string]string{"SCNET_MCP_READ_ONLY": "1"}, exitError, "runs read-only"},
		"disabled":                 {[]string{"--disable-tools=delete_instances,execute_script"}, nil, exitError, "has disabled"},
		"protected by name":        {[]string{"--protect=name:instances_*"}, nil, exitError, "has protected"},
		"not allowed":              {[]string{"--allow=qwen-*", "--allow=id:abc"}, nil, exitError, "does not allow"},
		"human, nobody there":      {[]string{"--consent=delete_instances=human"}, nil, toolbox.ExitConsent, "cannot ask"},
		"human, environment":       {nil, map[string]string{"SCNET_MCP_CONSENT": "delete_instances=human,restart_instance=human"}, toolbox.ExitConsent, "cannot ask"},
		"a tool that is none":      {[]string{"--disable-tools=delete_instance"}, nil, exitError, "valid are "},
		"a level that is none":     {[]string{"--consent=delete_instances=maybe"}, nil, exitError, "levels are flag, preview and human"},
		"consent of no tool":       {[]string{"--consent=delete=human"}, nil, exitError, "valid are"},
		"a toolset that is none":   {[]string{"--toolsets=desktops"}, nil, exitError, "valid are instances"},
		"a pattern that is none":   {[]string{"--protect=colour:red"}, nil, exitUsage, "is not id, name or region"},
		"allow, empty":             {[]string{"--allow="}, nil, exitUsage, "--allow: a value is empty, which does not mean that there is no limit"},
		"protect, empty part":      {[]string{"--protect=name:a, "}, nil, exitUsage, "--protect: a value is empty"},
		"toolsets, empty":          {[]string{"--toolsets="}, nil, exitUsage, "--toolsets: a value is empty"},
		"disabled, empty":          {[]string{"--disable-tools", ""}, nil, exitUsage, "--disable-tools: a value is empty"},
		"toolsets, semicolon":      {[]string{"--toolsets=instances;workspace"}, nil, exitUsage, `holds ';': put commas between names`},
		"toolsets, blank":          {[]string{"--toolsets=instances workspace"}, nil, exitUsage, `holds ' ': put commas between names`},
		"protect, semicolon":       {[]string{"--protect=name:a;name:b"}, nil, exitUsage, `holds ';'`},
		"consent, empty":           {[]string{"--consent="}, nil, exitUsage, "--consent"},
		"consent, semicolon":       {[]string{"--consent=delete_instances=human;restart_instance=human"}, nil, exitError, "is not a consent level"},
		"most targets, empty":      {[]string{"--max-targets="}, nil, exitUsage, "--max-targets"},
		"most accelerators, empty": {[]string{"--max-accelerators="}, nil, exitUsage, "--max-accelerators"},
		"most accelerators, none":  {[]string{"--max-accelerators=0"}, nil, exitError, "--max-accelerators must be at least 1; without it there is no limit"},
		"most running, variable":   {nil, map[string]string{"SCNET_MCP_MAX_RUNNING_ACCELERATORS": "-1"}, exitError, "--max-running-accelerators must be at least 1"},
		"allow, empty variable":    {nil, map[string]string{"SCNET_MCP_ALLOW": ""}, exitUsage, "SCNET_MCP_ALLOW is set and empty"},
		"reads, empty variable":    {nil, map[string]string{"SCNET_MCP_READ_ONLY": " "}, exitUsage, "SCNET_MCP_READ_ONLY is set and empty"},
		"protect, variable":        {nil, map[string]string{"SCNET_MCP_PROTECT": "name:x, name: instances_*"}, exitError, "has protected"},
		"blank after the colon":    {[]string{"--protect=name: instances_*"}, nil, exitError, "has protected"},
		"an audit log that isn't":  {[]string{"--audit-log=/dev/null/x"}, nil, exitError, "the audit log cannot be opened"},
	} {
		t.Run(name, func(t *testing.T) {
			env := account(s)
			env["SCNET_CLUSTER_ID"] = "11250"
			for name, value := range c.env {
				env[name] = value
			}
			code, _, errs := run(t, env, "", append([]string{"call", "delete_instances", "instance_ids=" + completedID, "--confirm"}, c.flags...)...)
			if code != c.code || sent(s, simulator.EndpointDelete) != 0 {
				t.Errorf("exit %d, want %d; %d deletes sent", code, c.code, sent(s, simulator.EndpointDelete))
			}
			contains(t, "stderr", errs, c.want)
		})
	}
}

func TestToolsFollowThePolicy(t *testing.T) {
	_, out, _ := run(t, nil, "", "tools", "--demo", "--read-only")
	for _, tool := range tools.Catalogue() {
		if strings.Contains(out, tool.Name+" (") != onlyReads(tool) {
			t.Errorf("%s is listed: %v; %s", tool.Name, !onlyReads(tool), out)
		}
	}
	contains(t, "tools", out, fmt.Sprintf("%d tools;", len(toolNames(onlyReads))))
}

// TestAPersonIsAsked drives the shell as a terminal would.
func TestAPersonIsAsked(t *testing.T) {
	const (
		deletion = `{"instance_ids":["` + runningID + `"]}`
		script   = `{"instance_ids":["` + runningID + `"],"script":"id"}`
	)
	for name, c := range map[string]struct {
		level     guard.Level
		tool      string
		arguments string
		answer    string
		confirm   bool
		consent   string // in the audit log
		done      bool
	}{
		"types the phrase":          {guard.Preview, "delete_instances", deletion, "delete 1\n", false, "terminal", true},
		"types something else":      {guard.Preview, "delete_instances", deletion, "yes\n", false, "wrong_answer", false},
		"types nothing":             {guard.Preview, "delete_instances", deletion, "\n", false, "empty_answer", false},
		"closes the terminal":       {guard.Preview, "delete_instances", deletion, "", false, "cancel", false},
		"human level and confirm":   {guard.Human, "delete_instances", deletion, "delete 1\n", true, "terminal", true},
		"confirm does not ask":      {guard.Preview, "delete_instances", deletion, "", true, "preview_token", true},
		"chooses to run":            {guard.Preview, "execute_script", script, "1\n", false, "terminal", true},
		"chooses not to run":        {guard.Preview, "execute_script", script, "2\n", false, "decline", false},
		"chooses what is no offer":  {guard.Preview, "execute_script", script, "3\n", false, "wrong_answer", false},
		"flag level, yes":           {guard.Flag, "restart_instance", restart(completedID), "1\n", false, "terminal", true},
		"flag level, no":            {guard.Flag, "restart_instance", restart(completedID), "2\n", false, "decline", false},
		"flag level, confirm":       {guard.Flag, "restart_instance", restart(completedID), "", true, "flag", true},
		"flag level, nobody's word": {guard.Flag, "delete_instances", deletion, "", false, "cancel", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := simulate(t, simulator.Options{})
			for variable, value := range account(s) {
				t.Setenv(variable, value)
			}
			t.Setenv("SCNET_CLUSTER_ID", "11250")
			log := filepath.Join(t.TempDir(), "audit.jsonl")
			service, closeAll, err := demoFlag{}.open(Streams{}, policyFlags{
				MaxTargets: 10, MaxMutationsPerHour: 60, auditFlags: auditFlags{AuditLog: log}, Consent: map[string]string{c.tool: string(c.level)},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer closeAll()
			var stderr bytes.Buffer
			sh := shell{
				toolbox: newToolbox(service), person: true, confirm: c.confirm,
				streams: Streams{In: strings.NewReader(c.answer), Err: &stderr},
			}
			result, err := sh.call(t.Context(), c.tool, json.RawMessage(c.arguments))
			if (err == nil) != c.done || (err != nil && toolbox.ExitStatus(result, err) != toolbox.ExitConsent) {
				t.Errorf("err = %v", err)
			}
			done := sent(s, simulator.EndpointDelete) + sent(s, simulator.EndpointRestart) + len(s.Scripts())
			if want := map[bool]int{true: 1}[c.done]; done != want {
				t.Errorf("%d changes were sent, want %d", done, want)
			}
			if c.consent != "flag" { // which shows nothing first
				contains(t, "stderr", stderr.String(), "Nothing has been changed")
			}
			if text := stderr.String() + result.Text; strings.Contains(text, "preview_token") || strings.Contains(text, "confirm=true") {
				t.Errorf("a person is told what a model has to repeat:\n%s", text)
			}
			if err != nil {
				text := explain(t.Context(), lang.English, err)
				contains(t, "the answer", text, "Nothing was changed")
				if strings.Contains(text, "Do not repeat") {
					t.Errorf("a person is told what a model has to hear: %s", text)
				}
			}
			closeAll()
			if content := auditText(t, log); !strings.Contains(content, `"consent":"`+c.consent+`"`) {
				t.Errorf("the audit log lacks the consent %q: %s", c.consent, content)
			}
		})
	}
}

func TestAuditLogOfCalls(t *testing.T) {
	s := simulate(t, simulator.Options{})
	env := account(s)
	env["SCNET_CLUSTER_ID"] = "11250"
	file := filepath.Join(t.TempDir(), "state", "audit.jsonl")
	env["SCNET_MCP_AUDIT_LOG"] = file
	script := "export PASSWORD=hunter2; train"
	for _, arguments := range [][]string{
		{"call", "execute_script", "instance_ids=" + runningID, "script=" + script},
		{"call", "execute_script", "instance_ids=" + runningID, "script=" + script, "--confirm"},
		{"call", "delete_instances", "instance_ids=" + completedID, "--confirm", "--protect=*"},
	} {
		run(t, env, "", arguments...)
	}
	code, out, errs := run(t, nil, "", "audit", "verify", file)
	if code != 0 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	contains(t, "verify", out, "changes: 3 records", // opened, intent, result
		"attempts: 4 records", "the chain is intact") // opened, previewed, previewed, refused

	_, shown, _ := run(t, nil, "", "audit", "show", file, "--json")
	content := []byte(auditText(t, file))
	if shown != string(content) {
		t.Errorf("audit show --json:\n%s\nin the files:\n%s", shown, content)
	}
	contains(t, "log", string(content), `"event":"previewed"`, `"event":"intent"`, `"event":"result"`, `"event":"refused"`, `"rule":"protect"`,
		`"consent":"preview_token"`, `"client":"scnet-mcp call"`, "qwen-finetune-01", `"sha256"`, `"accepted"`)
	for name, hidden := range map[string]string{"script": "hunter2", "secret key": simulator.DemoAccount().SecretKey, "access key": simulator.DemoAccount().AccessKey} {
		if strings.Contains(string(content), hidden) {
			t.Errorf("the %s is in the audit log", name)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	changes, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Replace(changes, []byte("accepted"), []byte("rejected"), 1)
	if err := os.WriteFile(file, tampered, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = run(t, nil, "", "audit", "verify", file)
	if code != exitError {
		t.Errorf("a changed log: exit %d", code)
	}
	contains(t, "verify", out, "BROKEN at line 3", "changed")
}

func TestDefaultAuditLog(t *testing.T) {
	s := simulate(t, simulator.Options{})
	env := account(s)
	env["SCNET_CLUSTER_ID"] = "11250"
	state := t.TempDir()
	env["XDG_STATE_HOME"] = state
	file := filepath.Join(state, "scnet-mcp", "audit.jsonl")

	if code, _, errs := run(t, env, "", "call", "list_instances"); code != 0 {
		t.Error(errs)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a read made an audit log")
	}
	if code, _, errs := run(t, env, "", "call", "restart_instance", "instance_id="+completedID, "--confirm"); code != toolbox.ExitWaiting {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, out, _ := run(t, nil, "", "audit", "verify", file); code != 0 {
		t.Error(out)
	}

	// Where no log can be kept, reading works and changing does not, unless the operator wants it so.
	env["XDG_STATE_HOME"] = file // a file is no directory
	if code, _, errs := run(t, env, "", "call", "list_instances"); code != 0 {
		t.Error(errs)
	}
	deletion := []string{"call", "delete_instances", "instance_ids=" + completedID, "--confirm"}
	code, _, errs := run(t, env, "", deletion...)
	if code != exitError || sent(s, simulator.EndpointDelete) != 0 {
		t.Errorf("exit %d, %d deletes sent", code, sent(s, simulator.EndpointDelete))
	}
	contains(t, "stderr", errs, "audit log cannot be written", "Nothing was changed")
	if code, _, errs := run(t, env, "", append(deletion, "--audit-optional")...); code != 0 {
		t.Error(errs)
	}
}

// auditText returns the records of the log at path as JSON lines, without those that open its files.
func auditText(t *testing.T, path string) string {
	t.Helper()
	var lines strings.Builder
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for r, err := range audit.Records(path) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event == audit.Opened {
			continue
		}
		if err := encoder.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	return lines.String()
}

// A client that starts a process for every call can confirm what an earlier process previewed, once, and has one budget.
func TestConsentAcrossProcesses(t *testing.T) {
	s := simulate(t, simulator.Options{})
	env := account(s)
	env["SCNET_CLUSTER_ID"], env["XDG_STATE_HOME"] = "11250", t.TempDir()
	call := func(wantCode int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := run(t, env, "", append([]string{"call", "--max-mutations-per-hour=2", "--json"}, args...)...)
		if code != wantCode {
			t.Fatalf("%q: exit %d\n%s\n%s", args, code, out, errs)
		}
		return out, errs
	}
	for tool, arguments := range map[string][]string{
		"delete_instances": {"instance_ids=" + completedID}, "execute_script": {"instance_ids=" + runningID, "script=date"},
	} {
		preview, _ := call(toolbox.ExitConsent, append([]string{tool}, arguments...)...)
		confirmed := append([]string{tool, "confirm=true", "preview_token=" + previewToken(json.RawMessage(preview))}, arguments...)
		call(toolbox.ExitDone, confirmed...)
	}
	if n := sent(s, simulator.EndpointDelete); n != 1 || len(s.Scripts()) != 1 {
		t.Errorf("%d deletes and %d scripts were sent", n, len(s.Scripts()))
	}
	_, errs := call(toolbox.ExitFailed, "restart_instance", "instance_id="+terminatedID, "confirm=true")
	contains(t, "the budget of all processes", errs, "the hourly limit of 2 changes is reached", "may be let through later")
}

// A token that one process used is used up for every other.
func TestATokenIsUsedOnceAcrossProcesses(t *testing.T) {
	s := simulate(t, simulator.Options{})
	env := account(s)
	env["SCNET_CLUSTER_ID"], env["XDG_STATE_HOME"] = "11250", t.TempDir()
	script := []string{"call", "--json", "execute_script", "instance_ids=" + runningID, "script=date"}
	_, preview, _ := run(t, env, "", script...)
	confirmed := append(slices.Clone(script), "confirm=true", "preview_token="+previewToken(json.RawMessage(preview)))
	for _, want := range []int{toolbox.ExitDone, toolbox.ExitConsent} {
		if code, out, errs := run(t, env, "", confirmed...); code != want || strings.Contains(out, "has been used") != (want == toolbox.ExitConsent) {
			t.Errorf("exit %d: %s %s", code, out, errs)
		}
	}
	if n := len(s.Scripts()); n != 1 {
		t.Errorf("%d scripts were sent", n)
	}
}
