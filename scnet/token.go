package scnet

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

const (
	// assumedLifetime is used for a token without an expiry claim; SCNet does not document a lifetime.
	assumedLifetime = 30 * time.Minute
	// renewalMargin is how long before its expiry a token is replaced.
	renewalMargin = 5 * time.Minute
	// renewalWindow is how long after its expiry a token can be renewed (page safecertification/renewal-token).
	renewalWindow = 24 * time.Hour
	// sharedTimeout bounds a login or an address look-up that several calls wait for.
	sharedTimeout = 30 * time.Second
)

// session is what one login gave, or the configured region token.
type session struct {
	obtained time.Time
	regions  []*Region        // without the platform, in the order of the answer
	tokens   map[string]token // by region id; suspended regions have none
}

// token is a region token with what its claims tell.
type token struct {
	text    Secret
	expires time.Time // by the service's clock; zero when the claims do not tell
	renewAt time.Time // by ours
}

// onClock moves renewAt from the service's clock, where it was now, to ours. It is done once, when the token comes: a
// service whose Date header jumps must not make every call log in again. That is also why it lives for a minute at least.
func (t token) onClock(now, ours time.Time) token {
	t.renewAt = ours.Add(max(t.renewAt.Sub(now), time.Minute))
	return t
}

// tokenClaims are those claims of a token that matter here (page safecertification/get-user-tokens-aksk, sample).
type tokenClaims struct {
	ExpireTime number `json:"expireTime"` // Unix milliseconds
	ClusterID  text   `json:"clusterId"`
}

// newToken reads the claims without verifying the signature: they only tell when to ask for a new token.
func newToken(raw Secret, obtained time.Time) token {
	t := token{text: raw, renewAt: obtained.Add(assumedLifetime)}
	if claims := readClaims(raw); claims.ExpireTime > 0 {
		t.expires = time.UnixMilli(int64(claims.ExpireTime))
		lifetime := t.expires.Sub(obtained)
		t.renewAt = t.expires.Add(-min(renewalMargin, max(lifetime, 0)/5))
	}
	return t
}

func readClaims(raw Secret) tokenClaims {
	var claims tokenClaims
	parts := strings.Split(raw.Reveal(), ".")
	if len(parts) != 3 {
		return claims
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err == nil {
		_ = lenient.Unmarshal(payload, &claims)
	}
	return claims
}

// issued is a token that the service has just handed out. Should it look expired all the same, its claim is in another
// unit than documented: believing it would mean a login for every call.
func issued(raw Secret, now time.Time) token {
	t := newToken(raw, now)
	if !t.expires.IsZero() && !t.expires.After(now) {
		t.expires, t.renewAt = time.Time{}, now.Add(assumedLifetime)
	}
	return t
}

// shared runs fn once for all callers that ask for key at the same time. One caller's cancellation ends its own wait
// only.
func shared[T any](ctx context.Context, c *Client, key string, fn func(context.Context) (T, error)) (T, error) {
	results := c.flights.DoChan(key, func() (any, error) {
		timeout := lang.Errorf("%w (%s)", upstream.ErrTimeout, sharedTimeout)
		work, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), sharedTimeout, timeout)
		defer cancel()
		return fn(work)
	})
	select {
	case <-ctx.Done():
		var none T
		return none, call{op: key}.fail(Error{Kind: upstream.Cancelled, Err: context.Cause(ctx)})
	case result := <-results:
		value, _ := result.Val.(T)
		return value, result.Err
	}
}

// now is the service's time as far as it is known: a local clock that is hours off must not make every token look
// expired.
func (c *Client) now() time.Time {
	skew, _ := c.ClockSkew()
	return c.cfg.Now().Add(skew)
}

// sessionNow returns the current session, logging in when there is none or it is older than maxAge.
func (c *Client) sessionNow(ctx context.Context, maxAge time.Duration) (*session, error) {
	c.mu.Lock()
	if c.session == nil && c.cfg.Token.IsSet() {
		c.session = c.staticSession()
	}
	current := c.session
	c.mu.Unlock()
	if current != nil && (c.cfg.Token.IsSet() || c.cfg.Now().Sub(current.obtained) < maxAge) {
		return current, nil
	}
	return c.relogin(ctx, current)
}

// relogin logs in, unless another call has replaced the session that this one has seen.
func (c *Client) relogin(ctx context.Context, seen *session) (*session, error) {
	return shared(ctx, c, opLogin, func(ctx context.Context) (*session, error) {
		c.mu.Lock()
		current := c.session
		c.mu.Unlock()
		if current != nil && current != seen {
			return current, nil
		}
		return c.login(ctx)
	})
}

const anyAge = 1<<63 - 1

func (c *Client) keep(s *session) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	return s
}

// staticSession wraps the configured token. Its region is the one that the token's claims name.
func (c *Client) staticSession() *session {
	id := string(readClaims(c.cfg.Token).ClusterID)
	if id == "" {
		id = c.cfg.Region
	}
	if id == "" {
		id = "default"
	}
	now := c.cfg.Now()
	return &session{
		obtained: now,
		regions:  []*Region{{ID: id, client: c}},
		tokens:   map[string]token{id: newToken(c.cfg.Token, now)},
	}
}

// TokenExpiry returns when the configured region token expires, as its claims tell. It is zero when they do not, or when
// there is no such token.
func (c *Client) TokenExpiry() time.Time { return newToken(c.cfg.Token, c.cfg.Now()).expires }

// login asks for the tokens of all regions (page safecertification/get-user-tokens-aksk).
func (c *Client) login(ctx context.Context) (*session, error) {
	timestamp := strconv.FormatInt(c.cfg.Now().Unix(), 10)
	accessKey := c.cfg.AccessKey.Reveal()
	env, err := c.exchange(ctx, call{
		op:     opLogin,
		method: http.MethodPost,
		url:    c.cfg.LoginURL + "/api/user/v3/tokens",
		header: http.Header{
			"Content-Type": {"application/json"},
			"User":         {c.cfg.User},
			"Accesskey":    {accessKey},
			"Timestamp":    {timestamp},
			"Signature":    {sign(accessKey, timestamp, c.cfg.User, c.cfg.SecretKey.Reveal())},
		},
		login:   true,
		timeout: accountTimeout,
	})
	if err != nil {
		return nil, err
	}
	var entries list[struct {
		ClusterID   text  `json:"clusterId"`
		ClusterName text  `json:"clusterName"`
		Token       *text `json:"token"`
	}]
	_ = lenient.Unmarshal(env.Data, &entries) // list never fails
	now := c.now()
	s := &session{obtained: c.cfg.Now(), tokens: map[string]token{}}
	for _, entry := range entries {
		id := string(entry.ClusterID)
		if id == "" || isPlatform(id) || isPlatform(string(entry.ClusterName)) {
			continue
		}
		r := &Region{ID: id, Name: string(entry.ClusterName), client: c}
		if entry.Token == nil || *entry.Token == "" {
			r.Suspended = true
		} else {
			s.tokens[id] = issued(NewSecret(string(*entry.Token)), now).onClock(now, s.obtained)
		}
		s.regions = append(s.regions, r)
	}
	return c.keep(s), nil
}

// isPlatform reports whether id or name is that of the platform token, which reaches no containers.
func isPlatform(idOrName string) bool { return idOrName == "0" || idOrName == "ac" }

// token returns a token of region that is not about to expire.
func (c *Client) token(ctx context.Context, r *Region) (token, error) {
	s, err := c.sessionNow(ctx, anyAge)
	if err != nil {
		return token{}, err
	}
	t, ok := s.tokens[r.ID]
	if ok && c.cfg.Now().Before(t.renewAt) {
		return t, nil
	}
	if c.cfg.Token.IsSet() {
		fresh, err := shared(ctx, c, opRenew, func(ctx context.Context) (token, error) { return c.renew(ctx, r, t) })
		if err == nil || errors.Is(err, ErrTokenExpired) || ctx.Err() != nil {
			return fresh, err
		}
		c.renewLater(r, t, c.cfg.Now().Add(renewalMargin)) // not with every call: the platform may be out of reach for good
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the region token could not be renewed; the old one stays in use")
		return t, nil
	}
	if s, err = c.relogin(ctx, s); err != nil {
		return token{}, err
	}
	if t, ok = s.tokens[r.ID]; !ok {
		suspended := Error{Kind: upstream.Credential, Delivery: upstream.Answered, Err: ErrSuspended}
		return token{}, call{op: opLogin, region: r}.fail(suspended)
	}
	return t, nil
}

// renew replaces the configured token (page safecertification/renewal-token). data is an array in the page's table and a
// string in practice.
func (c *Client) renew(ctx context.Context, r *Region, old token) (token, error) {
	c.mu.Lock()
	current := c.session.tokens[r.ID]
	c.mu.Unlock()
	if current.text != old.text { // another call was faster
		return current, nil
	}
	if _, known := c.ClockSkew(); !known {
		_ = c.MeasureClock(ctx) // a wrong clock makes a good token look expired; without an answer ours has to do
	}
	renewal := call{
		op:      opRenew,
		region:  r,
		method:  http.MethodPost,
		url:     c.cfg.PlatformURL + "/ac/openapi/v2/tokens/next",
		header:  http.Header{"Content-Type": {"application/json"}, "Token": {old.text.Reveal()}},
		timeout: accountTimeout,
	}
	expired := func() error { return renewal.fail(Error{Kind: upstream.Credential, Err: c.expiry(old)}) }
	if !old.expires.IsZero() && c.now().After(old.expires.Add(renewalWindow)) {
		return token{}, expired()
	}
	env, err := c.exchange(ctx, renewal)
	if err != nil {
		if errors.Is(err, ErrTokenRefused) && !old.expires.IsZero() && c.now().After(old.expires) {
			err = expired()
		}
		return token{}, err
	}
	fresh := renewedToken(env.Data)
	if fresh == "" {
		return token{}, renewal.useless(ErrMalformed)
	}
	now, obtained := c.now(), c.cfg.Now()
	t := issued(NewSecret(fresh), now).onClock(now, obtained)
	c.keep(&session{obtained: obtained, regions: []*Region{r}, tokens: map[string]token{r.ID: t}})
	return t, nil
}

func renewedToken(data json.RawMessage) string {
	type holder struct {
		Token text `json:"token"`
	}
	var plain string
	var one holder
	var several list[holder]
	switch {
	case lenient.Unmarshal(data, &plain) == nil:
		return plain
	case lenient.Unmarshal(data, &several) == nil && len(several) > 0:
		return string(several[0].Token)
	case lenient.Unmarshal(data, &one) == nil:
		return string(one.Token)
	}
	return ""
}

// discard makes the next call fetch a new token, unless another call has already replaced used.
func (c *Client) discard(r *Region, used token) {
	if c.cfg.Token.IsSet() {
		c.renewLater(r, used, time.Time{})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil && c.session.tokens[r.ID].text == used.text {
		c.session = nil
	}
}

// renewLater sets when the configured token is to be renewed, unless another call has already replaced it.
func (c *Client) renewLater(r *Region, t token, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.tokens[r.ID].text != t.text {
		return
	}
	t.renewAt = at
	c.session = &session{obtained: c.session.obtained, regions: c.session.regions, tokens: map[string]token{r.ID: t}}
}

// Regions returns the account's regions, suspended ones included, after a login if there was none yet.
func (c *Client) Regions(ctx context.Context) ([]*Region, error) {
	s, err := c.sessionNow(ctx, anyAge)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.regions), nil
}

// roughly words an age with one unit: "3 days", "5 minutes".
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := int(d / unit.size); n > 1 || (n == 1 && unit.size == time.Second) {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "a moment"
}
