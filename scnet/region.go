package scnet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
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
		return clean.Line(r.ID, 40)
	}
	return fmt.Sprintf("%s (%s)", clean.Line(r.Name, 40), clean.Line(r.ID, 40))
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

// Usable returns the regions that can be used, the configured one first. There is at least one. The configured one may be
// suspended: the others can still be used.
func (c *Client) Usable(ctx context.Context) ([]*Region, error) {
	regions, err := c.Regions(ctx)
	if err != nil {
		return nil, err
	}
	usable := those(regions, func(r *Region) bool { return !r.Suspended })
	if c.cfg.Region == "" && len(usable) > 0 || c.SingleRegion() {
		return usable, nil
	}
	home, err := c.Region(ctx, "")
	if errors.Is(err, ErrSuspended) && len(usable) > 0 {
		return usable, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]*Region{home}, those(usable, func(r *Region) bool { return r.ID != home.ID })...), nil
}

// Configured returns the region that is the default, or nil if there is none.
func (c *Client) Configured(ctx context.Context) (*Region, error) {
	if c.cfg.Region == "" && !c.SingleRegion() {
		return nil, nil
	}
	return c.Region(ctx, "")
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
	shown := clean.Line(selector, 60)
	refuse := func(format string, args ...any) (*Region, error) {
		return nil, regionError(selector, usable, lang.Errorf(format, args...))
	}
	switch {
	case selector == "" && len(usable) == 1:
		return usable[0], nil
	case selector == "" && len(usable) == 0 && len(suspended) > 0:
		return refuse("%w", suspendedIn{suspended})
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
			return refuse("%w", suspendedIn{matches})
		}
	}
	return refuse("no region has the id or name %q", shown)
}

// suspendedIn names the regions that ErrSuspended is about.
type suspendedIn struct{ regions []*Region }

func (e suspendedIn) Error() string { return e.In(lang.English) }

// In says it in a language.
func (e suspendedIn) In(l lang.Lang) string {
	return l.Sprintf("the account is suspended in %s", joinRegions(e.regions))
}

func (suspendedIn) Unwrap() error { return ErrSuspended }

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
