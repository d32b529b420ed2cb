package tools

import "time"

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
