// Package callers knows who may use a server over HTTP, and what each of them may do: a file of names, of digests of tokens
// or what selects access tokens, and of policies.
package callers

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Local is the name of the process's own user. No caller of a file can have it.
const Local = guard.Local

// tokenPrefix lets scanners of published text find a token that has leaked.
const tokenPrefix = "scnetmcp_"

// tokenBytes is how many random bytes a token has.
const tokenBytes = 32

// emptyDigest is what a script writes that hashed an unset variable. It would let in everybody who sends no token.
var emptyDigest = Digest("")

var nameForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
})

// Caller is somebody who may use the server.
type Caller struct {
	Name   string
	Policy guard.Policy // to narrow the operator's by; MaxTargets is 0 when the file sets none

	MaxMutationsPerHour int // instances changed in any hour; 0 when the file sets none

	// Digest is Digest of the token: 64 lower-case hexadecimal digits. It names the token without giving it away, and
	// changes with it. A caller has either a token or a selector.
	Digest string
	OAuth  Selector

	allow, protect []string // the patterns as they were written
}

// Table holds the callers of one reading of a file. It does not change, so it is safe for concurrent use.
type Table struct{ callers []Caller }

// Callers returns the callers in the order of the file. The policies in them must not be changed.
func (t *Table) Callers() []Caller { return slices.Clone(t.callers) }

// Find returns the caller whose token it is. How long it takes does not tell how much of a token is right, nor whose it
// nearly is. The policy of the result must not be changed.
func (t *Table) Find(token string) (Caller, bool) {
	digest := []byte(Digest(token))
	found := -1
	for i := range t.callers {
		same := subtle.ConstantTimeCompare(digest, []byte(t.callers[i].Digest))
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Caller{}, false
	}
	return t.callers[found], true
}

// NewToken returns a token of 256 random bits and its Digest. The token is the only thing that proves who calls.
func NewToken() (token, digest string) {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // never fails: the process ends first
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	return token, Digest(token)
}

// Digest returns the SHA-256 of token as 64 lower-case hexadecimal digits. It needs neither a salt nor a slow hash: those
// protect passwords that people choose, and nobody can search through 256 random bits.
func Digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// CheckName returns an error unless a caller can have that name: 1 to 64 lower-case letters, digits, dots, underscores and
// hyphens, the first a letter or digit, and not Local.
func CheckName(name string) error {
	switch {
	case !nameForm().MatchString(name):
		// The name is not repeated: it may be a token that was pasted into the wrong field.
		return lang.Errorf("is not valid; it must match %s", nameForm())
	case name == Local:
		return lang.Errorf(`"local" is reserved for the user of the process itself; choose another name`)
	}
	return nil
}

// String says in one line what the caller may do where the operator's policy does not forbid it. It shows no part of the
// digest.
func (c Caller) String() string { return c.In(lang.English) }

// In says it in a language.
func (c Caller) In(l lang.Lang) string {
	var parts []lang.Text
	say := func(when bool, format string, args ...any) {
		if when {
			parts = append(parts, lang.T(format, args...))
		}
	}
	list := func(items []string, label string) { say(len(items) > 0, label, strings.Join(items, " ")) }

	p := c.Policy
	say(c.OAuth != Selector{}, "%s", c.OAuth)
	say(p.ReadOnly, "only reads")
	say(!p.ReadOnly, "reads and changes")
	say(p.Toolsets != nil && len(p.Toolsets) == 0, "no tools at all")
	list(p.Toolsets, "only toolsets %s")
	list(p.DisabledTools, "without %s")
	list(c.allow, "changes only %s")
	list(c.protect, "never changes %s")
	say(!p.ReadOnly && p.MaxTargets > 0, "at most %d instances a call", p.MaxTargets)
	say(!p.ReadOnly && p.MaxAccelerators > 0, "at most %d accelerators a call", p.MaxAccelerators)
	say(!p.ReadOnly && p.MaxRunningAccelerators > 0, "starts nothing beyond %d occupied accelerators", p.MaxRunningAccelerators)
	say(!p.ReadOnly && c.MaxMutationsPerHour > 0, "at most %d instances an hour", c.MaxMutationsPerHour)
	say(p.AllowAccessURLs, "sees access addresses")
	for _, tool := range slices.Sorted(maps.Keys(p.Consent)) {
		say(true, "consent to %s: at least %s", tool, p.Consent[tool])
	}
	say(p.NeverAsk, "is never asked")
	return l.Sprintf("%s: %s", c.Name, lang.Clauses(parts...))
}
