package callers

import (
	"fmt"
	"maps"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
)

// Selector says for which access tokens an entry of the file is: those in which everything is found that is not empty.
type Selector struct {
	Subject  string
	ClientID string
	Group    string
	Role     string
	Any      bool // every token of the authorization server
}

// selects compares texts as they are: two that look alike are two.
func (s Selector) selects(who oauth.Identity) bool {
	if s == (Selector{}) { // an entry with a token of its own
		return false
	}
	return (s.Subject == "" || s.Subject == who.Subject) && (s.ClientID == "" || s.ClientID == who.ClientID) &&
		(s.Group == "" || slices.Contains(who.Groups, s.Group)) && (s.Role == "" || slices.Contains(who.Roles, s.Role))
}

// String says whom it selects.
func (s Selector) String() string { return s.In(lang.English) }

// In says it in a language.
func (s Selector) In(l lang.Lang) string {
	var parts []lang.Text
	for _, part := range []struct{ name, value string }{
		{"sub", s.Subject}, {"client_id", s.ClientID}, {"group", s.Group}, {"role", s.Role},
	} {
		if part.value != "" {
			parts = append(parts, lang.Verbatim(fmt.Sprintf("%s %q", part.name, part.value)))
		}
	}
	if s.Any {
		parts = append(parts, lang.Verbatim("any"))
	}
	return l.Sprintf("access tokens with %s", lang.And(parts...))
}

// Select returns the first caller of the file that an access token is for. Nobody is selected by default.
func (t *Table) Select(who oauth.Identity) (Caller, bool) {
	for _, c := range t.callers {
		if c.OAuth.selects(who) {
			return c, true
		}
	}
	return Caller{}, false
}

// HasOAuth reports whether an entry is for access tokens.
func (t *Table) HasOAuth() bool {
	return slices.ContainsFunc(t.callers, func(c Caller) bool { return c.OAuth != Selector{} })
}

// LiveFor is Live for whoever an access token was issued to: it returns a *guard.Refusal once another entry than name, or
// none, selects the token.
func (f *File) LiveFor(who oauth.Identity, name string) guard.Live {
	return func() (guard.Policy, error) {
		if c, found := f.Table().Select(who); found && c.Name == name {
			return c.Policy, nil
		}
		return guard.Policy{}, revoked("caller %s has been removed", name)
	}
}

// Select returns the caller of the file that an access token is for, what is kept for it, and its policy at any time.
func (b *Book[T]) Select(who oauth.Identity) (c Caller, kept T, live guard.Live, ok bool) {
	now := b.current.Load()
	if c, ok = now.table.Select(who); !ok {
		return c, kept, nil, false
	}
	return c, now.byName[c.Name].kept, b.file.LiveFor(who, c.Name), true
}

// HasOAuth reports whether an entry is for access tokens.
func (b *Book[T]) HasOAuth() bool { return b.current.Load().table.HasOAuth() }

// selector reads whom an entry selects.
func (r *reader) selector(path string, value any, c *Caller) {
	object, ok := is[map[string]any](r, path, value, lang.T("an object"))
	if !ok {
		return
	}
	texts := map[string]*string{
		"sub": &c.OAuth.Subject, "client_id": &c.OAuth.ClientID, "group": &c.OAuth.Group, "role": &c.OAuth.Role,
	}
	valid := []string{"sub", "client_id", "group", "role", "any"}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := path + "." + name
		if into, known := texts[name]; known {
			if text, ok := is[string](r, at, object[name], lang.T("a string")); ok && text == "" {
				r.wrong(at, "is empty; leave it out if it may be anything")
			} else {
				*into = text
			}
		}
	}
	if value, given := object["any"]; given {
		if c.OAuth.Any = r.yes(path+".any", value); !c.OAuth.Any || len(object) > 1 {
			r.wrong(path+".any", "must be true and alone; it lets in whoever has an access token for this server")
		}
	}
	if len(object) == 0 {
		r.wrong(path, "selects nobody; name sub, client_id, group or role, or any")
	}
	r.unknown(path, object, valid)
}
