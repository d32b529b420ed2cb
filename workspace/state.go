package workspace

import (
	"strings"
)

// State is what a status word of the service means. The service publishes no list of its words for tasks and records, so
// every word may come; keep it beside the State.
type State string

// The states.
const (
	StatePending   State = "pending"
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"
	StateUnknown   State = "unknown" // a word that none of its documentation uses
)

// states holds the words of the operations for desktop pools and of the job API, the only ones that are published.
var states = map[string]State{
	"INIT":    StatePending,
	"WAITING": StatePending,
	"RUNNING": StateRunning,
	"SUCCESS": StateSucceeded,
	"FINISH":  StateSucceeded,
	"FAILED":  StateFailed,
}

// StateOf reads a status word without regard to case.
func StateOf(word string) State {
	if s, ok := states[strings.ToUpper(strings.TrimSpace(word))]; ok {
		return s
	}
	return StateUnknown
}
