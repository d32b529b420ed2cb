package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

const (
	fetchTimeout = 10 * time.Second // for metadata and keys together
	maxDocument  = 512 << 10        // bytes of either
	maxKeys      = 100
)

// source is where an issuer publishes its keys.
type source struct {
	issuer string
	client *http.Client
}

func newSource(issuer string, client *http.Client) *source {
	own := http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
	if client != nil {
		own = *client
	}
	// What the issuer publishes is at its address; who redirects may be somebody else.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &source{issuer: issuer, client: &own}
}

// keys reads the metadata and then the keys that they name.
func (s *source) keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	address, err := s.keysURL(ctx)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, address, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%s holds more than %d keys", upstream.Endpoint(address), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.IsPublic() && key.Valid() { // others are for other uses
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no public key that signs tokens", upstream.Endpoint(address))
	}
	return keys, nil
}

// keysURL asks the metadata where the keys are.
func (s *source) keysURL(ctx context.Context) (string, error) {
	var problems []error
	for _, address := range metadataURLs(s.issuer) {
		var metadata struct {
			Issuer string `json:"issuer"`
			Keys   string `json:"jwks_uri"`
		}
		if err := s.get(ctx, address, &metadata); err != nil {
			problems = append(problems, err)
			continue
		}
		if metadata.Issuer != s.issuer { // RFC 8414, 3.3: or anybody's metadata could stand in for the issuer's
			problems = append(problems, fmt.Errorf("%s is the metadata of another issuer, %.200q", upstream.Endpoint(address), metadata.Issuer))
			continue
		}
		u, err := upstream.CheckURL(metadata.Keys)
		if err != nil {
			return "", fmt.Errorf("the jwks_uri in %s: %w", upstream.Endpoint(address), err)
		}
		if own, _ := url.Parse(s.issuer); u.Scheme != "https" && own.Scheme == "https" {
			return "", fmt.Errorf("the jwks_uri in %s is not https", upstream.Endpoint(address))
		}
		return metadata.Keys, nil
	}
	return "", errors.Join(problems...)
}

// metadataURLs are the places of an issuer's metadata in the order of MCP: RFC 8414, OpenID Connect in the same form, and
// OpenID Connect as it was before.
func metadataURLs(issuer string) []string {
	u, _ := url.Parse(issuer) // New has checked it
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	const oauth, oidc = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	if path == "" {
		return []string{origin + oauth, origin + oidc}
	}
	return []string{origin + oauth + path, origin + oidc + path, origin + path + oidc}
}

// get reads a JSON document.
func (s *source) get(ctx context.Context, address string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers with HTTP status %d", upstream.Endpoint(address), response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("%s: %w", upstream.Endpoint(address), err)
	}
	if len(text) > maxDocument {
		return fmt.Errorf("%s is longer than %d bytes", upstream.Endpoint(address), maxDocument)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is not the JSON that it must be", upstream.Endpoint(address))
	}
	return nil
}
