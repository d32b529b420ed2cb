package simulator

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Outcome is how a script ends on a desktop. The zero value is success.
type Outcome struct {
	Kind OutcomeKind
	// Output is what the script printed. Success without one prints a line
	// that names script and desktop.
	Output string
	// OutputSize repeats the output up to this many bytes.
	OutputSize int
	ResultCode string // result_code; no page says which values there are
	Reason     string // reason of a failure; a default one when empty
	// Duration is how long the script runs; Timing.Script when zero, no time
	// at all when negative. It is stopped at the execution_timeout.
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

// SetOutcome says how a script ends on a desktop from the next task on; an
// empty script id means all scripts, and commands.
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

// text is the output. It is made when it is asked for: a thousand desktops
// with a large one each would not fit.
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
	e := ending{takes: duration(o.Duration, s.timing.Script), code: o.ResultCode, output: o.Output, size: max(o.OutputSize, 0)}
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
