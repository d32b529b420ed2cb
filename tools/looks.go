package tools

import (
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// Looks at what a change did: the first pause between two, and the longest.
const (
	firstPoll = time.Second
	maxPoll   = 5 * time.Second
)

// afterChange are the pauses between looks at what should show at once: the service may take a moment.
var afterChange = []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second}

// leastLook is how long a change is looked at that should show soon: one that is quick shows by then.
const leastLook = 3 * time.Second

// settleTimeout bounds all looks at one change together.
const settleTimeout = 15 * time.Second

// lookAt is the read that settles what became of an instance, as a step to take. It waits for a status unless wait is "".
func lookAt(id, wait string) string {
	words := "Call get_instance with instance_id=" + text.Field(id)
	if wait != "" {
		words += " and wait_for=" + wait
	}
	return words
}

// lookAtEach is lookAt for the targets with one of the outcomes, of which it names the first.
func lookAtEach(targets []toolbox.Target, wait string, outcomes ...toolbox.Outcome) string {
	var first string
	more := 0
	for _, t := range targets {
		switch {
		case toolbox.Count([]toolbox.Target{t}, outcomes...) == 0:
		case first == "":
			first = lookAt(t.ID, wait)
		default:
			more++
		}
	}
	if more > 0 {
		return first + ", and likewise for " + text.Count(more, "other")
	}
	return first
}
