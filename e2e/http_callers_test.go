package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guests is a callers file with its tokens.
type guests struct {
	t       testing.TB
	file    string
	entries []map[string]any
	tokens  map[string]string
}

// invite makes a callers file. Every name may be followed by further members of its entry, as JSON: "ann", `"x":1`.
func invite(t testing.TB, names ...string) *guests {
	t.Helper()
	g := &guests{t: t, file: filepath.Join(t.TempDir(), "callers.json"), tokens: map[string]string{}}
	for _, name := range names {
		name, further, _ := strings.Cut(name, " ")
		g.add(name, further)
	}
	g.write()
	return g
}

// add asks the program for a token, and lets its owner do more than read.
func (g *guests) add(name, further string) {
	g.t.Helper()
	cmd := exec.Command(binary, "callers", "new", name)
	cmd.Env = environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatalf("%v: %s", err, stderr.String())
	}
	var entry map[string]any
	if err := json.Unmarshal(out, &entry); err != nil {
		g.t.Fatal(err)
	}
	delete(entry, "read_only")
	if further != "" {
		if err := json.Unmarshal([]byte("{"+further+"}"), &entry); err != nil {
			g.t.Fatal(err)
		}
	}
	g.entries = append(g.entries, entry)
	if g.tokens[name] = regexp.MustCompile(`scnetmcp_\S+`).FindString(stderr.String()); g.tokens[name] == "" {
		g.t.Fatalf("no token: %s", stderr.String())
	}
}

func (g *guests) write() {
	g.t.Helper()
	text, err := json.Marshal(map[string]any{"callers": g.entries})
	if err == nil {
		err = os.WriteFile(g.file, text, 0o600)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// Callers have budgets and previews of their own, and the audit log has their names.
func TestHTTPCallersAreToldApart(t *testing.T) {
	needs(t, unix...)
	sim, settings := laboratory(t, 10)
	known := invite(t, `ann "max_mutations_per_hour":1`, `bob "max_mutations_per_hour":2`)
	s := serve(t, "http", settings, "--callers", known.file)
	for _, token := range []string{"", "scnetmcp_wrong", known.tokens["ann"] + "x"} {
		stranger := newAgent(t, s.url, modernEra, token)
		if got, err := stranger.call(t.Context(), "list_instances", `{}`); err != nil || got.status != http.StatusUnauthorized {
			t.Errorf("%q: %v, status %d: %s", token, err, got.status, got.text)
		}
	}
	ann, bob := opened(t, s.url, legacyEra, known.tokens["ann"]), opened(t, s.url, modernEra, known.tokens["bob"])
	thief := newAgent(t, s.url, legacyEra, known.tokens["bob"])
	thief.session = ann.session
	if got, err := thief.call(t.Context(), "list_instances", `{}`); err != nil || got.status != http.StatusNotFound {
		t.Errorf("with another's session: %v, status %d: %s", err, got.status, got.text)
	}

	token, _, err := ann.preview(t.Context(), instance(0))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := bob.call(t.Context(), "delete_instances", deletion(instance(0), with(token))); err != nil || got.deleted() ||
		!strings.Contains(got.reply.text(), "belongs to another call") {
		t.Errorf("with another's preview: %v: %s", err, got.text)
	}
	for i, c := range []struct {
		who  *agent
		acts bool
	}{{ann, true}, {ann, false}, {bob, true}, {bob, true}} {
		token, _, err := c.who.preview(t.Context(), instance(i))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.who.call(t.Context(), "delete_instances", deletion(instance(i), with(token)))
		if err != nil || got.deleted() != c.acts || !c.acts && !strings.Contains(got.reply.text(), "hourly limit of 1 changes") {
			t.Errorf("%d: %v: %s", i, err, got.text)
		}
	}
	if n := deletions(sim); n != 3 {
		t.Errorf("%d deletions", n)
	}
	var names []string
	for _, r := range s.records("result") {
		names = append(names, r.Caller+" over "+r.Transport)
	}
	if want := []string{"ann over http", "bob over http", "bob over http"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	s.stop()
	s.verify()
}

// listener is an open stream of HTTP+SSE.
type listener struct {
	events  chan string // the data of each; closed at the end
	message string      // where messages go
}

// listen opens /sse.
func listen(t testing.TB, client *http.Client, base, token string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("/sse: status %d: %s", response.StatusCode, text)
	}
	l := &listener{events: make(chan string, 100)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(l.events)
		defer response.Body.Close()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
				l.events <- data
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
	})
	endpoint, _ := l.next(t)
	l.message = base + endpoint
	return l
}

// next returns the data of the next event; false at the end of the stream.
func (l *listener) next(t testing.TB) (string, bool) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case data, open := <-l.events:
		return data, open
	case <-timer.C:
		t.Fatal("no event came")
		return "", false
	}
}

// calls lists the instances over the stream.
func (l *listener) calls(t testing.TB, client *http.Client, token string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.message, strings.NewReader(list(7, `{}`)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	data, _ := l.next(t)
	if response.StatusCode != http.StatusAccepted || !strings.Contains(data, `"returned"`) {
		t.Errorf("status %d: %.300s", response.StatusCode, data)
	}
}

// Who is taken out of the callers file is out at SIGHUP, streams included. The others notice nothing.
func TestHTTPCallerIsRemoved(t *testing.T) {
	needs(t, unix...)
	_, settings := laboratory(t, 2)
	known := invite(t, "ann", "bob")
	s := serve(t, "sse", settings, "--callers", known.file)
	ann, bob := opened(t, s.url, legacyEra, known.tokens["ann"]), opened(t, s.url, modernEra, known.tokens["bob"])
	hers, his := listen(t, ann.http, s.url, ann.token), listen(t, bob.http, s.url, bob.token)
	hers.calls(t, ann.http, ann.token)

	if err := os.WriteFile(known.file, []byte(`{"callers":[]}`), 0o600); err != nil { // which is wrong, and changes nothing
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	s.says("stays in force")
	hers.calls(t, ann.http, ann.token)

	known.entries = known.entries[1:]
	known.write()
	s.signal(syscall.SIGHUP)
	if data, open := hers.next(t); open {
		t.Errorf("her stream: %s", data)
	}
	if got, err := ann.call(t.Context(), "list_instances", `{}`); err != nil || got.status != http.StatusUnauthorized {
		t.Errorf("%v, status %d: %s", err, got.status, got.text)
	}
	his.calls(t, bob.http, bob.token)
	if _, err := bob.list(t.Context()); err != nil {
		t.Error(err)
	}
	s.signal(syscall.SIGTERM)
	if data, open := his.next(t); open {
		t.Errorf("his stream at the end: %s", data)
	}
	if !s.exitsWithin(patience) || s.err != nil {
		t.Errorf("the server ended with %v", s.err)
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key, and returns a pool that trusts it.
func selfSigned(t testing.TB) (certFile, keyFile string, trusted *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	model := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, model, model, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	trusted = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	trusted.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", secret), trusted
}

// Over TLS clients get HTTP/2, where calls, questions and streams share one connection.
func TestHTTPOverTLS(t *testing.T) {
	needs(t, unix...)
	sim, settings := laboratory(t, 2)
	known := invite(t, "ann")
	certFile, keyFile, trusted := selfSigned(t)
	s := serve(t, "sse", settings, "--callers", known.file, "--tls-cert", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(s.url, "https://") {
		t.Fatal(s.url)
	}
	for _, http2 := range []bool{true, false} {
		protocols := new(http.Protocols)
		protocols.SetHTTP2(http2)
		protocols.SetHTTP1(!http2)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, Protocols: protocols}
		t.Cleanup(transport.CloseIdleConnections)
		ann := newAgent(t, s.url, legacyEra, known.tokens["ann"])
		ann.http, ann.capabilities = &http.Client{Transport: transport}, asks
		response, err := ann.http.Get(s.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.ProtoAtLeast(2, 0) != http2 || response.StatusCode != http.StatusOK {
			t.Errorf("%s, status %d", response.Proto, response.StatusCode)
		}
		if err := ann.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		ann.asked = func(ctx context.Context, question answer) error {
			got, err := ann.respond(ctx, question, agreed)
			if err == nil && got.status != http.StatusAccepted {
				err = fmt.Errorf("status %d: %s", got.status, got.text)
			}
			return err
		}
		listen(t, ann.http, s.url, ann.token).calls(t, ann.http, ann.token)
		id := instance(map[bool]int{false: 0, true: 1}[http2])
		if got, err := ann.call(t.Context(), "delete_instances", deletion(id, `,"confirm":true`)); err != nil || !got.deleted() {
			t.Errorf("%v: %s", err, got.text)
		}
	}
	if n := deletions(sim); n != 2 {
		t.Errorf("%d deletions", n)
	}
}

// What would send tokens in clear, or let anybody in, does not start.
func TestHTTPIsNotServedUnsafely(t *testing.T) {
	known := invite(t, "ann")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--listen", "0.0.0.0:0", "--callers", known.file}, []string{"--tls-cert and --tls-key", "--behind-proxy"}},
		{[]string{"--listen", "[::]:0"}, []string{"callers new", "--callers", "--tls-cert", "127.0.0.1:8765"}},
		{[]string{"--listen", ":0", "--behind-proxy"}, []string{"every caller needs a token", "--callers"}},
		{[]string{"--listen", "127.0.0.1:0", "--allowed-hosts", "mcp.example.org"}, []string{"every caller needs a token"}},
	} {
		for _, transport := range []string{"http", "sse"} {
			d := run(t, nil, binary, append([]string{"serve", "--transport", transport}, c.args...)...)
			if !d.exitsWithin(patience) {
				t.Fatalf("%q: it runs", c.args)
			}
			if text := d.output.String(); d.cmd.ProcessState.ExitCode() != 1 || strings.Contains(text, "listens on") ||
				slices.ContainsFunc(c.want, func(want string) bool { return !strings.Contains(text, want) }) {
				t.Errorf("%q: exit status %d: %s", c.args, d.cmd.ProcessState.ExitCode(), text)
			}
		}
	}
}
