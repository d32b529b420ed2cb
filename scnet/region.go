package scnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/sanitize"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// ChinaTime is the zone of the service's times, which carry none.
var ChinaTime = time.FixedZone("UTC+8", 8*60*60)

// Region is one computing centre of an account. Its methods are safe for concurrent use.
type Region struct {
	ID        string
	Name      string // "" when only a region token is known
	Suspended bool   // the login gave no token for it: the account has to top up there

	client *Client
}

// String returns name and id.
func (r *Region) String() string {
	if r.Name == "" {
		return sanitize.Line(r.ID, 40)
	}
	return fmt.Sprintf("%s (%s)", sanitize.Line(r.Name, 40), sanitize.Line(r.ID, 40))
}

// route is how the container service of one region is reached: what was discovered or negotiated once.
type route struct {
	addresses []string // without /ai; the service may name several
	current   int      // the one that works: back ends were seen to disagree, so one is kept
	list      listVariant
}

// Region picks a region by id, by name or by an unambiguous part of its name. With an empty selector it picks the
// configured default or the only usable region. It returns a *RegionError when that leaves none or several.
func (c *Client) Region(ctx context.Context, selector string) (*Region, error) {
	if selector == "" && !c.SingleRegion() {
		selector = c.cfg.Region
	}
	regions, err := c.Regions(ctx)
	if err != nil {
		return nil, err
	}
	region, err := pick(regions, selector)
	// A region appears in the login only once it is used, and a suspended one works again after a top-up; the session may
	// be older than that.
	if err != nil && !c.SingleRegion() {
		s, loginErr := c.sessionNow(ctx, time.Minute)
		if loginErr != nil {
			return nil, loginErr
		}
		return pick(s.regions, selector)
	}
	return region, err
}

func pick(regions []*Region, selector string) (*Region, error) {
	var usable, suspended []*Region
	for _, r := range regions {
		if r.Suspended {
			suspended = append(suspended, r)
		} else {
			usable = append(usable, r)
		}
	}
	shown := sanitize.Line(selector, 60)
	refuse := func(format string, args ...any) (*Region, error) {
		return nil, &RegionError{Wanted: selector, Usable: usable, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case selector == "" && len(usable) == 1:
		return usable[0], nil
	case selector == "" && len(usable) == 0 && len(suspended) > 0:
		return nil, &RegionError{Problem: ErrSuspended,
			Reason: fmt.Sprintf("the account is suspended in %s", joinRegions(suspended))}
	case selector == "" && len(usable) == 0:
		return refuse("the login gave no region")
	case selector == "":
		return refuse("the account has several regions and none was chosen")
	case isPlatform(selector):
		return refuse("%q is the platform, not a region with containers", shown)
	}
	for _, fits := range []func(*Region) bool{
		func(r *Region) bool { return r.ID == selector },
		func(r *Region) bool { return r.Name == selector },
		func(r *Region) bool { return strings.Contains(strings.ToLower(r.Name), strings.ToLower(selector)) },
	} {
		matches := those(usable, fits)
		switch {
		case len(matches) == 1:
			return matches[0], nil
		case len(matches) > 1:
			return refuse("%q fits several regions: %s", shown, joinRegions(matches))
		}
		if matches = those(suspended, fits); len(matches) > 0 {
			return nil, &RegionError{Wanted: selector, Usable: usable, Problem: ErrSuspended,
				Reason: fmt.Sprintf("the account is suspended in %s", joinRegions(matches))}
		}
	}
	return refuse("no region has the id or name %q", shown)
}

func those(regions []*Region, fit func(*Region) bool) []*Region {
	var out []*Region
	for _, r := range regions {
		if fit(r) {
			out = append(out, r)
		}
	}
	return out
}

func joinRegions(regions []*Region) string {
	names := make([]string, len(regions))
	for i, r := range regions {
		names[i] = r.String()
	}
	return strings.Join(names, ", ")
}

// Address returns the address in use for the region's container service, looking it up first if need be.
func (r *Region) Address(ctx context.Context) (string, error) {
	addresses, current, err := r.addresses(ctx)
	if err != nil {
		return "", err
	}
	return addresses[current], nil
}

func (r *Region) addresses(ctx context.Context) (addresses []string, current int, err error) {
	c := r.client
	c.mu.Lock()
	known := c.routes[r.ID]
	if known != nil {
		addresses, current = known.addresses, known.current
	}
	c.mu.Unlock()
	if known != nil {
		return addresses, current, nil
	}
	if c.cfg.AIURL != "" {
		base, err := serviceBase(c.cfg.AIURL)
		if err != nil {
			return nil, 0, &Error{Op: "find the region's address", Region: r.String(), Delivery: NotSent, Err: err}
		}
		addresses = []string{base}
	} else if addresses, err = shared(ctx, c, "find the address of "+r.ID, r.discover); err != nil {
		return nil, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.routes[r.ID] == nil {
		c.routes[r.ID] = &route{addresses: addresses}
	}
	return c.routes[r.ID].addresses, c.routes[r.ID].current, nil
}

// discover asks the platform for the region's addresses (page safecertification/get-center-info).
func (r *Region) discover(ctx context.Context) ([]string, error) {
	const op = "find the region's address"
	env, err := r.withToken(ctx, false, func(t token) (envelope, error) {
		return r.client.exchange(ctx, call{
			op:     op,
			region: r,
			method: http.MethodGet,
			url:    r.client.cfg.PlatformURL + "/ac/openapi/v2/center",
			header: http.Header{"Content-Type": {"application/json"}, "Token": {t.text.Reveal()}},
		})
	})
	if err != nil {
		return nil, err
	}
	fail := func(err error) error {
		return &Error{Op: op, Region: r.String(), Delivery: Answered, Status: 200, Err: err}
	}
	type center struct {
		ID     text `json:"id"`
		Name   text `json:"name"`
		AIURLs list[struct {
			URL    text   `json:"url"`
			Enable *truth `json:"enable"`
		}] `json:"aiUrls"`
	}
	var centers list[center] // an array on the newest page, an object in the sample
	var chosen center
	_ = json.Unmarshal(env.Data, &centers) // list never fails
	switch i := slices.IndexFunc(centers, func(each center) bool { return string(each.ID) == r.ID }); {
	case i >= 0:
		chosen = centers[i]
	case len(centers) == 1:
		chosen = centers[0]
	case len(centers) > 1: // the token must not go to another region's host
		return nil, fail(fmt.Errorf("%w: several regions, and none of them is this one", ErrMalformed))
	case isNull(env.Data) || json.Unmarshal(env.Data, &chosen) != nil:
		return nil, fail(ErrMalformed)
	}
	var addresses []string
	var problem error
	for _, u := range chosen.AIURLs {
		if u.Enable != nil && !*u.Enable { // a missing enable counts as true
			continue
		}
		base, err := serviceBase(string(u.URL))
		if err != nil {
			problem = err
			continue
		}
		addresses = append(addresses, base)
	}
	switch {
	case len(addresses) > 0:
		return addresses, nil
	case problem != nil:
		return nil, fail(fmt.Errorf("%w: %w", ErrNoAddress, problem))
	case len(chosen.AIURLs) == 0:
		return nil, fail(ErrNoContainers)
	}
	return nil, fail(ErrNoAddress)
}

// serviceBase reduces an address to what precedes /ai: the documentation shows both forms.
func serviceBase(raw string) (string, error) {
	u, err := upstream.CheckURL(strings.TrimSpace(raw))
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	path = strings.TrimRight(strings.TrimSuffix(path, "/ai"), "/")
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + path, nil
}

// call is one request to SCNet.
type call struct {
	op        string
	region    *Region
	method    string
	url       string // complete, or for container calls what follows the region's address
	header    http.Header
	body      []byte
	write     bool // changes something
	login     bool // the token endpoint: its codes have meanings of their own
	container bool // the region's container service
	maxBody   int64
}

// exchange makes one call and returns its envelope, or an *Error.
func (c *Client) exchange(ctx context.Context, call call) (envelope, error) {
	if c.cfg.UserAgent != "" {
		call.header.Set("User-Agent", c.cfg.UserAgent)
	}
	resp, err := c.upstream.Do(ctx, upstream.Request{
		Method: call.method, URL: call.url, Header: call.header, Body: call.body, Write: call.write, MaxBody: call.maxBody,
	})
	describe := func(e *Error) error {
		e.Op = call.op
		if call.region != nil {
			e.Region = call.region.String()
		}
		e.Endpoint = call.method + " " + upstream.Endpoint(call.url)
		return e
	}
	if err != nil {
		var e *upstream.Failure
		if !errors.As(err, &e) {
			e = &upstream.Failure{Delivery: Unknown, Err: err}
		}
		permanent := errors.Is(e.Err, upstream.ErrInsecureURL) || errors.Is(e.Err, upstream.ErrTooLarge)
		return envelope{}, describe(&Error{
			Delivery:  e.Delivery,
			Retryable: !permanent && (!call.write || e.Delivery == NotSent),
			Uncertain: call.write && e.Delivery != NotSent,
			Err:       e.Err,
		})
	}
	c.noteClock(resp)
	env, ok := parseEnvelope(resp.Body)
	if !ok || !env.ok() || resp.Status < 200 || resp.Status > 299 {
		return envelope{}, describe(answerError(call, resp))
	}
	return env, nil
}

// withToken runs send with the region's token. When the service refuses the token it is discarded, and a read is sent
// once more with a new one; a write is not, so that it cannot run twice.
func (r *Region) withToken(ctx context.Context, write bool, send func(token) (envelope, error)) (envelope, error) {
	for try := 1; ; try++ {
		t, err := r.client.token(ctx, r)
		if err != nil {
			return envelope{}, err
		}
		env, err := send(t)
		if !errors.Is(err, ErrTokenRefused) {
			return env, err
		}
		r.client.discard(r, t)
		if write || try == 2 {
			return env, err
		}
	}
}

// do sends a container call to the region's address. It moves on to the next address only when nothing could be sent to
// the current one.
func (r *Region) do(ctx context.Context, call call) (envelope, error) {
	call.region, call.container = r, true
	if call.header == nil {
		call.header = http.Header{}
	}
	return r.withToken(ctx, call.write, func(t token) (envelope, error) {
		addresses, current, err := r.addresses(ctx)
		if err != nil {
			return envelope{}, err
		}
		call.header.Set("Token", t.text.Reveal())
		path := call.url
		for i := 0; ; i++ {
			at := (current + i) % len(addresses)
			each := call
			each.url = addresses[at] + "/ai/openapi/v2/" + path
			env, err := r.client.exchange(ctx, each)
			var e *Error
			if errors.As(err, &e) && e.Delivery == NotSent && i+1 < len(addresses) && ctx.Err() == nil {
				continue
			}
			if i > 0 && (err == nil || e == nil || e.Delivery != NotSent) {
				r.remember(func(route *route) { route.current = at })
			}
			return env, err
		}
	})
}

// remember changes the region's route, which addresses has set before.
func (r *Region) remember(change func(*route)) {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	change(r.client.routes[r.ID])
}
