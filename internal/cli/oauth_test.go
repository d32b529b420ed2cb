package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth/issuertest"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

const (
	publicURL   = "https://mcp.example.org/mcp"
	metadataURL = "https://mcp.example.org/.well-known/oauth-protected-resource/mcp"
)

// resource is a server that takes the access tokens of an issuer.
type resource struct {
	*served
	issuer *issuertest.Issuer
	static string // the token of an entry that has one
	audit  string
	file   string
}

// entries of the file: people by group, a program by client, somebody by sub, and one with a token of its own.
func oauthEntries(digest string) string {
	return `{"callers":[
		{"name":"static","token_sha256":"` + digest + `"},
		{"name":"reader","oauth":{"sub":"rita"},"read_only":true},
		{"name":"ci","oauth":{"client_id":"ci-client","role":"deployer"},"max_targets":2},
		{"name":"team","oauth":{"group":"operators"},"disable_tools":["execute_script"],"max_mutations_per_hour":1,
		 "consent":{"restart_instance":"flag"}}
	]}`
}

func serveResource(t *testing.T, more ...string) *resource {
	t.Helper()
	r := &resource{issuer: issuertest.Start(t), file: filepath.Join(t.TempDir(), "callers.json")}
	r.audit = filepath.Join(t.TempDir(), "audit.jsonl")
	var digest string
	r.static, digest = callers.NewToken()
	writeFile(t, r.file, oauthEntries(digest))
	r.served = serveHere(t, nil, append([]string{
		"--demo", "--transport=sse", "--callers=" + r.file, "--oauth-issuer=" + r.issuer.URL, "--public-url=" + publicURL,
		"--audit-log=" + r.audit,
	}, more...)...)
	return r
}

// token is an access token of a member of the team with these scopes, with claims of it changed.
func (r *resource) token(scope string, changes map[string]any) string {
	claims := map[string]any{"scope": scope, "groups": []string{"operators"}}
	for name, value := range changes {
		claims[name] = value
	}
	return r.issuer.Sign(r.issuer.Claims(publicURL, time.Now(), claims), nil)
}

// knock makes a request and returns the whole answer.
func (r *resource) knock(method, path, body string, headers ...string) (answer *http.Response, text string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	answer, err = r.client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer, string(content)
}

func calling(tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
}

func TestResourceMetadata(t *testing.T) {
	r := serveResource(t)
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		answer, text := r.knock(http.MethodGet, path, "")
		var metadata struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
			Methods  []string `json:"bearer_methods_supported"`
		}
		if err := json.Unmarshal([]byte(text), &metadata); err != nil || answer.StatusCode != http.StatusOK ||
			metadata.Resource != publicURL || !slices.Equal(metadata.Servers, []string{r.issuer.URL}) ||
			!slices.Equal(metadata.Scopes, []string{"scnet:read", "scnet:change", "scnet:destroy"}) ||
			!slices.Equal(metadata.Methods, []string{"header"}) {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
	}
	if answer, _ := r.knock(http.MethodPost, "/.well-known/oauth-protected-resource", "{}"); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", answer.StatusCode)
	}
	answer, _ := r.knock(http.MethodPost, "/mcp", listTools)
	challenge := answer.Header.Get("WWW-Authenticate")
	if answer.StatusCode != http.StatusUnauthorized ||
		challenge != `Bearer realm="scnet-mcp", scope="scnet:read", resource_metadata="`+metadataURL+`"` {
		t.Errorf("%d %s", answer.StatusCode, challenge)
	}
	client := readSnippet(t, r.errs.String()).Servers["scnet"]
	if client.Headers != nil || client.URL != r.url+"/sse" {
		t.Errorf("the snippet is %+v", client)
	}
}

// Without OAuth there is no metadata: a client that finds some no longer sends the token that it was given.
func TestNoMetadataWithoutOAuth(t *testing.T) {
	file, tokens := callersFile(t, entry{Name: "one"})
	s := serveHere(t, nil, "--demo", "--transport=http", "--callers="+file)
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		if status, _ := s.get(path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	token := issuertest.Start(t)
	if status, _ := s.request(http.MethodPost, "/mcp", token.Sign(token.Claims("a", time.Now(), nil), nil), listTools); status != http.StatusUnauthorized {
		t.Errorf("an access token: %d", status)
	}
	if _, text := s.request(http.MethodPost, "/mcp", tokens["one"], `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`); strings.Contains(text, "oauth") {
		t.Errorf("extensions: %s", text)
	}
}

func TestAccessTokens(t *testing.T) {
	r := serveResource(t)
	all := r.token("openid scnet:destroy", nil)
	r.done(r.token("scnet:read", nil), "list_instances", `{}`)
	r.done(r.static, "list_instances", `{}`)
	r.done(all, "list_instances", `{}`)
	r.done(all, "restart_instance", restart(completedID))
	r.refused(all, "execute_script", `{"instance_ids":["`+runningID+`"],"script":"id"}`, "the policy of caller team has disabled execute_script")
	r.refused(r.token("scnet:destroy", map[string]any{"sub": "rita"}), "restart_instance", restart(failedID), "caller reader is read-only")
	if _, text := r.knock(http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`,
		"Authorization", "Bearer "+all); !strings.Contains(text, `"io.modelcontextprotocol/oauth-client-credentials":{}`) ||
		!strings.Contains(text, `"io.modelcontextprotocol/enterprise-managed-authorization":{}`) {
		t.Errorf("extensions: %s", text)
	}

	record, err := os.ReadFile(r.audit)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the audit log", string(record), `"iss":"`+r.issuer.URL+`"`, `"sub":"ann"`, `"client_id":"chat"`, `"caller":"team:`)
	if strings.Contains(string(record)+r.errs.String(), all[20:60]) {
		t.Error("a token is in the audit log or in the server's")
	}
}

// The hourly limit is a person's, and not that of each client that the person uses.
func TestLimitOfAPerson(t *testing.T) {
	r := serveResource(t)
	r.done(r.token("scnet:change", nil), "restart_instance", restart(completedID))
	r.refused(r.token("scnet:change", map[string]any{"client_id": "another"}), "restart_instance", restart(terminatedID), "hour")
	r.done(r.token("scnet:change", map[string]any{"sub": "ben"}), "restart_instance", restart(terminatedID))
}

// A call beyond the scopes names all that it needs, whichever way it comes, and is on record.
func TestInsufficientScope(t *testing.T) {
	r := serveResource(t, "--disable-tools=stop_workspace_run")
	for _, c := range []struct {
		scope, method, name string
		needs               string // "": it is let through
	}{
		{"scnet:read", "tools/call", "list_instances", ""},
		{"scnet:change", "tools/call", "list_instances", ""},
		{"scnet:destroy", "tools/call", "list_instances", ""},
		{"scnet:read", "tools/call", "restart_instance", "scnet:read scnet:change"},
		{"scnet:change", "tools/call", "delete_instances", "scnet:read scnet:change scnet:destroy"},
		{"scnet:read scnet:change", "tools/call", "delete_instances", "scnet:read scnet:change scnet:destroy"},
		{"scnet:destroy", "tools/call", "delete_instances", ""},
		{"openid profile", "tools/call", "list_instances", "scnet:read"},
		{"", "tools/call", "list_instances", "scnet:read"},
		{"SCNET:READ scnet:", "tools/call", "list_instances", "scnet:read"},
		{"scnet:admin scnet:* *", "tools/call", "list_instances", "scnet:read"},
		{"https://other.example/scnet:read", "tools/call", "list_instances", "scnet:read"},
		{"openid", "resources/read", "scnet://policy", "scnet:read"},
		{"openid", "prompts/get", "clean_up", "scnet:read"},
		{"openid", "completion/complete", "", "scnet:read"},
		{"openid", "tools/list", "", ""},
		{"openid", "ping", "", ""},
		// What no scope would open does not ask for one.
		{"openid", "tools/call", "execute_script", ""},
		{"openid", "tools/call", "stop_workspace_run", ""},
		{"openid", "tools/call", "no_such_tool", ""},
	} {
		body := `{"jsonrpc":"2.0","id":7,"method":"` + c.method + `","params":{"name":"` + c.name + `","uri":"` + c.name + `","arguments":{}}}`
		answer, text := r.knock(http.MethodPost, "/mcp", body, "Authorization", "Bearer "+r.token(c.scope, nil))
		challenge := answer.Header.Get("WWW-Authenticate")
		if c.needs == "" {
			if answer.StatusCode == http.StatusForbidden || challenge != "" {
				t.Errorf("%+v: %d %s", c, answer.StatusCode, text)
			}
			continue
		}
		if answer.StatusCode != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) ||
			!strings.Contains(challenge, `scope="`+c.needs+`"`) || !strings.Contains(challenge, `resource_metadata="`+metadataURL+`"`) ||
			!strings.Contains(text, `"id":7`) {
			t.Errorf("%+v: %d %s %s", c, answer.StatusCode, challenge, text)
		}
	}
	record, err := os.ReadFile(strings.TrimSuffix(r.audit, ".jsonl") + "-attempts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the record of attempts", string(record), `"tool":"delete_instances"`, `"rule":"scope"`, `"sub":"ann"`)
	if n := counted(r, "scope"); n < 10 {
		t.Errorf("%d refusals are counted", n)
	}
}

// counted returns how many refusals of a rule the metrics tell.
func counted(r *resource, rule string) (n int) {
	r.t.Helper()
	_, text := r.request(http.MethodGet, "/metrics", r.static, "")
	found := regexp.MustCompile(`scnet_mcp_refusals_total\{rule="` + rule + `"\} (\d+)`).FindStringSubmatch(text)
	if found != nil {
		_, _ = fmt.Sscan(found[1], &n)
	}
	return n
}

// Whoever no entry selects is not let in, whatever the token says of itself.
func TestNotAdmitted(t *testing.T) {
	r := serveResource(t)
	tokens := map[string]map[string]any{
		"nothing":               {"groups": nil},
		"another group":         {"groups": []string{"guests"}},
		"the group as a text":   {"groups": "operators"},
		"a list of groups":      {"groups": [][]string{{"operators"}}},
		"another case":          {"groups": []string{"Operators"}},
		"with a space":          {"groups": []string{"operators "}},
		"a longer name":         {"groups": []string{"operators-guests"}},
		"as a path":             {"groups": []string{"/operators"}},
		"two in one":            {"groups": []string{"guests,operators"}},
		"a look-alike":          {"groups": []string{"\u043eperators"}},
		"a role":                {"groups": nil, "roles": []string{"operators"}},
		"a realm's role":        {"groups": nil, "realm_access": map[string]any{"roles": []string{"operators"}}},
		"the client alone":      {"groups": nil, "client_id": "ci-client"},
		"the role alone":        {"groups": nil, "roles": []string{"deployer"}},
		"the client as subject": {"groups": nil, "sub": "ci-client", "roles": []string{"deployer"}},
		"the name of the entry": {"groups": nil, "sub": "team", "client_id": "static"},
		"everything":            {"groups": []string{"*", "", "any"}},
		"too many to list":      {"groups": nil, "_claim_names": map[string]string{"groups": "src1"}, "hasgroups": true},
	}
	for name, claims := range tokens {
		answer, text := r.knock(http.MethodPost, "/mcp", calling("list_instances", `{}`), "Authorization", "Bearer "+r.token("scnet:destroy", claims))
		if answer.StatusCode != http.StatusForbidden || answer.Header.Get("WWW-Authenticate") != "" || !strings.Contains(text, "does not admit") {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
	if n := counted(r, "admission"); n != len(tokens) {
		t.Errorf("%d of %d are counted", n, len(tokens))
	}
	r.done(r.token("scnet:read", map[string]any{"groups": nil, "client_id": "ci-client", "roles": []string{"deployer"}}), "list_instances", `{}`)
	r.done(r.token("scnet:read", map[string]any{"groups": []string{"guests", "operators"}}), "list_instances", `{}`)
}

// Forged and foreign tokens are refused on every path, and counted. internal/oauth has all of them.
func TestForgedTokens(t *testing.T) {
	r := serveResource(t)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims := r.issuer.Claims(publicURL, now, map[string]any{"groups": []string{"operators"}, "scope": "scnet:destroy"})
	body, _ := json.Marshal(claims)
	encode := base64.RawURLEncoding.EncodeToString
	headers := map[string]any{"typ": "at+jwt", "kid": "key-1"}
	with := func(name string, value any) string { return r.token("scnet:destroy", map[string]any{name: value}) }
	tokens := map[string]string{
		"alg none":         encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + encode(body) + ".",
		"HS256":            issuertest.Sign(jose.HS256, make([]byte, 32), claims, headers),
		"another key":      issuertest.Sign(jose.ES256, own, claims, headers),
		"unknown kid":      issuertest.Sign(jose.ES256, own, claims, map[string]any{"kid": "key-7"}),
		"embedded key":     issuertest.Sign(jose.ES256, own, claims, map[string]any{"jwk": jose.JSONWebKey{Key: own.Public()}}),
		"jku":              issuertest.Sign(jose.ES256, own, claims, map[string]any{"kid": "key-1", "jku": r.issuer.URL + "/keys"}),
		"foreign audience": with("aud", "https://other.example/mcp"),
		"expired":          with("exp", now.Add(-time.Minute).Unix()),
		"not valid yet":    with("nbf", now.Add(time.Hour).Unix()),
		"ID token":         with("token_use", "id"),
		"foreign issuer":   with("iss", "https://evil.example"),
		"words":            "a.b.c",
	}
	for name, token := range tokens {
		for _, path := range []string{"/mcp", "/message", "/metrics"} {
			answer, text := r.knock(http.MethodPost, path, calling("list_instances", `{}`), "Authorization", "Bearer "+token)
			challenge := answer.Header.Get("WWW-Authenticate")
			if answer.StatusCode != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) ||
				!strings.Contains(challenge, metadataURL) || strings.Contains(text, token) {
				t.Errorf("%s at %s: %d %s %s", name, path, answer.StatusCode, challenge, text)
			}
		}
	}
	if n := counted(r, "token"); n != 3*len(tokens) {
		t.Errorf("%d of %d are counted", n, 3*len(tokens))
	}
	good := r.token("scnet:read", nil)
	for name, headers := range map[string][]string{
		"two tokens":     {"Authorization", "Bearer " + good, "Authorization", "Bearer " + r.static},
		"twice the same": {"Authorization", "Bearer " + good, "Authorization", "Bearer " + good},
		"in one header":  {"Authorization", "Bearer " + good + ", Bearer " + r.static},
		"another scheme": {"Authorization", "DPoP " + good},
		"basic":          {"Authorization", "Basic " + good},
		"no scheme":      {"Authorization", good},
		"another header": {"X-Authorization", "Bearer " + good},
	} {
		if answer, text := r.knock(http.MethodPost, "/mcp", listTools, headers...); answer.StatusCode/100 != 4 || strings.Contains(text, "list_instances") {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
	if answer, _ := r.knock(http.MethodPost, "/mcp?access_token="+good, listTools); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token in the query: %d", answer.StatusCode)
	}
	for name, token := range tokens {
		if len(token) > 40 && strings.Contains(r.errs.String(), token[10:40]) {
			t.Errorf("%s: the token is in the log", name)
		}
	}
}

// What was made for one identity is worth nothing to another: neither a session nor a preview token.
func TestNothingIsReplayed(t *testing.T) {
	r := serveResource(t)
	ann := r.token("scnet:destroy", nil)
	hello := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	answer, _ := r.knock(http.MethodPost, "/mcp", hello, "Authorization", "Bearer "+ann)
	session := answer.Header.Get("Mcp-Session-Id")
	preview := r.call(ann, "delete_instances", deletion(completedID)).text()
	token := regexp.MustCompile(`\bp[a-z0-9]{20,}\b`).FindString(preview)
	if session == "" || token == "" {
		t.Fatalf("%q %s", session, preview)
	}
	confirmed := strings.TrimSuffix(deletion(completedID), "}") + `,"confirm":true,"preview_token":"` + token + `"}`
	for name, other := range map[string]string{
		"another person":       r.token("scnet:destroy", map[string]any{"sub": "ben"}),
		"another client":       r.token("scnet:destroy", map[string]any{"client_id": "another"}),
		"subject and client":   r.token("scnet:destroy", map[string]any{"sub": "chat", "client_id": "ann"}),
		"a token of the file":  r.static,
		"of another entry too": r.token("scnet:destroy", map[string]any{"sub": "rita"}),
	} {
		answer, text := r.knock(http.MethodPost, "/mcp", listTools, "Authorization", "Bearer "+other, "Mcp-Session-Id", session)
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the session: %d %s", name, answer.StatusCode, text)
		}
		if used := r.call(other, "delete_instances", confirmed); !used.IsError && !strings.Contains(used.text(), "PREVIEW") {
			t.Errorf("%s: the preview token: %s", name, used.text())
		}
	}
	again := r.token("scnet:destroy", map[string]any{"jti": "a newer token of the same"})
	if answer, text := r.knock(http.MethodPost, "/mcp", listTools, "Authorization", "Bearer "+again, "Mcp-Session-Id", session); answer.StatusCode != http.StatusOK {
		t.Errorf("a newer token: %d %s", answer.StatusCode, text)
	}
	r.done(again, "delete_instances", confirmed, "1")
}

// A file that is read again holds at once, for tokens that are still valid too.
func TestEntryIsTakenAway(t *testing.T) {
	base := toolbox.New(toolbox.Rules{}, nil)
	i := issuertest.Start(t)
	flags := httpFlags{OAuthIssuer: i.URL, PublicURL: publicURL}
	issuer, err := serveCommand{httpFlags: flags}.issuer()
	if err != nil {
		t.Fatal(err)
	}
	o := optionsOf(flags)
	file := filepath.Join(t.TempDir(), "callers.json")
	writeFile(t, file, `{"callers":[{"name":"team","oauth":{"group":"a"}},{"name":"rest","oauth":{"any":true},"read_only":true}]}`)
	reload, err := (&admission{base: base, issuer: issuer}).open(file, &o)
	if err != nil {
		t.Fatal(err)
	}
	token := i.Sign(i.Claims(publicURL, time.Now(), map[string]any{"groups": []string{"a"}}), nil)
	before, err := o.OAuth.Authenticate(t.Context(), token)
	if err != nil || !strings.HasPrefix(before.Name, "team:") || !o.StillValid(before) || before.Expires.IsZero() {
		t.Fatalf("%+v, %v", before, err)
	}
	writeFile(t, file, `{"callers":[{"name":"rest","oauth":{"any":true},"read_only":true}]}`)
	if err := reload(); err != nil {
		t.Fatal(err)
	}
	after, err := o.OAuth.Authenticate(t.Context(), token)
	if err != nil || !strings.HasPrefix(after.Name, "rest:") || o.StillValid(before) || !o.StillValid(after) {
		t.Errorf("%+v, %v", after, err)
	}
	if _, err := before.Toolbox.Allowed(); err == nil {
		t.Error("a call under way goes on")
	}
	writeFile(t, file, `{"callers":[{"name":"other","oauth":{"sub":"x"}}]}`)
	if err := reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := o.OAuth.Authenticate(t.Context(), token); err == nil {
		t.Error("whom no entry selects is let in")
	}
}

// Readiness and tokens while the issuer cannot be reached from the start. internal/oauth has the rest.
func TestServeWithoutIssuer(t *testing.T) {
	r := serveResource(t)
	r.said(1, "listens on")
	r.done(r.token("scnet:read", nil), "list_instances", `{}`)

	i := issuertest.Start(t)
	i.Down(true)
	file := filepath.Join(t.TempDir(), "callers.json")
	writeFile(t, file, `{"callers":[{"name":"rest","oauth":{"any":true}}]}`)
	s := serveOne(t, nil, "--demo", "--transport=http", "--callers="+file, "--oauth-issuer="+i.URL, "--public-url="+publicURL)
	s.said(1, "the authorization server cannot be reached")
	if status, text := s.get("/readyz"); status != http.StatusServiceUnavailable || strings.Contains(text, i.URL) {
		t.Errorf("%d %s", status, text)
	}
	status, text := s.request(http.MethodPost, "/mcp", i.Sign(i.Claims(publicURL, time.Now(), nil), nil), listTools)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "Retry-After") {
		t.Errorf("%d %s", status, text)
	}
}

func TestOAuthFlags(t *testing.T) {
	good := func(change func(*httpFlags)) httpFlags {
		f := httpFlags{
			Transport: overHTTP, Callers: "c.json", OAuthIssuer: "https://idp.example.org/realms/hpc", PublicURL: publicURL,
		}
		change(&f)
		return f
	}
	for name, c := range map[string]struct {
		flags httpFlags
		says  string
	}{
		"all":              {good(func(*httpFlags) {}), ""},
		"audiences":        {good(func(f *httpFlags) { f.OAuthAudience = []string{"a", "b"} }), ""},
		"loopback":         {good(func(f *httpFlags) { f.OAuthIssuer, f.PublicURL = "http://127.0.0.1:1", "http://localhost:2/mcp" }), ""},
		"behind a path":    {good(func(f *httpFlags) { f.PublicURL = "https://example.org/a/mcp" }), ""},
		"no callers":       {good(func(f *httpFlags) { f.Callers = "" }), `lets in nobody by itself`},
		"no URL":           {good(func(f *httpFlags) { f.PublicURL = "" }), "needs --public-url"},
		"no path":          {good(func(f *httpFlags) { f.PublicURL = "https://mcp.example.org/" }), "is not the whole URL"},
		"no clean path":    {good(func(f *httpFlags) { f.PublicURL = "https://mcp.example.org/a/../mcp" }), "is not the whole URL"},
		"a query":          {good(func(f *httpFlags) { f.PublicURL = publicURL + "?a=b" }), "is not the whole URL"},
		"not https":        {good(func(f *httpFlags) { f.PublicURL = "http://mcp.example.org/mcp" }), "--public-url"},
		"issuer not https": {good(func(f *httpFlags) { f.OAuthIssuer = "http://idp.example.org" }), "--oauth-issuer"},
		"empty audience":   {good(func(f *httpFlags) { f.OAuthAudience = []string{""} }), "an audience is empty"},
		"no issuer":        {good(func(f *httpFlags) { f.OAuthIssuer = "" }), "give it too"},
		"stdio":            {good(func(f *httpFlags) { f.Transport, f.Callers = overStdio, "" }), "means nothing over stdio"},
	} {
		err := c.flags.check()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	file, _ := callersFile(t, entry{Name: "one"})
	o := optionsOf(good(func(*httpFlags) {}))
	issuer, _ := serveCommand{httpFlags: good(func(*httpFlags) {})}.issuer()
	if _, err := (&admission{base: toolbox.New(toolbox.Rules{}, nil), issuer: issuer}).open(file, &o); err == nil || !strings.Contains(err.Error(), "no entry has the field oauth") {
		t.Error(err)
	}
	if !slices.Contains(o.Hosts, "mcp.example.org") {
		t.Error(o.Hosts)
	}
}

// optionsOf are the options that flags alone set.
func optionsOf(f httpFlags) (o server.HTTPOptions) {
	serveCommand{httpFlags: f}.apply(&o)
	return o
}
