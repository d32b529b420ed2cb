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
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// observed makes one call in a world and returns what was observed of it, and of nothing else.
func (w *world) observed(ctx context.Context, t *testing.T, call tools.Call) tools.Observation {
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
	var seen []tools.Observation
	o.service.Observe = func(seenNow tools.Observation) { seen = append(seen, seenNow) }
	w := newWorld(t, o)
	w.seen = &seen
	return w
}

func TestObservations(t *testing.T) {
	asking := func(w *world) tools.Call {
		a := deletion(id(1)).with(arguments{"confirm": true})
		call := tools.Call{Tool: "delete_instances", Arguments: encoded(a), Caller: w.caller}
		call.Caller.CanAsk = true
		return call
	}
	answer := func(a guard.Answer) func(*testing.T, *world) tools.Call {
		return func(t *testing.T, w *world) tools.Call {
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
	plain := func(tool string, a arguments) func(*testing.T, *world) tools.Call {
		return func(*testing.T, *world) tools.Call { return tools.Call{Tool: tool, Arguments: encoded(a)} }
	}
	confirmed := func(tool string, a arguments) func(*testing.T, *world) tools.Call {
		return func(t *testing.T, w *world) tools.Call {
			_, second := w.previewed(t, tool, a)
			return tools.Call{Tool: tool, Arguments: encoded(second)}
		}
	}
	restarted := arguments{"instance_id": id(3), "confirm": true}
	for name, c := range map[string]struct {
		call   func(*testing.T, *world) tools.Call
		before func(*world)
		policy guard.Policy
		limit  int
		want   tools.Observation
	}{
		"read": {call: plain("list_instances", arguments{}), want: tools.Observation{Tool: "list_instances", Outcome: "ok"}},
		"preview": {call: plain("delete_instances", deletion(id(1))),
			want: tools.Observation{Tool: "delete_instances", Outcome: "preview", Consent: "none"}},
		"done": {call: confirmed("delete_instances", deletion(id(1))),
			want: tools.Observation{Tool: "delete_instances", Outcome: "ok", Consent: "preview_token"}},
		"accepted, not finished": {call: plain("restart_instance", restarted),
			want: tools.Observation{Tool: "restart_instance", Outcome: "ok", Consent: "flag"}},
		"nothing to do": {call: plain("delete_instances", deletion(id(9))),
			want: tools.Observation{Tool: "delete_instances", Outcome: "ok"}},
		"asked": {call: func(_ *testing.T, w *world) tools.Call { return asking(w) },
			want: tools.Observation{Tool: "delete_instances", Outcome: "asked", Consent: "asked"}},
		"yes": {call: answer(guard.Answer{Action: guard.Accept, Text: "delete 1"}),
			want: tools.Observation{Tool: "delete_instances", Outcome: "ok", Consent: "elicited"}},
		"no": {call: answer(guard.Answer{Action: guard.Decline}),
			want: tools.Observation{Tool: "delete_instances", Outcome: "declined", Consent: "decline"}},
		"what MCP does not know": {call: answer(guard.Answer{Action: "hunter2"}),
			want: tools.Observation{Tool: "delete_instances", Outcome: "declined", Consent: "unknown_answer"}},
		"withheld": {call: plain("delete_instances", deletion(id(1))), policy: guard.Policy{ReadOnly: true},
			want: tools.Observation{Tool: "delete_instances", Outcome: "refused", Rule: "read-only"}},
		"protected": {call: plain("delete_instances", deletion(id(1))), policy: guard.Policy{Protect: patterns(t, "*")},
			want: tools.Observation{Tool: "delete_instances", Outcome: "refused", Rule: "protect"}},
		"over the budget": {call: confirmed("delete_instances", deletion(ids(2)...)), limit: 1,
			want: tools.Observation{Tool: "delete_instances", Outcome: "refused", Rule: "max-mutations-per-hour"}},
		"consent is impossible": {call: plain("delete_instances", deletion(id(1)).with(arguments{"confirm": true})),
			policy: guard.Policy{Consent: map[string]guard.Level{"delete_instances": guard.Human}},
			want:   tools.Observation{Tool: "delete_instances", Outcome: "refused", Rule: "consent", Consent: "impossible"}},
		"wrong arguments": {call: plain("delete_instances", arguments{"hunter2": 1}),
			want: tools.Observation{Tool: "delete_instances", Outcome: "invalid"}},
		"no such tool": {call: plain("hunter2", arguments{}), want: tools.Observation{Tool: "unknown", Outcome: "invalid"}},
		"failed": {call: plain("restart_instance", restarted),
			before: func(w *world) { w.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, Code: "716868"}) },
			want:   tools.Observation{Tool: "restart_instance", Outcome: "failed", Consent: "flag"}},
		"partial": {call: confirmed("execute_script", execution("date", ids(2)...).with(arguments{"concurrency": 1})),
			before: func(w *world) {
				w.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, After: 1, Code: "716864"})
			},
			want: tools.Observation{Tool: "execute_script", Outcome: "partial", Consent: "preview_token"}},
		"unknown": {call: plain("restart_instance", restarted),
			before: func(w *world) { w.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, ResetAfter: true}) },
			want:   tools.Observation{Tool: "restart_instance", Outcome: "unknown", Consent: "flag"}},
		"a fault while it looks": {call: plain("list_instances", arguments{}),
			before: func(w *world) {
				w.wire.Before = func(r *http.Request) {
					if strings.HasPrefix(r.URL.Host, "region-") { // a log-in has a goroutine of its own
						panic("secret")
					}
				}
			},
			want: tools.Observation{Tool: "list_instances", Outcome: "fault"}},
		"a fault while it acts": {call: plain("restart_instance", restarted),
			before: func(w *world) {
				w.wire.Before = func(r *http.Request) {
					if isWrite(r, "restart") {
						panic("secret")
					}
				}
			},
			want: tools.Observation{Tool: "restart_instance", Outcome: "fault", Consent: "flag"}},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWatchedWorld(t, setup{instances: append(jobs(2, simulator.Running), job(3, simulator.Failed)),
				service: tools.Service{Policy: c.policy, MaxMutationsPerHour: c.limit}})
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
		got := w.observed(ctx, t, tools.Call{Tool: "delete_instances", Arguments: encoded(second)})
		if got.Outcome != "cancelled" || w.writes() != 0 {
			t.Errorf("%+v", got)
		}

		// The limit on the time of a call ends it too.
		waits := declared("waits", func(ctx context.Context, _ tools.Service, _ nothing) (empty, error) {
			<-ctx.Done()
			return empty{}, context.Cause(ctx)
		})
		w.toolbox = tools.NewToolbox(tools.Service{Observe: func(o tools.Observation) { got = o }}, []tools.Tool{waits})
		_, _ = w.toolbox.Call(t.Context(), tools.Call{Tool: "waits"})
		if want := (tools.Observation{Tool: "waits", Outcome: "cancelled", Took: 55 * time.Second}); got != want {
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
			service: tools.Service{Audit: log, Server: "replica-2", Policy: guard.Policy{Protect: patterns(t, id(2))}}})
		var lines strings.Builder
		parsed, _ := trace.Parse(parent)
		ctx := trace.With(zerolog.New(&lines).WithContext(t.Context()), parsed)
		_, second := w.previewed(t, "delete_instances", deletion(id(1)))
		for tool, a := range map[string]arguments{"delete_instances": deletion(id(1)), "restart_instance": {"instance_id": id(2)}} {
			_, _ = w.try(ctx, tools.Call{Tool: tool, Arguments: encoded(a)})
		}
		call := tools.Call{Tool: "delete_instances", Arguments: encoded(second), Caller: tools.Caller{Name: "local", CanAsk: true}}
		asked, err := w.toolbox.Call(ctx, call)
		if err != nil {
			t.Fatal(err)
		}
		call.Answer = &guard.Answer{Action: guard.Decline, Token: asked.Question.Token}
		if _, err := w.toolbox.Call(ctx, call); !errors.Is(err, tools.ErrDeclined) {
			t.Errorf("%v", err)
		}
		_, _ = w.try(ctx, tools.Call{Tool: "restart_instance", Arguments: encoded(arguments{"instance_id": id(3), "confirm": true})})

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
