package simulator

import (
	"fmt"
	"maps"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Quirks switches between readings of what the documentation leaves open. The zero value is the reading this project assumes.
type Quirks struct {
	// StatusWords replaces the words of tasks and records in answers and filters, for example {"FINISH": "COMPLETED"}: no
	// page enumerates them.
	StatusWords map[string]string `key:"status-words"`
	// EndTime selects how a time that has not come yet looks.
	EndTime EndTime `key:"end-time" words:"absent null empty"`
	// RetrySameTask lets retry work inside the task it is given and answer with that id. Otherwise a new task does the work.
	RetrySameTask bool `key:"retry-same-task"`
	// ThresholdByRecord compares gray_fail_threshold with the failed records of the gray batch, as the text of the sibling
	// operations can be read, instead of with the failed desktops. It matters with several scripts.
	ThresholdByRecord bool `key:"threshold-by-record"`
	// GrayOutsiders accepts gray_resource_ids that are not among the resource_ids; they run in the gray batch. Otherwise they
	// are refused.
	GrayOutsiders bool `key:"gray-outsiders"`
	// HideSkipped keeps no record of what was skipped.
	HideSkipped bool `key:"hide-skipped"`
	// MethodsAtGateway answers a wrong method as the gateway would (404, as if there was no such API) and not with the 405 of
	// the pages' tables.
	MethodsAtGateway bool `key:"methods-at-gateway"`
}

// ParseQuirks adds switches to q, as written on a command line: "end-time=null,hide-skipped".
func ParseQuirks(text string, q *Quirks) error {
	if err := fakecloud.ParseKeys(text, q); err != nil {
		return fmt.Errorf("quirk %q: %w", text, err)
	}
	return nil
}

// EndTime is the look of a time that has not come yet.
type EndTime int

// The looks of a time that has not come yet.
const (
	EndAbsent EndTime = iota // no member
	EndNull                  // null
	EndEmpty                 // ""
)

// SetQuirks replaces all switches; it may be called while requests are served.
func (s *Simulator) SetQuirks(q Quirks) {
	q.StatusWords = maps.Clone(q.StatusWords)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quirks = q
}

// word is what answers call a state.
func (q Quirks) word(state string) string {
	if w, ok := q.StatusWords[state]; ok {
		return w
	}
	return state
}
