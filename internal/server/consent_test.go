package server

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// What a human does decides, on every transport and in every era. A no burns the token.
func TestHumanDecides(t *testing.T) {
	broken := human(func(context.Context, mcp.ElicitationParams) (*mcp.ElicitationResult, error) {
		return nil, errors.New("no screen")
	})
	for _, c := range []struct {
		name    string
		human   human
		consent string // in the audit log; "" for a client that gives up on its side
		says    string
	}{
		{"types the phrase", answers("accept", typed("delete 1")), "elicited", "1 deleted"},
		{"types it sloppily", answers("accept", typed(" DELETE  1\n")), "elicited", "1 deleted"},
		{"types another number", answers("accept", typed("delete 2")), "wrong_answer", "not the one that lets"},
		{"types yes", answers("accept", typed("yes")), "wrong_answer", "not the one that lets"},
		{"sends a number", answers("accept", map[string]any{"confirmation": 1}), "empty_answer", "was empty"},
		{"sends a list", answers("accept", map[string]any{"confirmation": []string{"delete 1"}}), "empty_answer", "was empty"},
		{"sends another field", answers("accept", map[string]any{"Confirmation": "delete 1"}), "empty_answer", "was empty"},
		{"sends text as content", answers("accept", "delete 1"), "empty_answer", "was empty"},
		{"accepts without content", answers("accept", nil), "empty_answer", "was empty"},
		{"accepts with empty content", answers("accept", map[string]any{}), "empty_answer", "was empty"},
		{"accepts with empty text", answers("accept", typed(" ")), "empty_answer", "was empty"},
		{"declines", answers("decline", nil), "decline", "said no"},
		{"declines with the phrase", answers("decline", typed("delete 1")), "decline", "said no"},
		{"cancels", answers("cancel", typed("delete 1")), "cancel", "closed the question"},
		{"does what MCP does not know", answers("approve", typed("delete 1")), "unknown_answer", "does not define"},
		{"accepts in capitals", answers("ACCEPT", typed("delete 1")), "unknown_answer", "does not define"},
		{"has a broken client", broken, "not_asked", "counts as no"},
	} {
		for _, r := range routes() {
			t.Run(c.name+"/"+r.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, guard.Policy{})
				// A client that can ask its user gets no token; one that cannot may have got one for the same call.
				first := w.once(initialize("2025-11-25"), call(`1`, "delete_instances", deletion(running, "")))
				token := w.preview("delete_instances", first.tool(t), "delete 1 instance")
				var asked atomic.Int32
				client := r.connect(w, func(ctx context.Context, form mcp.ElicitationParams) (*mcp.ElicitationResult, error) {
					asked.Add(1)
					return c.human(ctx, form)
				})
				hungUp := false
				hangUp := func() {
					if !hungUp {
						hungUp = true
						client.hangUp()
					}
				}
				defer hangUp()
				result, err := client.call("delete_instances", deletion(running, with(token)))
				if asked.Load() != 1 {
					t.Errorf("asked %d times", asked.Load())
				}
				if c.consent == "elicited" {
					if out := w.outcome("delete_instances", result); err != nil || out.State != "done" || !strings.Contains(result.Content[0].Text, c.says) {
						t.Errorf("%+v, %v", result, err)
					}
					w.recorded(audit.Result, "elicited")
					if records := w.records(); len(records) != 4 || records[1].Consent != "asked" || records[2].Event != audit.Intent || records[2].Client != "mcp-go" {
						t.Errorf("%+v", records)
					}
				} else if err == nil {
					refused(t, result, c.says)
					w.recorded(audit.Declined, c.consent)
				} else if !r.modern || c.consent != "not_asked" {
					t.Fatal(err)
				}
				hangUp()
				want := 0
				if c.consent == "elicited" {
					want = 1
				}
				if got := w.sent(simulator.EndpointDelete); got != want || w.changes() != want {
					t.Errorf("%d deletions were sent", got)
				}
				if err == nil && want == 0 { // the token is burnt, also for a client that cannot ask
					again := w.once(initialize("2025-11-25"), call(`1`, "delete_instances", deletion(running, with(token))))
					w.preview("delete_instances", again.tool(t), "has been used")
					w.untouched()
				}
			})
		}
	}
}

// What is lost is on the form, and nothing is filled in or preselected.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		tool, arguments string
		says            []string
		choices         []string
		answer          string
	}{
		{"delete_instances", `{"instance_ids":["` + running + `","` + stopped + `"],"confirm":true}`,
			[]string{"Delete 2 instances", "FOR GOOD", "训练-7b", running, "bert-eval", stopped, `Type "delete 2"`}, nil, "delete 2"},
		{"execute_script", `{"instance_ids":["` + running + `","` + stopped + `"],"script":"echo hello\nreboot","capture":"off","confirm":true}`,
			[]string{"Run this script", "| echo hello\n| reboot", "训练-7b", "SHA-256"}, []string{"run it in 1 instance", "do not run it"}, "run it in 1 instance"},
		{"restart_instance", `{"instance_id":"` + stopped + `","confirm":true}`,
			[]string{"Restart", "bert-eval", stopped, "billing resumes"}, []string{"restart it", "do not restart it"}, "restart it"},
	} {
		for _, r := range routes() {
			t.Run(c.tool+"/"+r.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, guard.Policy{Consent: map[string]guard.Level{c.tool: guard.Human}})
				answer := "do not run it"
				client := r.connect(w, func(_ context.Context, form mcp.ElicitationParams) (*mcp.ElicitationResult, error) {
					schema, _ := form.RequestedSchema.(map[string]any)
					fields, _ := schema["properties"].(map[string]any)
					field, _ := fields["confirmation"].(map[string]any)
					if required, _ := schema["required"].([]any); schema["type"] != "object" || len(fields) != 1 || len(required) != 1 || required[0] != "confirmation" ||
						field["type"] != "string" || field["default"] != nil || field["title"] == nil || field["description"] == nil {
						t.Errorf("%+v", schema)
					}
					choices, _ := field["enum"].([]any)
					if len(choices) != len(c.choices) {
						t.Errorf("%v", choices)
					}
					for i, choice := range choices {
						if choice != c.choices[i] {
							t.Errorf("%v", choices)
						}
					}
					for _, want := range c.says {
						if !strings.Contains(form.Message, want) {
							t.Errorf("the form does not say %q: %s", want, form.Message)
						}
					}
					return answers("accept", typed(answer))(t.Context(), form)
				})
				defer client.hangUp()
				refused(t, client.must(c.tool, c.arguments), "counts as no")
				w.untouched()
				answer = c.answer
				if out := w.outcome(c.tool, client.must(c.tool, c.arguments)); out.State == "confirmation_required" || w.changes() != 1 {
					t.Errorf("%+v, %d changes", out, w.changes())
				}
				w.recorded(audit.Result, "elicited")
			})
		}
	}
}

// A client that cannot ask gets by with the token of a preview, and with nothing less.
func TestPreviewToken(t *testing.T) {
	all := append(routes(), route{"stateless HTTP 2025-11-25", stateless("2025-11-25"), false}, route{"stateless HTTP 2025-03-26", stateless("2025-03-26"), false})
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, guard.Policy{})
			client := r.connect(w, nil)
			defer client.hangUp()
			const tool = "execute_script"
			script := func(further string) string {
				return `{"instance_ids":["` + running + `"],"script":"date"` + further + `}`
			}
			w.preview(tool, client.must(tool, script(confirmed)), "needs the preview_token")
			w.recorded(audit.Previewed, "none")
			token := w.preview(tool, client.must(tool, script("")), "run a script")
			w.preview(tool, client.must(tool, script(`,"preview_token":"`+token+`"`)), "run a script") // without confirm
			w.preview(tool, client.must(tool, script(with("nonsense"))), "not one of this server's")
			w.recorded(audit.Previewed, "token_wrong")
			w.preview(tool, client.must(tool, strings.Replace(script(with(token)), "date", "reboot", 1)), "belongs to another call")
			w.preview(tool, client.must(tool, strings.Replace(script(with(token)), running, other, 1)), "belongs to another call")
			w.preview("delete_instances", client.must("delete_instances", deletion(running, with(token))), "belongs to another call")
			w.untouched()
			if out := w.outcome(tool, client.must(tool, script(with(token)))); out.State != "done" {
				t.Errorf("%+v", out)
			}
			w.recorded(audit.Result, "preview_token")
			w.preview(tool, client.must(tool, script(with(token))), "has been used")
			if w.changes() != 1 || len(w.sim.Scripts()) != 1 {
				t.Errorf("%d changes", w.changes())
			}
		})
	}
}

// A preview holds for the state that it showed.
func TestPreviewTokenOfAnotherState(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	token := w.preview("delete_instances", w.once(call(`1`, "delete_instances", deletion(stopped, ""))).tool(t), "delete 1")
	if out := w.outcome("restart_instance", w.once(call(`1`, "restart_instance", `{"instance_id":"`+stopped+`","confirm":true}`)).tool(t)); out.State != "waiting" {
		t.Errorf("%+v", out)
	}
	w.preview("delete_instances", w.once(call(`1`, "delete_instances", deletion(stopped, with(token)))).tool(t), "has changed since the preview")
	if w.sent(simulator.EndpointDelete) != 0 {
		t.Error("it was deleted")
	}
}

// The caller is who has the server's process, whatever connection it comes over: a token outlives the connection.
func TestPreviewTokenOnAnotherConnection(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	token := w.preview("delete_instances", w.once(initialize("2025-06-18"), call(`1`, "delete_instances", deletion(stopped, ""))).tool(t), "delete 1")
	if out := w.outcome("delete_instances", w.once(modernCall(`1`, `{}`, "delete_instances", deletion(stopped, with(token)), "")).tool(t)); out.State != "done" {
		t.Errorf("%+v", out)
	}
	foreign := newWorld(t, guard.Policy{}) // with a key of its own
	token = foreign.preview("delete_instances", foreign.once(call(`1`, "delete_instances", deletion(running, ""))).tool(t), "delete 1")
	w.preview("delete_instances", w.once(call(`1`, "delete_instances", deletion(running, with(token)))).tool(t), "not one of this server's")
}

// Of several calls with the same token one acts.
func TestPreviewTokenIsUsedOnce(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	script := func(further string) string {
		return `{"instance_ids":["` + running + `"],"script":"date"` + further + `}`
	}
	token := w.preview("execute_script", w.once(call(`1`, "execute_script", script(""))).tool(t), "run a script")
	const callers = 16
	acted := 0
	for _, r := range run(t, w.server, strings.Repeat(call(`1`, "execute_script", script(with(token))), callers)) {
		if out := w.outcome("execute_script", r.tool(t)); out.State == "done" {
			acted++
		} else {
			w.preview("execute_script", r.tool(t), "has been used")
		}
	}
	if acted != 1 || len(w.sim.Scripts()) != 1 {
		t.Errorf("%d calls say that they acted, %d scripts ran", acted, len(w.sim.Scripts()))
	}
}

// The level flag needs no more than confirm, and asks nobody.
func TestFlag(t *testing.T) {
	for _, r := range append(routes(), route{"stateless HTTP", stateless("2025-11-25"), false}) {
		for name, h := range map[string]human{"can ask": answers("decline", nil), "cannot ask": nil} {
			t.Run(r.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, guard.Policy{Consent: map[string]guard.Level{"delete_instances": guard.Flag}})
				client := r.connect(w, h)
				defer client.hangUp()
				restart := `{"instance_id":"` + stopped + `"`
				token := w.preview("restart_instance", client.must("restart_instance", restart+"}"), "restart 1 instance")
				w.preview("restart_instance", client.must("restart_instance", restart+`,"confirm":true,"preview_token":"nonsense"}`), "not one of this server's")
				w.untouched()
				if out := w.outcome("restart_instance", client.must("restart_instance", restart+with(token)+"}")); out.State != "waiting" {
					t.Errorf("%+v", out)
				}
				w.recorded(audit.Result, "preview_token")
				if out := w.outcome("delete_instances", client.must("delete_instances", deletion(other, confirmed))); out.State != "done" {
					t.Errorf("%+v", out)
				}
				w.recorded(audit.Result, "flag")
				if w.changes() != 2 {
					t.Errorf("%d changes", w.changes())
				}
			})
		}
	}
}

// Where only a human can consent, a client that cannot ask one is told so, whatever else it brings.
func TestHumanCannotBeAsked(t *testing.T) {
	policy := guard.Policy{Consent: map[string]guard.Level{"delete_instances": guard.Human, "restart_instance": guard.Human, "execute_script": guard.Human}}
	for _, r := range append(routes(), route{"stateless HTTP", stateless("2025-11-25"), false}) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, policy)
			client := r.connect(w, nil)
			defer client.hangUp()
			const want = "this client cannot ask"
			shown := w.outcome("delete_instances", client.must("delete_instances", deletion(running, "")))
			if shown.State != "confirmation_required" || shown.Preview.Token != "" || !strings.Contains(shown.Preview.Effect, want) {
				t.Errorf("a preview that cannot be confirmed must say so: %+v", shown.Preview)
			}
			for tool, arguments := range map[string]string{
				"delete_instances": deletion(running, confirmed),
				"restart_instance": `{"instance_id":"` + stopped + `","confirm":true}`,
				"execute_script":   `{"instance_ids":["` + running + `"],"script":"date","confirm":true}`,
			} {
				refused(t, client.must(tool, arguments), want)
				w.recorded(audit.Refused, "impossible")
			}
			refused(t, client.must("delete_instances", deletion(running, with("nonsense"))), want)
			w.untouched()
		})
	}
}
