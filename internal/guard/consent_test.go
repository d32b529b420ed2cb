package guard_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

var typed = guard.Question{Message: lang.T("Delete two instances?"), Phrases: []string{"delete 2", "删除 2"}}

func TestDecide(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	fresh := func() string {
		token := issue(t, tokens, subject)
		return token
	}
	spent := fresh()
	if err := tokens.Redeem(t.Context(), spent, subject); err != nil {
		t.Fatal(err)
	}
	answer := func(action guard.Action, text string) *guard.Answer {
		return &guard.Answer{Action: action, Text: text, Token: question(t, tokens)}
	}
	for name, c := range map[string]struct {
		call    guard.Call
		verdict guard.Verdict
		method  string
		notice  string
	}{
		"flag without confirm":           {guard.Call{Level: guard.Flag}, guard.Show, "none", ""},
		"flag with confirm":              {guard.Call{Level: guard.Flag, Confirm: true}, guard.Proceed, "flag", ""},
		"flag does not ask":              {guard.Call{Level: guard.Flag, Confirm: true, CanAsk: true}, guard.Proceed, "flag", ""},
		"flag with a good token":         {guard.Call{Level: guard.Flag, Confirm: true, Token: fresh()}, guard.Proceed, "preview_token", ""},
		"flag with a bad token":          {guard.Call{Level: guard.Flag, Confirm: true, Token: "x"}, guard.Show, "token_wrong", "mistyped"},
		"preview without confirm":        {guard.Call{Level: guard.Preview, Token: fresh()}, guard.Show, "none", ""},
		"preview, confirm alone":         {guard.Call{Level: guard.Preview, Confirm: true}, guard.Show, "none", "confirm: true alone"},
		"preview, confirm and token":     {guard.Call{Level: guard.Preview, Confirm: true, Token: fresh()}, guard.Proceed, "preview_token", ""},
		"preview, used token":            {guard.Call{Level: guard.Preview, Confirm: true, Token: spent}, guard.Show, "token_used", "has been used"},
		"preview asks where it can":      {guard.Call{Level: guard.Preview, Confirm: true, CanAsk: true}, guard.Ask, "asked", ""},
		"preview asks in spite of token": {guard.Call{Level: guard.Preview, Confirm: true, CanAsk: true, Token: fresh()}, guard.Ask, "asked", ""},
		"a bad token is told, not asked": {guard.Call{Level: guard.Preview, Confirm: true, CanAsk: true, Token: spent}, guard.Show, "token_used", "used"},
		"human asks":                     {guard.Call{Level: guard.Human, Confirm: true, CanAsk: true}, guard.Ask, "asked", ""},
		"human without confirm":          {guard.Call{Level: guard.Human, CanAsk: true}, guard.Show, "none", ""},
		"human, preview without hope":    {guard.Call{Level: guard.Human}, guard.Show, "none", "will not be carried out"},
		"the question failed":            {guard.Call{Level: guard.Preview, Confirm: true, Answer: answer(guard.NotAsked, "")}, guard.Declined, "not_asked", "failed to ask"},
		"human, cannot ask":              {guard.Call{Level: guard.Human, Confirm: true, Token: fresh()}, guard.Refused, "impossible", "cannot ask a human"},
		"accept":                         {guard.Call{Level: guard.Human, Answer: answer(guard.Accept, " Delete  2 ")}, guard.Proceed, "elicited", ""},
		"a person is asked at flag":      {guard.Call{Level: guard.Flag, AtTerminal: true}, guard.Ask, "asked", ""},
		"a person's confirm is no word":  {guard.Call{Level: guard.Flag, AtTerminal: true, Confirm: true}, guard.Ask, "asked", ""},
		"a person is asked with a token": {guard.Call{Level: guard.Preview, AtTerminal: true, Confirm: true, Token: fresh()}, guard.Ask, "asked", ""},
		"a person answers":               {guard.Call{Level: guard.Flag, AtTerminal: true, Answer: answer(guard.Accept, "delete 2")}, guard.Proceed, "terminal", ""},
		"accept, nothing typed":          {guard.Call{Level: guard.Preview, Answer: answer(guard.Accept, "")}, guard.Declined, "empty_answer", "empty"},
		"accept, wrong phrase":           {guard.Call{Level: guard.Preview, Answer: answer(guard.Accept, "delete 3")}, guard.Declined, "wrong_answer", `Expected was "delete 2" or "删除 2".`},
		"decline":                        {guard.Call{Level: guard.Preview, Confirm: true, Answer: answer(guard.Decline, "delete 2")}, guard.Declined, "decline", "said no"},
		"cancel":                         {guard.Call{Level: guard.Preview, Confirm: true, Answer: answer(guard.Cancel, "")}, guard.Declined, "cancel", "closed"},
		"silence":                        {guard.Call{Level: guard.Preview, Confirm: true, Answer: answer(guard.NoAnswer, "")}, guard.Declined, "no_answer", "in time"},
		"an action MCP does not know":    {guard.Call{Level: guard.Preview, Confirm: true, Answer: answer("perhaps", "")}, guard.Declined, "unknown_answer", "does not define"},
		"unsupported at preview":         {guard.Call{Level: guard.Preview, Confirm: true, Answer: answer(guard.Unsupported, "")}, guard.Show, "impossible", "could not"},
		"unsupported at human":           {guard.Call{Level: guard.Human, Confirm: true, Answer: answer(guard.Unsupported, "")}, guard.Refused, "impossible", "could not"},
		"accept with the token of a preview": {guard.Call{Level: guard.Human, Answer: &guard.Answer{Action: guard.Accept, Text: "delete 2", Token: fresh()}},
			guard.Show, "token_kind", "does not answer a question"},
		"the token of a question as a preview's": {guard.Call{Level: guard.Preview, Confirm: true, Token: question(t, tokens)}, guard.Show, "token_kind", "does not confirm"},
	} {
		c.call.Subject, c.call.Question = subject, typed
		d := tokens.Decide(t.Context(), c.call)
		if d.Verdict != c.verdict || d.Method != c.method || !strings.Contains(d.Notice.String(), c.notice) || (c.notice == "" && !d.Notice.IsZero()) {
			t.Errorf("%s: verdict %d by %q, notice %q", name, d.Verdict, d.Method, d.Notice)
		}
		if want := d.Verdict == guard.Show && !d.Unconfirmable; (d.Token != "") != want || d.Unconfirmable != strings.Contains(name, "without hope") {
			t.Errorf("%s: token %q, unconfirmable: %v", name, d.Token, d.Unconfirmable)
		}
		if d.Method == "" || !slices.Contains(guard.Methods(), d.Method) {
			t.Errorf("%s: %q is not one of guard.Methods", name, d.Method)
		}
		if (d.Question != nil) != (d.Verdict == guard.Ask) || (d.Question != nil && d.Question.Token == "") {
			t.Errorf("%s: question %+v", name, d.Question)
		}
	}
}

// A preview says whether the user will be asked, so that the model does not ask too.
func TestAPreviewSaysWhoIsAsked(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	for name, c := range map[string]struct {
		call guard.Call
		want bool
	}{
		"flag":        {guard.Call{Level: guard.Flag, CanAsk: true}, false},
		"preview":     {guard.Call{Level: guard.Preview, CanAsk: true}, true},
		"human":       {guard.Call{Level: guard.Human, CanAsk: true}, true},
		"cannot":      {guard.Call{Level: guard.Preview}, false},
		"could not":   {guard.Call{Level: guard.Preview, CanAsk: true, Answer: &guard.Answer{Action: guard.Unsupported}}, false},
		"wrong token": {guard.Call{Level: guard.Preview, CanAsk: true, Confirm: true, Token: "x"}, true},
	} {
		c.call.Subject, c.call.Question = subject, typed
		if d := tokens.Decide(t.Context(), c.call); d.Verdict != guard.Show || d.CanAsk != c.want {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestPhrases(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	for text, want := range map[string]guard.Verdict{
		"delete 2": guard.Proceed, " DELETE\t2\n": guard.Proceed, "删除 2": guard.Proceed, "删除2": guard.Proceed, "删除\u30002": guard.Proceed,
		"delete2": guard.Declined, "删除 3": guard.Declined, "yes": guard.Declined, "是": guard.Declined, "删除": guard.Declined,
	} {
		d := tokens.Decide(t.Context(), guard.Call{Level: guard.Human, Subject: subject, Question: typed,
			Answer: &guard.Answer{Action: guard.Accept, Text: text, Token: question(t, tokens)}})
		if d.Verdict != want {
			t.Errorf("%q: %+v", text, d)
		}
	}
}

func TestANoIsFinal(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	token := issue(t, tokens, subject)
	call := guard.Call{Level: guard.Preview, Subject: subject, Question: typed, Confirm: true, Token: token, CanAsk: true}
	asked := tokens.Decide(t.Context(), call)
	call.Answer = &guard.Answer{Action: guard.Decline, Token: asked.Question.Token}
	if d := tokens.Decide(t.Context(), call); d.Verdict != guard.Declined {
		t.Fatalf("verdict %d", d.Verdict)
	}
	// The client comes back without the ability to ask, and with the token of the preview.
	call.Answer, call.CanAsk = nil, false
	if d := tokens.Decide(t.Context(), call); d.Verdict != guard.Show || d.Method != "token_used" {
		t.Errorf("after a no the token still does: verdict %d by %q", d.Verdict, d.Method)
	}
}

func TestAnAnswerHoldsOnlyForWhatWasAsked(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	call := guard.Call{Level: guard.Human, Subject: subject, Question: typed, Confirm: true, CanAsk: true}
	asked := tokens.Decide(t.Context(), call)
	call.Answer = &guard.Answer{Action: guard.Accept, Text: "delete 2", Token: asked.Question.Token}
	call.Subject.State = "a Terminated"
	if d := tokens.Decide(t.Context(), call); d.Verdict != guard.Show || d.Method != "state_changed" {
		t.Errorf("verdict %d by %q", d.Verdict, d.Method)
	}
}

func TestChoices(t *testing.T) {
	tokens := newTokens(t, nil, time.Now)
	call := guard.Call{Level: guard.Human, Subject: subject, Confirm: true, CanAsk: true,
		Question: guard.Question{Choices: []lang.Text{lang.T("run on 3 instances"), lang.T("do not run")}}}
	for text, want := range map[string]guard.Verdict{"run on 3 instances": guard.Proceed, "do not run": guard.Declined, "": guard.Declined} {
		call.Answer = nil
		asked := tokens.Decide(t.Context(), call)
		call.Answer = &guard.Answer{Action: guard.Accept, Text: text, Token: asked.Question.Token}
		if d := tokens.Decide(t.Context(), call); d.Verdict != want {
			t.Errorf("%q: verdict %d", text, d.Verdict)
		}
	}
}

func TestLevels(t *testing.T) {
	policy := guard.Policy{Consent: map[string]guard.Level{"restart_instance": guard.Human}}
	for tool, want := range map[string]guard.Level{"restart_instance": guard.Human, "delete_instances": guard.Preview} {
		if got := policy.Level(tool, guard.DefaultLevel(guard.Destructive)); got != want {
			t.Errorf("%s: %s", tool, got)
		}
	}
	if got := (guard.Policy{}).Level("restart_instance", guard.DefaultLevel(guard.Disruptive)); got != guard.Flag {
		t.Errorf("disruptive tools need %s", got)
	}
	if _, err := guard.ParseLevel("maybe"); err == nil {
		t.Error("an unknown level is accepted")
	}
}

// flaky is a State that can be reached while up is true and the caller is there.
type flaky struct {
	guard.State
	mu sync.Mutex
	up bool
}

func (f *flaky) set(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up = up
}

func (f *flaky) reach() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.up {
		return errDown
	}
	return nil
}

func (f *flaky) Epoch(ctx context.Context) (string, time.Time, error) {
	if err := f.reach(); err != nil {
		return "", time.Time{}, err
	}
	return f.State.Epoch(ctx)
}

func (f *flaky) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	if f.reach() != nil || ctx.Err() != nil {
		return false, errDown
	}
	return f.State.Claim(ctx, key, until)
}

func (f *flaky) Claimed(ctx context.Context, key string) (bool, error) {
	if err := f.reach(); err != nil {
		return false, err
	}
	return f.State.Claimed(ctx, key)
}

// Whether a token was used cannot be told while the state is away: nothing is done, and the token still does afterwards.
func TestDecideWithoutTheState(t *testing.T) {
	state := &flaky{State: guard.NewMemory(time.Now)}
	tokens := tokensOn(t, nil, state, time.Now)
	state.set(true)
	token := issue(t, tokens, subject)
	asked := question(t, tokens)
	state.set(false)
	yes := guard.Call{Level: guard.Human, Subject: subject, Question: typed,
		Answer: &guard.Answer{Action: guard.Accept, Text: "delete 2", Token: asked}}
	confirmed := guard.Call{Level: guard.Preview, Subject: subject, Question: typed, Confirm: true, Token: token}
	for name, call := range map[string]guard.Call{
		"a token": confirmed, "a human's yes": yes,
		"a preview again": {Level: guard.Preview, Subject: subject, Question: typed, Token: token},
	} {
		d := tokens.Decide(t.Context(), call)
		if d.Verdict != guard.Show || d.Method != "token_unchecked" || !errors.Is(d.Fault, errDown) ||
			d.TokenID != guard.TokenID(map[bool]string{true: asked, false: token}[call.Answer != nil]) {
			t.Errorf("%s: %+v", name, d)
		}
		if !strings.Contains(d.Notice.String(), "cannot be checked now") || strings.Contains(d.Notice.String(), "10.0.0.7") {
			t.Errorf("%s: notice %q", name, d.Notice)
		}
	}
	if err := tokens.Redeem(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUnchecked) || !errors.Is(err, errDown) {
		t.Errorf("Redeem: %v", err)
	}
	state.set(true)
	if d := tokens.Decide(t.Context(), confirmed); d.Verdict != guard.Proceed || d.Fault != nil {
		t.Errorf("afterwards: %+v", d)
	}
}

// A human's no stays a no while the state is away, and after it has come back.
func TestANoIsFinalWithoutTheState(t *testing.T) {
	for name, answer := range map[string]guard.Answer{
		"decline": {Action: guard.Decline}, "another phrase": {Action: guard.Accept, Text: "no"},
		"nothing typed": {Action: guard.Accept},
	} {
		state := &flaky{State: guard.NewMemory(time.Now)}
		tokens := tokensOn(t, nil, state, time.Now)
		state.set(true)
		answer.Token = issue(t, tokens, subject)
		state.set(false)
		call := guard.Call{Level: guard.Preview, Subject: subject, Question: typed, Answer: &answer}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d := tokens.Decide(ctx, call); d.Verdict != guard.Declined || !errors.Is(d.Fault, errDown) {
			t.Errorf("%s: %+v", name, d)
		}
		state.set(true)
		again := guard.Call{Level: guard.Preview, Subject: subject, Question: typed, Confirm: true, Token: answer.Token}
		if d := tokens.Decide(t.Context(), again); d.Verdict != guard.Show || d.Method != "token_used" {
			t.Errorf("%s: afterwards %+v", name, d)
		}
		if err := tokens.Redeem(t.Context(), answer.Token, subject); !errors.Is(err, guard.ErrTokenUsed) {
			t.Errorf("%s: Redeem afterwards: %v", name, err)
		}
	}
}

// Replicas share which tokens were used.
func TestReplicasShareTokens(t *testing.T) {
	key, state := []byte(strings.Repeat("k", 32)), &flaky{State: guard.NewMemory(time.Now), up: true}
	replica := func() *guard.Tokens {
		tokens := tokensOn(t, key, state, time.Now)
		return tokens
	}
	one, other := replica(), replica()
	used := issue(t, one, subject)
	if err := other.Redeem(t.Context(), used, subject); err != nil {
		t.Error(err)
	}
	declined := issue(t, one, subject)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the caller has gone
	if d := other.Decline(ctx, guard.Answer{Action: guard.Decline, Token: declined}); d.Fault != nil {
		t.Error(d.Fault)
	}
	for _, token := range []string{used, declined} {
		if err := one.Check(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUsed) {
			t.Errorf("%v", err)
		}
	}
}

// A replica whose clock is behind must not accept what was used just before it expired.
func TestUsedTokensOutliveTheClocks(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	key, state := []byte(strings.Repeat("k", 32)), guard.NewMemory(func() time.Time { return now })
	replica := func(offset time.Duration) *guard.Tokens {
		tokens := tokensOn(t, key, state, func() time.Time { return now.Add(offset) })
		return tokens
	}
	one, behind := replica(0), replica(-30*time.Second)
	token := issue(t, one, subject)
	if err := one.Redeem(t.Context(), token, subject); err != nil {
		t.Fatal(err)
	}
	now = now.Add(guard.TokenLifetime + 29*time.Second)
	for name, err := range map[string]error{
		"Check": behind.Check(t.Context(), token, subject), "Redeem": behind.Redeem(t.Context(), token, subject),
	} {
		if !errors.Is(err, guard.ErrTokenUsed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
