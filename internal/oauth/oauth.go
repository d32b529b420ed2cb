// Package oauth checks the access tokens of an OAuth 2.1 authorization server: JWTs that it signed for this server. It knows
// neither MCP nor what a caller may do.
package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Options configure a Verifier. Issuer and Audiences must be set.
type Options struct {
	Issuer    string   // exactly as tokens and the metadata name it
	Audiences []string // a token must be for one of these
	Client    *http.Client
	Now       func() time.Time
}

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	issuer    string
	audiences []string
	keys      *keyring
	now       func() time.Time
}

// Identity is who an access token was issued to, and what for.
type Identity struct {
	Issuer   string
	Subject  string
	ClientID string
	Groups   []string
	Roles    []string
	Scopes   []string
	Expires  time.Time
}

// Invalid says why a token is not accepted. The reason is a sentence of ours, which holds nothing of the token.
type Invalid struct{ Reason string }

// Error returns the reason.
func (e *Invalid) Error() string { return "the access token " + e.Reason } // not said to people

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// ErrUnavailable says that tokens cannot be checked now, because the issuer's keys are not known.
var ErrUnavailable = lang.Errorf("the keys of the authorization server are not known")

// New returns a Verifier. It asks the issuer for nothing yet; Run and Verify do.
func New(o Options) (*Verifier, error) {
	if err := CheckIssuer(o.Issuer); err != nil {
		return nil, err
	}
	if len(o.Audiences) == 0 {
		return nil, lang.Errorf("there is no audience: tokens for other servers would be accepted")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Verifier{
		issuer: o.Issuer, audiences: o.Audiences, now: o.Now,
		keys: &keyring{source: newSource(o.Issuer, o.Client), now: o.Now},
	}, nil
}

// CheckIssuer returns an error unless issuer is a URL that an authorization server can have as its issuer: https, or http on
// loopback, without query and fragment.
func CheckIssuer(issuer string) error {
	u, err := upstream.CheckURL(issuer)
	if err != nil {
		return err
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "{") {
		return lang.Errorf("the issuer must have neither a query nor a placeholder: take it from the authorization server's metadata")
	}
	return nil
}

// Run keeps the keys of the issuer current until ctx ends. changed is called when the issuer gets out of reach, with the
// cause, and when it is back, with nil.
func (v *Verifier) Run(ctx context.Context, changed func(error)) { v.keys.run(ctx, changed) }

// State says whether tokens can be checked, and what is wrong with the issuer.
type State struct {
	Usable bool      // tokens can be checked
	Until  time.Time // with Usable and a Cause: when the known keys are no longer used
	Cause  error     // why the issuer's keys could not be read the last time; nil: they could
}

// State returns the present state.
func (v *Verifier) State() State { return v.keys.state() }

// Verify returns who token was issued to. The error is an *Invalid, or wraps ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	signed, err := parse(token)
	if err != nil {
		return Identity{}, err
	}
	key, err := v.keys.find(ctx, signed.Headers[0].KeyID, signed.Headers[0].Algorithm)
	if err != nil {
		return Identity{}, err
	}
	var c claims
	if err := read(signed, key, &c); err != nil {
		return Identity{}, err
	}
	if err := v.check(signed.Headers[0], &c); err != nil {
		return Identity{}, err
	}
	return v.identity(&c), nil
}

// Person names who is behind the token, whatever client it was issued to, in 32 letters and digits that no other identity
// of any issuer has.
func (i Identity) Person() string { return fingerprint(i.Issuer, i.Subject) }

// Caller is Person for the client that the token was issued to: the same person is another caller with another client.
func (i Identity) Caller() string { return fingerprint(i.Issuer, i.Subject, i.ClientID) }

// fingerprint hashes parts so that no two lists of parts are hashed as the same bytes.
func fingerprint(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		hash.Write(length[:])
		hash.Write([]byte(part))
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(hash.Sum(nil)[:20]))
}
