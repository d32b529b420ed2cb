package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	maxToken = 16 << 10 // bytes; a token with 200 groups takes 8 KiB
	maxName  = 2 << 10  // bytes of a subject or of a client's id, which may be a URL
	// leeway is how far the issuer's clock may be ahead of ours. It does not prolong a token.
	leeway = time.Minute
)

// algorithms are those whose keys nobody but the issuer has. With HMAC, whoever checks a token could make one.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// parse reads a token without trusting anything in it.
func parse(token string) (*jwt.JSONWebToken, error) {
	if len(token) > maxToken {
		return nil, invalid("is longer than %d bytes", maxToken)
	}
	signed, err := jwt.ParseSigned(token, algorithms)
	if wrong := (*jose.ErrUnexpectedSignatureAlgorithm)(nil); errors.As(err, &wrong) {
		return nil, invalid("is not signed with an asymmetric algorithm")
	}
	if err != nil {
		return nil, invalid("is not a signed JWT; the authorization server must issue JWTs, neither opaque nor encrypted ones")
	}
	header := signed.Headers[0]
	if header.JSONWebKey != nil {
		return nil, invalid("brings a key of its own")
	}
	for _, name := range []jose.HeaderKey{"jku", "x5u"} { // whatever they name is not fetched
		if _, given := header.ExtraHeaders[name]; given {
			return nil, invalid("names a place to fetch its key from")
		}
	}
	return signed, nil
}

// claims are what is read of a token. Providers disagree about most of it.
type claims struct {
	jwt.Claims

	ClientID string `json:"client_id"` // RFC 9068, Cognito, Keycloak
	Party    string `json:"azp"`       // Keycloak, Entra v2
	AppID    string `json:"appid"`     // Entra v1
	CID      string `json:"cid"`       // Okta

	Scope spaced `json:"scope"` // RFC 9068, Keycloak, Cognito
	SCP   spaced `json:"scp"`   // Entra, and Okta as a list

	Groups        list   `json:"groups"`
	CognitoGroups list   `json:"cognito:groups"`
	Roles         list   `json:"roles"`        // Entra
	RealmAccess   access `json:"realm_access"` // Keycloak

	Use       string          `json:"token_use"` // Cognito: access or id
	Kind      string          `json:"typ"`       // Keycloak: Bearer, ID, Refresh or Offline
	AppACR    json.RawMessage `json:"azpacr"`    // Entra v2, access tokens only
	Bound     json.RawMessage `json:"cnf"`       // DPoP or mutual TLS
	Nonce     json.RawMessage `json:"nonce"`
	TokenHash json.RawMessage `json:"at_hash"`
	CodeHash  json.RawMessage `json:"c_hash"`
}

// spaced are words with spaces between them, or a list of words.
type spaced []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *spaced) UnmarshalJSON(text []byte) error {
	var words string
	if json.Unmarshal(text, &words) == nil {
		*s = strings.Fields(words)
		return nil
	}
	return (*list)(s).UnmarshalJSON(text)
}

// list are the strings of a list. Anything else is nothing: it can select no entry and grant no scope.
type list []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(text []byte) error {
	*l = nil
	var items []json.RawMessage
	if json.Unmarshal(text, &items) != nil {
		return nil
	}
	for _, item := range items {
		var word string
		if bytes.HasPrefix(item, []byte(`"`)) && json.Unmarshal(item, &word) == nil {
			*l = append(*l, word)
		}
	}
	return nil
}

// access is Keycloak's object with the roles of a realm.
type access struct{ roles list }

// UnmarshalJSON implements json.Unmarshaler.
func (a *access) UnmarshalJSON(text []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil || fields["roles"] == nil {
		return nil
	}
	return a.roles.UnmarshalJSON(fields["roles"])
}

// read returns the claims of a token that key has signed.
func read(signed *jwt.JSONWebToken, key any, into *claims) error {
	var raw json.RawMessage
	if err := signed.Claims(key, &raw); errors.Is(err, jose.ErrCryptoFailure) {
		return invalid("has a wrong signature")
	} else if err != nil {
		return invalid("cannot be read")
	}
	if err := strict.Unmarshal(raw, into); err != nil { // it refuses members that are there twice
		return invalid("holds claims that are there twice or are not of the type that they must have")
	}
	return nil
}

// check looks at everything but the signature.
func (v *Verifier) check(header jose.Header, c *claims) error {
	switch expected := (jwt.Expected{Issuer: v.issuer, Time: v.now()}); {
	case c.Issuer != v.issuer:
		return invalid("is of another issuer")
	case c.Expiry == nil:
		return invalid("does not say when it expires")
	case !v.now().Before(c.Expiry.Time()):
		return invalid("has expired")
	case errors.Is(c.ValidateWithLeeway(expected, leeway), jwt.ErrNotValidYet):
		return invalid("is not valid yet")
	case c.ValidateWithLeeway(expected, leeway) != nil:
		return invalid("was issued in the future")
	case c.Bound != nil:
		return invalid("is bound to a key of its client, which this server cannot check; use bearer tokens")
	case c.Subject == "":
		return invalid("does not say whom it was issued to (sub)")
	case len(c.Subject) > maxName || len(c.client()) > maxName:
		return invalid("has a subject or client of more than %d bytes", maxName)
	}
	if err := checkKind(header, c); err != nil {
		return err
	}
	if !v.isForUs(c) {
		return invalid("is for another audience")
	}
	return nil
}

// checkKind refuses what is not an access token. Only RFC 9068 marks them; for the others, signs of an ID token are looked
// for, and one of an access token is demanded.
func checkKind(header jose.Header, c *claims) error {
	kind, _ := header.ExtraHeaders[jose.HeaderType].(string)
	_, given := header.ExtraHeaders[jose.HeaderType]
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if given && kind != "jwt" && kind != "at+jwt" {
		return invalid("is of another kind (typ) than an access token")
	}
	switch {
	case c.Use != "" && c.Use != "access", c.Kind != "" && !strings.EqualFold(c.Kind, "Bearer"):
		return invalid("is not an access token; send no ID token or refresh token")
	case kind == "at+jwt", c.Use != "", c.Kind != "":
		return nil
	case c.Nonce != nil, c.TokenHash != nil, c.CodeHash != nil:
		return invalid("is an ID token; send the access token")
	case len(c.Scope)+len(c.SCP) == 0 && c.ClientID == "" && c.AppID == "" && c.AppACR == nil:
		return invalid("does not show that it is an access token: it has neither the type at+jwt, nor a scope, nor a client_id")
	}
	return nil
}

// isForUs reports whether the token is for this server. Cognito's have no audience; they are for us if their client is one of
// the audiences.
func (v *Verifier) isForUs(c *claims) bool {
	if c.Audience == nil && c.Use == "access" {
		return c.ClientID != "" && slices.Contains(v.audiences, c.ClientID)
	}
	return slices.ContainsFunc(c.Audience, func(one string) bool { return slices.Contains(v.audiences, one) })
}

// client returns the id of the client that the token was issued to.
func (c *claims) client() string {
	for _, id := range []string{c.ClientID, c.Party, c.AppID, c.CID} {
		if id != "" {
			return id
		}
	}
	return ""
}

func (v *Verifier) identity(c *claims) Identity {
	return Identity{
		Issuer: c.Issuer, Subject: c.Subject, ClientID: c.client(), Expires: c.Expiry.Time(),
		Groups: slices.Concat(c.Groups, c.CognitoGroups),
		Roles:  slices.Concat(c.Roles, c.RealmAccess.roles),
		Scopes: v.scopes(c),
	}
}

// scopes returns what the token grants to its client. Entra lists what an application may do by itself as roles; where there
// is a scope too, roles are what its user is, and grant the client nothing. Cognito puts the audience in front of a scope.
func (v *Verifier) scopes(c *claims) []string {
	granted := slices.Concat(c.Scope, c.SCP)
	if c.Scope == nil && c.SCP == nil {
		granted = slices.Clone([]string(c.Roles))
	}
	for i, scope := range granted {
		for _, audience := range v.audiences {
			if rest, found := strings.CutPrefix(scope, audience+"/"); found {
				granted[i] = rest
			}
		}
	}
	return granted
}
