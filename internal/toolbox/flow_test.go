package toolbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// looking is the result of a read.
type looking struct {
	Seen string `json:"seen" jsonschema:"enum=nothing,enum=something" jsonschema_description:"What there is"`
}

func (l looking) Text(lang.Lang) string { return "seen: " + l.Seen }

type lookedAt struct {
	ID string `json:"id" jsonschema_description:"Id"`
}

// looker is a tool that reads.
func looker(look func(context.Context, string) (string, error)) toolbox.Tool {
	return toolbox.Read(toolbox.Tool{
		Name: "look", Title: "Look", Description: "Looks.", Toolset: "test", Risk: guard.Read,
	}, func(ctx context.Context, in lookedAt) (looking, error) {
		seen, err := look(ctx, in.ID)
		return looking{seen}, err
	})
}

// calls is a Toolbox that tells what became of its calls.
type calls struct {
	*toolbox.Toolbox
	records []audit.Record
	endings []toolbox.Observation
	broken  error // what the audit log answers
	acted   int
}

func (c *calls) Append(_ context.Context, r audit.Record) error {
	if c.broken == nil {
		c.records = append(c.records, r)
	}
	return c.broken
}

// events are the records so far, in short.
func (c *calls) events() string {
	var words []string
	for _, r := range c.records {
		words = append(words, strings.Join(strings.Fields(fmt.Sprint(r.Event, " ", r.Rule, " ", r.Consent, " ", r.State)), " "))
	}
	return strings.Join(words, ", ")
}

// change makes c a Toolbox with a tool that changes targets. act is called after it was counted; nil for success.
func (c *calls) change(rules toolbox.Rules, targets []toolbox.Target, act func([]toolbox.Target) (moved, error)) {
	if act == nil {
		act = func(work []toolbox.Target) (out moved, _ error) {
			for i := range work {
				work[i].Outcome = toolbox.Accepted
			}
			out.State, out.Targets = toolbox.Done, work
			return out, nil
		}
	}
	c.open(rules, mover(&targets, func(work []toolbox.Target) (moved, error) {
		c.acted++
		return act(slices.Clone(work))
	}))
}

func (c *calls) open(rules toolbox.Rules, tool toolbox.Tool) {
	rules.Audit = c
	rules.Observe = func() func(toolbox.Observation) {
		return func(o toolbox.Observation) { c.endings = append(c.endings, o) }
	}
	c.Toolbox = toolbox.New(rules, []toolbox.Tool{tool})
}

func (c *calls) ending() toolbox.Ending { return c.endings[len(c.endings)-1].Ending }

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		tool, arguments, seen string
		fails                 error
		policy                guard.Policy
		ending                toolbox.Ending
		says                  string // of the text, or of the error as it is explained
		events                string
	}{
		"answered":        {arguments: `{"id":"a"}`, seen: "something", ending: toolbox.EndedOK, says: "seen: something"},
		"wrong arguments": {arguments: `{"id":1,"x":2}`, ending: toolbox.EndedInvalid, says: "Nothing was sent"},
		"unknown tool":    {tool: "lock", ending: toolbox.EndedInvalid, says: "the tools are: look"},
		"not offered": {policy: guard.Policy{DisabledTools: []string{"look"}}, ending: toolbox.EndedRefused, says: "Refused:",
			events: "refused disable-tools"},
		"service fails": {arguments: `{"id":"a"}`, fails: &upstream.Failure{Op: "look", Kind: upstream.Unavailable, Err: errors.New("down")},
			ending: toolbox.EndedFailed, says: "down"},
		"cancelled":       {arguments: `{"id":"a"}`, fails: context.Canceled, ending: toolbox.EndedCancelled, says: "cancelled"},
		"wrong result":    {arguments: `{"id":"a"}`, seen: "a ghost", ending: toolbox.EndedFault, says: "the result does not match its schema (error id"},
		"panic in a read": {arguments: `{"id":"panic"}`, ending: toolbox.EndedFault, says: "a fault in the server (error id"},
	} {
		t.Run(name, func(t *testing.T) {
			var got calls
			got.open(toolbox.Rules{Policy: c.policy}, looker(func(_ context.Context, id string) (string, error) {
				if id == "panic" {
					panic("secret of a stack")
				}
				return c.seen, c.fails
			}))
			if c.tool == "" {
				c.tool = "look"
			}
			result, err := got.Call(t.Context(), toolbox.Call{Tool: c.tool, Arguments: json.RawMessage(c.arguments)})
			said := result.Text
			if err != nil {
				said = toolbox.Explain(lang.English, err)
			}
			if got.ending() != c.ending || !strings.Contains(said, c.says) || strings.Contains(said, "secret") || got.events() != c.events {
				t.Errorf("%s: %s; recorded %q", got.ending(), said, got.events())
			}
			if c.ending == toolbox.EndedOK && string(result.Structured) != `{"seen":"something"}` {
				t.Errorf("%s", result.Structured)
			}
		})
	}
}

// TestConsent says what each level lets through, and what the audit log tells of it.
func TestConsent(t *testing.T) {
	ask, terminal := toolbox.Caller{CanAsk: true}, toolbox.Caller{AtTerminal: true}
	yes, no := &guard.Answer{Action: guard.Accept, Text: "move"}, &guard.Answer{Action: "decline"}
	for name, c := range map[string]struct {
		level   guard.Level
		caller  toolbox.Caller
		confirm bool
		token   bool          // the call carries the token of a preview
		answer  *guard.Answer // to the question that the call leads to
		ending  toolbox.Ending
		events  string // of the last call
	}{
		"flag, none":       {level: guard.Flag, ending: toolbox.EndedPreview, events: "previewed none confirmation_required"},
		"flag, confirmed":  {level: guard.Flag, confirm: true, ending: toolbox.EndedOK, events: "intent flag, result flag done"},
		"preview, none":    {level: guard.Preview, ending: toolbox.EndedPreview, events: "previewed none confirmation_required"},
		"preview, flag":    {level: guard.Preview, confirm: true, ending: toolbox.EndedPreview, events: "previewed none confirmation_required"},
		"preview, token":   {level: guard.Preview, confirm: true, token: true, ending: toolbox.EndedOK, events: "intent preview_token, result preview_token done"},
		"preview, asked":   {level: guard.Preview, caller: ask, confirm: true, ending: toolbox.EndedAsked, events: "previewed asked confirmation_required"},
		"human, cannot":    {level: guard.Human, confirm: true, ending: toolbox.EndedRefused, events: "refused consent impossible"},
		"human, yes":       {level: guard.Human, caller: ask, confirm: true, answer: yes, ending: toolbox.EndedOK, events: "intent elicited, result elicited done"},
		"human, no":        {level: guard.Human, caller: ask, confirm: true, answer: no, ending: toolbox.EndedDeclined, events: "declined decline"},
		"terminal, yes":    {level: guard.Flag, caller: terminal, answer: yes, ending: toolbox.EndedOK, events: "intent terminal, result terminal done"},
		"terminal, no":     {level: guard.Flag, caller: terminal, answer: no, ending: toolbox.EndedDeclined, events: "declined decline"},
		"terminal, silent": {level: guard.Flag, caller: terminal, ending: toolbox.EndedAsked, events: "previewed asked confirmation_required"},
	} {
		t.Run(name, func(t *testing.T) {
			var got calls
			got.change(toolbox.Rules{Policy: guard.Policy{Consent: map[string]guard.Level{"move": c.level}}}, twoRegions(), nil)
			arguments := map[string]any{"ids": []string{"a", "b"}}
			if c.token {
				s, _ := call(t, got.Toolbox, `{"ids":["a","b"]}`, c.caller)
				arguments["preview_token"], got.records = s.Preview.Token, nil
			}
			if c.confirm {
				arguments["confirm"] = true
			}
			encoded, err := json.Marshal(arguments)
			if err != nil {
				t.Fatal(err)
			}
			request := toolbox.Call{Tool: "move", Arguments: encoded, Caller: c.caller}
			result, err := got.Call(t.Context(), request)
			if c.answer != nil {
				if result.Question == nil {
					t.Fatalf("not asked: %+v, %v", result, err)
				}
				answer := *c.answer
				answer.Token, request.Answer, got.records = result.Question.Token, &answer, nil
				_, _ = got.Call(t.Context(), request) // its ending is observed
			}
			if got.ending() != c.ending || got.events() != c.events || (got.acted == 1) != (c.ending == toolbox.EndedOK) {
				t.Errorf("%s, recorded %q, acted %d times", got.ending(), got.events(), got.acted)
			}
		})
	}
}

// TestChangeThatDoesNotHappen holds for everything that stops a confirmed call, and what is known afterwards.
func TestChangeThatDoesNotHappen(t *testing.T) {
	flag := func(p guard.Policy) toolbox.Rules {
		p.Consent = map[string]guard.Level{"move": guard.Flag}
		return toolbox.Rules{Policy: p}
	}
	east, err := guard.ParsePattern("id:a")
	if err != nil {
		t.Fatal(err)
	}
	refused := &upstream.Failure{Op: "move", Kind: upstream.Refused, Delivery: upstream.Answered, Err: errors.New("it is locked")}
	lost := &upstream.Failure{Op: "move", Kind: upstream.Unavailable, Delivery: upstream.Unknown, Uncertain: true, Err: errors.New("reset")}
	for name, c := range map[string]struct {
		rules  toolbox.Rules
		act    func([]toolbox.Target) (moved, error)
		cancel bool
		broken error
		acted  int
		ending toolbox.Ending
		says   string
		events string
	}{
		"read-only": {rules: flag(guard.Policy{ReadOnly: true}), ending: toolbox.EndedRefused, says: "Nothing was changed", events: "refused read-only"},
		"protected": {rules: flag(guard.Policy{Protect: []guard.Pattern{east}}), ending: toolbox.EndedRefused, says: "Nothing was changed",
			events: "refused protect"},
		"too many targets": {rules: flag(guard.Policy{MaxTargets: 1}), ending: toolbox.EndedRefused, says: "Nothing was changed",
			events: "refused max-targets"},
		"over the budget": {rules: toolbox.Rules{Policy: flag(guard.Policy{}).Policy, MaxMutationsPerHour: 1}, ending: toolbox.EndedRefused,
			says: "Nothing was changed", events: "refused max-mutations-per-hour"},
		"cancelled": {rules: flag(guard.Policy{}), cancel: true, ending: toolbox.EndedCancelled, says: "cancelled",
			events: "refused cancelled flag"},
		"cannot be recorded": {rules: flag(guard.Policy{}), broken: errors.New("disk full"), ending: toolbox.EndedFailed,
			says: "the audit log cannot be written, so nothing was done"},
		"service refuses": {rules: flag(guard.Policy{}), act: func([]toolbox.Target) (moved, error) { return moved{}, refused }, acted: 1,
			ending: toolbox.EndedFailed, says: "Nothing was changed.", events: "intent flag, result flag failed"},
		"answer is lost": {rules: flag(guard.Policy{}), act: func([]toolbox.Target) (moved, error) { return moved{}, lost }, acted: 1,
			ending: toolbox.EndedUnknown, says: "may have happened", events: "intent flag, result flag unknown"},
		"panic": {rules: flag(guard.Policy{}), act: func([]toolbox.Target) (moved, error) { panic("secret of a stack") }, acted: 1,
			ending: toolbox.EndedFault, says: "in the middle of a change", events: "intent flag, result flag unknown"},
		"wrong result": {rules: flag(guard.Policy{}), act: func([]toolbox.Target) (out moved, _ error) { out.State = "moving"; return out, nil },
			acted: 1, ending: toolbox.EndedFault, says: "in the middle of a change", events: "intent flag, result flag moving"},
	} {
		t.Run(name, func(t *testing.T) {
			got := calls{broken: c.broken}
			got.change(c.rules, twoRegions(), c.act)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancel {
				cancel()
			}
			_, err := got.Call(ctx, toolbox.Call{Tool: "move", Arguments: json.RawMessage(`{"ids":["a","b"],"confirm":true}`)})
			if err == nil {
				t.Fatal("it succeeded")
			}
			if said := toolbox.Explain(lang.English, err); got.ending() != c.ending || !strings.Contains(said, c.says) || strings.Contains(said, "secret") ||
				got.events() != c.events || got.acted != c.acted {
				t.Errorf("%s: %s\nrecorded %q, acted %d times", got.ending(), said, got.events(), got.acted)
			}
		})
	}
}

// TestUnknownOutcomesAreRecorded: after a fault in the middle nothing is known of any target, and none is left out.
func TestUnknownOutcomesAreRecorded(t *testing.T) {
	var got calls
	got.change(toolbox.Rules{Policy: guard.Policy{Consent: map[string]guard.Level{"move": guard.Flag}}}, twoRegions(),
		func([]toolbox.Target) (moved, error) { panic("in the middle") })
	_, _ = got.Call(t.Context(), toolbox.Call{Tool: "move", Arguments: json.RawMessage(`{"ids":["a"],"confirm":true}`)})
	want := []audit.Outcome{{ID: "a", Outcome: "unknown"}, {ID: "b", Outcome: "unknown"}}
	if last := got.records[len(got.records)-1]; !slices.Equal(last.Outcomes, want) {
		t.Errorf("%+v", last.Outcomes)
	}
}

// TestEmptyPlan never acts, whatever consent there is; the audit log says what it was.
func TestEmptyPlan(t *testing.T) {
	for _, arguments := range []string{`{"ids":["a"]}`, `{"ids":["a"],"confirm":true}`} {
		var got calls
		tool := toolbox.Change(toolbox.Tool{
			Name: "move", Title: "Move", Description: "Moves.", Toolset: "test", Risk: guard.Destructive,
		}, toolbox.Steps[moving, int, moved]{
			Plan: func(context.Context, guard.Policy, *moving) (toolbox.Plan, int, error) {
				return toolbox.Plan{Targets: []toolbox.Target{{ID: "a", Outcome: toolbox.AlreadyStopped}}}, 0, nil
			},
			Nothing: func(moving, toolbox.Plan) (out moved) { out.State = toolbox.Done; return out },
			Ask:     func(moving, toolbox.Plan) guard.Question { return guard.Question{} },
			Act:     func(context.Context, moving, int) (moved, error) { got.acted++; return moved{}, nil },
		})
		got.open(toolbox.Rules{}, tool)
		s, _ := call(t, got.Toolbox, arguments, toolbox.Caller{})
		if got.acted != 0 || got.events() != "nothing_to_do done" || s.State != "done" || s.Targets[0].Outcome != toolbox.AlreadyStopped {
			t.Errorf("%s: acted %d times, recorded %q, %+v", arguments, got.acted, got.events(), s)
		}
	}
}

// TestCallsEnd: a call that takes too long is ended before its client gives up.
func TestCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got calls
		got.open(toolbox.Rules{}, looker(func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", context.Cause(ctx)
		}))
		began := time.Now()
		_, err := got.Call(t.Context(), toolbox.Call{Tool: "look", Arguments: json.RawMessage(`{"id":"a"}`)})
		if took := time.Since(began); took >= time.Minute || got.ending() != toolbox.EndedCancelled ||
			!strings.Contains(toolbox.Explain(lang.English, err), "the call took longer than") {
			t.Errorf("after %s: %s, %v", took, got.ending(), err)
		}
	})
}

// Asked to word no error at all, the frame has nothing to say.
func TestExplainNothing(t *testing.T) {
	if said := toolbox.Explain(lang.English, nil) + toolbox.Briefly(nil).String(); said != "" {
		t.Errorf("%q", said)
	}
}
