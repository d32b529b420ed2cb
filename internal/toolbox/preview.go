package toolbox

import (
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// Preview is shown instead of acting, until there is consent. What would happen to each target is among the result's
// targets, and how to go on is its next step.
type Preview struct {
	Effect    string    `json:"effect" jsonschema_description:"What would happen"`
	Token     string    `json:"token,omitempty" jsonschema_description:"preview_token of the confirming call, for one use; absent: none is needed, or confirming is not possible"`
	ExpiresAt time.Time `json:"expires_at,omitzero" jsonschema_description:"When the token expires"`

	text string // with every target
}

// preview tells what the plan would do, without a way to consent to it.
func (p Plan) preview(notice string, now time.Time) *Preview {
	effect := strings.TrimSpace(notice + " Nothing has been changed. This call " + p.Effect)
	var b strings.Builder
	fmt.Fprintf(&b, "PREVIEW. %s\n", effect)
	writeTargets(&b, p.Targets, now)
	return &Preview{Effect: effect, text: strings.TrimSuffix(b.String(), "\n")}
}

// consentable adds the way to consent to a preview that decision is about, and returns the next step. Where the client can
// ask its user, that is to repeat the call: nobody is asked twice.
func (p *Preview) consentable(decision guard.Decision, atShell bool) (next string) {
	if decision.Token != "" && !decision.CanAsk {
		p.Token, p.ExpiresAt = decision.Token, decision.Expires.UTC().Truncate(time.Second)
	}
	if atShell {
		return p.consentableAtShell(decision)
	}
	switch {
	case decision.CanAsk:
		return "Repeat the same call with confirm=true; the user will be asked."
	case decision.Token != "":
		return fmt.Sprintf("Show this to the user. If they agree, repeat the same call with confirm=true and preview_token=%s, once, before %s.",
			p.Token, p.ExpiresAt.Format(time.RFC3339))
	case decision.Unconfirmable:
		return "Tell the user that this has to be done with a client that can ask a human."
	}
	return "Repeat the call without confirm for a new preview."
}

// consentableAtShell is the next step of a script.
func (p *Preview) consentableAtShell(decision guard.Decision) string {
	switch {
	case decision.Unconfirmable:
		return "The operator wants a person's answer: run the command at a terminal."
	case p.Token != "":
		return fmt.Sprintf("Repeat the command with --confirm, or with confirm=true and preview_token=%s, once, before %s.",
			p.Token, p.ExpiresAt.Format(time.RFC3339))
	}
	return "Repeat the command with --confirm."
}
