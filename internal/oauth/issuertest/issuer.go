// Package issuertest is an authorization server for tests: it signs tokens, publishes its keys, rotates them, and breaks down
// when it is told to.
package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is an authorization server on loopback. It is safe for concurrent use.
type Issuer struct {
	URL string // that tokens name as their issuer

	mu sync.Mutex

	down      bool
	keys      []jose.JSONWebKey // public
	id        string            // of the key that signs
	signing   crypto.Signer
	rotations int
	fetches   int // of keys
}

// Start starts an issuer, which ends with the test.
func Start(t testing.TB) *Issuer {
	t.Helper()
	i := New("")
	s := httptest.NewServer(i)
	t.Cleanup(s.Close)
	i.URL = s.URL
	return i
}

// New returns an issuer that only its Client reaches, for tests without a network.
func New(url string) *Issuer {
	i := &Issuer{URL: url}
	i.Rotate()
	return i
}

// Client returns a client for whom every address is the issuer's.
func (i *Issuer) Client() *http.Client { return &http.Client{Transport: direct{i}} }

type direct struct{ to http.Handler }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	d.to.ServeHTTP(recorder, r)
	return recorder.Result(), r.Context().Err()
}

// ServeHTTP publishes metadata and keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	var document any
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/.well-known/oauth-authorization-server"):
		document = map[string]string{"issuer": i.URL, "jwks_uri": strings.TrimSuffix(i.URL, "/") + "/keys"}
	case strings.HasSuffix(path, "/keys"):
		i.fetches++
		document = jose.JSONWebKeySet{Keys: i.keys}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(document)
}

// Down says whether the issuer answers no more.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Fetches returns how often the keys were fetched.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Rotate replaces the key: what was signed with the one before is no longer accepted.
func (i *Issuer) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rotations++
	i.id, i.signing = fmt.Sprintf("key-%d", i.rotations), key
	i.keys = []jose.JSONWebKey{{Key: key.Public(), KeyID: i.id, Use: "sig", Algorithm: string(jose.ES256)}}
}

// Publish publishes another public key.
func (i *Issuer) Publish(id string, key any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, jose.JSONWebKey{Key: key, KeyID: id})
}

// Keys returns the published keys.
func (i *Issuer) Keys() []jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys
}

// Claims are those of an access token in the form of RFC 9068 that is valid for an hour from now. An empty change takes a
// claim away.
func (i *Issuer) Claims(audience string, now time.Time, changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "aud": audience, "sub": "ann", "client_id": "chat", "scope": "scnet:read",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, value any) bool { return value == nil })
	return c
}

// Sign signs claims as an access token of RFC 9068, with further headers or others. A header of nil is left out.
func (i *Issuer) Sign(claims any, headers map[string]any) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := map[string]any{"typ": "at+jwt", "kid": i.id}
	maps.Copy(all, headers)
	return Sign(jose.ES256, i.signing, claims, all)
}

// Sign signs claims with any key. It panics when that cannot be done, because fuzz targets call it.
func Sign(algorithm jose.SignatureAlgorithm, key, claims any, headers map[string]any) string {
	options := &jose.SignerOptions{}
	for name, value := range headers {
		if value != nil {
			options.WithHeader(jose.HeaderKey(name), value)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}
