package cli

import (
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// What `call` says to a person or a script. What a tool says is in tools and internal/toolbox.
const (
	textNothingChanged = "Nothing was changed."
	textInterrupted    = "Interrupted. Nothing was changed."
	textHowToConfirm   = "Nothing was changed. To do this, repeat the command with --confirm, or run it at a terminal and answer there."
	textNeedsPerson    = "Nothing was changed. The operator wants a person's answer for this tool: run the command at a terminal."
	textWaitsForAnswer = "Interrupted. Something has been sent already: waiting %s for its answer. Ctrl-C again ends at once, without it."
	textCutShort       = "Interrupted. The answer above says what is known."
)

// textUnderWay says what is known of a change that was interrupted before its end.
func textUnderWay(tool string, targets []string, look string) lang.Text {
	each := lang.T("It may or may not have happened")
	if len(targets) > 1 {
		each = lang.T("For each of them it may or may not have happened")
	}
	return lang.T("Interrupted. %s had begun, and its answer has not come: %s.\n%s, and nothing was sent twice. Look before repeating it: %s",
		tool, lang.Names(targets), each, look)
}
