package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// withOAuth takes the access tokens "a.TEXT.b". TEXT says what the token is like.
func withOAuth(expires func() time.Time) func(*HTTPOptions) {
	return func(o *HTTPOptions) {
		callersOnly(o)
		o.OAuth = &OAuth{
			Issuer: "https://idp.example.org", Resource: "https://mcp.example.org/scnet/mcp",
			Authenticate: func(_ context.Context, token string) (Caller, error) {
				switch text := strings.Split(token, ".")[1]; text {
				case "away":
					return Caller{}, fmt.Errorf("%w: secret cause", ErrUndecided)
				case "stranger":
					return Caller{}, fmt.Errorf("%w: secret cause", ErrNotAdmitted)
				case "expired":
					return Caller{}, errors.New(`the access token "has" expired`)
				default:
					return Caller{Name: "team:" + text, Entry: "team:" + text, Expires: expires()}, nil
				}
			},
		}
	}
}

func never() time.Time { return time.Time{} }

func TestAccessTokenAnswers(t *testing.T) {
	var counted []string
	h := newFull(t, withOAuth(never), func(o *HTTPOptions) {
		o.Watch.Refused = func(rule string) { counted = append(counted, rule) }
	})
	const metadata = `scope="scnet:read", resource_metadata="https://mcp.example.org/.well-known/oauth-protected-resource/scnet/mcp"`
	for token, c := range map[string]struct {
		status          int
		challenge, rule string
	}{
		"a.ann.b":      {http.StatusOK, "", ""},
		annsToken:      {http.StatusOK, "", ""},
		"a.away.b":     {http.StatusServiceUnavailable, "", "issuer"},
		"a.stranger.b": {http.StatusForbidden, "", "admission"},
		"a.expired.b": {http.StatusUnauthorized,
			`Bearer realm="scnet-mcp", error="invalid_token", error_description="the access token 'has' expired", ` + metadata, "token"},
		"opaque": {http.StatusUnauthorized, `Bearer realm="scnet-mcp", error="invalid_token", ` + metadata, "token"},
		"":       {http.StatusUnauthorized, `Bearer realm="scnet-mcp", error="invalid_token", ` + metadata, "token"},
	} {
		counted = nil
		a := knock(t.Context(), h, http.MethodPost, "/mcp", ping("1"), "Authorization", "Bearer "+token)
		if a.status != c.status || a.header.Get("WWW-Authenticate") != c.challenge || strings.Join(counted, " ") != c.rule ||
			strings.Contains(string(a.body), "secret") || (a.header.Get("Retry-After") != "") != (c.rule == "issuer") {
			t.Errorf("%q: %d %v %s, counted %v", token, a.status, a.header, a.body, counted)
		}
	}
	for path, want := range map[string]int{
		"/.well-known/oauth-protected-resource": http.StatusOK, "/.well-known/oauth-protected-resource/scnet/mcp": http.StatusOK,
		"/.well-known/oauth-protected-resource/mcp": http.StatusNotFound,
	} {
		a := knock(t.Context(), h, http.MethodGet, path, "")
		if a.status != want || want == http.StatusOK && !strings.Contains(string(a.body), `"resource":"https://mcp.example.org/scnet/mcp"`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// A stream lasts no longer than the access token that opened it, and its caller's other streams go on.
func TestStreamsEndWithTheToken(t *testing.T) {
	var expires time.Time
	inBubble(t, func(t *testing.T, s *site, _ *pipes, _ func() error) {
		began := time.Now()
		expires = began.Add(10 * time.Minute)
		short := s.openSSE(bearer("a.ann.b")...)
		expires = began.Add(time.Hour)
		long := s.openSSE(bearer("a.ann.b")...)
		<-time.After(9 * time.Minute)
		short.send(ping("1"))
		for e := range short.events {
			if strings.HasPrefix(e.name, "message") {
				break
			}
		}
		for range short.events { // until it is closed
		}
		if took := time.Since(began); took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("the stream ended after %s", took)
		}
		synctest.Wait()
		long.send(ping("2"))
		for e := range long.events {
			if e.name == "message" {
				return
			}
		}
		t.Error("the other stream has ended too")
	}, withSSE, withOAuth(func() time.Time { return expires }))
}

func TestReadyIsDegraded(t *testing.T) {
	words := ""
	h := newFull(t, withOAuth(never), func(o *HTTPOptions) { o.OAuth.Degraded = func() string { return words } })
	if a := knock(t.Context(), h, http.MethodGet, "/readyz", ""); a.status != http.StatusOK || strings.Contains(string(a.body), "degraded") {
		t.Errorf("%d %s", a.status, a.body)
	}
	words = "until noon"
	if a := knock(t.Context(), h, http.MethodGet, "/readyz", ""); a.status != http.StatusOK || !strings.Contains(string(a.body), `"degraded":"until noon"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Over the older transport too a call beyond the scopes is refused where it is sent.
func TestScopeOverSSE(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	policy := guard.Policy{Caller: "ann", Grant: guard.GrantOf([]string{guard.ReadScope})}
	listener, _ := serveHTTP(w, withSSE, withOAuth(never), func(o *HTTPOptions) {
		o.Authenticate = func(string) (Caller, bool) {
			return Caller{Name: "ann", Toolbox: w.server.tools.ForCaller("ann", policy, guard.Fixed(policy), 5)}, true
		}
	})
	s := &site{t: t, url: listener.URL, client: listener.Client()}
	stream := s.openSSE(bearer("any")...)
	a := s.do(http.MethodPost, stream.path, call("1", "delete_instances", deletion(running, "")), bearer("any")...)
	if a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="scnet:read scnet:change scnet:destroy"`) {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	stream.send(call("2", "list_instances", `{}`))
	if answer := stream.next(); answer.code() != 0 {
		t.Errorf("%s", answer.line)
	}
}

// An authorization server knows any number of callers. Those who do nothing are forgotten; those who do something are not.
func TestIdleCallersAreForgotten(t *testing.T) {
	h := newFakes().newServer(noLog{}).NewHTTP(HTTPOptions{Key: []byte("k")})
	busy := h.limits(Caller{Name: "busy"})
	busy.running <- struct{}{}
	used := h.limits(Caller{Name: "used"})
	used.requests.SetLimit(rate.Limit(0)) // so that its tokens do not come back
	used.requests.Allow()
	for i := range 10 * maxLimited {
		h.limits(Caller{Name: fmt.Sprint(i)})
	}
	if n := len(h.callers); n > maxLimited {
		t.Errorf("%d are known", n)
	}
	if h.limits(Caller{Name: "busy"}) != busy || h.limits(Caller{Name: "used"}) != used {
		t.Error("the limits of a caller that does something are forgotten")
	}
}
