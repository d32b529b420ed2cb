package deploy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
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
)

const (
	patience = 20 * time.Second
	site     = "mcp.example.org"
)

// topology is what compose.yaml describes, with a process for each container.
type topology struct {
	folder string
	token  string
	ports  map[string]int
	https  *http.Client // through nginx
}

// TestTopology starts what compose.yaml describes with the same files, commands and settings. Only what a container would have
// of its own is another: addresses and folders.
func TestTopology(t *testing.T) {
	top := start(t)
	answer := top.get(t, top.https, "https://"+site+"/readyz", "")
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("/readyz: %d", answer.StatusCode)
	}
	for path, want := range map[string]int{"/metrics": http.StatusNotFound, "/mcp": http.StatusUnauthorized} {
		if answer := top.get(t, top.https, "https://"+site+path, ""); answer.StatusCode != want {
			t.Errorf("%s without a token: %d, want %d", path, answer.StatusCode, want)
		}
	}
	list := top.call(t, top.https, "https://"+site, "list_instances", `{"status": ["Terminated"]}`)
	if len(list.Instances) == 0 {
		t.Fatalf("%+v", list)
	}
	id := list.Instances[0].ID
	// A token of one server is good at the other, once: they share the key and Redis.
	preview := top.call(t, http.DefaultClient, top.direct(0), "delete_instances", fmt.Sprintf(`{"instance_ids": [%q]}`, id))
	confirm := fmt.Sprintf(`{"instance_ids": [%q], "confirm": true, "preview_token": %q}`, id, preview.Preview.Token)
	if done := top.call(t, http.DefaultClient, top.direct(1), "delete_instances", confirm); done.State != "done" {
		t.Errorf("%+v", done)
	}
	if again := top.call(t, http.DefaultClient, top.direct(0), "delete_instances", confirm); again.State == "done" {
		t.Error("a token was good twice")
	}
	for i, name := range servers {
		tell(t, nil, binary(t), "audit", "verify", filepath.Join(top.folder, name, "audit.jsonl"))
		top.scrape(t, i)
	}
}

// scrape has promtool read what Prometheus would be told, with the token and under the name that it uses.
func (top *topology) scrape(t *testing.T, i int) {
	t.Helper()
	answer := top.get(t, http.DefaultClient, top.direct(i)+"/metrics", servers[i]+":8765")
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %d", answer.StatusCode)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scnet_mcp_build_info", "scnet_mcp_tool_calls_total", "scnet_mcp_consents_total", "scnet_mcp_upstream_requests_total"} {
		if !bytes.Contains(text, []byte("\n"+name+"{")) {
			t.Errorf("%s has no %s", servers[i], name)
		}
	}
	lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	lint.Stdin = bytes.NewReader(text)
	if output, err := lint.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, output)
	}
}

func (top *topology) direct(i int) string {
	return fmt.Sprintf("http://127.0.0.1:%d", top.ports[servers[i]])
}

// get asks with the caller's token, except where nothing is named as host: through nginx, and as a stranger.
func (top *topology) get(t *testing.T, client *http.Client, url, host string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
		request.Header.Set("Authorization", "Bearer "+top.token)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// outcome is what the test needs of a result.
type outcome struct {
	State   string `json:"state"`
	Preview struct {
		Token string `json:"token"`
	} `json:"preview"`
	Instances []struct {
		ID string `json:"id"`
	} `json:"instances"`
}

func (top *topology) call(t *testing.T, client *http.Client, url, tool, arguments string) outcome {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": %q, "arguments": %s}}`, tool, arguments)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = site
	request.Header.Set("Authorization", "Bearer "+top.token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var reply struct {
		Result struct {
			Structured outcome `json:"structuredContent"`
		} `json:"result"`
	}
	if err := json.Unmarshal(text, &reply); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v\n%s", tool, answer.StatusCode, err, text)
	}
	return reply.Result.Structured
}

// start starts the simulator and the containers.
func start(t *testing.T) *topology {
	t.Helper()
	top := &topology{folder: t.TempDir(), ports: map[string]int{}}
	for _, name := range []string{"redis", servers[0], servers[1], "nginx"} {
		top.ports[name] = freePort(t)
	}
	settings := simulate(t)
	top.secrets(t)
	write(t, filepath.Join(top.folder, "secret-key"), []byte(settings["SCNET_SECRET_KEY"]))
	delete(settings, "SCNET_SECRET_KEY")
	project := compose(t)

	redis := project.Services["redis"].Command
	until := run(t, nil, redis[0], append(redis[1:], "--bind", "127.0.0.1", "--port", fmt.Sprint(top.ports["redis"]), "--dir", top.folder)...)
	until("Ready to accept connections")
	for _, name := range servers {
		var environment []string
		for setting, value := range project.Services[name].Environment {
			if value != nil && settings[setting] == "" {
				environment = append(environment, setting+"="+top.here(name, *value))
			}
		}
		for setting, value := range settings {
			environment = append(environment, setting+"="+value)
		}
		if err := os.Mkdir(filepath.Join(top.folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		run(t, environment, binary(t), project.Services[name].Command...)(fmt.Sprintf("127.0.0.1:%d", top.ports[name]))
	}
	top.nginx(t)
	return top
}

// here turns addresses and paths of a container into those of this test.
func (top *topology) here(name, value string) string {
	return strings.NewReplacer(
		"0.0.0.0:8765", fmt.Sprintf("127.0.0.1:%d", top.ports[name]),
		"redis:6379", fmt.Sprintf("127.0.0.1:%d", top.ports["redis"]),
		servers[0]+":8765", fmt.Sprintf("127.0.0.1:%d", top.ports[servers[0]]),
		servers[1]+":8765", fmt.Sprintf("127.0.0.1:%d", top.ports[servers[1]]),
		"listen 8443", fmt.Sprintf("listen 127.0.0.1:%d", top.ports["nginx"]),
		"/run/secrets/", top.folder+"/",
		"/var/lib/scnet-mcp/", top.folder+"/"+name+"/",
		" /tmp/", " "+top.folder+"/nginx-",
	).Replace(value)
}

func (top *topology) nginx(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(top.folder, "nginx.conf")
	write(t, config, []byte(top.here("nginx", string(content))))
	path := "nginx"
	if _, err := exec.LookPath(path); err != nil {
		path = "/usr/sbin/nginx"
	}
	tell(t, nil, path, "-t", "-e", "stderr", "-p", top.folder, "-c", config)
	run(t, nil, path, "-e", "stderr", "-p", top.folder, "-c", config, "-g", "daemon off;")
	await(t, "nginx listens", func() bool {
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", top.ports["nginx"]))
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	})
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// secrets makes what the folder secrets holds, as docs/operators.md says, and a client that trusts the certificate.
func (top *topology) secrets(t *testing.T) {
	t.Helper()
	token := filepath.Join(top.folder, "token")
	entry := tell(t, nil, binary(t), "callers", "new", "ann", "--out", token)
	var caller map[string]any
	if err := json.NewDecoder(strings.NewReader(entry[strings.Index(entry, "{"):])).Decode(&caller); err != nil {
		t.Fatalf("%v: %s", err, entry)
	}
	delete(caller, "read_only")
	callers, err := json.Marshal(map[string]any{"callers": []any{caller}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(top.folder, "callers"), callers)
	secret, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	top.token = strings.TrimSpace(string(secret))
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	write(t, filepath.Join(top.folder, "key"), []byte(base64.StdEncoding.EncodeToString(key)))

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: site}, DNSNames: []string{site}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	write(t, filepath.Join(top.folder, "tls-cert"), chain)
	write(t, filepath.Join(top.folder, "tls-key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(chain)
	top.https = &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: site},
		Dial: func(string, string) (net.Conn, error) {
			return net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", top.ports["nginx"]))
		},
	}}
	t.Cleanup(top.https.CloseIdleConnections)
}

var export = regexp.MustCompile(`(?m)^export (\w+)=(\S+)$`)

// simulate starts a simulated SCNet and returns the settings for it.
func simulate(t *testing.T) map[string]string {
	t.Helper()
	settings := map[string]string{}
	for _, match := range export.FindAllStringSubmatch(run(t, nil, binary(t), "simulator")("# The samples"), -1) {
		settings[match[1]] = match[2]
	}
	if settings["SCNET_SECRET_KEY"] == "" {
		t.Fatalf("%v", settings)
	}
	return settings
}

// run starts a program, which ends with the test. What it returns waits until the program has printed something.
func run(t *testing.T, settings []string, name string, args ...string) (until func(string) string) {
	t.Helper()
	var printed output
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), settings...)
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = command.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s printed: %s", filepath.Base(name), printed.String())
		}
	})
	return func(word string) string {
		t.Helper()
		await(t, name+" prints "+word, func() bool { return strings.Contains(printed.String(), word) })
		return printed.String()
	}
}

type output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
