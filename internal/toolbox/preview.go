package toolbox

import (
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Preview is shown instead of acting, until there is consent. What would happen to each target is among the result's
// targets, and how to go on is its next step.
type Preview struct {
	Effect    lang.Text `json:"effect" jsonschema_description:"What would happen"`
	Token     string    `json:"token,omitempty" jsonschema_description:"preview_token of the confirming call, for one use; absent: none is needed, or confirming is not possible"`
	ExpiresAt time.Time `json:"expires_at,omitzero" jsonschema_description:"When the token expires"`

	targets []Target
	now     time.Time
}

// preview tells what the plan would do, without a way to consent to it.
func (p Plan) preview(notice lang.Text, now time.Time) *Preview {
	effect := lang.Sentences(notice, lang.T("Nothing has been changed."), lang.T("This call %s", p.Effect))
	return &Preview{Effect: effect, targets: p.Targets, now: now}
}

// text says it, with every target.
func (p *Preview) text(l lang.Lang) string {
	var b strings.Builder
	l.Fprintf(&b, "PREVIEW. %s\n", p.Effect)
	writeTargets(l, &b, p.targets, p.now)
	return strings.TrimSuffix(b.String(), "\n")
}

// consentable adds the way to consent to a preview that decision is about, and returns the next step. Where the client can
// ask its user, that is to repeat the call: nobody is asked twice.
func (p *Preview) consentable(decision guard.Decision, atShell bool) (next lang.Text) {
	if decision.Token != "" && !decision.CanAsk {
		p.Token, p.ExpiresAt = decision.Token, decision.Expires.UTC().Truncate(time.Second)
	}
	if atShell {
		return p.consentableAtShell(decision)
	}
	switch {
	case decision.CanAsk:
		return lang.T("Repeat the same call with confirm=true; the user will be asked.")
	case decision.Token != "":
		return lang.T("Show this to the user. If they agree, repeat the same call with confirm=true and preview_token=%s, once, before %s.",
			p.Token, p.ExpiresAt.Format(time.RFC3339))
	case decision.Unconfirmable:
		return lang.T("Tell the user that this has to be done with a client that can ask a human.")
	}
	return lang.T("Repeat the call without confirm for a new preview.")
}

// consentableAtShell is the next step of a script.
func (p *Preview) consentableAtShell(decision guard.Decision) lang.Text {
	switch {
	case decision.Unconfirmable:
		return lang.T("The operator wants a person's answer: run the command at a terminal.")
	case p.Token != "":
		return lang.T("Repeat the command with --confirm, or with confirm=true and preview_token=%s, once, before %s.",
			p.Token, p.ExpiresAt.Format(time.RFC3339))
	}
	return lang.T("Repeat the command with --confirm.")
}
