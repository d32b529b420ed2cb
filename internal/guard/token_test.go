package guard_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

var subject = guard.Subject{Tool: "delete_instances", Caller: "local", Region: "11250", Arguments: `{"ids":["a"]}`, State: "a Running"}

func newTokens(t testing.TB, key []byte, now func() time.Time) *guard.Tokens {
	t.Helper()
	tokens, err := guard.NewTokens(key, guard.NewMemory(now), now)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestTokenProblems(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	now := start
	tokens := newTokens(t, nil, func() time.Time { return now })
	changed := func(change func(*guard.Subject)) guard.Subject {
		s := subject
		change(&s)
		return s
	}
	token, expires := tokens.Issue(subject)
	if expires.Sub(now) != guard.TokenLifetime || len(token) != 40 {
		t.Fatalf("token %q until %s", token, expires)
	}
	foreign, _ := newTokens(t, nil, func() time.Time { return now }).Issue(subject)
	for name, c := range map[string]struct {
		token   string
		subject guard.Subject
		after   time.Duration
		want    error
	}{
		"good":                    {token, subject, 0, nil},
		"with spaces and capital": {" " + strings.ToUpper(token) + "\n", subject, 0, nil},
		"at its last second":      {token, subject, guard.TokenLifetime, nil},
		"expired":                 {token, subject, guard.TokenLifetime + time.Second, guard.ErrTokenExpired},
		"empty":                   {"", subject, 0, guard.ErrTokenWrong},
		"made up":                 {"abc", subject, 0, guard.ErrTokenWrong},
		"cut":                     {token[:39], subject, 0, guard.ErrTokenWrong},
		"longer":                  {token + "a", subject, 0, guard.ErrTokenWrong},
		"of another key":          {foreign, subject, 0, guard.ErrTokenWrong},
		"another tool":            {token, changed(func(s *guard.Subject) { s.Tool = "execute_script" }), 0, guard.ErrTokenOther},
		"another caller":          {token, changed(func(s *guard.Subject) { s.Caller = "eve" }), 0, guard.ErrTokenOther},
		"another region":          {token, changed(func(s *guard.Subject) { s.Region = "20057" }), 0, guard.ErrTokenOther},
		"other arguments":         {token, changed(func(s *guard.Subject) { s.Arguments = `{"ids":["b"]}` }), 0, guard.ErrTokenOther},
		"changed state":           {token, changed(func(s *guard.Subject) { s.State = "a Terminated" }), 0, guard.ErrTokenState},
		"text moved between parts": {token, changed(func(s *guard.Subject) { s.Tool, s.Caller = "delete_instanceslocal", "" }),
			0, guard.ErrTokenOther},
	} {
		now = start.Add(c.after)
		if err := tokens.Check(t.Context(), c.token, c.subject); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	now = start
	if err := tokens.Redeem(t.Context(), token, subject); err != nil {
		t.Error(err)
	}
	if err := tokens.Redeem(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUsed) {
		t.Errorf("used twice: %v", err)
	}
	if err := tokens.Check(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUsed) {
		t.Errorf("checked after use: %v", err)
	}
}

func TestEveryCharacterOfATokenCounts(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	token, _ := tokens.Issue(subject)
	for i := range token {
		for _, c := range "ab9" {
			forged := token[:i] + string(c) + token[i+1:]
			if forged != token && !errors.Is(tokens.Check(t.Context(), forged, subject), guard.ErrTokenWrong) {
				t.Errorf("%q passes for %q", forged, token)
			}
		}
	}
}

func TestServersWithTheSameKeyAcceptEachOthersTokens(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	token, _ := newTokens(t, key, time.Now).Issue(subject)
	if err := newTokens(t, key, time.Now).Redeem(t.Context(), token, subject); err != nil {
		t.Error(err)
	}
}

func TestOneOfTwoWins(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	token, _ := tokens.Issue(subject)
	var won atomic.Int32
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			if tokens.Redeem(t.Context(), token, subject) == nil {
				won.Add(1)
			}
		})
	}
	callers.Wait()
	if won.Load() != 1 {
		t.Errorf("%d callers used one token", won.Load())
	}
}

func TestBurn(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	token, _ := tokens.Issue(subject)
	for _, text := range []string{"no token", token, token} {
		if err := tokens.Burn(t.Context(), text); err != nil {
			t.Error(err)
		}
	}
	if err := tokens.Check(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUsed) {
		t.Errorf("burnt: %v", err)
	}
}

func TestTokenIDTellsNothing(t *testing.T) {
	token, _ := newTokens(t, nil, time.Now).Issue(subject)
	if id := guard.TokenID(token); len(id) != 10 || strings.Contains(token, id) {
		t.Errorf("id %q of %q", id, token)
	}
	if guard.TokenID("x") != "" {
		t.Error("what is no token has an id")
	}
}

// FuzzToken puts text into a good token: whatever is not the token itself must fail.
func FuzzToken(f *testing.F) {
	tokens := newTokens(f, nil, time.Now)
	token, _ := tokens.Issue(subject)
	f.Add("", uint8(0), uint8(40))
	f.Add("abc", uint8(5), uint8(8))
	f.Fuzz(func(t *testing.T, text string, from, to uint8) {
		start, end := int(from)%41, int(to)%41
		forged := token[:min(start, end)] + text + token[max(start, end):]
		same := strings.ToLower(strings.TrimSpace(forged)) == token
		if passes := tokens.Check(t.Context(), forged, subject) == nil; passes != same {
			t.Errorf("%q passes: %v", forged, passes)
		}
		guard.TokenID(forged)
		if !same {
			_ = tokens.Burn(t.Context(), forged)
		}
	})
}
