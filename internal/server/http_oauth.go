package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// The extensions that a server with OAuth declares: it takes tokens that a client got by its own credentials, or through the
// identity provider of an enterprise.
var oauthExtensions = []string{
	"io.modelcontextprotocol/oauth-client-credentials", "io.modelcontextprotocol/enterprise-managed-authorization",
}

// OAuth makes the HTTP transports an OAuth 2.1 resource server, beside the callers that HTTPOptions.Authenticate knows.
type OAuth struct {
	// Authenticate returns the caller that an access token was issued to. An error that wraps neither ErrNotAdmitted nor
	// ErrUndecided is what is wrong with the token, in words that the client may read.
	Authenticate func(ctx context.Context, token string) (Caller, error)
	Issuer       string        // the authorization server
	Resource     string        // the URL of the server's endpoint for MCP, as clients know it
	Degraded     func() string // what readiness says although calls work; "" or nil: nothing
}

var (
	// ErrNotAdmitted says that an access token is in order, and that its bearer may not use this server.
	ErrNotAdmitted = errors.New("this server does not admit whom the access token was issued to")
	// ErrUndecided says that a token cannot be checked now.
	ErrUndecided = errors.New("the authorization server cannot be reached, so the access token cannot be checked; repeat the request " +
		"after the time in Retry-After")
)

// resourceMetadataPath is where RFC 9728 puts the metadata of a resource: here, and here followed by the resource's path.
const resourceMetadataPath = "/.well-known/oauth-protected-resource"

func ifOAuth(o HTTPOptions) bool { return o.OAuth != nil }

// metadataURL is where clients find the metadata.
func (o *OAuth) metadataURL() string {
	u, err := url.Parse(o.Resource)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + o.metadataPath()
}

func (o *OAuth) metadataPath() string {
	u, err := url.Parse(o.Resource)
	if err != nil {
		return resourceMetadataPath
	}
	return resourceMetadataPath + strings.TrimSuffix(u.Path, "/")
}

// serveResourceMetadata tells a client where it gets access tokens. Only a server with OAuth has it: clients that find it
// log in, and some then ignore the token that they were configured with.
func (h *HTTP) serveResourceMetadata(w http.ResponseWriter, r *http.Request, _ Caller) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "metadata is read with GET")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"resource":                 h.options.OAuth.Resource,
		"authorization_servers":    []string{h.options.OAuth.Issuer},
		"scopes_supported":         guard.ScopesFor(guard.Destructive),
		"bearer_methods_supported": []string{"header"},
		"resource_name":            h.server.identity.Title,
		"resource_documentation":   h.server.identity.WebsiteURL,
	})
}

// challenge is what a client needs to get in, or further. Its parameters are pairs of names and values.
func (h *HTTP) challenge(scopes []string, parameters ...string) string {
	text := `Bearer realm="scnet-mcp"`
	add := func(name, value string) {
		text += fmt.Sprintf(`, %s="%s"`, name, strings.NewReplacer(`"`, "'", `\`, "/").Replace(value))
	}
	for i := 0; i+1 < len(parameters); i += 2 {
		add(parameters[i], parameters[i+1])
	}
	if h.options.OAuth != nil {
		add("scope", strings.Join(scopes, " "))
		add("resource_metadata", h.options.OAuth.metadataURL())
	}
	return text
}

// byAccessToken finds the caller that an access token was issued to, or answers why there is none.
func (h *HTTP) byAccessToken(w http.ResponseWriter, r *http.Request, token string) (Caller, bool) {
	caller, err := h.options.OAuth.Authenticate(r.Context(), token)
	switch {
	case err == nil:
		return caller, true
	case errors.Is(err, ErrUndecided):
		h.server.attackLog.Warn().Err(err).Str("remote", r.RemoteAddr).Msg("an access token cannot be checked")
		w.Header().Set("Retry-After", "10")
		h.refused(w, ruleIssuer, http.StatusServiceUnavailable, ErrUndecided.Error())
	case errors.Is(err, ErrNotAdmitted):
		h.server.attackLog.Warn().Err(err).Str("remote", r.RemoteAddr).Msg("an access token of somebody who is not admitted was sent")
		h.refused(w, ruleAdmission, http.StatusForbidden, ErrNotAdmitted.Error())
	default:
		h.server.attackLog.Warn().Err(err).Str("remote", r.RemoteAddr).Msg("a wrong token was sent")
		w.Header().Set("WWW-Authenticate",
			h.challenge(guard.ScopesFor(guard.Read), "error", "invalid_token", "error_description", err.Error()))
		h.refused(w, ruleToken, http.StatusUnauthorized, err.Error())
	}
	return Caller{}, false
}

// admitScope refuses a request beyond the scopes of the caller's access token, and names all that it needs, so that the
// client can get them. A tool is called all the same: the toolbox, which decides, refuses it on record.
func (h *HTTP) admitScope(ctx context.Context, w http.ResponseWriter, caller Caller, m message) bool {
	if caller.Toolbox == nil || !asksService(m.Method) {
		return true
	}
	text := "this needs scopes that the access token does not have"
	scopes := caller.Toolbox.LackingToRead()
	if m.Method == string(mcp.MethodToolsCall) {
		if scopes = caller.Toolbox.Lacking(m.Params.Name); scopes != nil {
			text = h.server.refuseTool(ctx, m.Params.Name)
		}
	} else if scopes != nil && h.options.Watch.Refused != nil {
		h.options.Watch.Refused(ruleNames[ruleScope])
	}
	if scopes == nil {
		return true
	}
	w.Header().Set("WWW-Authenticate", h.challenge(scopes, "error", "insufficient_scope", "error_description", text))
	writeJSON(w, http.StatusForbidden, (&problem{m.ID, mcp.INVALID_REQUEST, text}).reply())
	return false
}

// expireWith ends a stream when the access token of its caller does. The stop it returns may be called at any time.
func expireWith(caller Caller, cancel context.CancelCauseFunc) (stop func() bool) {
	if caller.Expires.IsZero() {
		return func() bool { return false }
	}
	return time.AfterFunc(time.Until(caller.Expires), func() { cancel(errExpired) }).Stop
}

var errExpired = errors.New("the caller's access token has expired")
