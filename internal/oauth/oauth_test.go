package oauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth/issuertest"
)

const audience = "https://mcp.example.org/mcp"

func newVerifier(t testing.TB, issuer string, now func() time.Time) *oauth.Verifier {
	t.Helper()
	v, err := oauth.New(oauth.Options{Issuer: issuer, Audiences: []string{audience, "client-of-cognito"}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerify(t *testing.T) {
	i := issuertest.Start(t)
	now := time.Now().Truncate(time.Second)
	got, err := newVerifier(t, i.URL, nil).Verify(t.Context(), i.Sign(i.Claims(audience, now, nil), nil))
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != i.URL || got.Subject != "ann" || got.ClientID != "chat" || strings.Join(got.Scopes, " ") != "scnet:read" ||
		!got.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
}

// Every accepted algorithm checks signatures, and each only with keys of its own kind.
func TestAlgorithms(t *testing.T) {
	i := issuertest.Start(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.Publish("edwards", edwards.Public())
	i.Publish("curve", curve.Public())
	i.Publish("rsa", large.Public())
	v := newVerifier(t, i.URL, nil)
	for algorithm, key := range map[jose.SignatureAlgorithm]struct {
		id  string
		key any
	}{
		jose.EdDSA: {"edwards", edwards}, jose.ES384: {"curve", curve}, jose.RS256: {"rsa", large}, jose.PS512: {"rsa", large},
	} {
		sign := func(id any) string {
			return issuertest.Sign(algorithm, key.key, i.Claims(audience, time.Now(), nil), map[string]any{"typ": "at+jwt", "kid": id})
		}
		if _, err := v.Verify(t.Context(), sign(key.id)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if _, err := v.Verify(t.Context(), sign(nil)); err != nil {
			t.Errorf("%s without kid: %v", algorithm, err)
		}
		for _, other := range []string{"edwards", "curve", "rsa", "key-1"} {
			if _, err := v.Verify(t.Context(), sign(other)); other != key.id && err == nil {
				t.Errorf("%s with the key %s is accepted", algorithm, other)
			}
		}
	}
}

// hostile are tokens that must not be accepted, with what the error says of each.
func hostile(t *testing.T, i *issuertest.Issuer) map[string]struct{ token, says string } {
	t.Helper()
	now := time.Now()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err)
	}
	i.Publish("weak", weak.Public())
	valid := i.Sign(i.Claims(audience, now, nil), nil)
	with := func(name string, value any) string {
		return i.Sign(i.Claims(audience, now, map[string]any{name: value}), nil)
	}
	head := func(name string, value any) string {
		return i.Sign(i.Claims(audience, now, nil), map[string]any{name: value})
	}
	der, err := x509.MarshalPKIXPublicKey(i.Keys()[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	body := strings.Split(valid, ".")[1]
	forged := func(claims any, headers map[string]any) string {
		return issuertest.Sign(jose.ES256, own, claims, headers)
	}
	claims := i.Claims(audience, now, nil)
	twice, _ := json.Marshal(claims)
	doubled := json.RawMessage(`{"aud":"` + audience + `",` + string(twice[1:]))
	return map[string]struct{ token, says string }{
		"nothing":        {"", "not a signed JWT"},
		"words":          {"not a token", "not a signed JWT"},
		"opaque":         {"2YotnFZFEjr1zCsicMWpAA", "not a signed JWT"},
		"encrypted":      {"a.b.c.d.e", "not a signed JWT"},
		"too long":       {strings.Repeat("a", 1<<20), "is longer than"},
		"two signatures": {valid + "." + valid, "not a signed JWT"},
		"alg none":       {encode(`{"alg":"none","typ":"at+jwt"}`) + "." + body + ".", "asymmetric"},
		"alg None":       {encode(`{"alg":"None","typ":"at+jwt"}`) + "." + body + ".", "asymmetric"},
		"no alg":         {encode(`{"typ":"at+jwt"}`) + "." + body + "." + encode("x"), ""},
		"HS256 with the public key": {
			issuertest.Sign(jose.HS256, public, claims, map[string]any{"typ": "at+jwt", "kid": "key-1"}), "asymmetric",
		},
		"HS256 with the key's DER": {
			issuertest.Sign(jose.HS256, der, claims, map[string]any{"typ": "at+jwt", "kid": "key-1"}), "asymmetric",
		},
		"no signature":               {valid[:strings.LastIndex(valid, ".")+1], ""},
		"another body":               {strings.Replace(valid, body, encode(`{"sub":"root"}`), 1), "wrong signature"},
		"another key":                {forged(claims, map[string]any{"typ": "at+jwt", "kid": "key-1"}), "wrong signature"},
		"another key without kid":    {forged(claims, map[string]any{"typ": "at+jwt"}), "wrong signature"},
		"unknown kid":                {forged(claims, map[string]any{"typ": "at+jwt", "kid": "key-9"}), "does not publish"},
		"kid as a path":              {head("kid", "../../dev/null"), "does not publish"},
		"kid of another kind of key": {head("kid", "weak"), "does not publish"},
		"a key of 1024 bits": {
			issuertest.Sign(jose.RS256, weak, claims, map[string]any{"typ": "at+jwt", "kid": "weak"}), "does not publish",
		},
		"embedded jwk": {
			forged(claims, map[string]any{"typ": "at+jwt", "kid": "key-1", "jwk": jose.JSONWebKey{Key: own.Public()}}), "a key of its own",
		},
		"jku":                        {head("jku", i.URL+"/keys"), "a place to fetch its key"},
		"x5u":                        {head("x5u", "https://evil.example/c"), "a place to fetch its key"},
		"critical header":            {head("crit", []string{"exp"}), ""},
		"typ of a logout":            {head("typ", "logout+jwt"), "another kind"},
		"typ of an ID-JAG":           {head("typ", "oauth-id-jag+jwt"), "another kind"},
		"typ of DPoP":                {head("typ", "dpop+jwt"), "another kind"},
		"typ as a list":              {head("typ", []string{"at+jwt"}), "another kind"},
		"foreign issuer":             {with("iss", "https://evil.example"), "another issuer"},
		"issuer with slash":          {with("iss", i.URL+"/"), "another issuer"},
		"no issuer":                  {with("iss", nil), "another issuer"},
		"foreign audience":           {with("aud", "https://other.example/mcp"), "another audience"},
		"audience prefix":            {with("aud", audience+"/x"), "another audience"},
		"audience case":              {with("aud", strings.ToUpper(audience)), "another audience"},
		"audience in one":            {with("aud", "x "+audience), "another audience"},
		"no audience":                {with("aud", nil), "another audience"},
		"empty audiences":            {with("aud", []string{}), "another audience"},
		"audience of a number":       {with("aud", 1), "claims"},
		"no audience, client is one": {with("aud", nil), "another audience"},
		"expired":                    {with("exp", now.Add(-time.Second).Unix()), "expired"},
		"never expires":              {with("exp", nil), "expires"},
		"expires in words":           {with("exp", "tomorrow"), "claims"},
		"not valid yet":              {with("nbf", now.Add(2*time.Minute).Unix()), "not valid yet"},
		"from the future":            {with("iat", now.Add(2*time.Minute).Unix()), "in the future"},
		"no subject":                 {with("sub", nil), "(sub)"},
		"empty subject":              {with("sub", ""), "(sub)"},
		"long subject":               {with("sub", strings.Repeat("a", 3000)), "more than"},
		"bound by DPoP":              {with("cnf", map[string]string{"jkt": "x"}), "bound to a key"},
		"Keycloak's ID":              {with("typ", "ID"), "not an access token"},
		"Keycloak's refresh":         {with("typ", "Refresh"), "not an access token"},
		"Cognito's ID":               {with("token_use", "id"), "not an access token"},
		"ID token": {i.Sign(i.Claims(audience, now, map[string]any{
			"client_id": nil, "scope": nil, "nonce": "n"}), map[string]any{"typ": "JWT"}), "ID token"},
		"ID token with at_hash": {i.Sign(i.Claims(audience, now, map[string]any{"at_hash": "h"}), map[string]any{"typ": nil}), "ID token"},
		"ID token without a sign": {i.Sign(i.Claims(audience, now, map[string]any{
			"client_id": nil, "scope": nil, "azp": "chat"}), map[string]any{"typ": "JWT"}), "neither the type"},
		"a claim twice": {i.Sign(doubled, nil), "twice"},
		"not an object": {i.Sign([]string{"a"}, nil), "claims"},
	}
}

func TestHostile(t *testing.T) {
	i := issuertest.Start(t)
	tokens := hostile(t, i)
	v := newVerifier(t, i.URL, nil)
	for name, c := range tokens {
		who, err := v.Verify(t.Context(), c.token)
		var reason *oauth.Invalid
		if !errors.As(err, &reason) || !strings.Contains(err.Error(), c.says) || who.Subject != "" {
			t.Errorf("%s: %v, %+v; want %q", name, err, who, c.says)
		}
		if len(c.token) > 20 && err != nil && strings.Contains(err.Error(), c.token[:20]) {
			t.Errorf("%s: the error holds the token: %v", name, err)
		}
	}
	if n := i.Fetches(); n > 2 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// What two identities have in common must not make them one.
func TestIdentitiesAreApart(t *testing.T) {
	seen := map[string]oauth.Identity{}
	for _, who := range []oauth.Identity{
		{Issuer: "a", Subject: "b", ClientID: "c"}, {Issuer: "ab", Subject: "", ClientID: "c"}, {Issuer: "a", Subject: "bc", ClientID: ""},
		{Issuer: "a", Subject: "b\x00c", ClientID: ""}, {Issuer: "a", Subject: "B", ClientID: "c"}, {Issuer: "a", Subject: "b", ClientID: "d"},
	} {
		if other, taken := seen[who.Caller()]; taken {
			t.Errorf("%+v is %+v", who, other)
		}
		seen[who.Caller()] = who
	}
	one, other := oauth.Identity{Issuer: "a", Subject: "b", ClientID: "c"}, oauth.Identity{Issuer: "a", Subject: "b", ClientID: "d"}
	if one.Person() != other.Person() || len(one.Person()) != 32 || one.Person() == one.Caller() {
		t.Error(one.Person(), other.Person(), one.Caller())
	}
}

func TestNewRefuses(t *testing.T) {
	for issuer, says := range map[string]string{
		"":                                   "no host",
		"idp.example.org":                    "no host",
		"http://idp.example.org":             "https",
		"https://idp.example.org?tenant=1":   "query",
		"https://idp.example.org?":           "query",
		"https://idp.example.org#a":          "fragment",
		"https://a:b@idp.example.org":        "user name",
		"https://login.example/{tenantid}/2": "placeholder",
	} {
		if _, err := oauth.New(oauth.Options{Issuer: issuer, Audiences: []string{"a"}}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", issuer, err, says)
		}
	}
	if _, err := oauth.New(oauth.Options{Issuer: "https://idp.example.org"}); err == nil {
		t.Error("no audience is needed")
	}
}

func FuzzVerify(f *testing.F) {
	i := issuertest.Start(f)
	v := newVerifier(f, i.URL, nil)
	f.Add(i.Sign(i.Claims(audience, time.Now(), nil), nil))
	f.Add("a.b.c")
	f.Add("")
	valid := i.Sign(i.Claims(audience, time.Now(), nil), nil)
	f.Fuzz(func(t *testing.T, token string) {
		who, err := v.Verify(t.Context(), token)
		if err == nil && strings.Split(token, ".")[1] != strings.Split(valid, ".")[1] {
			t.Errorf("%+v is let in", who)
		}
	})
}

// Claims of any form are read or refused, and grant nothing that is not written as it must be.
func FuzzClaims(f *testing.F) {
	i := issuertest.Start(f)
	v := newVerifier(f, i.URL, nil)
	for _, text := range []string{
		`"scope":"scnet:read"`, `"groups":"admins"`, `"groups":["admins"]`, `"groups":{"a":1}`, `"realm_access":{"roles":["a"]}`,
		`"realm_access":[]`, `"scp":["a",1,null]`, `"roles":null`, `"groups":[["admins"]]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, more string) {
		frame, _ := json.Marshal(i.Claims(audience, time.Now(), map[string]any{"scope": nil}))
		text := string(frame[:len(frame)-1]) + "," + more + "}"
		if !json.Valid([]byte(text)) {
			return
		}
		who, err := v.Verify(t.Context(), i.Sign(json.RawMessage(text), nil))
		if err != nil {
			return
		}
		for _, word := range append(append(who.Groups, who.Roles...), who.Scopes...) {
			quoted, _ := json.Marshal(word)
			if !strings.Contains(word, "\ufffd") && !strings.Contains(more, word) && !strings.Contains(more, `\`) {
				t.Errorf("%s comes from %s", quoted, more)
			}
		}
	})
}
