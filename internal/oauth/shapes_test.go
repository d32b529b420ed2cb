package oauth_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth/issuertest"
)

// TestShapes has the access tokens of providers as their documentation shows them: headers, and claims without the times.
func TestShapes(t *testing.T) {
	for name, c := range map[string]struct {
		typ    any // of the header
		issuer string
		claims map[string]any
		want   oauth.Identity // without issuer and time
	}{
		"RFC 9068": {"at+jwt", "https://as.example.org/", map[string]any{
			"aud": audience, "sub": "5ba552d67", "client_id": "s6BhdRkqt3", "scope": "scnet:read scnet:change", "jti": "dbe39bf3",
			"groups": []string{"operators"}, "roles": []string{"admin"},
		}, oauth.Identity{
			Subject: "5ba552d67", ClientID: "s6BhdRkqt3", Groups: []string{"operators"}, Roles: []string{"admin"},
			Scopes: []string{"scnet:read", "scnet:change"},
		}},
		"Keycloak, a user": {"JWT", "https://keycloak.example.org/realms/hpc", map[string]any{
			"aud": []string{audience, "account"}, "sub": "f8a1-4c", "typ": "Bearer", "azp": "chat", "sid": "9c1e",
			"acr": "1", "scope": "openid profile scnet:read", "allowed-origins": []string{"/*"}, "preferred_username": "ann",
			"realm_access":    map[string]any{"roles": []string{"offline_access", "operators"}},
			"resource_access": map[string]any{"account": map[string]any{"roles": []string{"manage-account"}}},
			"groups":          []string{"/hpc/operators"}, "nonce": "of a mapper for old clients",
		}, oauth.Identity{
			Subject: "f8a1-4c", ClientID: "chat", Groups: []string{"/hpc/operators"}, Roles: []string{"offline_access", "operators"},
			Scopes: []string{"openid", "profile", "scnet:read"},
		}},
		"Keycloak, a service account": {"JWT", "https://keycloak.example.org/realms/hpc", map[string]any{
			"aud": audience, "sub": "1f2e", "typ": "Bearer", "azp": "ci", "client_id": "ci", "clientHost": "10.0.0.1",
			"scope": "scnet:destroy", "preferred_username": "service-account-ci",
		}, oauth.Identity{Subject: "1f2e", ClientID: "ci", Scopes: []string{"scnet:destroy"}}},
		"Entra v2, a user": {"JWT", "https://login.microsoftonline.com/72f988bf/v2.0", map[string]any{
			"aud": audience, "sub": "AAAAAAAAAAAA", "oid": "690222be", "azp": "6e74172b", "azpacr": "0", "scp": "scnet:read scnet:change",
			"roles": []string{"scnet:destroy"}, "groups": []string{"0e129f5b"}, "tid": "72f988bf", "ver": "2.0",
		}, oauth.Identity{ // a role of the user gives the client nothing
			Subject: "AAAAAAAAAAAA", ClientID: "6e74172b", Groups: []string{"0e129f5b"}, Roles: []string{"scnet:destroy"},
			Scopes: []string{"scnet:read", "scnet:change"},
		}},
		"Entra v2, an application": {"JWT", "https://login.microsoftonline.com/72f988bf/v2.0", map[string]any{
			"aud": audience, "sub": "690222be", "oid": "690222be", "azp": "6e74172b", "azpacr": "1", "idtyp": "app",
			"roles": []string{"scnet:read"}, "tid": "72f988bf", "ver": "2.0",
		}, oauth.Identity{
			Subject: "690222be", ClientID: "6e74172b", Roles: []string{"scnet:read"}, Scopes: []string{"scnet:read"},
		}},
		"Entra v1, a user": {"JWT", "https://sts.windows.net/72f988bf/", map[string]any{
			"aud": audience, "sub": "l3roISQU222b", "appid": "6e74172b", "appidacr": "0", "scp": "scnet:read", "ver": "1.0",
			"_claim_names": map[string]string{"groups": "src1"}, // too many groups to list
		}, oauth.Identity{Subject: "l3roISQU222b", ClientID: "6e74172b", Scopes: []string{"scnet:read"}}},
		"Cognito, a user": {nil, "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x", map[string]any{
			"sub": "aaaaaaaa-bbbb", "cognito:groups": []string{"operators"}, "token_use": "access", "version": 2,
			"scope": "openid " + audience + "/scnet:read https://other.example/scnet:destroy", "client_id": "client-of-cognito",
			"username": "ann", "auth_time": 1676312777, "origin_jti": "o",
		}, oauth.Identity{
			Subject: "aaaaaaaa-bbbb", ClientID: "client-of-cognito", Groups: []string{"operators"},
			Scopes: []string{"openid", "scnet:read", "https://other.example/scnet:destroy"},
		}},
		"Okta": {nil, "https://dev.okta.example/oauth2/default", map[string]any{
			"aud": audience, "sub": "ann@example.org", "cid": "0oa", "uid": "00u", "scp": []string{"scnet:read"}, "ver": 1,
		}, oauth.Identity{Subject: "ann@example.org", ClientID: "0oa", Scopes: []string{"scnet:read"}}},
		"groups that are none": {"at+jwt", "https://as.example.org", map[string]any{
			"aud": audience, "sub": "a", "client_id": "b", "groups": "operators", "roles": map[string]any{"operators": true},
			"realm_access": []string{"operators"}, "cognito:groups": []any{[]string{"operators"}, map[string]string{"value": "operators"}, 1, nil},
		}, oauth.Identity{Subject: "a", ClientID: "b"}},
	} {
		i := issuertest.New(c.issuer)
		claims := map[string]any{"iss": c.issuer, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
		maps.Copy(claims, c.claims)
		v, err := oauth.New(oauth.Options{
			Issuer: c.issuer, Audiences: []string{audience, "client-of-cognito"}, Client: i.Client(),
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(t.Context(), i.Sign(claims, map[string]any{"typ": c.typ}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, list := range []struct{ got, want []string }{
			{got.Groups, c.want.Groups}, {got.Roles, c.want.Roles}, {got.Scopes, c.want.Scopes},
		} {
			if !slices.Equal(list.got, list.want) {
				t.Errorf("%s: %q, want %q", name, list.got, list.want)
			}
		}
		got.Groups, got.Roles, got.Scopes, got.Expires = nil, nil, nil, time.Time{}
		c.want.Groups, c.want.Roles, c.want.Scopes, c.want.Issuer = nil, nil, nil, c.issuer
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
