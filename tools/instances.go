package tools

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// InstancesToolset names the tools for container instances on SCNet.
const InstancesToolset = "instances"

// Instances are the tools for container instances on SCNet, with what they work on.
type Instances struct {
	SCNet *scnet.Client
	// Unconfigured tells why SCNet is nil. The tools are offered all the same, so that a client can list them and a person is
	// told what to set.
	Unconfigured error
	Now          func() time.Time // nil: time.Now
}

// options are those of the schema of arguments with a region, which is offered only where there are several.
func (s Instances) options() []schemas.Option {
	if s.SCNet != nil && s.SCNet.SingleRegion() {
		return []schemas.Option{schemas.Without("region")}
	}
	return nil
}

// lookups is how many instances are looked up at the same time.
const lookups = 8

// instanceID is the usual form of an id; what looks like one is not searched for as a name.
var instanceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// region picks the region that a call names.
func (s Instances) region(ctx context.Context, selector string) (*scnet.Region, error) {
	if s.SCNet == nil {
		return nil, s.Unconfigured
	}
	return s.SCNet.Region(ctx, selector)
}

func place(r *scnet.Region) toolbox.Place { return toolbox.Place{ID: r.ID, Name: r.Name} }

// chosen is what a plan for instances resolved and its act needs.
type chosen struct {
	region  *scnet.Region
	targets []toolbox.Target
}

// present returns the indices of the targets that something is to be done to.
func (c chosen) present() []int {
	var present []int
	for i, t := range c.targets {
		if !t.Spared() {
			present = append(present, i)
		}
	}
	return present
}

// resolve looks every id up, once. A target that does not exist is spared, unless it is the name of an instance: then the
// call is wrong, and the error lists the ids that may be meant. More ids than one call may change are not even looked up.
func (s Instances) resolve(ctx context.Context, policy guard.Policy, region *scnet.Region, ids []string) ([]toolbox.Target, []scnet.Instance, error) {
	targets := make([]toolbox.Target, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if id = strings.TrimSpace(id); !seen[id] {
			seen[id] = true
			targets = append(targets, toolbox.Target{ID: id, Place: place(region), Outcome: toolbox.NotFound})
		}
	}
	if err := policy.PermitsCount(len(targets)); err != nil {
		return nil, nil, err
	}
	found, invalid := make([]scnet.Instance, len(targets)), make([]error, len(targets))
	err := lookUp(ctx, len(targets), func(i int) error {
		in, err := region.Detail(ctx, targets[i].ID)
		switch {
		case err == nil:
			found[i], targets[i] = in, instanceTarget(in, targets[i], s.Now())
			return nil
		case errors.Is(err, scnet.ErrInvalidID):
			invalid[i] = err
			return nil
		case errors.Is(err, scnet.ErrNotFound):
			return nil
		}
		return err
	})
	if err != nil {
		return targets, found, err
	}
	for i, t := range targets {
		if !t.Exists && !instanceID.MatchString(t.ID) {
			if err := nameInsteadOfID(ctx, region, t.ID); err != nil {
				return targets, found, err
			}
			if invalid[i] != nil {
				return targets, found, invalid[i]
			}
		}
	}
	return targets, found, nil
}

// instanceTarget is an instance as a target. The id stays as the call named it.
func instanceTarget(in scnet.Instance, t toolbox.Target, now time.Time) toolbox.Target {
	return toolbox.Target{
		ID: t.ID, Place: t.Place, Exists: true, Name: in.Name, Status: string(in.Status), Owner: in.Owner, Created: in.CreatedAt,
		Accelerators: in.TotalAccelerators(), Remaining: seconds(in.Left(now)), Mounts: mounts(in),
		Bound: []string{in.HeaderTaskID, in.StartedAt.String()},
	}
}

// lookUp calls look for 0 to n-1, several at a time, until one fails, and returns the first error. A panic is one: on a
// goroutine that nobody guards it would end the server.
func lookUp(ctx context.Context, n int, look func(i int) error) error {
	result, err := rollout.Run(ctx, rollout.Plan{Targets: n, Concurrency: lookups}, rollout.Steps{
		Do: func(_ context.Context, i int) error { return look(i) },
	})
	if err != nil {
		return err
	}
	for _, target := range result.Targets {
		var panicked *rollout.PanicError
		switch {
		case errors.As(target.Err, &panicked):
			return toolbox.Fault(panicked)
		case target.Err != nil:
			return target.Err
		}
	}
	if result.Stopped == rollout.Cancelled {
		return context.Cause(ctx)
	}
	return nil
}

// nameInsteadOfID returns an error that lists the instances whose name the supposed id is part of, or nil if there are none:
// then it may be an id that no longer exists.
func nameInsteadOfID(ctx context.Context, region *scnet.Region, name string) error {
	const shown = 10
	if name == "" { // part of every name
		return nil
	}
	page, err := region.List(ctx, scnet.ListOptions{Name: name, Limit: shown})
	if err != nil {
		return err
	}
	var matches []string
	for _, in := range page.Rows {
		if strings.Contains(strings.ToLower(in.Name), strings.ToLower(name)) {
			matches = append(matches, fmt.Sprintf("%q is %s (%s)", text.Field(in.Name), text.Field(in.ID), text.Field(string(in.Status))))
		}
	}
	if len(matches) == 0 {
		return nil
	}
	if len(page.Rows) == shown {
		matches = append(matches, "perhaps more, which list_instances shows")
	}
	return fmt.Errorf("%q is not an instance id but part of a name. Nothing was changed. Use the id that is meant: %s",
		text.Field(name), strings.Join(matches, "; "))
}

// logFaults logs what went wrong in the server itself; the result says only that something did.
func logFaults(ctx context.Context, result rollout.Result) {
	errs := []error{result.DoneErr}
	for _, target := range result.Targets {
		errs = append(errs, target.Err, target.CheckErr)
	}
	for _, err := range errs {
		var panicked *rollout.PanicError
		if errors.As(err, &panicked) {
			toolbox.Logger(ctx).Error().Err(panicked).Bytes("stack", panicked.Stack).Msg("a fault in the server during a rollout")
		}
	}
}

// active reports whether an instance in this status is up or on its way up.
func active(s scnet.Status) bool {
	return s.Is(scnet.Running) || s.Is(scnet.Deploying) || s.Is(scnet.Waiting)
}

func describeStatus(s scnet.Status) string {
	switch {
	case s.Is(scnet.Waiting):
		return "Waiting means queueing for cards, not broken."
	case s.Is(scnet.Deploying):
		return "Deploying means that its containers are being set up."
	}
	return ""
}
