package tools

import (
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
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
func lookAt(id, wait string) lang.Text {
	if wait == "" {
		return lang.T("Call get_instance with instance_id=%s", text.Field(id))
	}
	return lang.T("Call get_instance with instance_id=%s and wait_for=%s", text.Field(id), wait)
}

// afterSeconds adds how long something was waited for.
func afterSeconds(words lang.Text, waited int) lang.Text {
	if waited == 0 {
		return words
	}
	return lang.T("%s after %d s", words, waited)
}

// lookAtEach is lookAt for the targets with one of the outcomes, of which it names the first.
func lookAtEach(targets []toolbox.Target, wait string, outcomes ...toolbox.Outcome) lang.Text {
	var first lang.Text
	more := 0
	for _, t := range targets {
		switch {
		case toolbox.Count([]toolbox.Target{t}, outcomes...) == 0:
		case first.IsZero():
			first = lookAt(t.ID, wait)
		default:
			more++
		}
	}
	if more > 0 {
		return lang.T("%s, and likewise for %s", first, lang.Count(more, "other"))
	}
	return first
}
