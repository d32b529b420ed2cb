package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// everything is the environment variable that makes a missing program a failure; its value is "all".
const everything = "SCNET_MCP_E2E"

// program returns the path of the first of names that there is. Without any the test is skipped, or fails where everything
// has to be tested.
func program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	why := fmt.Sprintf("there is no %s in PATH", strings.Join(names, " or "))
	if os.Getenv(everything) == "all" {
		t.Fatalf("%s, and %s=all wants every test", why, everything)
	}
	t.Skip(why)
	return ""
}

// until asks again and again until done says yes, and fails the test after patience.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-limit.C:
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// transcript is what a program has printed until now.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// daemon is a program that runs until it is stopped.
type daemon struct {
	t      testing.TB
	cmd    *exec.Cmd
	output *transcript
	exited chan struct{}
	err    error // of cmd.Wait; after exited
}

// run starts a program, and stops it at the end of the test.
func run(t testing.TB, settings []string, path string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: exec.Command(path, args...), output: &transcript{}, exited: make(chan struct{})}
	d.cmd.Env = environment(settings...)
	d.cmd.Stdout, d.cmd.Stderr = d.output, d.output
	d.cmd.WaitDelay = time.Second
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() {
		d.stop()
		if text := d.output.String(); t.Failed() && text != "" {
			t.Logf("%s printed: %s", filepath.Base(path), text[max(0, len(text)-3000):])
		}
	})
	return d
}

// stop ends the program gently, and after a while in any case.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	if !d.exitsWithin(5 * time.Second) {
		d.kill()
	}
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.exited
}

func (d *daemon) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) exitsWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.exited:
		return true
	case <-timer.C:
		return false
	}
}

// says waits until the program has printed what matches, and returns the groups.
func (d *daemon) says(pattern string) (groups []string) {
	d.t.Helper()
	wanted := regexp.MustCompile(pattern)
	until(d.t, filepath.Base(d.cmd.Path)+" says "+pattern, func() bool {
		groups = wanted.FindStringSubmatch(d.output.String())
		select {
		case <-d.exited:
			if groups == nil {
				d.t.Fatalf("%s ended (%v): %s", d.cmd.Path, d.err, d.output)
			}
		default:
		}
		return groups != nil
	})
	return groups
}

// memory returns a value of the process in KB, such as VmRSS.
func (d *daemon) memory(name string) int {
	d.t.Helper()
	return (&process{t: d.t, cmd: d.cmd}).memory(name)
}

// site is a server over HTTP with its audit log.
type site struct {
	*daemon
	url, log string
}

// serve starts a server over the transport, "http" or "sse", on a free port.
func serve(t testing.TB, transport string, settings []string, args ...string) *site {
	t.Helper()
	s := &site{log: filepath.Join(t.TempDir(), "audit.jsonl")}
	s.daemon = run(t, settings, binary, append([]string{
		"serve", "--transport", transport, "--listen", "127.0.0.1:0", "--audit-log", s.log,
	}, args...)...)
	s.url = s.says(`listens on (https?://\S+)\. `)[1]
	return s
}

// record is what the tests read of an audit record.
type record struct {
	Event, Call, Caller, Tool, State, Rule, Consent, Transport string

	Targets []struct{ ID string }
}

// records returns those of event; "" for all.
func (s *site) records(event string) (found []record) {
	s.t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	attempts, err := os.ReadFile(strings.TrimSuffix(s.log, ".jsonl") + "-attempts.jsonl")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	text = append(text, attempts...)
	for line := range strings.Lines(string(text)) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		if event == "" || r.Event == event {
			found = append(found, r)
		}
	}
	return found
}

// verify lets the program check the audit log, which must be whole and have no intent without a result.
func (s *site) verify() {
	s.t.Helper()
	cmd := exec.Command(binary, "audit", "verify", s.log)
	cmd.Env = environment()
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "the chain is intact") || strings.Contains(string(text), "unfinished") {
		s.t.Errorf("audit verify: %v\n%s", err, text)
	}
}

// get returns status and body of a page of the server.
func (s *site) get(path string) (status int, body string) {
	s.t.Helper()
	response, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// metric sums up the samples of a metric whose labels contain all of parts.
func (s *site) metric(name string, parts ...string) (sum float64) {
	s.t.Helper()
	_, text := s.get("/metrics")
samples:
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, "scnet_mcp_"+name)
		if !found || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(rest, part) {
				continue samples
			}
		}
		var value float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' '):], &value); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		sum += value
	}
	return sum
}

// becomes asks the server until /readyz answers with status.
func (s *site) becomes(status int) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("/readyz answers %d", status), func() bool {
		got, _ := s.get("/readyz")
		return got == status
	})
}

// freePort returns the first of n ports that are free now. They lie below those that systems give to connections, so that
// one stays free when the program that listens there is started again.
func freePort(t testing.TB, n int) int {
	t.Helper()
	for range 100 {
		first := 12000 + rand.IntN(18000)
		if errors.Join(tryPorts(first, n)...) == nil {
			return first
		}
	}
	t.Fatal("no port is free")
	return 0
}

func tryPorts(first, n int) (problems []error) {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, l.Close())
	}
	return problems
}

// laboratory starts a simulated SCNet in this process with n ended instances, and returns the settings that reach it.
func laboratory(t testing.TB, n int) (*simulator.Simulator, []string) {
	t.Helper()
	region := simulator.Region{ID: "11250", Name: "华东一区【昆山】"}
	for i := range n {
		region.Instances = append(region.Instances, simulator.Instance{
			ID: instance(i), Name: fmt.Sprintf("job-%03d", i), Status: simulator.Terminated,
		})
	}
	s := simulator.New(simulator.Options{Regions: []simulator.Region{region}, Quirks: simulator.Quirks{ListForm: simulator.ListAny}})
	fakecloudtest.Start(t, s)
	account := simulator.DemoAccount()
	return s, []string{
		"SCNET_LOGIN_URL=" + s.URL(), "SCNET_AC_URL=" + s.URL(), "SCNET_CLUSTER_ID=11250",
		"SCNET_USER=" + account.User, "SCNET_ACCESS_KEY=" + account.AccessKey, "SCNET_SECRET_KEY=" + account.SecretKey,
	}
}

// instance is the id of the i-th instance of a laboratory.
func instance(i int) string { return fmt.Sprintf("%032x", i+1) }

// deletions returns how many deletions the simulator was sent.
func deletions(s *simulator.Simulator) (n int) {
	for _, r := range s.Requests() {
		if r.Endpoint == simulator.EndpointDelete {
			n++
		}
	}
	return n
}
