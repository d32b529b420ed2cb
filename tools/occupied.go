package tools

import (
	"context"
	"errors"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// occupied counts the accelerators that the account's instances occupy in all usable regions: of every instance that has not
// ended, so that a status without documentation counts. A region that cannot be counted is an error.
func (s Instances) occupied(ctx context.Context) (int, error) {
	regions, err := s.SCNet.Regions(ctx)
	if err != nil {
		return 0, err
	}
	regions = slices.DeleteFunc(slices.Clone(regions), func(r *scnet.Region) bool { return r.Suspended })
	counts := make([]int, len(regions))
	err = lookUp(ctx, len(regions), func(i int) error {
		n, err := occupiedIn(ctx, regions[i])
		counts[i] = n
		return err
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, err
}

func occupiedIn(ctx context.Context, region *scnet.Region) (int, error) {
	n := 0
	for page, err := range region.Pages(ctx, scnet.ListOptions{Limit: occupiedPage}) {
		if errors.Is(err, scnet.ErrNoContainers) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if page.Nameless > 0 {
			return 0, lang.Errorf("%d instances in %s have no id", page.Nameless, region)
		}
		for _, in := range page.Rows {
			if !ended(in.Status) {
				n += in.TotalAccelerators()
			}
		}
	}
	return n, nil
}

// occupiedPage is how many instances are read at a time to count accelerators.
const occupiedPage = 200

// occupation is what a call about so many accelerators takes, of which it starts some, for the policy.
func (s Instances) occupation(accelerators, starts int) *toolbox.Occupation {
	return &toolbox.Occupation{Accelerators: accelerators, Starts: starts, Occupied: s.occupied}
}

// ended reports whether an instance in this status is over. Any other status may occupy something.
func ended(status scnet.Status) bool {
	return status.Is(scnet.Terminated) || status.Is(scnet.Failed) || status.Is(scnet.Completed)
}

// occupies reports whether an instance in this status occupies its accelerators. One that waits has asked for them only. A
// status without documentation counts: what costs money must not be overlooked.
func occupies(status scnet.Status) bool { return !ended(status) && !status.Is(scnet.Waiting) }

// unchanged reads an instance once more and returns an error unless it takes what it took before, in the same status: what a
// call was permitted by must still be so when it is sent.
func unchanged(ctx context.Context, region *scnet.Region, before scnet.Instance) error {
	now, err := region.Detail(ctx, before.ID)
	if err != nil {
		return err
	}
	if !now.Status.Is(before.Status) || now.Accelerators != before.Accelerators || now.Containers != before.Containers {
		return lang.Errorf("%q (%s) has changed meanwhile: it is %s now. Nothing was changed. Look at it again, and repeat the call if it still makes sense",
			text.Field(now.Name), text.Field(now.ID), text.Field(string(now.Status)))
	}
	return nil
}
