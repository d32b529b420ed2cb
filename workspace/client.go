// Package workspace is a client for the script execution API of Huawei Cloud Workspace (cloud desktops).
//
// A [Client] lists desktops and scripts, hands scripts to desktops with [Client.Execute], and follows the task that this
// makes. Reads are retried; what changes something is sent at most once, and the Uncertain of an [Error]
// tells whether it may have happened although no answer says so.
//
// Facts about the service come from its API reference, https://support.huaweicloud.com/intl/en-us/api-workspace/;
// comments name the operation as it is called there.
package workspace

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Secret is a credential that cannot print itself.
type Secret = secret.Value

// NewSecret wraps text.
func NewSecret(text string) Secret { return secret.New(text) }

// Config configures a Client. AccessKey and SecretKey are required, and Region or Endpoint.
type Config struct {
	AccessKey     Secret
	SecretKey     Secret
	SecurityToken Secret // of temporary keys only

	// ProjectID is looked up through IAM when empty, which needs the right to list projects, and a Region.
	ProjectID string
	Region    string // "cn-north-4"

	Endpoint    string // default https://workspace.<Region>.myhuaweicloud.com
	IAMEndpoint string // default https://iam.<Region>.myhuaweicloud.com; used only for the look-up

	UserAgent string
	// Transport is by default a pool of its own that honours the proxy environment. One that does not call the hooks of
	// net/http/httptrace makes a request that failed pass for one that was not sent, so that a write may be repeated.
	Transport http.RoundTripper
	Now       func() time.Time // default time.Now; the service refuses signatures that are 15 minutes off

	// Observe, unless nil, is called once after each HTTP request, retries included, with the status of the answer and the
	// time that it took. The status is 0 when no complete answer came. Calls may overlap.
	Observe func(status int, took time.Duration)
}

// Client talks to Workspace in one project. It is safe for concurrent use.
type Client struct {
	cfg      Config
	upstream *upstream.Client
	lookup   chan struct{} // full while a project look-up is under way

	mu      sync.Mutex
	project string // "" until it is known
}

// New checks cfg and returns a Client. It makes no request. Every error wraps ErrConfig and names what is missing.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, lang.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = "https://workspace." + cfg.Region + ".myhuaweicloud.com"
	}
	if cfg.IAMEndpoint == "" && cfg.Region != "" {
		cfg.IAMEndpoint = "https://iam." + cfg.Region + "." + iamDomain(cfg.Region)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Endpoint = strings.TrimRight(cfg.Endpoint, "/")
	cfg.IAMEndpoint = strings.TrimRight(cfg.IAMEndpoint, "/")
	exchanges := upstream.New(cfg.Transport, cfg.Now)
	exchanges.Observe = cfg.Observe
	return &Client{
		cfg:      cfg,
		upstream: exchanges,
		lookup:   make(chan struct{}, 1),
		project:  cfg.ProjectID,
	}, nil
}

// Place names where the desktops are: the region, or the host of an endpoint that was configured without one.
func (c *Client) Place() string {
	if c.cfg.Region != "" {
		return c.cfg.Region
	}
	return upstream.Endpoint(c.cfg.Endpoint)
}

// Close closes idle connections.
func (c *Client) Close() { c.upstream.CloseIdleConnections() }

// ClockSkew returns the service's clock minus ours as the last answer showed it, to about a second; false before any.
func (c *Client) ClockSkew() (time.Duration, bool) { return c.upstream.ClockSkew() }

// iamDomain is the domain of a public region's IAM; Europe has one of its own, for IAM only.
func iamDomain(region string) string {
	if strings.HasPrefix(region, "eu-") {
		return "myhuaweicloud.eu"
	}
	return "myhuaweicloud.com"
}

// regionPattern is what becomes part of a host name; it may have maxRegion characters, which a pattern takes 50 KB to count.
var regionPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
})

const maxRegion = 63

func (cfg Config) check() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, lang.Errorf(format, args...)) }
	if !cfg.AccessKey.IsSet() {
		problem("the access key is missing")
	}
	if !cfg.SecretKey.IsSet() {
		problem("the secret key is missing")
	}
	for _, text := range []string{cfg.AccessKey.Reveal(), cfg.SecretKey.Reveal(), cfg.SecurityToken.Reveal()} {
		if !upstream.IsHeaderValue(text) {
			problem("a credential holds a line break or another control character, or has spaces around it; was it copied with more than itself?")
			break
		}
	}
	switch {
	case cfg.Region == "" && cfg.Endpoint == "":
		problem("the region is missing, or for a private cloud the endpoint")
	case cfg.Region != "" && (len(cfg.Region) > maxRegion || !regionPattern().MatchString(cfg.Region)):
		problem("the region must look like cn-north-4: lower-case letters, digits and hyphens")
	}
	switch {
	case cfg.ProjectID != "" && !clean.IsID(cfg.ProjectID):
		problem("the project id must be letters, digits, - and _, usually 32 hexadecimal digits")
	case cfg.ProjectID != "":
	case cfg.Region == "" && cfg.Endpoint != "":
		problem("the project id is missing; without it the region is needed to look it up")
	case cfg.Endpoint != "" && cfg.IAMEndpoint == "" && !isPublic(cfg.Endpoint):
		// The public IAM must not see the keys of a private cloud.
		problem("the project id is missing; with an endpoint of your own the IAM endpoint is needed to look it up")
	}
	for _, address := range []struct {
		name lang.Text
		url  string
	}{{lang.T("endpoint"), cfg.Endpoint}, {lang.T("IAM endpoint"), cfg.IAMEndpoint}} {
		if address.url == "" {
			continue
		}
		if u, err := upstream.CheckURL(address.url); err != nil {
			problem("%s: %w", address.name, err)
		} else if u.RawQuery != "" || u.ForceQuery {
			problem("%s: it must not hold a query", address.name)
		}
	}
	return errors.Join(problems...)
}

// isPublic reports whether address is Huawei's public cloud.
func isPublic(address string) bool {
	u, err := upstream.CheckURL(address)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return strings.HasSuffix(host, ".myhuaweicloud.com") || strings.HasSuffix(host, ".myhuaweicloud.eu")
}
