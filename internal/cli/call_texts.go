package cli

import (
	"fmt"
	"strings"
)

// What `call` says to a person or a script. What a tool says is in tools and internal/toolbox.
const (
	textNothingChanged = "Nothing was changed."
	textInterrupted    = "Interrupted. " + textNothingChanged
	textHowToConfirm   = textNothingChanged + " To do this, repeat the command with --confirm, or run it at a terminal and answer there."
	textNeedsPerson    = textNothingChanged + " The operator wants a person's answer for this tool: run the command at a terminal."
	textWaitsForAnswer = "Interrupted. Something has been sent already: waiting %s for its answer. Ctrl-C again ends at once, without it."
	textCutShort       = "Interrupted. The answer above says what is known."
)

// textUnderWay says what is known of a change that was interrupted before its end.
func textUnderWay(tool string, targets []string, look string) string {
	each := "It may or may not have happened"
	if len(targets) > 1 {
		each = "For each of them it may or may not have happened"
	}
	return fmt.Sprintf("Interrupted. %s had begun, and its answer has not come: %s.\n%s, and nothing was sent twice. Look before repeating it: %s",
		tool, strings.Join(targets, ", "), each, look)
}
