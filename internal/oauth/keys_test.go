package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth/issuertest"
)

// bubble runs test with the clock of a synctest bubble, an issuer without a network, and a verifier that runs. told returns
// what the verifier has told of the issuer so far.
func bubble(t *testing.T, test func(t *testing.T, i *issuertest.Issuer, v *oauth.Verifier, told func() string)) {
	synctest.Test(t, func(t *testing.T) {
		i := issuertest.New("https://idp.example.org")
		v, err := oauth.New(oauth.Options{Issuer: i.URL, Audiences: []string{audience}, Client: i.Client()})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var words []string
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			v.Run(ctx, func(cause error) {
				mu.Lock()
				defer mu.Unlock()
				if cause != nil {
					words = append(words, "away")
				} else {
					words = append(words, "back")
				}
			})
		}()
		synctest.Wait()
		test(t, i, v, func() string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(words, " ")
		})
		cancel()
		<-ended
	})
}

func fresh(i *issuertest.Issuer) string { return i.Sign(i.Claims(audience, time.Now(), nil), nil) }

// A new key is fetched when a token names it; one that is withdrawn is not used for long.
func TestRotation(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuertest.Issuer, v *oauth.Verifier, _ func() string) {
		verify := func(token string) error {
			_, err := v.Verify(t.Context(), token)
			return err
		}
		before := fresh(i)
		if err := verify(before); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		i.Rotate()
		if err := verify(before); err != nil {
			t.Errorf("before anybody knows: %v", err)
		}
		if err := verify(fresh(i)); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if err := verify(before); err == nil {
			t.Error("a key that was withdrawn is accepted")
		}
		<-time.After(time.Minute)
		before = fresh(i)
		i.Rotate()
		<-time.After(6 * time.Minute)
		if err := verify(before); err == nil {
			t.Error("a key that was withdrawn is accepted after minutes, because no token named the new one")
		}
	})
}

// Strangers cannot make the server ask the issuer again and again.
func TestUnknownKeysAreFetchedSeldom(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuertest.Issuer, v *oauth.Verifier, _ func() string) {
		forged := i.Sign(i.Claims(audience, time.Now(), nil), map[string]any{"kid": "unknown"})
		began, fetches := time.Now(), i.Fetches()
		for range 600 {
			var crowd sync.WaitGroup
			for range 10 {
				crowd.Go(func() {
					var reason *oauth.Invalid
					if _, err := v.Verify(t.Context(), forged); !errors.As(err, &reason) {
						t.Error(err)
					}
				})
			}
			crowd.Wait()
			<-time.After(100 * time.Millisecond)
		}
		if n, most := i.Fetches()-fetches, int(time.Since(began)/(10*time.Second))+1; n > most || n == 0 {
			t.Errorf("%d fetches in %s, at most %d", n, time.Since(began), most)
		}
	})
}

// While the issuer is out of reach, known keys are used for an hour. Then nobody is let in, until it is back.
func TestIssuerOutOfReach(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuertest.Issuer, v *oauth.Verifier, told func() string) {
		verify := func() error {
			_, err := v.Verify(t.Context(), fresh(i))
			return err
		}
		if s := v.State(); !s.Usable || s.Cause != nil || told() != "" {
			t.Fatalf("%+v", s)
		}
		i.Down(true)
		<-time.After(6 * time.Minute)
		s := v.State()
		if !s.Usable || s.Cause == nil || told() != "away" || time.Until(s.Until) > time.Hour {
			t.Errorf("%+v, %s", s, told())
		}
		<-time.After(45 * time.Minute)
		if err := verify(); err != nil {
			t.Errorf("after 51 minutes: %v", err)
		}
		<-time.After(15 * time.Minute)
		if err := verify(); !errors.Is(err, oauth.ErrUnavailable) || !strings.Contains(err.Error(), "503") {
			t.Errorf("after 66 minutes: %v", err)
		}
		if s := v.State(); s.Usable || s.Cause == nil || !s.Until.IsZero() {
			t.Errorf("%+v", s)
		}
		i.Down(false)
		<-time.After(time.Minute)
		if err := verify(); err != nil || told() != "away back" || v.State().Cause != nil {
			t.Errorf("back again: %v, %s", err, told())
		}
	})
}

// A server that starts before its issuer lets nobody in, and everybody as soon as it can.
func TestStartBeforeIssuer(t *testing.T) {
	i := issuertest.Start(t)
	i.Down(true)
	now := time.Now()
	v := newVerifier(t, i.URL, func() time.Time { return now })
	if s := v.State(); s.Usable || s.Cause == nil {
		t.Errorf("before it has asked: %+v", s)
	}
	if _, err := v.Verify(t.Context(), fresh(i)); !errors.Is(err, oauth.ErrUnavailable) {
		t.Error(err)
	}
	i.Down(false)
	if _, err := v.Verify(t.Context(), fresh(i)); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("asked again at once: %v", err)
	}
	now = now.Add(11 * time.Second)
	if _, err := v.Verify(t.Context(), fresh(i)); err != nil {
		t.Error(err)
	}
}

// Nothing that an issuer, or somebody in its place, can answer makes the server fetch from elsewhere, read without end, or
// use a key that is not the issuer's.
func TestSource(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was fetched from elsewhere", r.URL)
	}))
	defer elsewhere.Close()
	const metadata = "/.well-known/oauth-authorization-server"
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, own string)
		says   string
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request, _ string) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}, "HTTP status 302"},
		"the keys are redirected": {func(w http.ResponseWriter, r *http.Request, own string) {
			if r.URL.Path == metadata {
				_, _ = w.Write([]byte(`{"issuer":"` + own + `","jwks_uri":"` + own + `/keys"}`))
				return
			}
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "HTTP status 307"},
		"another issuer": {func(w http.ResponseWriter, _ *http.Request, own string) {
			_, _ = w.Write([]byte(`{"issuer":"` + own + `/","jwks_uri":"` + own + `/keys"}`))
		}, "another issuer"},
		"keys over http": {func(w http.ResponseWriter, _ *http.Request, own string) {
			_, _ = w.Write([]byte(`{"issuer":"` + own + `","jwks_uri":"http://idp.example.org/keys"}`))
		}, "jwks_uri"},
		"no keys": {func(w http.ResponseWriter, _ *http.Request, own string) {
			_, _ = w.Write([]byte(`{"issuer":"` + own + `","jwks_uri":"` + own + `/keys","keys":[]}`))
		}, "no public key"},
		"a symmetric key": {func(w http.ResponseWriter, _ *http.Request, own string) {
			_, _ = w.Write([]byte(`{"issuer":"` + own + `","jwks_uri":"` + own + `/keys","keys":[{"kty":"oct","k":"c2VjcmV0"}]}`))
		}, "no public key"},
		"without end": {func(w http.ResponseWriter, _ *http.Request, _ string) {
			for _, err := w.Write([]byte(`"`)); err == nil; {
				_, err = w.Write(make([]byte, 64<<10))
			}
		}, "longer than"},
		"not JSON": {func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = w.Write([]byte("<html>")) }, "not the JSON"},
	} {
		var server *httptest.Server
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.answer(w, r, server.URL) }))
		_, err := newVerifier(t, server.URL, nil).Verify(t.Context(), fresh(issuertest.New(server.URL)))
		if !errors.Is(err, oauth.ErrUnavailable) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		server.Close()
	}
}

// The metadata of an issuer with a path is looked for in all places where servers put it.
func TestMetadataPlaces(t *testing.T) {
	for _, place := range []string{
		"/.well-known/oauth-authorization-server/realms/a", "/.well-known/openid-configuration/realms/a",
		"/realms/a/.well-known/openid-configuration",
	} {
		i := issuertest.New("")
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case place:
				r.URL.Path = "/.well-known/oauth-authorization-server"
				i.ServeHTTP(w, r)
			case "/realms/a/keys":
				r.URL.Path = "/keys"
				i.ServeHTTP(w, r)
			default:
				http.NotFound(w, r)
			}
		}))
		i.URL = server.URL + "/realms/a"
		if _, err := newVerifier(t, i.URL, nil).Verify(t.Context(), fresh(i)); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		server.Close()
	}
}
