package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// observed makes one call in a world and returns what was observed of it, and of nothing else.
func (w *world) observed(ctx context.Context, t *testing.T, call toolbox.Call) toolbox.Observation {
	t.Helper()
	before := len(*w.seen)
	_, _ = w.try(ctx, call)
	if n := len(*w.seen) - before; n != 1 {
		t.Fatalf("%d observations of one call", n)
	}
	return (*w.seen)[before]
}

func newWatchedWorld(t *testing.T, o setup) *world {
	t.Helper()
	var seen []toolbox.Observation
	o.rules.Observe = func() func(toolbox.Observation) {
		return func(o toolbox.Observation) { seen = append(seen, o) }
	}
	w := newWorld(t, o)
	w.seen = &seen
	return w
}

func TestObservations(t *testing.T) {
	asking := func(w *world) toolbox.Call {
		a := deletion(id(1)).with(arguments{"confirm": true})
		call := toolbox.Call{Tool: "delete_instances", Arguments: encoded(a), Caller: w.caller}
		call.Caller.CanAsk = true
		return call
	}
	answer := func(a guard.Answer) func(*testing.T, *world) toolbox.Call {
		return func(t *testing.T, w *world) toolbox.Call {
			call := asking(w)
			asked, err := w.toolbox.Call(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			*w.seen = nil
			given := a
			given.Token = asked.Question.Token
			call.Answer = &given
			return call
		}
	}
	plain := func(tool string, a arguments) func(*testing.T, *world) toolbox.Call {
		return func(*testing.T, *world) toolbox.Call { return toolbox.Call{Tool: tool, Arguments: encoded(a)} }
	}
	confirmed := func(tool string, a arguments) func(*testing.T, *world) toolbox.Call {
		return func(t *testing.T, w *world) toolbox.Call {
			_, second := w.previewed(t, tool, a)
			return toolbox.Call{Tool: tool, Arguments: encoded(second)}
		}
	}
	restarted := arguments{"instance_id": id(3), "confirm": true}
	for name, c := range map[string]struct {
		call   func(*testing.T, *world) toolbox.Call
		before func(*world)
		policy guard.Policy
		limit  int
		want   toolbox.Observation
	}{
		"read": {call: plain("list_instances", arguments{}), want: toolbox.Observation{Tool: "list_instances", Ending: "ok"}},
		"preview": {call: plain("delete_instances", deletion(id(1))),
			want: toolbox.Observation{Tool: "delete_instances", Ending: "preview", Consent: "none"}},
		"done": {call: confirmed("delete_instances", deletion(id(1))),
			want: toolbox.Observation{Tool: "delete_instances", Ending: "ok", Consent: "preview_token"}},
		"accepted, not finished": {call: plain("restart_instance", restarted),
			want: toolbox.Observation{Tool: "restart_instance", Ending: "ok", Consent: "flag"}},
		"nothing to do": {call: plain("delete_instances", deletion(id(9))),
			want: toolbox.Observation{Tool: "delete_instances", Ending: "failed"}},
		"asked": {call: func(_ *testing.T, w *world) toolbox.Call { return asking(w) },
			want: toolbox.Observation{Tool: "delete_instances", Ending: "asked", Consent: "asked"}},
		"yes": {call: answer(guard.Answer{Action: guard.Accept, Text: "delete 1"}),
			want: toolbox.Observation{Tool: "delete_instances", Ending: "ok", Consent: "elicited"}},
		"no": {call: answer(guard.Answer{Action: guard.Decline}),
			want: toolbox.Observation{Tool: "delete_instances", Ending: "declined", Consent: "decline"}},
		"what MCP does not know": {call: answer(guard.Answer{Action: "hunter2"}),
			want: toolbox.Observation{Tool: "delete_instances", Ending: "declined", Consent: "unknown_answer"}},
		"withheld": {call: plain("delete_instances", deletion(id(1))), policy: guard.Policy{ReadOnly: true},
			want: toolbox.Observation{Tool: "delete_instances", Ending: "refused", Rule: "read-only"}},
		"protected": {call: plain("delete_instances", deletion(id(1))), policy: guard.Policy{Protect: patterns(t, "*")},
			want: toolbox.Observation{Tool: "delete_instances", Ending: "refused", Rule: "protect"}},
		"over the budget": {call: confirmed("delete_instances", deletion(ids(2)...)), limit: 1,
			want: toolbox.Observation{Tool: "delete_instances", Ending: "refused", Rule: "max-mutations-per-hour"}},
		"consent is impossible": {call: plain("delete_instances", deletion(id(1)).with(arguments{"confirm": true})),
			policy: guard.Policy{Consent: map[string]guard.Level{"delete_instances": guard.Human}},
			want:   toolbox.Observation{Tool: "delete_instances", Ending: "refused", Rule: "consent", Consent: "impossible"}},
		"wrong arguments": {call: plain("delete_instances", arguments{"hunter2": 1}),
			want: toolbox.Observation{Tool: "delete_instances", Ending: "invalid"}},
		"no such tool": {call: plain("hunter2", arguments{}), want: toolbox.Observation{Tool: "unknown", Ending: "invalid"}},
		"failed": {call: plain("restart_instance", restarted),
			before: func(w *world) { w.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, Code: "716868"}) },
			want:   toolbox.Observation{Tool: "restart_instance", Ending: "failed", Consent: "flag"}},
		"partial": {call: confirmed("execute_script", execution("date", ids(2)...).with(arguments{"concurrency": 1})),
			before: func(w *world) {
				w.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, After: 1, Code: "716864"})
			},
			want: toolbox.Observation{Tool: "execute_script", Ending: "partial", Consent: "preview_token"}},
		"unknown": {call: plain("restart_instance", restarted),
			before: func(w *world) { w.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, Reset: true}) },
			want:   toolbox.Observation{Tool: "restart_instance", Ending: "unknown", Consent: "flag"}},
		"a fault while it looks": {call: plain("list_instances", arguments{}),
			before: func(w *world) {
				w.wire.Before = func(r *http.Request) {
					if strings.HasPrefix(r.URL.Host, "region-") { // a log-in has a goroutine of its own
						panic("secret")
					}
				}
			},
			want: toolbox.Observation{Tool: "list_instances", Ending: "fault"}},
		"a fault while it acts": {call: plain("restart_instance", restarted),
			before: func(w *world) {
				w.wire.Before = func(r *http.Request) {
					if isWrite(r, "restart") {
						panic("secret")
					}
				}
			},
			want: toolbox.Observation{Tool: "restart_instance", Ending: "fault", Consent: "flag"}},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWatchedWorld(t, setup{instances: append(jobs(2, simulator.Running), job(3, simulator.Failed)),
				rules: toolbox.Rules{Policy: c.policy, MaxMutationsPerHour: c.limit}})
			if c.before != nil {
				c.before(w)
			}
			call := c.call(t, w)
			got := w.observed(t.Context(), t, call)
			got.Took = 0
			if c.want.Caller = "local"; got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestObservedCancelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedWorld(t, setup{instances: jobs(1, simulator.Running)})
		_, second := w.previewed(t, "delete_instances", deletion(id(1)))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.wire.Before = func(*http.Request) { cancel() }
		got := w.observed(ctx, t, toolbox.Call{Tool: "delete_instances", Arguments: encoded(second)})
		if got.Ending != "cancelled" || w.writes() != 0 {
			t.Errorf("%+v", got)
		}

		// The limit on the time of a call ends it too.
		waits := declared("waits", func(ctx context.Context, _ nothing) (empty, error) {
			<-ctx.Done()
			return empty{}, context.Cause(ctx)
		})
		w.toolbox = toolbox.New(toolbox.Rules{Observe: func() func(toolbox.Observation) {
			return func(o toolbox.Observation) { got = o }
		}}, []toolbox.Tool{waits})
		_, _ = w.toolbox.Call(t.Context(), toolbox.Call{Tool: "waits"})
		if want := (toolbox.Observation{Tool: "waits", Ending: "cancelled", Took: 55 * time.Second}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// What belongs to a trace can be found by it: audit records of every kind, and log lines, once in each.
func TestTraceAndServer(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	synctest.Test(t, func(t *testing.T) {
		log, records := auditLog(t)
		w := newWorld(t, setup{instances: append(jobs(2, simulator.Running), job(3, simulator.Failed)),
			rules: toolbox.Rules{Audit: log, Server: "replica-2", Policy: guard.Policy{Protect: patterns(t, id(2))}}})
		var lines strings.Builder
		parsed, _ := trace.Parse(parent)
		ctx := trace.With(zerolog.New(&lines).WithContext(t.Context()), parsed)
		_, second := w.previewed(t, "delete_instances", deletion(id(1)))
		for tool, a := range map[string]arguments{"delete_instances": deletion(id(1)), "restart_instance": {"instance_id": id(2)}} {
			_, _ = w.try(ctx, toolbox.Call{Tool: tool, Arguments: encoded(a)})
		}
		call := toolbox.Call{Tool: "delete_instances", Arguments: encoded(second), Caller: toolbox.Caller{Name: "local", CanAsk: true}}
		asked, err := w.toolbox.Call(ctx, call)
		if err != nil {
			t.Fatal(err)
		}
		call.Answer = &guard.Answer{Action: guard.Decline, Token: asked.Question.Token}
		if _, err := w.toolbox.Call(ctx, call); !errors.Is(err, toolbox.ErrDeclined) {
			t.Errorf("%v", err)
		}
		_, _ = w.try(ctx, toolbox.Call{Tool: "restart_instance", Arguments: encoded(arguments{"instance_id": id(3), "confirm": true})})

		events := map[audit.Event]int{}
		for i, r := range records() {
			if want := map[bool]string{true: parent}[i > 0]; r.Trace != want || r.Server != "replica-2" { // the first preview has no trace
				t.Errorf("%s: trace %q of %q", r.Event, r.Trace, r.Server)
			}
			events[r.Event]++
		}
		for _, event := range []audit.Event{audit.Intent, audit.Result, audit.Refused, audit.Previewed, audit.Declined} {
			if events[event] == 0 {
				t.Errorf("no record of event %s", event)
			}
		}
		n := 0
		for line := range strings.Lines(lines.String()) {
			var fields struct {
				TraceID string `json:"trace_id"`
				Caller  string
				Tool    string
				Outcome string
				Message string
			}
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			if fields.Message == "tool call" {
				n++
				if fields.TraceID != parsed.ID() || fields.Caller != "local" || fields.Tool == "" || fields.Outcome == "" ||
					strings.Count(line, "trace_id") != 1 {
					t.Errorf("%s", line)
				}
			}
		}
		if n != 5 {
			t.Errorf("%d lines of calls:\n%s", n, lines.String())
		}
	})
}
