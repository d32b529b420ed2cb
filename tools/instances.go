package tools

import (
	"context"
	"errors"
	"slices"
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

func place(r *scnet.Region) toolbox.Place { return toolbox.Place{ID: r.ID, Name: r.Name} }

// chosen is what a plan for instances resolved and its act needs.
type chosen struct {
	targets []toolbox.Target
	found   []located // in the order of targets
}

// located is where an instance is, and what it looks like. Without a region it does not exist.
type located struct {
	ref      string // the id or the name that the call gave
	region   *scnet.Region
	instance scnet.Instance
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

// chunks groups targets by region, at most size in one.
func (c chosen) chunks(targets []int, size int) (chunks [][]int) {
	var regions []*scnet.Region
	for _, i := range targets {
		if !slices.Contains(regions, c.found[i].region) {
			regions = append(regions, c.found[i].region)
		}
	}
	for _, region := range regions {
		var here []int
		for _, i := range targets {
			if c.found[i].region == region {
				here = append(here, i)
			}
		}
		chunks = slices.AppendSeq(chunks, slices.Chunk(here, size))
	}
	return chunks
}

// choose resolves what a call names to targets. A target that does not exist is spared.
func (s Instances) choose(ctx context.Context, policy guard.Policy, selector string, refs []string) (chosen, error) {
	found, err := s.locate(ctx, policy, selector, refs)
	c := chosen{found: found}
	if err != nil { // for the audit log, which wants to know what the call named
		for _, ref := range distinct(refs) {
			c.targets = append(c.targets, toolbox.Target{ID: ref})
		}
		return c, err
	}
	for _, l := range found {
		if l.region == nil {
			c.targets = append(c.targets, toolbox.Target{ID: l.ref, Outcome: toolbox.NotFound})
			continue
		}
		c.targets = append(c.targets, instanceTarget(l, s.Now()))
	}
	return c, nil
}

// chooseOne resolves the one instance that a call names, which must exist.
func (s Instances) chooseOne(ctx context.Context, policy guard.Policy, selector, ref string) (located, error) {
	found, err := s.locate(ctx, policy, selector, []string{ref})
	if err != nil {
		return located{}, err
	}
	if found[0].region == nil {
		return located{}, notFound([]string{text.Field(found[0].ref)})
	}
	return found[0], nil
}

// instanceTarget is an instance as a target.
func instanceTarget(l located, now time.Time) toolbox.Target {
	in := l.instance
	return toolbox.Target{
		ID: in.ID, Place: place(l.region), Exists: true, Name: in.Name, Status: string(in.Status), Owner: in.Owner, Created: in.CreatedAt,
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
