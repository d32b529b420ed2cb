package tools

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// The outcomes of one target.
const (
	outcomeDeleted      = "deleted"
	outcomeStillListed  = "still_listed"
	outcomeNotFound     = "not_found"
	outcomeRefused      = "refused"
	outcomeFailed       = "failed"
	outcomeUnknown      = "unknown"
	outcomeAccepted     = "accepted"
	outcomeRejected     = "rejected"
	outcomeSkipped      = "skipped_not_running"
	outcomeNotAttempted = "not_attempted"
)

// lookups is how many instances are looked up at the same time.
const lookups = 8

// instanceID is the usual form of an id; what looks like one is not searched for as a name.
var instanceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// resolve looks every id up, once. An id that does not exist has no Instance, unless it is the name of one: then the call
// is wrong, and the error lists the ids that may be meant. More ids than one call may change are not even looked up.
func resolve(ctx context.Context, service Service, region *scnet.Region, ids []string) ([]PlannedTarget, error) {
	targets := make([]PlannedTarget, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if id = strings.TrimSpace(id); !seen[id] {
			seen[id] = true
			targets = append(targets, PlannedTarget{ID: id})
		}
	}
	if err := service.Policy.PermitsCount(len(targets)); err != nil {
		return nil, err
	}
	invalid := make([]error, len(targets))
	err := lookUp(ctx, len(targets), func(i int) error {
		in, err := region.Detail(ctx, targets[i].ID)
		switch {
		case err == nil:
			targets[i].Instance, targets[i].Seen = &in, seenInstance(in)
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
		return targets, err
	}
	for i, t := range targets {
		if t.Instance == nil && !instanceID.MatchString(t.ID) {
			if err := nameInsteadOfID(ctx, region, t.ID); err != nil {
				return targets, err
			}
			if invalid[i] != nil {
				return targets, invalid[i]
			}
		}
	}
	return targets, nil
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
		var fault *rollout.PanicError
		switch {
		case errors.As(target.Err, &fault):
			return &internalError{what: "a fault in the server", cause: fmt.Errorf("%w\n%s", fault, fault.Stack)}
		case target.Err != nil:
			return target.Err
		}
	}
	if result.Stopped == rollout.Cancelled {
		return context.Cause(ctx)
	}
	return nil
}

// nameInsteadOfID returns an error that lists the instances whose name the supposed id is part of, or nil when there is
// none: then it may be an id that no longer exists.
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
	for _, in := range page.Instances {
		if strings.Contains(strings.ToLower(in.Name), strings.ToLower(name)) {
			matches = append(matches, fmt.Sprintf("%q is %s (%s)", text.Field(in.Name), text.Field(in.ID), text.Field(string(in.Status))))
		}
	}
	if len(matches) == 0 {
		return nil
	}
	if len(page.Instances) == shown {
		matches = append(matches, "perhaps more, which list_instances shows")
	}
	return fmt.Errorf("%q is not an instance id but part of a name. Nothing was changed. Use the id that is meant: %s",
		text.Field(name), strings.Join(matches, "; "))
}

// TargetOutcome is what became of one target, or in a preview would.
type TargetOutcome struct {
	ID      string `json:"id" jsonschema_description:"Id"`
	Name    string `json:"name,omitempty" jsonschema_description:"Name"`
	Status  string `json:"status,omitempty" jsonschema_description:"Before"`
	Outcome string `json:"outcome,omitempty" jsonschema_description:"Outcome"`
	Note    string `json:"note,omitempty" jsonschema_description:"Why"`
}

// writeOutcomes writes a table of outcomes.
func writeOutcomes(b *strings.Builder, outcomes []TargetOutcome) {
	rows := [][]string{{"NAME", "ID", "OUTCOME", "NOTE"}}
	for _, o := range outcomes {
		rows = append(rows, []string{text.Dash(o.Name), o.ID, o.Outcome, text.Dash(o.Note)})
	}
	text.WriteTable(b, rows, []int{24, 40, 20, 160})
}

// writeOutcome says what became of a target that something was to be sent for and that failed with err.
func writeOutcome(err error) string {
	var service *scnet.Error
	switch {
	case uncertain(err):
		return outcomeUnknown
	case errors.As(err, &service) && service.Delivery == scnet.Answered:
		return outcomeRefused
	}
	return outcomeFailed
}

// count counts the outcomes of one kind.
func count(outcomes []TargetOutcome, kinds ...string) int {
	n := 0
	for _, o := range outcomes {
		if slices.Contains(kinds, o.Outcome) {
			n++
		}
	}
	return n
}

// briefly words an error for a table: the service's code and gloss, or the cause.
func briefly(err error) string {
	var service *scnet.Error
	var fault *rollout.PanicError
	if errors.As(err, &fault) {
		return "a fault in the server, which its log explains"
	}
	var desktop *workspace.Error
	if errors.As(err, &desktop) {
		return text.Field(strings.TrimSpace(fmt.Sprintf("%v %s", desktop.Err, desktop.Code)))
	}
	if !errors.As(err, &service) {
		return text.Field(err.Error())
	}
	if service.Code == "" {
		return text.Field(service.Err.Error())
	}
	return text.Field(fmt.Sprintf("code %s %s", service.Code, service.Gloss()))
}
