package scnet

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// route is how the container service of one region is reached: what was discovered or negotiated once.
type route struct {
	addresses []string // without /ai; the service may name several
	current   int      // the one that works: back ends were seen to disagree, so one is kept
	list      listVariant
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
		base, err := serviceBase(c.cfg.AIURL, "/ai")
		if err != nil {
			return nil, 0, call{op: opFind, region: r}.invalid(err)
		}
		addresses = []string{base}
	} else if addresses, err = r.discover(ctx); err != nil {
		return nil, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.routes[r.ID] == nil {
		c.routes[r.ID] = &route{addresses: addresses}
	}
	return c.routes[r.ID].addresses, c.routes[r.ID].current, nil
}

// discover returns the addresses of the region's container service.
func (r *Region) discover(ctx context.Context) ([]string, error) {
	found, err := r.center(ctx)
	if err != nil {
		return nil, err
	}
	addresses, err := found.AIURLs.bases("/ai")
	if err != nil {
		look := r.centerCall()
		look.sent = true
		return nil, look.useless(err)
	}
	return addresses, nil
}

// center asks the platform for the region's addresses (page safecertification/get-center-info), once.
func (r *Region) center(ctx context.Context) (center, error) {
	r.client.mu.Lock()
	known, ok := r.client.centers[r.ID]
	r.client.mu.Unlock()
	if ok {
		return known, nil
	}
	return shared(ctx, r.client, "center "+r.ID, r.askCenter)
}

func (r *Region) centerCall() call {
	return call{
		op: opFind, region: r, method: http.MethodGet, url: r.client.cfg.PlatformURL + "/ac/openapi/v2/center",
		timeout: accountTimeout,
	}
}

func (r *Region) askCenter(ctx context.Context) (center, error) {
	look := r.centerCall()
	env, err := r.withToken(ctx, false, func(t token) (envelope, error) {
		look.header = http.Header{"Content-Type": {"application/json"}, "Token": {t.text.Reveal()}}
		return r.client.exchange(ctx, look)
	})
	if err != nil {
		return center{}, err
	}
	found, err := centerOf(env.Data, r.ID)
	if err != nil {
		return center{}, look.useless(err)
	}
	if _, err := found.AIURLs.bases("/ai"); err == nil { // what cannot be used yet is asked for again
		r.client.mu.Lock()
		defer r.client.mu.Unlock()
		r.client.centers[r.ID] = found
	}
	return found, nil
}

// center is what the platform tells of a region.
type center struct {
	ID       text        `json:"id"`
	AIURLs   addressList `json:"aiUrls"`
	FileURLs addressList `json:"efileUrls"`
	User     lenient.Object[struct {
		UserName text `json:"userName"`
		HomePath text `json:"homePath"`
	}] `json:"clusterUserInfo"`
}

// centerOf finds a region in data: an array on the newest page, an object in the sample.
func centerOf(data json.RawMessage, id string) (center, error) {
	var centers list[center]
	_ = lenient.Unmarshal(data, &centers) // list never fails
	if i := slices.IndexFunc(centers, func(each center) bool { return string(each.ID) == id }); i >= 0 {
		return centers[i], nil
	}
	switch len(centers) {
	case 1:
		return centers[0], nil
	case 0:
		var one center
		if isNull(data) || lenient.Unmarshal(data, &one) != nil {
			return center{}, ErrMalformed
		}
		return one, nil
	}
	// The token must not go to another region's host.
	return center{}, lang.Errorf("%w: several regions, and none of them is this one", ErrMalformed)
}

// addressList takes the service's addresses in every shape that its pages show: an array of objects (the sample), a string
// (the table), or one object.
type addressList []address

type address struct {
	URL    text   `json:"url"`
	Enable *truth `json:"enable"` // one that is missing counts as true
}

// UnmarshalJSON never fails.
func (l *addressList) UnmarshalJSON(raw []byte) error {
	*l = nil
	if len(raw) == 0 {
		return nil
	}
	switch raw[0] {
	case '[':
		var each list[json.RawMessage]
		_ = lenient.Unmarshal(raw, &each) // list never fails
		for _, one := range each {
			if len(one) > 0 && one[0] != '[' { // no service sends a list of lists
				var inner addressList
				_ = inner.UnmarshalJSON(one)
				*l = append(*l, inner...)
			}
		}
	case '"':
		var urls text
		_ = lenient.Unmarshal(raw, &urls) // text never fails
		for _, url := range strings.FieldsFunc(string(urls), func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
			*l = append(*l, address{URL: text(url)})
		}
	case '{':
		var one address
		if lenient.Unmarshal(raw, &one) == nil {
			*l = append(*l, one)
		}
	}
	return nil
}

// bases returns the enabled addresses without the service's own path.
func (l addressList) bases(service string) ([]string, error) {
	var bases []string
	var problem error
	for _, each := range l {
		if each.Enable != nil && !*each.Enable {
			continue
		}
		base, err := serviceBase(string(each.URL), service)
		if err != nil {
			problem = err
			continue
		}
		bases = append(bases, base)
	}
	switch {
	case len(bases) > 0:
		return bases, nil
	case problem != nil:
		return nil, lang.Errorf("%w: %w", ErrNoAddress, problem)
	case len(l) == 0:
		return nil, ErrNoContainers
	}
	return nil, ErrNoAddress
}

// serviceBase reduces an address to what precedes the service's own path: the documentation shows both forms.
func serviceBase(raw, service string) (string, error) {
	u, err := upstream.CheckURL(strings.TrimSpace(raw))
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	path = strings.TrimRight(strings.TrimSuffix(path, service), "/")
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + path, nil
}

// remember changes the region's route, which addresses has set before.
func (r *Region) remember(change func(*route)) {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	change(r.client.routes[r.ID])
}
