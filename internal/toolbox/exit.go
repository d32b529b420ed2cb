package toolbox

import (
	"errors"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// The exit statuses of a call, for a command line.
const (
	ExitDone    = 0 // everything asked for was done
	ExitFailed  = 1 // it failed, failed in part, or its outcome is unknown
	ExitWrong   = 2 // the call was wrong; nothing was sent
	ExitConsent = 3 // consent is needed, or was denied; nothing was changed
	ExitWaiting = 4 // it was accepted and is not over yet
)

// IsError reports whether a result is an error all the same: nothing of what was asked for is known to have been done.
func (r Result) IsError() bool { return r.State == Failed || r.State == Unknown }

// ExitStatus returns what a call that ended with r, or with err, means to a script. A state that is not known here has not
// been shown to be a success.
func ExitStatus(r Result, err error) int {
	if err != nil {
		return exitStatusOf(err)
	}
	switch r.State {
	case "", Done:
		return ExitDone
	case NeedsConfirmation:
		return ExitConsent
	case Waiting:
		return ExitWaiting
	default:
		return ExitFailed
	}
}

func exitStatusOf(err error) int {
	var refusal *guard.Refusal
	switch {
	case isWrong(err):
		return ExitWrong
	case errors.Is(err, ErrDeclined), errors.As(err, &refusal) && refusal.Rule == guard.ConsentRule:
		return ExitConsent
	}
	return ExitFailed
}
