package tools

import (
	"context"
	"errors"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
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

func describeStatus(s scnet.Status) lang.Text {
	switch {
	case s.Is(scnet.Waiting):
		return lang.T("Waiting means queueing for cards, not broken.")
	case s.Is(scnet.Deploying):
		return lang.T("Deploying means that its containers are being set up.")
	}
	return lang.Text{}
}
