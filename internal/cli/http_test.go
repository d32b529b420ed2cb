package cli

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	desktopsimulator "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

func TestServeOverHTTP(t *testing.T) {
	file, tokens := callersFile(t, entry{Name: "ci"})
	for name, c := range map[string]struct {
		env     map[string]string
		args    []string
		kind    string
		path    string
		headers map[string]string
		token   string
	}{
		"Streamable HTTP": {
			nil, []string{"serve", "--demo", "--transport", "http", "--listen", "127.0.0.1:0"}, "http", "/mcp", nil, ""},
		"HTTP+SSE": {
			nil, []string{"serve", "--demo", "--transport", "sse", "--listen", "127.0.0.1:0"}, "sse", "/sse", nil, ""},
		"with callers": {
			nil, []string{"--demo", "--transport=http", "--listen=localhost:0", "--callers", file}, "http", "/mcp",
			map[string]string{"Authorization": "Bearer TOKEN"}, tokens["ci"],
		},
		"by the environment": {map[string]string{
			"SCNET_MCP_TRANSPORT": "sse", "SCNET_MCP_LISTEN": "127.0.0.1:0", "SCNET_MCP_DEMO": "true", "SCNET_MCP_CALLERS": file,
		}, nil, "sse", "/sse", map[string]string{"Authorization": "Bearer TOKEN"}, tokens["ci"]},
	} {
		t.Run(name, func(t *testing.T) {
			s := launch(t, c.env, c.args...)
			s.errs.until(t, "the snippet", s.ended, func(text string) bool { return strings.HasSuffix(text, "\n}\n") })
			client := readSnippet(t, s.errs.String()).Servers["scnet"]
			if client.Type != c.kind || client.URL != s.url+c.path || fmt.Sprint(client.Headers) != fmt.Sprint(c.headers) {
				t.Errorf("the snippet is %+v; the server is %s", client, s.url)
			}
			if !slices.Contains(s.tools(c.token), "list_instances") {
				t.Error("there are no tools")
			}
			if status, _ := s.request(http.MethodPost, "/sse", c.token, "{}"); (status == http.StatusNotFound) == (c.kind == "sse") {
				t.Errorf("the path of the older transport: %d", status)
			}
			s.signal(syscall.SIGTERM)
			<-s.ended
			if s.err != nil || s.out.String() != "" {
				t.Errorf("%v; stdout %q; stderr %s", s.err, s.out, s.errs)
			}
		})
	}
}

// What is printed is what clients are told, whatever the server listens on.
func TestBase(t *testing.T) {
	named := func(names ...string) httpFlags { return httpFlags{TLSCert: "c", AllowedHosts: names} }
	for name, c := range map[string]struct {
		flags   httpFlags
		address string
		want    string
	}{
		"loopback":            {httpFlags{}, "127.0.0.1:8765", "http://127.0.0.1:8765"},
		"IPv6":                {named(), "[::1]:8765", "https://[::1]:8765"},
		"all addresses":       {named(), "[::]:8765", "https://HOST:8765"},
		"all of IPv4":         {named(), "0.0.0.0:8765", "https://HOST:8765"},
		"a network's address": {named(), "10.0.0.1:443", "https://10.0.0.1:443"},
		"a name":              {named("a.example", "b"), "[::]:8765", "https://a.example:8765"},
		"a name with a port":  {named("a.example:443"), "[::]:8765", "https://a.example:443"},
		"an address as name":  {named("[fd00::1]"), "[::]:8765", "https://[fd00::1]:8765"},
		"a name, no TLS":      {httpFlags{AllowedHosts: []string{"box"}}, "127.0.0.1:80", "http://box:80"},
		"a proxy with a name": {httpFlags{BehindProxy: true, AllowedHosts: []string{"a.example"}}, "127.0.0.1:1", "https://a.example"},
		"a proxy without one": {httpFlags{BehindProxy: true}, "127.0.0.1:8765", "https://HOST"},
		"a proxy, to TLS":     {httpFlags{BehindProxy: true, TLSCert: "c"}, "10.0.0.1:8765", "https://HOST"},
	} {
		address, err := net.ResolveTCPAddr("tcp", c.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := (serveCommand{httpFlags: c.flags}).base(address); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	folder := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		writeFile(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const secret = "hunter2"
	key := file("key", strings.Repeat("k", 44), 0o600)
	open := file("open-key", strings.Repeat("k", 44), 0o644)
	keyed, local := "--key-file="+key, "--state=redis://127.0.0.1:1"
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want []string
	}{
		"the port is in use": {nil, []string{"--listen=" + taken.Addr().String()},
			[]string{"--listen:", taken.Addr().String(), "stop what listens there, or name another address"}},
		"no such port": {nil, []string{"--listen=127.0.0.1:nothing"}, []string{"--listen:", "nothing", "name another address"}},
		"not safe":     {nil, []string{"--listen=:0"}, []string{wantsCallers, wantsTLS}},
		"a password in the URL": {nil, []string{keyed, "--state=redis://:" + secret + "@127.0.0.1:1"},
			[]string{"--state:", "SCNET_MCP_STATE_PASSWORD_FILE"}},
		"a password in a URL of the environment": {map[string]string{"SCNET_MCP_STATE": "redis://me:" + secret + "@127.0.0.1:1"},
			[]string{keyed}, []string{"--state:", "holds a password", "leave it out and set SCNET_MCP_STATE_PASSWORD"}},
		"a password in what is no URL": {nil, []string{keyed, "--state=redis://:" + secret + "@[127"},
			[]string{"--state:", "valid is redis://"}},
		"a password in another URL": {nil, []string{keyed, "--state=http://" + secret + "@127.0.0.1"},
			[]string{"--state:", "valid is redis://"}},
		"two passwords": {map[string]string{"SCNET_MCP_STATE_PASSWORD": secret, "SCNET_MCP_STATE_PASSWORD_FILE": key},
			[]string{keyed, local}, []string{"SCNET_MCP_STATE_PASSWORD and SCNET_MCP_STATE_PASSWORD_FILE are both set. Unset one of them"}},
		"a password file that is none": {map[string]string{"SCNET_MCP_STATE_PASSWORD_FILE": key + "x"},
			[]string{keyed, local}, []string{"SCNET_MCP_STATE_PASSWORD_FILE: ", key + "x"}},
		"a key that others can read": {nil, []string{"--key-file=" + open},
			[]string{"--key-file:", "can be used by others than its owner (0644); chmod 600 " + open}},
		"a short key": {nil, []string{"--key-file=" + file("short-key", secret, 0o600)},
			[]string{"--key-file:", "at least 32 random bytes", "head -c 32 /dev/urandom | base64 > FILE"}},
		"no key":     {nil, []string{"--key-file=" + key + "x"}, []string{"--key-file:", key + "x"}},
		"no callers": {nil, []string{"--callers=" + key + "x"}, []string{"--callers:", key + "x"}},
		"callers that are none": {nil, []string{"--callers=" + file("callers", `{"callers":[{"name":"x"}]}`, 0o600)},
			[]string{"--callers:", "callers[0].token_sha256: is missing; scnet-mcp callers new NAME prints it"}},
		"callers that others can write": {nil, []string{"--callers=" + file("open-callers", `{}`, 0o666)},
			[]string{"--callers:", "chmod go-w"}},
		"a certificate that is none": {nil, []string{"--tls-cert=" + key, "--tls-key=" + key},
			[]string{"--tls-cert and --tls-key:", "PEM"}},
		"a policy that cannot be kept": {nil, []string{"--toolsets=desktops"}, []string{"--toolsets", "valid are instances"}},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(name, "others") {
				t.Skip("Windows has no such modes")
			}
			args := append([]string{"--log-level=debug", "serve", "--demo", "--transport=http", "--listen=127.0.0.1:0"}, c.args...)
			code, out, errs := run(t, c.env, "", args...)
			if code != exitError || out != "" {
				t.Errorf("exit %d, stdout %q", code, out)
			}
			contains(t, "stderr", errs, c.want...)
			if strings.Contains(errs, secret) {
				t.Error("the password was printed")
			}
		})
	}
}

func TestStatePassword(t *testing.T) {
	const password = "hunter2-of-redis"
	store := miniredis.RunT(t)
	store.RequireAuth(password)
	folder := t.TempDir()
	key, right, wrong := filepath.Join(folder, "key"), filepath.Join(folder, "right"), filepath.Join(folder, "wrong")
	writeFile(t, key, strings.Repeat("k", 44))
	writeFile(t, right, password+"\n")
	writeFile(t, wrong, "swordfish\n")
	for name, c := range map[string]struct {
		env    map[string]string
		status int
	}{
		"variable":   {map[string]string{"SCNET_MCP_STATE_PASSWORD": password}, http.StatusOK},
		"file":       {map[string]string{"SCNET_MCP_STATE_PASSWORD_FILE": right}, http.StatusOK},
		"wrong":      {map[string]string{"SCNET_MCP_STATE_PASSWORD": "swordfish"}, http.StatusServiceUnavailable},
		"wrong file": {map[string]string{"SCNET_MCP_STATE_PASSWORD_FILE": wrong}, http.StatusServiceUnavailable},
		"none":       {nil, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveHere(t, c.env, "--demo", "--transport=http", "--key-file="+key, "--state=redis://"+store.Addr())
			if status, answer := s.get("/readyz"); status != c.status {
				t.Errorf("%d %s", status, answer)
			}
			if c.status != http.StatusOK {
				contains(t, "log", s.errs.String(), "not ready", "set SCNET_MCP_STATE_PASSWORD or SCNET_MCP_STATE_PASSWORD_FILE")
			}
			for _, secret := range []string{password, "swordfish"} {
				if strings.Contains(s.errs.String(), secret) {
					t.Errorf("a password was printed: %s", s.errs)
				}
			}
		})
	}
}

// Servers with one key are replicas, and share what was spent; others do not, although a caller has the same name there.
func TestStateIsShared(t *testing.T) {
	store := miniredis.RunT(t)
	file, tokens := callersFile(t, entry{Name: "ci", MaxMutationsPerHour: 1})
	folder := t.TempDir()
	mustNotLeak(t)
	serve := func(key string) *served {
		path := filepath.Join(folder, key)
		writeFile(t, path, strings.Repeat(key, 44))
		return serveOne(t, nil, "--demo", "--transport=http", "--callers="+file, "--key-file="+path, "--state=redis://"+store.Addr())
	}
	one, replica, other := serve("a"), serve("a"), serve("b")
	one.done(tokens["ci"], "restart_instance", restart(completedID))
	replica.refused(tokens["ci"], "restart_instance", restart(completedID), "the hourly limit of 1 changes is reached")
	other.done(tokens["ci"], "restart_instance", restart(completedID))
}

func TestReady(t *testing.T) {
	sim := simulate(t, simulator.Options{})
	suspended := simulate(t, simulator.Options{Regions: []simulator.Region{{ID: "11250", Name: "昆山", Suspended: true}}})
	broken := simulate(t, simulator.Options{})
	broken.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Status: http.StatusNotFound})
	hw := desktopsimulator.New(desktopsimulator.Options{})
	fakecloudtest.Start(t, hw)
	with := func(env map[string]string, more ...string) map[string]string {
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want string // in the log; "" when it is ready
	}{
		"demo":                     {args: []string{"--demo"}},
		"one region chosen":        {env: with(account(sim), "SCNET_CLUSTER_ID", "11250")},
		"a region is chosen later": {env: account(sim)},
		"unconfigured":             {want: "no credential"},
		"half a credential":        {env: with(account(sim), "SCNET_SECRET_KEY", ""), want: "half a credential"},
		"wrong credential":         {env: with(account(sim), "SCNET_SECRET_KEY", "swordfish"), want: "10009"},
		"no such region":           {env: with(account(sim), "SCNET_CLUSTER_ID", "99999"), want: "no region has the id or name"},
		"suspended":                {env: account(suspended), want: "suspended"},
		"the region does not work": {env: with(account(broken), "SCNET_CLUSTER_ID", "11250"), want: "404"},
		"unreachable":              {env: with(account(sim), "SCNET_LOGIN_URL", "http://127.0.0.1:1"), want: "not sent"},
		"workspace alone":          {env: with(map[string]string{}, desktops(hw)...)},
		"workspace, wrong secret": {
			env: with(with(map[string]string{}, desktops(hw)...), "HUAWEICLOUD_SDK_SK", "swordfish"), want: "APIGW.0301",
		},
		"only the workspace works": {env: with(with(account(sim), "SCNET_SECRET_KEY", "swordfish"), desktops(hw)...), want: "10009"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveHere(t, c.env, append([]string{"--transport=http"}, c.args...)...)
			want := http.StatusOK
			if c.want != "" {
				want = http.StatusServiceUnavailable
			}
			status, answer := s.get("/readyz")
			if status != want {
				t.Errorf("/readyz: %d %s; log:\n%s", status, answer, s.errs)
			}
			if alive, _ := s.get("/healthz"); alive != http.StatusOK {
				t.Errorf("/healthz: %d", alive)
			}
			if offered := s.tools(""); len(offered) == 0 { // ready or not
				t.Error("no tools are offered")
			}
			if c.want == "" {
				return
			}
			contains(t, "log", s.errs.String(), "not ready", c.want)
			if strings.Contains(answer, c.want) {
				t.Errorf("strangers are told the reason: %s", answer)
			}
			if strings.Contains(s.errs.String(), "swordfish") {
				t.Error("a secret is in the log")
			}
		})
	}
}
