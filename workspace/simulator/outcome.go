package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Outcome is how a script ends on a desktop. The zero value is success.
type Outcome struct {
	Kind OutcomeKind
	// Output is what the script printed. Success without one prints a line that names script and desktop.
	Output string
	// OutputSize repeats the output up to this many bytes.
	OutputSize int
	ResultCode string // result_code; no page says which values there are
	Reason     string // reason of a failure; a default one when empty
	// Duration is how long the script runs; Timing.Script when zero, no time at all when negative. It is stopped at the
	// execution_timeout.
	Duration time.Duration
}

// OutcomeKind says how a script ends.
type OutcomeKind int

// The ways a script ends.
const (
	Succeed OutcomeKind = iota
	Fail
	Hang    // runs until the execution_timeout ends it
	Offline // the desktop cannot be reached: fails without having run
)

// The default reasons of failures. The pages have no text for them.
const (
	reasonFailed  = "The script failed."
	reasonTimeout = "The execution timed out."
	reasonOffline = "The desktop is not running."
	reasonType    = "The script type does not fit the operating system of the desktop."
	reasonStopped = "The execution was stopped."
	reasonSkipped = "The gray failure threshold was reached."
)

// outcomeKey addresses an outcome that is for one script only.
type outcomeKey struct{ desktop, script string }

// SetOutcome says how a script ends on a desktop from the next task on; an empty script id means all scripts, and commands.
func (s *Simulator) SetOutcome(desktopID, scriptID string, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if scriptID != "" {
		s.outcomes[outcomeKey{desktopID, scriptID}] = o
	} else if d := s.desktop(desktopID); d != nil {
		d.Outcome = o
	}
}

// ending is what will become of one script on one desktop if nobody stops it.
type ending struct {
	takes  time.Duration
	failed bool
	code   string
	reason string
	output string
	size   int
}

// text is the output. It is made when it is asked for: a thousand desktops with a large one each would not fit.
func (e ending) text() string {
	if e.size == 0 {
		return e.output
	}
	piece := cmp.Or(e.output, "x\n")
	return strings.ToValidUTF8(strings.Repeat(piece, e.size/len(piece)+1)[:e.size], "?")
}

// ending works out what will become of a script. The caller holds s.mu.
func (s *Simulator) ending(d *Desktop, script Script, timeout time.Duration) ending {
	o, found := s.outcomes[outcomeKey{d.ID, script.ID}]
	if !found {
		o = d.Outcome
	}
	switch {
	case d.Status != DesktopActive, o.Kind == Offline:
		return ending{failed: true, code: o.ResultCode, reason: cmp.Or(o.Reason, reasonOffline)}
	case (script.Type == Shell) != (d.OS == "Linux"):
		return ending{failed: true, code: o.ResultCode, reason: reasonType}
	}
	takes := fakecloud.Duration(o.Duration, s.timing.Script)
	e := ending{takes: takes, code: o.ResultCode, output: o.Output, size: max(o.OutputSize, 0)}
	if e.output == "" && o.Kind == Succeed {
		e.output = fmt.Sprintf("%s: %s done\n", d.Name, cmp.Or(script.Name, "command"))
	}
	if o.Kind == Fail {
		e.failed, e.reason = true, cmp.Or(o.Reason, reasonFailed)
	}
	if o.Kind == Hang || e.takes > timeout {
		e.takes, e.failed, e.reason = timeout, true, cmp.Or(o.Reason, reasonTimeout)
	}
	return e
}

// Task is a task as the simulator itself sees it.
type Task struct {
	ID             string
	Type           string // SCRIPT or COMMAND
	PoolID         string
	ScriptIDs      []string
	DesktopIDs     []string
	GrayDesktopIDs []string
	Status         string // one of the State constants, whatever the quirks call it
	Succeeded      int
	Failed         int
	Skipped        int
	Created        time.Time
	End            time.Time // when it ends if nobody stops it
}

// Record is a record as the simulator itself sees it.
type Record struct {
	ID           string
	TaskID       string
	ScriptID     string
	DesktopID    string
	Status       string // one of the State constants, whatever the quirks call it
	ExecuteOrder int
	ResultCode   string
	Reason       string
	Start, End   time.Time // when it starts and ends if nobody stops it
	Replaced     bool      // a retry in the same task has taken its place
}

// Tasks returns all tasks, oldest first, in the state of this moment.
func (s *Simulator) Tasks() []Task {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Task, len(s.tasks))
	for i, t := range s.tasks {
		all[i] = Task{
			ID: t.id, Type: t.kind, PoolID: t.pool.ID,
			DesktopIDs: slices.Clone(t.resources), GrayDesktopIDs: slices.Clone(t.gray),
			Status: t.state(now), Created: t.created, End: t.last().end,
		}
		for _, ref := range t.refs() {
			all[i].ScriptIDs = append(all[i].ScriptIDs, ref.ID)
		}
		all[i].Succeeded, all[i].Failed, all[i].Skipped = t.count(now)
	}
	return all
}

// Records returns the records of a task in the state of this moment, also those that answers do not show.
func (s *Simulator) Records(taskID string) []Record {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.task(taskID)
	if t == nil {
		return nil
	}
	var all []Record
	for _, r := range t.rounds {
		for _, rec := range r.records {
			all = append(all, Record{
				ID: rec.id, TaskID: t.id, ScriptID: rec.script.ID, DesktopID: rec.desktop.ID,
				Status: rec.state(now), ExecuteOrder: rec.order, ResultCode: rec.code, Reason: rec.reason,
				Start: rec.start, End: rec.end, Replaced: rec.replaced,
			})
		}
	}
	return all
}
