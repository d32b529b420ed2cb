// Package e2e tests the built program over real pipes, as clients start it.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	_ = os.Setenv("SCNET_MCP_LANG", "en") // whatever the locale of whoever runs the tests
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "scnet-mcp-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "scnet-mcp")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "github.com/scnet-mcp/scnet-mcp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as a release is built
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	return m.Run()
}

// environment is this process's without any setting of the program, and settings.
// Each has a state directory of its own: processes of one user share their budget.
func environment(settings ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "SCNET_") })
	state, err := os.MkdirTemp(filepath.Dir(binary), "state-")
	if err != nil {
		panic(err)
	}
	return append(append(env, "XDG_STATE_HOME="+state), settings...)
}

// simulate starts a simulated SCNet in this process and returns the settings that reach it.
func simulate(t testing.TB, o simulator.Options, faults ...simulator.Fault) []string {
	t.Helper()
	s := simulator.New(o)
	for _, fault := range faults {
		s.Inject(fault)
	}
	fakecloudtest.Start(t, s)
	account := simulator.DemoAccount()
	return []string{
		"SCNET_LOGIN_URL=" + s.URL(), "SCNET_AC_URL=" + s.URL(), "SCNET_CLUSTER_ID=11250",
		"SCNET_USER=" + account.User, "SCNET_ACCESS_KEY=" + account.AccessKey, "SCNET_SECRET_KEY=" + account.SecretKey,
	}
}

// slowLists holds every list back.
func slowLists(by time.Duration) simulator.Fault {
	return simulator.Fault{Endpoint: simulator.EndpointList, Latency: by}
}

// process is a running server and its client's ends of the pipes.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	in     *os.File
	out    *os.File
	lines  chan []byte // closed at the end of stdout
	exited chan struct{}
	err    error // of cmd.Wait; after exited
}

// start runs the program with settings; its stderr goes to stderr, or to the test's log when it fails.
func start(t testing.TB, settings []string, stderr *os.File, args ...string) *process {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = environment(settings...)
	return begin(t, cmd, stderr)
}

// begin starts cmd with pipes. A stdin that cmd has already stays.
func begin(t testing.TB, cmd *exec.Cmd, stderr *os.File) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, lines: make(chan []byte, 20000), exited: make(chan struct{})}
	if stderr == nil {
		log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				text, _ := os.ReadFile(log.Name())
				t.Logf("stderr: %s", text[:min(len(text), 4000)])
			}
			_ = log.Close()
		})
		stderr = log
	}
	cmd.Stderr = stderr
	outReader, outWriter := pipe(t)
	cmd.Stdout, p.out = outWriter, outReader
	if cmd.Stdin == nil {
		inReader, inWriter := pipe(t)
		cmd.Stdin, p.in = inReader, inWriter
		defer func() { _ = inReader.Close() }()
	}
	err := cmd.Start()
	_ = outWriter.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		_ = outReader.Close()
		<-read
	})
	return p
}

// read passes lines on until stdout ends. What follows the last line end counts as a line, which is never valid.
func (p *process) read() {
	defer close(p.lines)
	for in := bufio.NewReader(p.out); ; {
		line, err := in.ReadBytes('\n')
		switch {
		case err == nil:
			p.lines <- line[:len(line)-1]
		case len(line) > 0:
			p.lines <- append(line, " without a line end"...)
			return
		default:
			return
		}
	}
}

func pipe(t testing.TB) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	return reader, writer
}

func (p *process) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, text); err != nil {
		p.t.Fatal(err)
	}
}

// sendAll writes in the background, for more than a pipe holds, and closes stdin.
func (p *process) sendAll(text string) {
	go func() {
		_, _ = io.WriteString(p.in, text)
		_ = p.in.Close()
	}()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// next returns the next message; false at the end of stdout.
func (p *process) next() (reply, bool) {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			return reply{}, false
		}
		var r reply
		if err := json.Unmarshal(line, &r); err != nil || r.JSONRPC != "2.0" {
			p.t.Fatalf("stdout holds something else than messages: %.300q", line)
		}
		r.line = string(line)
		return r, true
	case <-time.After(patience):
		p.t.Fatal("no message came")
	}
	return reply{}, false
}

// answerTo returns the next message, which must answer id.
func (p *process) answerTo(id string) reply {
	p.t.Helper()
	r, ok := p.next()
	if !ok || string(r.ID) != id {
		p.t.Fatalf("expected the answer to %s: %.300s", id, r.line)
	}
	return r
}

// rest returns all answers by id until the end of stdout.
func (p *process) rest() map[string]reply {
	p.t.Helper()
	answers := map[string]reply{}
	for {
		r, ok := p.next()
		if !ok {
			return answers
		}
		if _, twice := answers[string(r.ID)]; twice {
			p.t.Errorf("%s was answered twice", r.ID)
		}
		answers[string(r.ID)] = r
	}
}

// ends checks that the process exits with status 0 within limit.
func (p *process) ends(limit time.Duration) {
	p.t.Helper()
	if !p.exitsWithin(limit) {
		p.t.Fatalf("the server still runs after %s", limit)
	}
	if p.err != nil {
		p.t.Errorf("the server ended with %v", p.err)
	}
}

func (p *process) exitsWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

type reply struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  struct {
		Content           []struct{ Text string } `json:"content"`
		StructuredContent json.RawMessage         `json:"structuredContent"`
		IsError           bool                    `json:"isError"`
		Tools             []struct{ Name string } `json:"tools"`
	} `json:"result"`
	Error *struct{ Code int } `json:"error"`

	line string
}

func (r reply) text() string {
	if len(r.Result.Content) == 0 {
		return ""
	}
	return r.Result.Content[0].Text
}

// listed is what list_instances answers of one region.
type listed struct {
	Returned  int `json:"returned"`
	NextStart int `json:"next_start"`
}

func (r reply) listed(t testing.TB) listed {
	t.Helper()
	var list struct{ Regions []listed }
	if err := json.Unmarshal(r.Result.StructuredContent, &list); err != nil || r.Result.IsError || len(list.Regions) != 1 {
		t.Fatalf("not a list of one region: %.300s", r.line)
	}
	return list.Regions[0]
}

const handshake = `{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
	`"clientInfo":{"name":"e2e","version":"1"}}}` + "\n" + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"

func request(id any, method string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"method":%q}`+"\n", id, method)
}

func list(id any, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"method":"tools/call","params":{"name":"list_instances","arguments":%s}}`+"\n", id, arguments)
}

// needs skips a test on systems that lack what it is about.
func needs(t testing.TB, systems ...string) {
	t.Helper()
	if !slices.Contains(systems, runtime.GOOS) {
		t.Skipf("not on %s", runtime.GOOS)
	}
}

// unix are the systems that have signals and a shell.
var unix = []string{"linux", "darwin", "freebsd"}

func TestPipedRequestsAreAnswered(t *testing.T) {
	var input strings.Builder
	input.WriteString(handshake)
	for i := range 199 {
		switch i % 3 {
		case 0:
			input.WriteString(request(i, "ping"))
		case 1:
			input.WriteString(request(i, "tools/list"))
		default:
			input.WriteString(list(i, `{}`))
		}
	}
	for n := range 50 {
		p := start(t, nil, nil)
		p.sendAll(input.String())
		if answers := p.rest(); len(answers) != 200 {
			t.Fatalf("run %d: %d answers", n, len(answers))
		}
		p.ends(patience)
	}
}

func TestSlowCallsAtEOF(t *testing.T) {
	settings := simulate(t, simulator.Options{}, slowLists(300*time.Millisecond))
	for range 5 {
		p := start(t, settings, nil)
		begun := time.Now()
		for i := range 20 {
			p.send(list(i, `{}`))
		}
		_ = p.in.Close()
		answers := p.rest()
		for _, r := range answers {
			if r.listed(t).Returned == 0 {
				t.Error(r.line)
			}
		}
		if took := time.Since(begun); len(answers) != 20 || took < 300*time.Millisecond || took > 5*time.Second {
			t.Errorf("%d answers in %s", len(answers), took)
		}
		p.ends(patience)
	}
}

func TestFileAsStdin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, []byte(handshake+"\r\n\n"+request(1, "tools/list")+strings.TrimSpace(list(2, `{}`))), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	cmd := exec.Command(binary, "serve", "--demo")
	cmd.Env, cmd.Stdin = environment(), in
	p := begin(t, cmd, nil)
	answers := p.rest()
	if len(answers) != 3 || len(answers["1"].Result.Tools) == 0 || answers["2"].listed(t).Returned == 0 {
		t.Errorf("%+v", answers)
	}
	p.ends(patience)
}

func TestEmptyStdin(t *testing.T) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	cmd := exec.Command(binary)
	cmd.Env, cmd.Stdin = environment(), in
	p := begin(t, cmd, nil)
	if answers := p.rest(); len(answers) != 0 {
		t.Errorf("%+v", answers)
	}
	p.ends(patience)
}

func TestTerminateDuringCalls(t *testing.T) {
	needs(t, unix...)
	p := start(t, simulate(t, simulator.Options{}, slowLists(time.Second)), nil)
	for i := range 5 {
		p.send(list(i, `{}`))
	}
	p.send(request(`"ping"`, "ping"))
	p.answerTo(`"ping"`) // what was sent before has been read
	p.signal(syscall.SIGTERM)
	answers := p.rest()
	for _, r := range answers {
		r.listed(t)
	}
	if len(answers) != 5 {
		t.Errorf("%d answers", len(answers))
	}
	p.ends(patience)
}

func TestTerminateIdle(t *testing.T) {
	needs(t, unix...)
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := start(t, nil, nil)
		p.send(request(1, "ping"))
		p.answerTo(`1`)
		p.signal(s)
		p.ends(2 * time.Second)
	}
}

func TestSecondTerminateKills(t *testing.T) {
	needs(t, unix...)
	p := start(t, simulate(t, simulator.Options{}, slowLists(time.Minute)), nil)
	p.send(list(1, `{}`) + request(`"ping"`, "ping"))
	p.answerTo(`"ping"`)
	p.signal(syscall.SIGTERM)
	if p.exitsWithin(300 * time.Millisecond) {
		t.Fatal("the first signal did not wait for the call")
	}
	p.signal(syscall.SIGTERM)
	if !p.exitsWithin(3 * time.Second) {
		t.Fatal("the second signal did not end the process")
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("the server ended with %v", p.err)
	}
}

func TestStdoutClosedByReader(t *testing.T) {
	p := start(t, nil, nil)
	p.send(request(1, "ping"))
	p.answerTo(`1`)
	_ = p.out.Close()
	p.send(request(2, "ping"))
	p.ends(3 * time.Second)
}

func TestParentVanishes(t *testing.T) {
	needs(t, unix...)
	inReader, inWriter := pipe(t)
	shellReader, shellWriter := pipe(t)
	cmd := exec.Command("/bin/sh", "-c", `"$0" <&3 & read line`, binary)
	cmd.Env, cmd.Stdin, cmd.ExtraFiles = environment(), shellReader, []*os.File{inReader}
	p := begin(t, cmd, nil)
	p.in = inWriter
	p.send(request(1, "ping"))
	p.answerTo(`1`)
	_ = shellWriter.Close()
	_ = shellReader.Close()
	if !p.exitsWithin(patience) { // the shell
		t.Fatal("the shell did not end")
	}
	select {
	case line, open := <-p.lines:
		if open {
			t.Errorf("unexpected: %s", line)
		}
	case <-time.After(5 * time.Second):
		_ = inWriter.Close()
		t.Fatal("the server outlives its parent")
	}
}

func TestStderrNotDrained(t *testing.T) {
	_, stderr := pipe(t)
	p := start(t, nil, stderr, "--log-level", "debug")
	const n = 3000
	go func() {
		for i := range n {
			if _, err := io.WriteString(p.in, list(i, `{}`)); err != nil {
				return
			}
		}
		_ = p.in.Close()
	}()
	if answers := p.rest(); len(answers) != n {
		t.Errorf("%d answers", len(answers))
	}
	p.ends(patience)
}

func TestStdoutIsProtocolOnly(t *testing.T) {
	p := start(t, simulate(t, simulator.Options{}), nil, "--log-level", "debug", "serve")
	p.sendAll(handshake + request(1, "tools/list") + list(2, `{"detail":true}`) + list(3, `{"limit":0}`) + "garbage\n" + request(4, "no/such"))
	answers := p.rest() // checks every line
	if len(answers) != 6 || answers["4"].Error == nil || !answers["3"].Result.IsError || answers["null"].Error == nil {
		t.Errorf("%+v", answers)
	}
	answers["2"].listed(t)
	p.ends(patience)
}

func TestCredentials(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := "http://" + closed.Addr().String()
	_ = closed.Close()
	account := simulator.DemoAccount()
	for _, c := range []struct {
		name     string
		settings []string
		want     []string
	}{
		{"none", nil, []string{"SCNET_USER", "SCNET_ACCESS_KEY", "SCNET_SECRET_KEY", "Nothing was changed"}},
		{"half", []string{"SCNET_USER=" + account.User, "SCNET_ACCESS_KEY=" + account.AccessKey},
			[]string{"SCNET_SECRET_KEY missing", "Nothing was changed"}},
		{"unreachable", []string{"SCNET_USER=" + account.User, "SCNET_ACCESS_KEY=" + account.AccessKey, "SCNET_SECRET_KEY=" + account.SecretKey,
			"SCNET_LOGIN_URL=" + nowhere, "SCNET_AC_URL=" + nowhere}, []string{"refused", "Nothing was changed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, c.settings, nil)
			p.sendAll(handshake + request(1, "tools/list") + list(2, `{}`))
			answers := p.rest()
			if len(answers) != 3 || len(answers["1"].Result.Tools) == 0 {
				t.Errorf("%+v", answers)
			}
			r := answers["2"]
			if !r.Result.IsError || r.Result.StructuredContent != nil {
				t.Errorf("not a tool error: %s", r.line)
			}
			for _, want := range c.want {
				if !strings.Contains(r.text(), want) {
					t.Errorf("%q is missing in: %s", want, r.text())
				}
			}
			for _, s := range []string{account.AccessKey, account.SecretKey} {
				if strings.Contains(r.line, s) {
					t.Errorf("a secret is in: %s", r.line)
				}
			}
			p.ends(patience)
		})
	}
}

func TestSimulatorCommand(t *testing.T) {
	needs(t, unix...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "simulator", "--fault", "list:latency=50ms")
	cmd.Env = environment()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var settings []string
	var text []byte
	for !bytes.Contains(text, []byte("CLUSTER_ID=")) || !bytes.HasSuffix(text, []byte("\n")) {
		buffer := make([]byte, 4096)
		n, err := out.Read(buffer)
		text = append(text, buffer[:n]...)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	for line := range strings.Lines(string(text)) {
		if setting, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			settings = append(settings, setting)
		}
	}
	p := start(t, settings, nil)
	p.sendAll(list(1, `{}`))
	if r := p.answerTo(`1`).listed(t); r.Returned == 0 {
		t.Error(r)
	}
	p.ends(patience)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
