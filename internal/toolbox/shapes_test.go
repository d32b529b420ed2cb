package toolbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

type moving struct {
	IDs []string `json:"ids" jsonschema_description:"Ids"`
	toolbox.Consent
}

type moved struct{ toolbox.Changed }

func (moved) Text(lang.Lang) string { return "moved." }

// mover is a tool that the frame knows nothing of, on targets in two regions.
func mover(targets *[]toolbox.Target, act func([]toolbox.Target) (moved, error)) toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name: "move", Title: "Move", Description: "Moves.", Toolset: "test", Risk: guard.Destructive,
	}, toolbox.Steps[moving, []toolbox.Target, moved]{
		Plan: func(context.Context, guard.Policy, *moving) (toolbox.Plan, []toolbox.Target, error) {
			return toolbox.Plan{Effect: lang.T("would move it."), Targets: *targets}, *targets, nil
		},
		Ask: func(moving, toolbox.Plan) guard.Question {
			return guard.Question{Message: lang.T("Move?"), Choices: []lang.Text{lang.T("move"), lang.T("do not")}}
		},
		Act: func(_ context.Context, _ moving, work []toolbox.Target) (moved, error) { return act(work) },
	})
}

func twoRegions() []toolbox.Target {
	left := 3 * 3600
	return []toolbox.Target{
		{ID: "a", Name: "one\x1b", Place: toolbox.Place{ID: "east", Name: "东"}, Exists: true, Status: "Running", Owner: "ann", Accelerators: 4,
			Remaining: &left, Created: time.Now().Add(-time.Hour), Mounts: []toolbox.Mount{{Source: "/public/home", Target: "/data", Type: "path"}},
			Effect: lang.T("is moved")},
		{ID: "b", Place: toolbox.Place{ID: "west"}, Exists: true, Status: "Failed", Effect: lang.T("is moved; nothing is mounted")},
	}
}

type shown struct {
	State   string
	Targets []toolbox.Target
	Preview *toolbox.Preview
	Next    string
}

func call(t *testing.T, box *toolbox.Toolbox, arguments string, caller toolbox.Caller) (shown, toolbox.Result) {
	t.Helper()
	result, err := box.Call(t.Context(), toolbox.Call{Tool: "move", Arguments: json.RawMessage(arguments), Caller: caller})
	if err != nil {
		t.Fatal(err)
	}
	var s shown
	if result.Question == nil {
		if err := json.Unmarshal(result.Structured, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s, result
}

// What decides is in the data and in the text, for any tool.
func TestPreviewHasEveryFactTwice(t *testing.T) {
	targets := twoRegions()
	box := toolbox.New(toolbox.Rules{}, []toolbox.Tool{mover(&targets, nil)})
	s, result := call(t, box, `{"ids":["a","b"]}`, toolbox.Caller{})
	first := s.Targets[0]
	if s.State != "confirmation_required" || first.Place.ID != "east" || first.Accelerators != 4 || *first.Remaining != 10800 ||
		first.Owner != "ann" || first.Effect.String() != "is moved" || first.Mounts[0].Source != "/public/home" || first.Created.IsZero() ||
		first.Name != "one\uFFFD" || s.Preview.Token == "" || s.Preview.ExpiresAt.IsZero() || !strings.Contains(s.Next, s.Preview.Token) {
		t.Errorf("%s", result.Structured)
	}
	for _, part := range []string{
		"REGION", "east", "west", "3h 0m", "ann", "4", "is moved; nothing is mounted", "Mounted in", "/public/home on /data", s.Preview.Token, s.Next,
	} {
		if !strings.Contains(result.Text, part) {
			t.Errorf("%q is missing in:\n%s", part, result.Text)
		}
	}
}

func TestNobodyIsAskedTwice(t *testing.T) {
	targets := twoRegions()
	box := toolbox.New(toolbox.Rules{}, []toolbox.Tool{mover(&targets, nil)})
	s, result := call(t, box, `{"ids":["a"]}`, toolbox.Caller{CanAsk: true})
	if s.Preview.Token != "" || !s.Preview.ExpiresAt.IsZero() || strings.Contains(result.Text, "Show this") ||
		!strings.Contains(result.Text, "Repeat the same call with confirm=true; the user will be asked.") || !strings.HasSuffix(result.Text, s.Next) {
		t.Errorf("%s\n%s", result.Text, result.Structured)
	}
	if _, result = call(t, box, `{"ids":["a"],"confirm":true}`, toolbox.Caller{CanAsk: true}); result.Question == nil {
		t.Errorf("not asked: %s", result.Text)
	}
}

// Consent is bound to what every target looks like, and to where it is.
func TestConsentIsBoundToEachTarget(t *testing.T) {
	for name, change := range map[string]func(*toolbox.Target){
		"region": func(t *toolbox.Target) { t.Place.ID = "north" }, "status": func(t *toolbox.Target) { t.Status = "Running" },
		"mounts":       func(t *toolbox.Target) { t.Mounts = []toolbox.Mount{{Source: "/x"}} },
		"accelerators": func(t *toolbox.Target) { t.Accelerators = 1 }, "bound": func(t *toolbox.Target) { t.Bound = []string{"x"} },
	} {
		targets := twoRegions()
		box := toolbox.New(toolbox.Rules{}, []toolbox.Tool{mover(&targets, nil)})
		s, _ := call(t, box, `{"ids":["a"]}`, toolbox.Caller{})
		targets = twoRegions()
		change(&targets[1])
		s, _ = call(t, box, fmt.Sprintf(`{"ids":["a"],"confirm":true,"preview_token":%q}`, s.Preview.Token), toolbox.Caller{})
		if s.State != "confirmation_required" {
			t.Errorf("%s: %s", name, s.State)
		}
	}
}

// A result that failed says why to programs, and its targets say it each.
func TestProblemOfAFailedTarget(t *testing.T) {
	targets := twoRegions()
	refused := &upstream.Failure{Kind: upstream.Refused, Delivery: upstream.Answered, Status: 200, Code: "716866", Err: errors.New("no")}
	box := toolbox.New(toolbox.Rules{Policy: guard.Policy{Consent: map[string]guard.Level{"move": guard.Flag}}},
		[]toolbox.Tool{mover(&targets, func(work []toolbox.Target) (out moved, _ error) {
			work[0].Outcome = toolbox.NotAttempted
			work[1].Fail(toolbox.OutcomeOf(refused), refused)
			out.State, out.Targets, out.Next = toolbox.Failed, work, lang.T("Look again.")
			return out, nil
		})})
	s, result := call(t, box, `{"ids":["a"],"confirm":true}`, toolbox.Caller{})
	want := toolbox.Problem{Code: "716866", Kind: "refused", HTTPStatus: 200}
	if !result.IsError() || result.Problem == nil || *result.Problem != want || s.Targets[1].Code != "716866" ||
		s.Targets[1].Outcome != toolbox.RefusedByService || !s.Targets[0].Effect.IsZero() {
		t.Errorf("%+v\n%s", result.Problem, result.Structured)
	}
	if !strings.HasSuffix(result.Text, "\nLook again.") || s.Next != "Look again." {
		t.Errorf("%s", result.Text)
	}
}

func TestProblemOfAnError(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want toolbox.Problem
	}{
		"service": {fmt.Errorf("x: %w", &upstream.Failure{Kind: upstream.Throttled, Status: 429, Retryable: true, Err: errors.New("slow")}),
			toolbox.Problem{Kind: "throttled", HTTPStatus: 429, Retryable: true}},
		"policy":    {&guard.Refusal{Rule: "protect", Reason: lang.T("no")}, toolbox.Problem{Kind: "policy", Code: "protect"}},
		"later":     {&guard.Refusal{Rule: "budget", Temporary: true}, toolbox.Problem{Kind: "policy", Code: "budget", Retryable: true}},
		"no":        {fmt.Errorf("x: %w", toolbox.ErrDeclined), toolbox.Problem{Kind: "declined"}},
		"tool":      {toolbox.ErrUnknownTool, toolbox.Problem{Kind: "argument"}},
		"cancelled": {context.Canceled, toolbox.Problem{Kind: "cancelled"}},
		"other":     {errors.New("it is running"), toolbox.Problem{Kind: "other"}},
	} {
		if got := toolbox.ProblemOf(c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
