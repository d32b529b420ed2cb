package guard_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

var subject = guard.Subject{Tool: "delete_instances", Caller: "local", Region: "11250", Arguments: `{"ids":["a"]}`, State: "a Running"}

func newTokens(t testing.TB, key []byte, now func() time.Time) *guard.Tokens {
	t.Helper()
	return tokensOn(t, key, guard.NewMemory(now), now)
}

func tokensOn(t testing.TB, key []byte, state guard.State, now func() time.Time) *guard.Tokens {
	t.Helper()
	tokens, err := guard.NewTokens(key, state, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return tokens
}

// issue returns the token of a preview.
func issue(t testing.TB, tokens *guard.Tokens, s guard.Subject) string {
	t.Helper()
	token, _, err := tokens.Issue(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// question returns the token of a question.
func question(t testing.TB, tokens *guard.Tokens) string {
	t.Helper()
	d := tokens.Decide(t.Context(), guard.Call{Level: guard.Human, Subject: subject, Question: typed, Confirm: true, CanAsk: true})
	if d.Verdict != guard.Ask {
		t.Fatalf("%+v", d)
	}
	return d.Question.Token
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
	token, expires, err := tokens.Issue(t.Context(), subject)
	if err != nil || expires.Sub(now) != guard.TokenLifetime || len(token) != 40 {
		t.Fatalf("token %q until %s", token, expires)
	}
	foreign := issue(t, newTokens(t, nil, func() time.Time { return now }), subject)
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
	token := issue(t, tokens, subject)
	for i := range token {
		for _, c := range "ab9" {
			forged := token[:i] + string(c) + token[i+1:]
			if forged != token && !errors.Is(tokens.Check(t.Context(), forged, subject), guard.ErrTokenWrong) {
				t.Errorf("%q passes for %q", forged, token)
			}
		}
	}
}

func TestServersWithTheSameKeyAndStateAcceptEachOthersTokens(t *testing.T) {
	key, state := []byte(strings.Repeat("k", 32)), guard.NewMemory(time.Now)
	token := issue(t, tokensOn(t, key, state, time.Now), subject)
	if err := tokensOn(t, key, state, time.Now).Redeem(t.Context(), token, subject); err != nil {
		t.Error(err)
	}
}

// With a key file and without a shared state a server does not know what was used or declined before it started.
func TestATokenFromBeforeTheStartIsRefused(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	key := []byte(strings.Repeat("k", 32))
	before := newTokens(t, key, clock)
	used, unused := issue(t, before, subject), issue(t, before, subject)
	if err := before.Redeem(t.Context(), used, subject); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	after := newTokens(t, key, clock)
	for _, token := range []string{used, unused} {
		for name, err := range map[string]error{
			"Check": after.Check(t.Context(), token, subject), "Redeem": after.Redeem(t.Context(), token, subject),
		} {
			if !errors.Is(err, guard.ErrTokenOld) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	now = now.Add(-time.Second) // in the same second, or with a clock that was set back, only the message is another
	after = newTokens(t, key, clock)
	if err := after.Redeem(t.Context(), used, subject); err == nil {
		t.Error("a token was used twice")
	}
}

// A shared state that has lost everything does not make a used token usable, neither here nor at another replica.
func TestAUsedTokenOutlivesTheState(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	state := &lost{Memory: guard.NewMemory(time.Now), now: time.Now}
	one, other := tokensOn(t, key, state, time.Now), tokensOn(t, key, state, time.Now)
	used, declined := issue(t, one, subject), issue(t, one, subject)
	if err := one.Redeem(t.Context(), used, subject); err != nil {
		t.Fatal(err)
	}
	if err := one.Burn(t.Context(), declined); err != nil {
		t.Fatal(err)
	}
	state.flush()
	for name, tokens := range map[string]*guard.Tokens{"the same replica": one, "another": other} {
		for _, token := range []string{used, declined} {
			if err := tokens.Redeem(t.Context(), token, subject); err == nil {
				t.Errorf("%s accepts it", name)
			}
		}
	}
	if err := other.Redeem(t.Context(), issue(t, one, subject), subject); err != nil {
		t.Errorf("a new token: %v", err)
	}
}

// flushing is a State that loses everything right before a claim.
type flushing struct{ *lost }

func (f flushing) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	f.flush()
	return f.lost.Claim(ctx, key, until)
}

func TestTheStateIsLostInTheMiddleOfAUse(t *testing.T) {
	tokens := tokensOn(t, nil, flushing{&lost{Memory: guard.NewMemory(time.Now), now: time.Now}}, time.Now)
	if err := tokens.Redeem(t.Context(), issue(t, tokens, subject), subject); !errors.Is(err, guard.ErrTokenOld) {
		t.Errorf("%v", err)
	}
}

// A wall clock that jumps does not make a used token usable, and a token from the future is not accepted.
func TestTokensOutliveAJump(t *testing.T) {
	clock := newJumpy()
	memory := guard.NewMemory(clock.now)
	guard.SetElapsed(memory, clock.elapsed)
	tokens := tokensOn(t, nil, memory, clock.now)
	guard.SetTokensElapsed(tokens, clock.elapsed)
	token := issue(t, tokens, subject)
	clock.jump(4 * time.Minute)
	if err := tokens.Redeem(t.Context(), token, subject); err != nil {
		t.Fatal(err)
	}
	clock.jump(time.Hour)
	_ = issue(t, tokens, subject)
	for range 100 { // enough to sweep
		if err := tokens.Burn(t.Context(), issue(t, tokens, subject)); err != nil {
			t.Error(err)
		}
	}
	clock.jump(-time.Hour - 4*time.Minute)
	clock.pass(4 * time.Minute)
	if err := tokens.Redeem(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUsed) {
		t.Errorf("%v", err)
	}
	future := issue(t, tokens, subject)
	clock.jump(-2 * time.Minute)
	if err := tokens.Redeem(t.Context(), future, subject); !errors.Is(err, guard.ErrTokenExpired) {
		t.Errorf("%v", err)
	}
}

// A no that a State could not be told reaches it as soon as it is back, so that the other replicas know.
func TestBurnIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, state := []byte(strings.Repeat("k", 32)), &flaky{State: guard.NewMemory(time.Now), up: true}
		one, other := tokensOn(t, key, state, time.Now), tokensOn(t, key, state, time.Now)
		declined := issue(t, one, subject)
		state.set(false)
		if err := one.Burn(t.Context(), declined); !errors.Is(err, errDown) {
			t.Errorf("%v", err)
		}
		<-time.After(2 * time.Minute)
		state.set(true)
		<-time.After(time.Minute)
		synctest.Wait()
		if err := other.Redeem(t.Context(), declined, subject); !errors.Is(err, guard.ErrTokenUsed) {
			t.Errorf("%v", err)
		}
		state.set(false)
		late := issue(t, one, subject)
		_ = one.Burn(t.Context(), late)
		state.set(true)
		one.Close() // tries once more
		if err := other.Redeem(t.Context(), late, subject); !errors.Is(err, guard.ErrTokenUsed) {
			t.Errorf("burnt before Close: %v", err)
		}
	})
}

func TestOneOfTwoWins(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	token := issue(t, tokens, subject)
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
	token := issue(t, tokens, subject)
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
	token := issue(t, newTokens(t, nil, time.Now), subject)
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
	token := issue(f, tokens, subject)
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
