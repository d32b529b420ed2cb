package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
)

// runCallers runs the commands for callers and returns stdout, stderr and the error.
func runCallers(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	environment(t, nil)
	var stdout, stderr bytes.Buffer
	streams := Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}
	parser, err := kong.New(&callersCommand{}, kong.Bind(streams), kong.BindTo(t.Context(), (*context.Context)(nil)),
		kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	err = command.Run()
	return stdout.String(), stderr.String(), err
}

func TestCallersNew(t *testing.T) {
	out, errs, err := runCallers(t, "new", "ci")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "stderr", errs, "shown only now", "Authorization: Bearer", "lets ci only read")
	paragraphs := strings.Split(errs, "\n\n")
	if len(paragraphs) < 2 || !strings.HasPrefix(paragraphs[1], "scnetmcp_") {
		t.Fatal("the token is not a paragraph of its own")
	}
	token := paragraphs[1]
	if strings.Contains(out, token) || strings.Count(errs, token) != 1 {
		t.Error("the token is in what goes into the file, or not shown once")
	}

	path := filepath.Join(t.TempDir(), "callers.json")
	writeFile(t, path, `{"callers":[`+out+`]}`)
	file, err := callers.Open(path, knownNames())
	if err != nil {
		t.Fatal(err)
	}
	if caller, found := file.Table().Find(token); !found || caller.Name != "ci" || !caller.Policy.ReadOnly {
		t.Errorf("the token finds %v, %v", caller, found)
	}
}

func TestCallersNewRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"local": `the name "local" is reserved`,
		"CI":    "the name is not valid; it must match ^[a-z0-9]",
		"a b":   "must match",
		"":      "must match",
	} {
		out, errs, err := runCallers(t, "new", name)
		if err == nil || out != "" || errs != "" {
			t.Fatalf("%q: %v, stdout %q", name, err, out)
		}
		contains(t, name, err.Error(), want)
	}
}

// TestCallersNewKeepsAnUnusableToken shows no token when its entry could not be written.
func TestCallersNewKeepsAnUnusableToken(t *testing.T) {
	var errs bytes.Buffer
	if err := (newCallerCommand{Name: "ci"}).Run(Streams{Out: brokenWriter{}, Err: &errs}); err == nil || errs.Len() > 0 {
		t.Errorf("%v, %d bytes on stderr", err, errs.Len())
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestCallersCheck(t *testing.T) {
	entry := func(name string, fields ...string) string {
		_, digest := callers.NewToken()
		return "{" + strings.Join(append([]string{`"name":"` + name + `"`, `"token_sha256":"` + digest + `"`}, fields...), ",") + "}"
	}
	for name, c := range map[string]struct {
		entries []string
		out     string
		errs    []string
	}{
		"two callers": {
			[]string{entry("ci", `"read_only":true`, `"toolsets":["instances"]`, `"allow":["name:ci-*"]`), entry("admin")},
			"ci: only reads; only toolsets instances; changes only name:ci-*\n" +
				"admin: reads and changes\n", nil,
		},
		"terminal escapes": {
			[]string{entry("ci", `"read_only":true`, `"protect":["\u001b*"]`)},
			"ci: only reads; never changes \ufffd*\n", nil,
		},
		"two problems": {
			[]string{entry("ci", `"disable_tools":["delete_everything"]`), entry("b", `"max_targets":0`)}, "",
			[]string{`callers[0].disable_tools[0]: there is no tool "delete_everything"; valid are `,
				"\ncallers[1].max_targets: must be"},
		},
		"a toolset that is none": {[]string{entry("ci", `"toolsets":["desktops"]`)}, "", []string{"valid are instances, provision, workspace"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "callers.json")
			writeFile(t, path, `{"callers":[`+strings.Join(c.entries, ",")+`]}`)
			out, errs, err := runCallers(t, "check", path)
			if errs != "" && !strings.HasPrefix(errs, "What the rules match today is not shown: ") {
				t.Errorf("stderr %q", errs)
			}
			if out != c.out || (err == nil) != (c.errs == nil) {
				t.Errorf("%v; stderr %q; stdout\n%s", err, errs, out)
			}
			if err != nil {
				contains(t, "error", err.Error(), append(c.errs, path)...)
			}
		})
	}
	if _, _, err := runCallers(t, "check", filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent file is in order")
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The rules are shown with what they match today, where there is something to look at.
func TestCallersCheckShowsWhatRulesMatch(t *testing.T) {
	file, _ := callersFile(t, entry{Name: "ci", Allow: []string{"name:bert-*"}, Protect: []string{"id:" + completedID, "name: prod-*"}},
		entry{Name: "all"})
	out, errs, err := runCallers(t, "check", "--demo", file)
	if err != nil || errs != "" {
		t.Errorf("%v, %s", err, errs)
	}
	contains(t, "stdout", out, "protect id:"+completedID+": matches 1 of today's ", "protect name: prod-*: matches none of today's",
		"spelt right?", `allow name:bert-*: matches 3 of today's`, `"bert-eval" (`)
	out, errs, err = runCallers(t, "check", file)
	if err != nil || strings.Contains(out, "matches") {
		t.Errorf("%v, %s", err, out)
	}
	contains(t, "stderr", errs, "What the rules match today is not shown: ")
}

func TestDoctorShowsWhatRulesMatch(t *testing.T) {
	_, out, _ := run(t, nil, "", "doctor", "--demo", "--protect=id:"+completedID+",name:nothing-*")
	contains(t, "doctor", out, "protect id:"+completedID+": matches 1 of today's ", "protect name:nothing-*: matches none of today's")
}

func TestCallersNewWritesThePrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	out, errs, err := runCallers(t, "new", "ci", "--out="+path)
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	secret := strings.TrimSpace(string(token))
	if !strings.HasPrefix(secret, "scnetmcp_") || strings.Contains(out+errs, secret) || !strings.Contains(out, callers.Digest(secret)) {
		t.Errorf("stdout %s, stderr %s", out, errs)
	}
	if out, _, err := runCallers(t, "new", "ci", "--out="+path); err == nil || out != "" {
		t.Errorf("a file is replaced: %v, %s", err, out)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, token) {
		t.Errorf("the file has changed: %v", err)
	}
}
