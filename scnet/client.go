// Package scnet is a client for the container instances of SCNet (超算互联网, scnet.cn).
//
// A [Client] holds one account's credentials. [Client.Region] picks a region, and the [Region]'s methods list, inspect,
// create, resize, start, stop and delete its instances, run scripts on them, and tell what can be created. Reads are retried
// and their credentials renewed; what changes something is sent at most once, and [Error.Delivery] tells whether it may have
// reached the service.
//
// Facts about the service come from its OpenAPI pages, https://scnet.cn/ac/openapi/doc/2.0/api/<page>.html; comments
// name the page.
package scnet

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Hosts that SCNet documents for every account.
const (
	DefaultLoginURL    = "https://api.scnet.cn" // issues tokens
	DefaultPlatformURL = "https://www.scnet.cn" // tells the addresses of a region, renews tokens
)

// Secret is a credential that cannot print itself.
type Secret = secret.Value

// NewSecret wraps text.
func NewSecret(text string) Secret { return secret.New(text) }

// Config configures a Client: either User, AccessKey and SecretKey, or Token and AIURL.
type Config struct {
	User      string // platform login name
	AccessKey Secret
	SecretKey Secret

	Token Secret // a token of one region
	AIURL string // the address of that region's container service, with or without /ai at its end

	Region      string // default region, id or name; needed only when an account has several
	LoginURL    string // default DefaultLoginURL
	PlatformURL string // default DefaultPlatformURL

	UserAgent string
	// Transport is by default a pool of its own that honours the proxy environment. One that does not call the hooks of
	// net/http/httptrace makes a request that failed pass for one that was not sent, so that a write may be repeated.
	Transport http.RoundTripper
	Now       func() time.Time // default time.Now

	// Observe, unless nil, is called once after each HTTP request, retries included, with the status of the answer and the
	// time that it took. The status is 0 when no complete answer came. Calls may overlap.
	Observe func(status int, took time.Duration)
}

// Client talks to SCNet for one account. It is safe for concurrent use.
type Client struct {
	cfg      Config
	upstream *upstream.Client
	flights  singleflight.Group

	mu      sync.Mutex
	session *session
	routes  map[string]*route // by region id
	centers map[string]center // likewise
}

// New checks cfg and returns a Client. It makes no request. Every error wraps ErrConfig and names the settings.
func New(cfg Config) (*Client, error) {
	if cfg.LoginURL == "" {
		cfg.LoginURL = DefaultLoginURL
	}
	if cfg.PlatformURL == "" {
		cfg.PlatformURL = DefaultPlatformURL
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.check(); err != nil {
		return nil, lang.Errorf("%w: %w", ErrConfig, err)
	}
	cfg.LoginURL = strings.TrimRight(cfg.LoginURL, "/")
	cfg.PlatformURL = strings.TrimRight(cfg.PlatformURL, "/")
	exchanges := upstream.New(cfg.Transport, cfg.Now)
	exchanges.Observe = cfg.Observe
	return &Client{
		cfg:      cfg,
		upstream: exchanges,
		routes:   map[string]*route{},
		centers:  map[string]center{},
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.upstream.CloseIdleConnections() }

// SingleRegion reports whether the credential can reach one region only, which is so for a region token.
func (c *Client) SingleRegion() bool { return c.cfg.Token.IsSet() }

// ClockSkew returns the service's clock minus ours as the last answer showed it, to about a second; false before any.
func (c *Client) ClockSkew() (time.Duration, bool) { return c.upstream.ClockSkew() }

// MeasureClock asks the service for its time, for ClockSkew. It sends no credential and takes any HTTP answer.
func (c *Client) MeasureClock(ctx context.Context) error {
	var f *Error
	if err := c.upstream.MeasureClock(ctx, cmp.Or(c.cfg.AIURL, c.cfg.LoginURL)); errors.As(err, &f) {
		return call{op: opClock}.fail(*f)
	}
	return nil
}

func (cfg Config) check() error {
	keys := []struct {
		name lang.Text
		set  bool
	}{
		{lang.T("user name"), cfg.User != ""},
		{lang.T("access key"), cfg.AccessKey.IsSet()},
		{lang.T("secret key"), cfg.SecretKey.IsSet()},
	}
	var have, lack []lang.Text
	for _, k := range keys {
		if k.set {
			have = append(have, k.name)
		} else {
			lack = append(lack, k.name)
		}
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, lang.Errorf(format, args...)) }
	switch {
	case len(have) > 0 && (cfg.Token.IsSet() || cfg.AIURL != ""):
		problem("a region token (or its address) and %s are both set; set one kind of credential, so that accounts are not mixed",
			lang.List(have...))
	case len(have) > 0 && len(lack) > 0:
		problem("half a credential: %s set, %s missing", lang.And(have...), lang.And(lack...))
	case cfg.Token.IsSet() && cfg.AIURL == "":
		problem("half a credential: a region token is set, the region's address is missing")
	case !cfg.Token.IsSet() && cfg.AIURL != "":
		problem("half a credential: a region's address is set, its token is missing")
	case len(have) == 0 && !cfg.Token.IsSet():
		problem("%w: set user name, access key and secret key, or a region token and the region's address", ErrNoCredential)
	}
	for _, text := range []string{cfg.User, cfg.AccessKey.Reveal(), cfg.SecretKey.Reveal(), cfg.Token.Reveal()} {
		if !upstream.IsHeaderValue(text) {
			problem("a credential holds a line break or another control character, or has spaces around it; was it copied with more than itself?")
			break
		}
	}
	switch region := string(readClaims(cfg.Token).ClusterID); {
	case isPlatform(region):
		problem("the token is the platform's, which reaches no containers; use the token of a region")
	case region != "" && isNumber(cfg.Region) && cfg.Region != region:
		problem("the token is of region %s, but region %s is configured", clean.Line(region, 40), cfg.Region)
	}
	for _, address := range []struct {
		name lang.Text
		url  string
	}{
		{lang.T("login address"), cfg.LoginURL}, {lang.T("platform address"), cfg.PlatformURL},
		{lang.T("region address"), cfg.AIURL},
	} {
		if address.url == "" {
			continue
		}
		if u, err := upstream.CheckURL(address.url); err != nil {
			problem("%s: %w", address.name, err)
		} else if u.RawQuery != "" {
			problem("%s: it must not hold a query", address.name)
		}
	}
	return errors.Join(problems...)
}

// isNumber reports whether text is a region id rather than a name.
func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
