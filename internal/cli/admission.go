package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// admission lets in the callers of a file, each with what its policy leaves of base.
type admission struct {
	base   *toolbox.Toolbox
	issuer *oauth.Verifier // of access tokens; nil: there are none
	book   *callers.Book[*toolbox.Toolbox]
}

// open reads the file, sets who is let in, and returns what reads the file again.
func (a *admission) open(path string, o *server.HTTPOptions) (reload func() error, err error) {
	a.book, err = callers.OpenBook(path, knownNames(), func(one callers.Caller, live guard.Live) *toolbox.Toolbox {
		return a.base.ForCaller(one.Name, one.Policy, live, one.MaxMutationsPerHour)
	})
	if err != nil {
		return nil, err
	}
	if a.issuer != nil && !a.book.HasOAuth() {
		return nil, lang.Errorf("no entry has the field oauth, so nobody could come in with an access token; add one, or leave out --oauth-issuer")
	}
	o.Authenticate = a.byToken
	o.StillValid = func(c server.Caller) bool {
		entry, _ := c.Entry.(*toolbox.Toolbox)
		return a.book.Holds(entry)
	}
	if a.issuer != nil {
		o.OAuth.Authenticate = a.byAccessToken
		o.OAuth.Degraded = func() string { return degraded(a.issuer.State()) }
		others := o.Ready
		o.Ready = func(ctx context.Context) error {
			if state := a.issuer.State(); !state.Usable {
				return lang.Errorf("%w: %w", oauth.ErrUnavailable, state.Cause)
			}
			return others(ctx)
		}
	}
	return a.book.Reload, nil
}

func (a *admission) byToken(token string) (server.Caller, bool) {
	one, own, found := a.book.Find(token)
	return server.Caller{Name: one.Name, Toolbox: own, Entry: own}, found
}

// byAccessToken finds the first entry that selects whom a token was issued to. Sessions and preview tokens are bound to
// person and client; the hourly limit is the person's, who could otherwise raise it with every further client.
func (a *admission) byAccessToken(ctx context.Context, token string) (server.Caller, error) {
	who, err := a.issuer.Verify(ctx, token)
	switch {
	case errors.Is(err, oauth.ErrUnavailable):
		return server.Caller{}, lang.Errorf("%w: %w", server.ErrUndecided, err)
	case err != nil:
		return server.Caller{}, err
	}
	one, entry, live, selected := a.book.Select(who)
	if !selected {
		const form = "%w: no entry of the callers file selects sub %.100q, client_id %.100q" // not said to people
		return server.Caller{}, fmt.Errorf(form, server.ErrNotAdmitted, who.Subject, who.ClientID)
	}
	policy := one.Policy
	policy.Grant = guard.GrantOf(who.Scopes)
	own := a.base.ForCaller(one.Name+":"+who.Person(), policy, live, one.MaxMutationsPerHour)
	return server.Caller{
		// No name of a file has a colon.
		Name: one.Name + ":" + who.Caller(), Toolbox: own, Entry: entry, Expires: who.Expires,
		Identity: toolbox.Identity{Issuer: who.Issuer, Subject: who.Subject, ClientID: who.ClientID},
	}, nil
}

// issuer returns what checks access tokens, or nil if there are none.
func (c serveCommand) issuer() (*oauth.Verifier, error) {
	if c.OAuthIssuer == "" {
		return nil, nil
	}
	return c.verifier(nil)
}

// verifier is issuer with a client that fetches the keys; nil: one of its own.
func (c serveCommand) verifier(client *http.Client) (*oauth.Verifier, error) {
	audiences := c.OAuthAudience
	if len(audiences) == 0 {
		audiences = []string{c.PublicURL}
	}
	return oauth.New(oauth.Options{Issuer: c.OAuthIssuer, Audiences: audiences, Client: client})
}

// degraded says what readiness tells strangers of an issuer that is out of reach.
func degraded(state oauth.State) string {
	if !state.Usable || state.Cause == nil {
		return ""
	}
	const until = "the authorization server cannot be reached; its known keys are used until " // not said to people
	return until + state.Until.UTC().Format(time.RFC3339)
}

func logIssuer(log zerolog.Logger) func(cause error) {
	return func(cause error) {
		if cause != nil {
			log.Warn().Err(cause).Msg("the authorization server cannot be reached; known keys are used for an hour at most")
			return
		}
		log.Info().Msg("the authorization server can be reached again")
	}
}
