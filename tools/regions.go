package tools

import (
	"context"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// isEvery reports whether a word of a call stands for everything there is.
func isEvery(word string) bool {
	return slices.Contains([]string{"all", "全部", "所有"}, strings.ToLower(strings.TrimSpace(word)))
}

// region picks the region that a call names.
func (s Instances) region(ctx context.Context, selector string) (*scnet.Region, error) {
	if s.SCNet == nil {
		return nil, s.Unconfigured
	}
	return s.SCNet.Region(ctx, selector)
}

// regions returns the region of selector, or all that can be used.
func (s Instances) regions(ctx context.Context, selector string) ([]*scnet.Region, error) {
	if s.SCNet == nil {
		return nil, s.Unconfigured
	}
	if selector == "" || isEvery(selector) {
		return s.SCNet.Usable(ctx)
	}
	region, err := s.SCNet.Region(ctx, selector)
	return []*scnet.Region{region}, err
}

// listed returns the regions that a list is about: without a selector the configured one, or all that can be used if none is.
// Others are those of the account that it is not about.
func (s Instances) listed(ctx context.Context, selector string) (asked, others []*scnet.Region, err error) {
	if selector == "" && s.SCNet != nil {
		home, err := s.SCNet.Configured(ctx)
		if err != nil {
			return nil, nil, err
		}
		if home != nil {
			asked = []*scnet.Region{home}
		}
	}
	if asked == nil {
		if asked, err = s.regions(ctx, selector); err != nil {
			return nil, nil, err
		}
	}
	account, err := s.SCNet.Regions(ctx)
	if err != nil {
		return nil, nil, err
	}
	others = slices.DeleteFunc(account, func(r *scnet.Region) bool {
		return slices.ContainsFunc(asked, func(a *scnet.Region) bool { return a.ID == r.ID })
	})
	return asked, others, nil
}
