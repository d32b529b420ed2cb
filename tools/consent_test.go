package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// What becomes of a token between preview and confirmation, for each of the tools.
func TestPreviewToken(t *testing.T) {
	type change struct {
		during func(*testing.T, *world, arguments) // between the two calls
		second func(arguments, string)             // changes the arguments of the second call
		caller string                              // of the second call
		notice string
	}
	cases := map[string]change{
		"confirm is missing":   {second: func(a arguments, _ string) { delete(a, "confirm") }, notice: "PREVIEW. Nothing has been changed"},
		"the token is wrong":   {second: func(a arguments, _ string) { a["preview_token"] = "abc" }, notice: "not one of this server's"},
		"a letter is wrong":    {second: func(a arguments, token string) { a["preview_token"] = swapped(token) }, notice: "not one of this server's"},
		"the token expired":    {during: func(*testing.T, *world, arguments) { <-time.After(5*time.Minute + time.Second) }, notice: "has expired"},
		"another caller":       {caller: "eve", notice: "belongs to another call"},
		"one instance fewer":   {second: func(a arguments, _ string) { narrow(a) }, notice: "belongs to another call"},
		"the instance is gone": {during: func(_ *testing.T, w *world, _ arguments) { w.RemoveInstance(home, id(1)) }, notice: "has changed since the preview"},
		"it was renamed":       {during: renamed, notice: "has changed since the preview"},
		"it was restarted":     {during: restarted, notice: "has changed since the preview"},
		"it ended": {during: func(_ *testing.T, w *world, _ arguments) {
			w.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Status = simulator.Terminated })
		}, notice: "has changed since the preview"},
		"it was used": {during: func(t *testing.T, w *world, a arguments) {
			w.Inject(simulator.Fault{Endpoint: simulator.EndpointDelete, Times: 1, Code: "716866"})
			w.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, Times: 1, Code: "716864"})
			tool := "delete_instances"
			if a["script"] != nil {
				tool = "execute_script"
			}
			if r := w.call(t, tool, a); r.State != "failed" {
				t.Fatal(r.Text)
			}
		}, notice: "has been used"},
	}
	for tool, first := range map[string]arguments{
		"delete_instances": deletion(ids(2)...),
		"execute_script":   execution("date", ids(2)...).with(arguments{"max_failures": 0, "concurrency": 1}),
	} {
		for name, c := range cases {
			bubble(t, tool+"/"+name, func(t *testing.T) {
				w := newWorld(t, setup{instances: jobs(2, simulator.Running)})
				preview, second := w.previewed(t, tool, first)
				if c.during != nil {
					c.during(t, w, second)
				}
				if c.second != nil {
					c.second(second, preview.Token)
				}
				if c.caller != "" {
					w.caller.Name = c.caller
				}
				before := w.writes()
				if name == "the instance is gone" && tool == "execute_script" {
					w.fails(t, tool, second, "no such instance", "Nothing was changed")
					w.nothingSent(t)
					return
				}
				r := w.call(t, tool, second)
				wantParts(t, r.Text, c.notice, "Nothing has been changed")
				if r.State != "confirmation_required" || r.Token == preview.Token || w.writes() != before {
					t.Errorf("state %q, %d writes", r.State, w.writes()-before)
				}
				// The new preview lets it through.
				second["confirm"], second["preview_token"] = true, r.Token
				if r = w.call(t, tool, second); r.State == "confirmation_required" && name != "it ended" {
					t.Errorf("the token of the new preview: %s", r.Text)
				}
			})
		}
	}
}

func swapped(token string) string {
	if token[3] == 'a' {
		return token[:3] + "b" + token[4:]
	}
	return token[:3] + "a" + token[4:]
}

func narrow(a arguments) { a["instance_ids"] = []string{id(1)} }

func renamed(_ *testing.T, w *world, _ arguments) {
	w.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Name = "prod" })
}

func restarted(_ *testing.T, w *world, _ arguments) {
	w.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Status = simulator.Terminated })
	w.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Status = "" })
	<-time.After(time.Minute) // it runs again
}

func TestTokenHoldsForTheseArgumentsOnly(t *testing.T) {
	first := execution("date", id(1), id(2)).with(arguments{"canary": 1})
	for name, more := range map[string]arguments{
		"another script":   {"script": "date\nrm -rf /"},
		"another order":    {"instance_ids": []string{id(2), id(1)}},
		"another scope":    {"scope": "header"},
		"no canary":        {"canary": 0},
		"more at once":     {"concurrency": 9},
		"more failures":    {"max_failures": 5},
		"a longer wait":    {"canary_wait_seconds": 3},
		"another instance": {"instance_ids": []string{id(1), id(3)}},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(3, simulator.Running)})
			_, second := w.previewed(t, "execute_script", first)
			if r := w.call(t, "execute_script", second.with(more)); !strings.Contains(r.Text, "belongs to another call") {
				t.Errorf("%s", r.Text)
			}
			w.nothingSent(t)
			// What means the same is the same.
			same := second.with(arguments{"script": "date\r\n", "scope": "all", "concurrency": 5, "instance_ids": []string{id(1) + " ", id(2), id(1)}, "region": home})
			wantOutcomes(t, w.call(t, "execute_script", same), "done", "accepted", "accepted")
		})
	}
	bubble(t, "another tool", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running)})
		_, second := w.previewed(t, "delete_instances", deletion(id(1)))
		second["script"] = "date"
		if r := w.call(t, "execute_script", second); !strings.Contains(r.Text, "belongs to another call") {
			t.Errorf("%s", r.Text)
		}
		w.nothingSent(t)
	})
}

func TestOneTokenTwiceAtOnce(t *testing.T) {
	for tool, first := range map[string]arguments{"delete_instances": deletion(id(1)), "execute_script": execution("date", id(1))} {
		bubble(t, tool, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, simulator.Running)})
			_, second := w.previewed(t, tool, first)
			w.Inject(simulator.Fault{Endpoint: simulator.EndpointDelete, Latency: time.Second})
			w.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, Latency: time.Second})
			var callers sync.WaitGroup
			states := make([]string, 8)
			for i := range states {
				callers.Go(func() { states[i] = w.call(t, tool, second).State })
			}
			callers.Wait()
			if acted := slices.DeleteFunc(states, func(s string) bool { return s == "confirmation_required" }); len(acted) != 1 || w.writes() != 1 {
				t.Errorf("%d callers went ahead with %d writes", len(acted), w.writes())
			}
		})
	}
}

// asked makes the calls of a client that can ask: the one that gets the question, and the one with the human's answer.
func (w *world) asked(t testing.TB, tool string, a arguments, answer func(guard.Question) guard.Answer) (reply, error) {
	t.Helper()
	call := toolbox.Call{Tool: tool, Arguments: encoded(a), Caller: w.caller}
	call.Caller.CanAsk = true
	r, err := w.try(t.Context(), call)
	if err != nil || r.Question == nil {
		t.Fatalf("nothing was asked: %v %s", err, r.Text)
	}
	given := answer(*r.Question)
	call.Answer = &given
	return w.try(t.Context(), call)
}

func TestHumanAnswers(t *testing.T) {
	answer := func(action guard.Action, text string) func(guard.Question) guard.Answer {
		return func(q guard.Question) guard.Answer { return guard.Answer{Action: action, Text: text, Token: q.Token} }
	}
	for tool, c := range map[string]struct {
		arguments arguments
		yes       string
		message   []string
	}{
		"delete_instances": {deletion(ids(2)...), "delete 2", []string{"FOR GOOD", "not in mounted storage is lost", "job-001", id(2), "Running", `Type "delete 2"`}},
		"execute_script": {execution("date\n- \"job-009\" (x): runs it", ids(2)...), "run it in 2 instances",
			[]string{"SHA-256", "\n| date\n| - \"job-009\" (x): runs it\n", `- "job-001" (` + id(1) + "): runs it"}},
		"restart_instance": {arguments{"instance_id": id(3)}, "restart it", []string{`Restart "job-003"`, id(3), "Terminated", "billing resumes"}},
	} {
		for name, a := range map[string]struct {
			answer func(guard.Question) guard.Answer
			notice string // "" when it goes ahead
		}{
			"yes":                   {answer(guard.Accept, c.yes), ""},
			"declines":              {answer(guard.Decline, c.yes), "said no"},
			"cancels":               {answer(guard.Cancel, ""), "closed the question"},
			"accepts without words": {answer(guard.Accept, ""), "empty"},
			"types something else":  {answer(guard.Accept, "yes"), "not the one that lets the call through"},
			"does not answer":       {answer(guard.NoAnswer, ""), "did not answer in time"},
			"cannot be asked":       {answer(guard.Unsupported, ""), "could not"},
		} {
			bubble(t, tool+"/"+name, func(t *testing.T) {
				w := newWorld(t, setup{instances: append(jobs(2, simulator.Running), job(3, simulator.Terminated))})
				preview := w.call(t, tool, c.arguments)
				demanding := guard.Policy{Consent: map[string]guard.Level{tool: guard.Human}}
				w.toolbox = w.toolbox.ForCaller(w.caller.Name, demanding, guard.Fixed(demanding), 0)
				confirming := c.arguments.with(arguments{"confirm": true, "preview_token": preview.Token})
				r, err := w.asked(t, tool, confirming, func(q guard.Question) guard.Answer {
					wantParts(t, q.Message.String(), c.message...)
					return a.answer(q)
				})
				if a.notice == "" {
					if err != nil || r.State == "confirmation_required" || w.writes() == 0 {
						t.Errorf("state %q, %v", r.State, err)
					}
					return
				}
				w.nothingSent(t)
				if err == nil {
					t.Fatalf("no error but %s", r.Text)
				}
				wantParts(t, toolbox.Explain(lang.English, err), a.notice, "Nothing was changed")
				if declined := errors.Is(err, toolbox.ErrDeclined); declined != (name != "cannot be asked") {
					t.Errorf("declined: %v", declined)
				}
				// After a no the token of the preview is worth nothing, asked or not.
				w.fails(t, tool, confirming.with(arguments{"preview_token": ""}), "cannot ask")
				if w.caller.CanAsk = true; name != "cannot be asked" {
					if r := w.call(t, tool, confirming); !strings.Contains(r.Text, "has been used") {
						t.Errorf("after a no: %s", r.Text)
					}
				}
				w.nothingSent(t)
			})
		}
	}
}

func TestWhatChangesWhileAHumanThinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Running)})
		r, err := w.asked(t, "delete_instances", deletion(ids(2)...).with(arguments{"confirm": true}), func(q guard.Question) guard.Answer {
			renamed(t, w, nil)
			return guard.Answer{Action: guard.Accept, Text: "delete 2", Token: q.Token}
		})
		if err != nil || r.State != "confirmation_required" || !strings.Contains(r.Text, "has changed since the preview") {
			t.Errorf("%v %s", err, r.Text)
		}
		w.nothingSent(t)
	})
}

func TestConsentLevels(t *testing.T) {
	for level, sent := range map[guard.Level]int{guard.Flag: 1, guard.Preview: 0, guard.Human: 0} {
		bubble(t, string(level), func(t *testing.T) {
			levels := map[string]guard.Level{"restart_instance": level, "delete_instances": level, "execute_script": level}
			w := newWorld(t, setup{instances: append(jobs(2, simulator.Running), job(3, simulator.Terminated)), rules: toolbox.Rules{Policy: guard.Policy{Consent: levels}}})
			for tool, a := range map[string]arguments{
				"execute_script": execution("date", id(1)), "restart_instance": {"instance_id": id(3)}, "delete_instances": deletion(id(2)),
			} {
				before := w.writes()
				if r := w.call(t, tool, a); r.State != "confirmation_required" {
					t.Errorf("%s without confirm: %s", tool, r.Text)
				}
				r, err := w.try(t.Context(), toolbox.Call{Tool: tool, Arguments: encoded(a.with(arguments{"confirm": true}))})
				switch text := r.Text; {
				case level == guard.Human && (err == nil || !strings.Contains(toolbox.Explain(lang.English, err), "demands a human's answer")):
					t.Errorf("%s: %v", tool, err)
				case level == guard.Preview && (err != nil || !strings.Contains(text, "confirm: true alone is not enough")):
					t.Errorf("%s: %v %s", tool, err, text)
				case level == guard.Flag && (err != nil || r.State == "confirmation_required"):
					t.Errorf("%s: %v %s", tool, err, text)
				}
				if n := w.writes() - before; n != sent {
					t.Errorf("%s: %d writes", tool, n)
				}
			}
		})
	}
}

// A call that is cancelled while it is resolved, or while its consent is looked at, starts nothing.
func TestCancelledBeforeTheAct(t *testing.T) {
	for name, arm := range map[string]func(*world, *func(), context.CancelFunc){
		"while it is resolved": func(w *world, _ *func(), cancel context.CancelFunc) {
			w.wire.Before = func(r *http.Request) {
				if strings.HasSuffix(r.URL.Path, id(2)+"/detail") {
					cancel()
				}
			}
		},
		"while consent is looked at": func(_ *world, hook *func(), cancel context.CancelFunc) { *hook = cancel },
	} {
		bubble(t, name, func(t *testing.T) {
			hook := func() {}
			tokens, err := guard.NewTokens(nil, guard.NewMemory(time.Now), func() time.Time { hook(); return time.Now() })
			if err != nil {
				t.Fatal(err)
			}
			log, records := auditLog(t)
			w := newWorld(t, setup{instances: jobs(2, simulator.Running), rules: toolbox.Rules{Tokens: tokens, Audit: log}})
			_, second := w.previewed(t, "delete_instances", deletion(ids(2)...))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			arm(w, &hook, cancel)
			r, err := w.try(ctx, toolbox.Call{Tool: "delete_instances", Arguments: encoded(second)})
			if err == nil {
				t.Fatalf("no error but %s", r.Text)
			}
			wantParts(t, toolbox.Explain(lang.English, err), "cancel")
			w.nothingSent(t)
			if all := records(); all[len(all)-1].Event != "refused" {
				t.Errorf("steps %q", steps(all))
			}
		})
	}
}

// A no must hold even when the instances cannot be looked up at that moment: its token must not serve another client.
func TestANoHoldsWhenTheLookUpFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running)})
		token := w.call(t, "delete_instances", deletion(id(1))).Token
		call := toolbox.Call{Tool: "delete_instances", Caller: toolbox.Caller{Name: "local", CanAsk: true},
			Arguments: json.RawMessage(`{"instance_ids":["` + id(1) + `"],"confirm":true,"preview_token":"` + token + `"}`)}
		asked, err := w.toolbox.Call(t.Context(), call)
		if err != nil || asked.Question == nil {
			t.Fatal(err)
		}
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointDetail, Code: "716020"})
		call.Answer = &guard.Answer{Action: guard.Decline, Token: asked.Question.Token}
		if _, err = w.toolbox.Call(t.Context(), call); !errors.Is(err, toolbox.ErrDeclined) {
			t.Errorf("err = %v", err)
		}
		w.ClearFaults()
		call.Answer, call.Caller.CanAsk = nil, false
		result, err := w.toolbox.Call(t.Context(), call)
		if err != nil || !result.NeedsConsent || !strings.Contains(result.Text, "has been used") {
			t.Errorf("%v: %s", err, result.Text)
		}
		w.wantSent(t, simulator.EndpointDelete, 0)
	})
}
