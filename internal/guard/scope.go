package guard

import "slices"

// The scopes of an access token. Each includes those before it.
const (
	ReadScope    = "scnet:read"
	ChangeScope  = "scnet:change"
	DestroyScope = "scnet:destroy"
)

// ScopesFor returns the scopes that a tool of that risk needs, the most powerful last. It includes the others.
func ScopesFor(risk Risk) []string {
	scopes := []string{ReadScope, ChangeScope, DestroyScope}
	switch risk {
	case Read:
		return scopes[:1]
	case Disruptive:
		return scopes[:2]
	case Destructive:
	}
	return scopes
}

// Grant is what the scopes of an access token let its bearer do, as far as the policy allows it. The zero value is that of
// a caller without an access token, whom only the policy limits.
type Grant struct {
	scoped bool
	scope  string // the most powerful of ours that was granted, "" for none
}

// GrantOf returns what an access token with these scopes grants. Scopes that are not ours grant nothing.
func GrantOf(scopes []string) Grant {
	g := Grant{scoped: true}
	for _, scope := range ScopesFor(Destructive) {
		if slices.Contains(scopes, scope) {
			g.scope = scope
		}
	}
	return g
}

// Allows reports whether a tool of that risk may be called.
func (g Grant) Allows(risk Risk) bool {
	needed := ScopesFor(risk)
	all := ScopesFor(Destructive)
	return !g.scoped || slices.Index(all, g.scope) >= slices.Index(all, needed[len(needed)-1])
}

// PermitsScope returns nil when the scopes of the caller's access token suffice for a tool, and a *Refusal otherwise. A tool
// that they do not suffice for is offered all the same: its caller can get further scopes.
func (p Policy) PermitsScope(tool string, risk Risk) error {
	return p.each(func(p Policy) error {
		if p.Grant.Allows(risk) {
			return nil
		}
		needed := ScopesFor(risk)
		return refuse(scopeRule, "%s needs the scope %s, which the access token does not have", tool, needed[len(needed)-1])
	})
}
