package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// console takes what a server prints, and lets a test wait for words in it.
type console struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{}
}

func newConsole() *console { return &console{changed: make(chan struct{})} }

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	close(c.changed)
	c.changed = make(chan struct{})
	return len(p), nil
}

func (c *console) String() string {
	text, _ := c.now()
	return text
}

func (c *console) now() (text string, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text), c.changed
}

// until waits until enough says so of what was printed, or ended is closed.
func (c *console) until(t *testing.T, what string, ended <-chan struct{}, enough func(text string) bool) {
	t.Helper()
	late := time.After(patience)
	for {
		text, changed := c.now()
		if enough(text) {
			return
		}
		select {
		case <-changed:
		case <-ended:
			if text, _ := c.now(); !enough(text) {
				t.Fatalf("the server ended before %s:\n%s", what, text)
			}
			return
		case <-late:
			t.Fatalf("%s did not come:\n%s", what, text)
		}
	}
}

// served is a server that runs, in this process or in one of its own.
type served struct {
	t       *testing.T
	out     *console
	errs    *console
	url     string
	client  *http.Client
	ended   chan struct{}
	err     error     // how it ended
	process *exec.Cmd // nil in this process
}

func newServed(t *testing.T) *served {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &served{
		t: t, out: newConsole(), errs: newConsole(), ended: make(chan struct{}),
		client: &http.Client{Transport: transport, Timeout: patience},
	}
}

// listening waits for the address that the server prints.
func (s *served) listening() {
	s.t.Helper()
	s.errs.until(s.t, "the address", s.ended, func(text string) bool {
		_, rest, found := strings.Cut(text, "listens on ")
		address, _, complete := strings.Cut(rest, ". ")
		s.url = address
		return found && complete
	})
}

// environment takes everything out of the environment that a server would read, and puts env into it.
func environment(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range config.Names() {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for name, value := range env {
		t.Setenv(name, value)
	}
}

// serveHere runs the serve command in this process until the test ends. It must leave no goroutine behind.
func serveHere(t *testing.T, env map[string]string, args ...string) *served {
	t.Helper()
	mustNotLeak(t)
	return serveOne(t, env, args...)
}

func mustNotLeak(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// serveOne is serveHere for a test with several servers.
func serveOne(t *testing.T, env map[string]string, args ...string) *served {
	t.Helper()
	environment(t, env)
	s := newServed(t)
	var command serveCommand
	parser, err := kong.New(&command, kong.DefaultEnvars("SCNET_MCP"), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"--listen=127.0.0.1:0"}, args...)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(s.ended)
		s.err = command.Run(ctx, Streams{In: strings.NewReader(""), Out: s.out, Err: s.errs}, clientPipe{s.out}, zerolog.New(s.errs))
	}()
	t.Cleanup(func() {
		stop()
		<-s.ended
		if s.err != nil {
			t.Errorf("the server ended with %v", s.err)
		}
	})
	s.listening()
	return s
}

// launch runs the built program until the test ends.
func launch(t *testing.T, env map[string]string, args ...string) *served {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals on Windows")
	}
	environment(t, env)
	s := newServed(t)
	s.process = exec.Command(program(t), args...)
	s.process.Stdout, s.process.Stderr = s.out, s.errs
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		s.err = s.process.Wait()
	}()
	t.Cleanup(func() {
		_ = s.process.Process.Kill()
		<-s.ended
	})
	s.listening()
	return s
}

func (s *served) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// said waits until the log has n lines with these words.
func (s *served) said(n int, words string) {
	s.t.Helper()
	s.errs.until(s.t, fmt.Sprintf("%q, %d times", words, n), s.ended,
		func(text string) bool { return strings.Count(text, words) >= n })
}

// request sends what only needs an address, and returns status and body of the answer.
func (s *served) request(method, path, token, body string) (status int, answer string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func (s *served) get(path string) (status int, answer string) {
	s.t.Helper()
	return s.request(http.MethodGet, path, "", "")
}

// result is what initialize, tools/list and tools/call give.
type result struct {
	Instructions string `json:"instructions"`

	Tools []struct {
		Name string `json:"name"`
	} `json:"tools"`
	IsError bool `json:"isError"`
	Content []struct {
		Text string `json:"text"`
	} `json:"content"`
}

func (r result) text() string {
	var b strings.Builder
	for _, content := range r.Content {
		b.WriteString(content.Text)
	}
	return b.String()
}

// rpc makes one request that must get an answer.
func (s *served) rpc(token, method, params string) result {
	s.t.Helper()
	status, answer := s.request(http.MethodPost, "/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
	var reply struct {
		Result *result `json:"result"`
	}
	if err := json.Unmarshal([]byte(answer), &reply); err != nil || status != http.StatusOK || reply.Result == nil {
		s.t.Fatalf("%s: status %d, %v: %s", method, status, err, answer)
	}
	return *reply.Result
}

// tools returns the names that a caller is offered.
func (s *served) tools(token string) (names []string) {
	s.t.Helper()
	for _, offered := range s.rpc(token, "tools/list", `{}`).Tools {
		names = append(names, offered.Name)
	}
	return names
}

func (s *served) call(token, tool, arguments string) result {
	s.t.Helper()
	return s.rpc(token, "tools/call", `{"name":"`+tool+`","arguments":`+arguments+`}`)
}

// done makes a call that must succeed, and refused one that must not, with these words in the answer.
func (s *served) done(token, tool, arguments string, words ...string) {
	s.t.Helper()
	r := s.call(token, tool, arguments)
	if r.IsError {
		s.t.Errorf("%s failed: %s", tool, r.text())
	}
	contains(s.t, tool, r.text(), words...)
}

func (s *served) refused(token, tool, arguments string, words ...string) {
	s.t.Helper()
	r := s.call(token, tool, arguments)
	if !r.IsError {
		s.t.Errorf("%s was not refused: %s", tool, r.text())
	}
	contains(s.t, tool, r.text(), words...)
}

// snippet is the configuration of a client that the server printed.
type snippet struct {
	Servers map[string]struct {
		Type    string            `json:"type"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	} `json:"mcpServers"`
}

func readSnippet(t *testing.T, text string) snippet {
	t.Helper()
	var s snippet
	start := strings.Index(text, "{\n")
	if start < 0 {
		t.Fatalf("no snippet in %q", text)
	}
	decoder := json.NewDecoder(strings.NewReader(text[start:]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil || len(s.Servers) != 1 {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return s
}
