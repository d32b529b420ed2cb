package gosdk

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

var origin = regexp.MustCompile(`http://127\.0\.0\.1:[1-9][0-9]*`)

// server is one to connect to. Over stdio, each connection starts its own.
type server struct {
	transport string
	url       string
	home      string
}

// start prepares a server on simulated instances. Other transports than stdio are served until the end of the test.
func start(t *testing.T, transport string) *server {
	t.Helper()
	s := &server{transport: transport, home: t.TempDir()}
	if transport == "stdio" {
		return s
	}
	cmd := s.command(t, "--transport", transport, "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if found := origin.FindString(lines.Text()); found != "" {
				select {
				case address <- found:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		killer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read // Wait closes the pipe, so everything has to be read before it
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		killer.Stop()
	})
	select {
	case found := <-address:
		s.url = found + map[string]string{"http": "/mcp", "sse": "/sse"}[transport]
		s.healthy(t, found+"/healthz")
	case <-time.After(patience):
		t.Fatal("no address on stderr")
	}
	return s
}

func (s *server) healthy(t *testing.T, url string) {
	t.Helper()
	until(t, "healthy server", func() bool {
		answer, err := http.Get(url)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

func (s *server) auditLog() string { return filepath.Join(s.home, "audit.jsonl") }

// command is the server's, without any setting of the user.
func (s *server) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary := os.Getenv("SCNET_MCP_BINARY")
	if binary == "" {
		t.Fatal("set SCNET_MCP_BINARY to the path of the built server")
	}
	cmd := exec.Command(binary, append([]string{"serve", "--demo", "--audit-log", s.auditLog()}, args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "SCNET_") || strings.HasPrefix(setting, "XDG_")
	}), "HOME="+s.home)
	return cmd
}

// connect makes a session in the era of version, and checks that it is. It ends with the test.
func (s *server) connect(t *testing.T, version string, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	var transport mcp.Transport
	switch s.transport {
	case "http":
		transport = &mcp.StreamableClientTransport{Endpoint: s.url}
	case "sse":
		transport = &mcp.SSEClientTransport{Endpoint: s.url}
	default:
		transport = &mcp.CommandTransport{Command: s.command(t)}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1"}, options)
	session, err := client.Connect(deadline(t), transport, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if got := session.InitializeResult().ProtocolVersion; got != version {
		t.Errorf("negotiated %s, want %s", got, version)
	}
	return session
}

// record is what the tests need of one line of the audit log.
type record struct {
	Event   string `json:"event"`
	Tool    string `json:"tool"`
	State   string `json:"state"`
	Targets []struct {
		ID string `json:"id"`
	} `json:"targets"`
}

// audited waits for what the audit log says of the change that tool made to the instance id.
func (s *server) audited(t *testing.T, tool, id string) record {
	t.Helper()
	var found record
	until(t, "result in the audit log", func() bool {
		text, _ := os.ReadFile(s.auditLog())
		for line := range strings.Lines(string(text)) {
			var r record
			if json.Unmarshal([]byte(line), &r) != nil { // the last one may be half written
				continue
			}
			if r.Event == "result" && r.Tool == tool && len(r.Targets) == 1 && r.Targets[0].ID == id {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := deadline(t)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
