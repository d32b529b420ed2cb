package cli

import (
	"strings"
	"testing"
	"time"
)

// The words by which a refusal says how it is mended.
const (
	wantsCallers = "scnet-mcp callers new NAME"
	wantsTLS     = "give --tls-cert and --tls-key, or --behind-proxy"
	wantsKey     = "head -c 32 /dev/urandom | base64 > FILE && chmod 600 FILE"
)

func TestHTTPFlags(t *testing.T) {
	tls := func(f httpFlags) httpFlags {
		f.TLSCert, f.TLSKey = "cert.pem", "key.pem"
		return f
	}
	for name, c := range map[string]struct {
		flags httpFlags
		want  []string // one a problem; none: it is accepted
	}{
		"nothing more":             {flags: httpFlags{}},
		"loopback":                 {flags: httpFlags{Listen: "127.0.0.1:0"}},
		"another loopback address": {flags: httpFlags{Listen: "127.9.9.9:1"}},
		"localhost":                {flags: httpFlags{Listen: "localhost:8765"}},
		"loopback of IPv6":         {flags: httpFlags{Listen: "[::1]:0"}},
		"loopback with tokens":     {flags: httpFlags{Callers: "c.json"}},
		"loopback with a page":     {flags: httpFlags{AllowedOrigins: []string{"https://chat.example.org"}}},
		"loopback with a proxy": {
			flags: tls(httpFlags{Callers: "c.json", AllowedHosts: []string{"a.example"}, BehindProxy: true}),
		},
		"open with tokens and TLS":   {flags: tls(httpFlags{Listen: "0.0.0.0:8765", Callers: "c.json"})},
		"open with tokens and proxy": {flags: httpFlags{Listen: ":8765", Callers: "c.json", BehindProxy: true}},
		"replicas":                   {flags: httpFlags{State: "redis://127.0.0.1", KeyFile: "key"}},
		"a key alone":                {flags: httpFlags{KeyFile: "key"}},
		"hosts": {
			flags: httpFlags{Callers: "c.json", AllowedHosts: []string{"a.example", "A.example:8443", "10.1.2.3"}},
		},
		"origins": {flags: httpFlags{
			AllowedOrigins: []string{"https://chat.example.org", "http://localhost:3000", "HTTPS://Chat.example"}}},

		"all addresses, without tokens": {
			tls(httpFlags{Listen: "0.0.0.0:8765"}), []string{wantsCallers + "`, and name it with --callers; or listen on 127.0.0.1:8765"}},
		"all addresses, without TLS": {httpFlags{Listen: "0.0.0.0:8765", Callers: "c.json"}, []string{wantsTLS}},
		"no host": {
			httpFlags{Listen: ":8765"}, []string{"other machines can reach :8765, so every caller needs a token", wantsTLS}},
		"all addresses of IPv6":   {httpFlags{Listen: "[::]:8765"}, []string{wantsCallers, wantsTLS}},
		"an address of a network": {httpFlags{Listen: "192.168.0.7:8765"}, []string{wantsCallers, wantsTLS}},
		"a name":                  {httpFlags{Listen: "localhost.example.org:8765"}, []string{wantsCallers, wantsTLS}},
		"a proxy, without tokens": {httpFlags{Listen: "0.0.0.0:8765", BehindProxy: true}, []string{wantsCallers}},
		"a proxy on this machine": {httpFlags{BehindProxy: true}, []string{
			"a proxy lets other machines in, so every caller needs a token: make a file with `" + wantsCallers}},
		"a further name on this machine": {
			httpFlags{AllowedHosts: []string{"a.example"}}, []string{"a proxy lets other machines in"}},
		"a certificate without its key": {httpFlags{TLSCert: "cert.pem"}, []string{"--tls-cert and --tls-key belong together"}},
		"a key without its certificate": {httpFlags{TLSKey: "key.pem"}, []string{"--tls-cert and --tls-key belong together"}},
		"state without a key": {httpFlags{State: "redis://127.0.0.1"}, []string{
			"--state is for replicas, which need the same key: give --key-file too; `" + wantsKey}},
		"no port": {
			httpFlags{Listen: "127.0.0.1"}, []string{`--listen: "127.0.0.1" is not HOST:PORT, such as 127.0.0.1:8765`}},
		"all addresses without a port": {httpFlags{Listen: "0.0.0.0"}, []string{`--listen: "0.0.0.0" is not HOST:PORT`}},
		"a name without a port":        {httpFlags{Listen: "localhost"}, []string{`--listen: "localhost" is not HOST:PORT`}},
		"IPv6 without brackets":        {httpFlags{Listen: "::1:8765"}, []string{"is not HOST:PORT"}},
		"a URL":                        {httpFlags{Listen: "http://127.0.0.1:8765"}, []string{"is not HOST:PORT"}},
		"negative rate":                {httpFlags{RequestsPerSecond: -1}, []string{"must not be negative"}},
		"negative connections":         {httpFlags{MaxConnections: -1}, []string{"must not be negative"}},
		"negative grace":               {httpFlags{ShutdownGrace: -time.Second}, []string{"must not be negative"}},

		"hosts that are none": {
			httpFlags{Callers: "c.json", AllowedHosts: []string{"*", "*.example.org", "https://a.example", "", "a b", "a.example"}},
			[]string{`--allowed-hosts: "*" is not a host name; there are no wildcards`, `"*.example.org"`, `"https://a.example"`,
				`""`, `"a b"`}},
		"origins that are none": {
			httpFlags{AllowedOrigins: []string{"*", "https://*.example.org", "https://a.example/", "a.example", "a.example:443",
				"null", "", "https://a.example?b", "https://a.example#b", "https://user@a.example", "https://", "http://[::1"}},
			[]string{`--allowed-origins: "*" is not an origin such as https://chat.example.org; there are no wildcards`,
				`"https://*.example.org"`, `"https://a.example/"`, `"a.example"`, `"a.example:443"`, `"null"`, `""`,
				`"https://a.example?b"`, `"https://a.example#b"`, `"https://user@a.example"`, `"https://"`, `"http://[::1"`}},
		"everything at once": {
			httpFlags{Listen: "0.0.0.0:8765", TLSKey: "key.pem", State: "redis://a", AllowedHosts: []string{"*"},
				AllowedOrigins: []string{"*"}, MaxConnections: -1},
			[]string{wantsCallers, wantsTLS, "belong together", "--state", "--allowed-hosts", "--allowed-origins", "negative"}},
		"a broken address among others": {httpFlags{Listen: "x", TLSKey: "key.pem"}, []string{"HOST:PORT", "belong together"}},
	} {
		for _, transport := range []string{overHTTP, overSSE} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				c.flags.Transport = transport
				named(t, c.flags.check(), c.want)
			})
		}
	}
}

// named checks that err names these problems, one a line, and no other.
func named(t *testing.T, err error, want []string) {
	t.Helper()
	if err == nil {
		if len(want) > 0 {
			t.Errorf("accepted; want %q", want)
		}
		return
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i, line := range lines {
		contains(t, "refusal", line, want[i])
	}
}

func TestDefaultListen(t *testing.T) {
	f := httpFlags{Transport: overHTTP}
	if err := f.check(); err != nil || f.Listen != "127.0.0.1:8765" {
		t.Errorf("%v, listens on %q", err, f.Listen)
	}
}

// Who gives one of these over stdio would believe that it has an effect.
func TestHTTPFlagsOverStdio(t *testing.T) {
	given := map[string]string{
		"--listen": "127.0.0.1:0", "--callers": "c.json", "--tls-cert": "cert.pem", "--tls-key": "key.pem", "--behind-proxy": "true",
		"--allowed-hosts": "a.example", "--allowed-origins": "https://a.example", "--requests-per-second": "1",
		"--max-connections": "1", "--shutdown-grace": "1s", "--key-file": "key", "--state": "redis://127.0.0.1",
	}
	all := []string{"serve", "--demo"}
	for flag, value := range given {
		for _, chosen := range [][]string{nil, {"--transport=stdio"}} {
			code, out, errs := run(t, nil, "", append([]string{"serve", "--demo", flag + "=" + value}, chosen...)...)
			if code != exitError || out != "" {
				t.Errorf("%s: exit %d, stdout %q", flag, code, out)
			}
			contains(t, "stderr", errs, flag+" means nothing over stdio; give --transport http or --transport sse with it")
		}
		all = append(all, flag+"="+value)
	}
	_, _, errs := run(t, nil, "", all...)
	for flag := range given {
		contains(t, "stderr", errs, flag+" means nothing")
	}
	if code, _, errs := run(t, nil, "", "serve", "--demo", "--transport=stdio"); code != exitOK {
		t.Errorf("stdio without them: exit %d: %s", code, errs)
	}
}

func TestUnknownTransport(t *testing.T) {
	code, _, errs := run(t, nil, "", "serve", "--demo", "--transport=websocket")
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	contains(t, "stderr", errs, "--transport", "stdio", "http", "sse", "websocket")
}
