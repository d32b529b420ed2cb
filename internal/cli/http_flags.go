package cli

import (
	"errors"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// The transports.
const (
	overStdio = "stdio"
	overHTTP  = "http"
	overSSE   = "sse"
)

const defaultListen = "127.0.0.1:8765"

// httpFlags say how the server is reached over a network. They mean nothing over stdio.
type httpFlags struct {
	Transport string `group:"http" enum:"stdio,http,sse" default:"stdio" placeholder:"NAME" help:"stdio, http (Streamable HTTP at /mcp) or sse (the older HTTP+SSE at /sse and /message, and /mcp too); default: stdio."`
	Listen    string `group:"http" placeholder:"HOST:PORT" help:"Where to listen; default: 127.0.0.1:8765."`

	Callers        string   `group:"http" placeholder:"FILE" type:"path" help:"Who may call, with which token, and what each may do; read again on SIGHUP; see callers new. Needed as soon as another machine can connect, also through a proxy."`
	OAuthIssuer    string   `name:"oauth-issuer" group:"http" placeholder:"URL" help:"Take access tokens (JWTs) of this OAuth authorization server, from those whom an entry with oauth in the callers file selects; needs --callers and --public-url."`
	OAuthAudience  []string `name:"oauth-audience" group:"http" placeholder:"TEXT" help:"An audience that access tokens may be for, as many as there are; default: the public URL."`
	PublicURL      string   `group:"http" placeholder:"URL" help:"Where clients reach the server for MCP, such as https://mcp.example.org/mcp; its host is an allowed host."`
	TLSCert        string   `group:"http" placeholder:"FILE" type:"path" help:"Certificate chain in PEM; read again on SIGHUP."`
	TLSKey         string   `group:"http" placeholder:"FILE" type:"path" help:"Private key of the certificate in PEM; read again on SIGHUP."`
	BehindProxy    bool     `group:"http" help:"A proxy in front of the server terminates TLS."`
	AllowedHosts   []string `group:"http" placeholder:"NAME" help:"Further names under which clients reach the server, with or without port, no wildcards; the first is shown at start."`
	AllowedOrigins []string `group:"http" placeholder:"URL" help:"Web pages that may call, such as https://chat.example.org."`

	RequestsPerSecond int           `group:"http" placeholder:"N" help:"Requests of one caller per second, in the long run, and as many from its calls to the services; default: 200."`
	MaxConnections    int           `group:"http" placeholder:"N" help:"Connections at the same time; default: 4096."`
	ShutdownGrace     time.Duration `group:"http" placeholder:"TIME" help:"How long running calls may go on after SIGTERM; default: 8s."`

	KeyFile string `group:"http" placeholder:"FILE" type:"path" help:"A secret of at least 32 bytes that preview tokens and sessions are sealed with: replicas share it, and with it they outlive a restart."`
	State   string `group:"http" placeholder:"URL" help:"Redis that replicas share for what must happen once, such as redis://HOST:PORT, with SCNET_MCP_STATE_PASSWORD as password; needs --key-file."`
}

// check refuses what would not be safe, or would have no effect.
func (f *httpFlags) check() error {
	if f.Transport == overStdio {
		return f.unused()
	}
	if f.Listen == "" {
		f.Listen = defaultListen
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, lang.Errorf(format, args...)) }
	host, _, err := net.SplitHostPort(f.Listen)
	switch {
	case err != nil:
		problem("--listen: %q is not HOST:PORT, such as %s", f.Listen, defaultListen)
	case upstream.IsLoopback(host):
		if f.Callers == "" && (f.BehindProxy || len(f.AllowedHosts) > 0) {
			problem("a proxy lets other machines in, so every caller needs a token: make a file with `scnet-mcp callers new NAME`, " +
				"and name it with --callers")
		}
	default:
		if f.Callers == "" {
			problem("other machines can reach %s, so every caller needs a token: make a file with `scnet-mcp callers new NAME`, "+
				"and name it with --callers; or listen on %s", f.Listen, defaultListen)
		}
		if f.TLSCert == "" && !f.BehindProxy {
			problem("other machines can reach %s, and tokens must not cross a network in clear: give --tls-cert and --tls-key, or "+
				"--behind-proxy when a proxy in front terminates TLS", f.Listen)
		}
	}
	if (f.TLSCert == "") != (f.TLSKey == "") {
		problem("--tls-cert and --tls-key belong together; only one of them is given")
	}
	if f.State != "" && f.KeyFile == "" {
		problem("--state is for replicas, which need the same key: give --key-file too; " +
			"`head -c 32 /dev/urandom | base64 > FILE && chmod 600 FILE` makes one")
	}
	f.checkOAuth(problem)
	for _, host := range f.AllowedHosts {
		if host == "" || strings.ContainsAny(host, "*/ ") {
			problem("--allowed-hosts: %q is not a host name; there are no wildcards", host)
		}
	}
	for _, origin := range f.AllowedOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(origin, u.Scheme+"://"+u.Host) || strings.Contains(origin, "*") {
			problem("--allowed-origins: %q is not an origin such as https://chat.example.org; there are no wildcards", origin)
		}
	}
	if f.RequestsPerSecond < 0 || f.MaxConnections < 0 || f.ShutdownGrace < 0 {
		problem("--requests-per-second, --max-connections and --shutdown-grace must not be negative")
	}
	return errors.Join(problems...)
}

// checkOAuth refuses what would let in nobody, or too many.
func (f *httpFlags) checkOAuth(problem func(format string, args ...any)) {
	if f.OAuthIssuer == "" {
		if f.PublicURL != "" || f.OAuthAudience != nil {
			problem("--public-url and --oauth-audience are for --oauth-issuer; give it too")
		}
		return
	}
	if err := oauth.CheckIssuer(f.OAuthIssuer); err != nil {
		problem("--oauth-issuer: %w", err)
	}
	if f.Callers == "" {
		problem("--oauth-issuer lets in nobody by itself: name a file with --callers, in which an entry such as " +
			`{"name": "team", "oauth": {"group": "operators"}, "read_only": true} says whom, and what they may do`)
	}
	if slices.Contains(f.OAuthAudience, "") {
		problem("--oauth-audience: an audience is empty")
	}
	form := lang.T("the whole URL that clients are given, such as https://mcp.example.org/mcp")
	u, err := upstream.CheckURL(f.PublicURL)
	switch {
	case f.PublicURL == "":
		problem("--oauth-issuer needs --public-url, which tokens are for: %s", form)
	case err != nil:
		problem("--public-url: %w", err)
	case strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.ForceQuery || path.Clean(u.Path) != u.Path:
		problem("--public-url: %q is not %s", f.PublicURL, form)
	}
}

// unused refuses flags that stdio has no use for: who gives --callers believes that tokens are asked for.
func (f *httpFlags) unused() error {
	var problems []error
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"listen", f.Listen != ""}, {"callers", f.Callers != ""}, {"tls-cert", f.TLSCert != ""}, {"tls-key", f.TLSKey != ""},
		{"oauth-issuer", f.OAuthIssuer != ""}, {"oauth-audience", f.OAuthAudience != nil}, {"public-url", f.PublicURL != ""},
		{"behind-proxy", f.BehindProxy}, {"allowed-hosts", f.AllowedHosts != nil}, {"allowed-origins", f.AllowedOrigins != nil},
		{"requests-per-second", f.RequestsPerSecond != 0}, {"max-connections", f.MaxConnections != 0},
		{"shutdown-grace", f.ShutdownGrace != 0}, {"key-file", f.KeyFile != ""}, {"state", f.State != ""},
	} {
		if flag.given {
			problems = append(problems,
				lang.Errorf("--%s means nothing over stdio; give --transport http or --transport sse with it", flag.name))
		}
	}
	return errors.Join(problems...)
}

// scheme returns that of the URL under which the server listens.
func (f *httpFlags) scheme() string {
	if f.TLSCert != "" {
		return "https"
	}
	return "http"
}
