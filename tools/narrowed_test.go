package tools_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// as is the world as a caller with a toolbox of its own sees it.
func (w *world) as(name string, policy guard.Policy, limit int) *world {
	narrowed := *w
	narrowed.toolbox = w.toolbox.ForCaller(name, policy, guard.Fixed(policy), limit)
	narrowed.caller.Name = name
	return &narrowed
}

func TestNarrowedPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := auditLog(t)
		w := newWorld(t, setup{instances: append(jobs(12, simulator.Running), job(20, simulator.Failed)), rules: toolbox.Rules{Audit: log, Policy: guard.Policy{
			MaxTargets: 11, Protect: patterns(t, id(1)), Consent: map[string]guard.Level{"execute_script": guard.Flag}}}})
		reader := w.as("reader", guard.Policy{ReadOnly: true}, 0)
		if n := len(w.toolbox.Tools()); n != len(w.tools) {
			t.Errorf("%d of %d tools", n, len(w.tools))
		}
		for _, tool := range w.tools {
			if reads := tool.Risk == guard.Read; slices.ContainsFunc(reader.toolbox.Tools(), func(t toolbox.Tool) bool { return t.Name == tool.Name }) != reads {
				t.Errorf("the reader is offered what changes something, or not what reads: %s", tool.Name)
			}
		}
		reader.fails(t, "delete_instances", deletion(id(2)), "runs read-only")

		caller := w.as("caller", guard.Policy{Protect: patterns(t, id(2)),
			Consent: map[string]guard.Level{"delete_instances": guard.Flag, "restart_instance": guard.Preview}}, 0)
		for _, protected := range []string{id(1), id(2)} {
			caller.fails(t, "delete_instances", deletion(protected), "has protected")
		}
		// The caller's own levels lower nothing, and raise something.
		for tool, a := range map[string]arguments{
			"delete_instances": deletion(id(3)), "restart_instance": {"instance_id": id(20)},
		} {
			r := caller.call(t, tool, a.with(arguments{"confirm": true}))
			wantParts(t, r.Text, "confirm: true alone is not enough here")
		}
		// A limit that the caller does not have is the operator's.
		caller.fails(t, "delete_instances", deletion(ids(12)...), "the operator allows 11")
		w.as("few", guard.Policy{MaxTargets: 2}, 0).fails(t, "delete_instances", deletion(ids(3)...), "the operator allows 2")
		w.as("many", guard.Policy{MaxTargets: 100}, 0).fails(t, "delete_instances", deletion(ids(12)...), "the operator allows 11")
		w.nothingSent(t)
		wantOutcomes(t, caller.call(t, "execute_script", execution("date", id(3)).with(arguments{"confirm": true})), "done", "accepted")
		all := records()
		if last := all[len(all)-1]; last.Caller != "caller" || last.Event != "result" {
			t.Errorf("%+v", last)
		}
	})
}

func TestNarrowedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flag := map[string]guard.Level{"execute_script": guard.Flag}
		w := newWorld(t, setup{instances: jobs(9, simulator.Running),
			rules: toolbox.Rules{MaxMutationsPerHour: 3, Policy: guard.Policy{Consent: flag}}})
		run := func(w *world, n int, refusal string) {
			t.Helper()
			a := execution("date", ids(n)...).with(arguments{"confirm": true})
			if refusal == "" {
				w.call(t, "execute_script", a)
				return
			}
			w.fails(t, "execute_script", a, refusal)
		}
		ann, bob, greedy := w.as("ann", guard.Policy{}, 0), w.as("bob", guard.Policy{}, 2), w.as("greedy", guard.Policy{}, 100)
		run(ann, 3, "")
		run(ann, 1, "the hourly limit of 3 changes is reached")
		run(bob, 3, "the operator allows 2 per hour")
		run(bob, 2, "")
		run(w.as("bob", guard.Policy{}, 2), 1, "the hourly limit of 2 changes is reached")
		run(greedy, 4, "the operator allows 3 per hour")
		narrower := *greedy
		narrower.toolbox = bob.toolbox.ForCaller("greedy", guard.Policy{}, guard.Fixed(guard.Policy{}), 3)
		run(&narrower, 3, "the operator allows 2 per hour")
		run(w, 3, "")
		run(w, 1, "the hourly limit of 3 changes is reached")
	})
}

// One caller's token and one caller's no are nothing to another.
func TestNarrowedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running)})
		ann, bob := w.as("ann", guard.Policy{}, 0), w.as("bob", guard.Policy{}, 0)
		_, second := ann.previewed(t, "delete_instances", deletion(id(1)))
		wantParts(t, bob.call(t, "delete_instances", second).Text, "belongs to another call")
		w.nothingSent(t)
		wantOutcomes(t, ann.call(t, "delete_instances", second), "done", "deleted")
	})
}

// Replicas that share state and key are one server to a client.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := guard.NewMemory(time.Now)
		tokens := func() *guard.Tokens {
			all, err := guard.NewTokens([]byte(strings.Repeat("k", 32)), state, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		one := newWorld(t, setup{instances: jobs(3, simulator.Running),
			rules: toolbox.Rules{State: state, Tokens: tokens(), MaxMutationsPerHour: 2}})
		other := *one
		rules := one.rules
		rules.Tokens = tokens()
		other.toolbox = toolbox.New(rules, one.tools)

		_, second := one.previewed(t, "execute_script", execution("date", id(1)))
		wantOutcomes(t, other.call(t, "execute_script", second), "done", "accepted")
		wantParts(t, one.call(t, "execute_script", second).Text, "has been used")
		one.confirmed(t, "execute_script", execution("date", id(2)))
		_, third := other.previewed(t, "execute_script", execution("date", id(3)))
		other.fails(t, "execute_script", third, "the hourly limit of 2 changes is reached")
	})
}

var errDown = errors.New("dial tcp 10.0.0.7:6379: connection refused")

// broken is a State that cannot be reached from the n-th use on.
type broken struct {
	guard.State
	after int
}

func (b *broken) use() error {
	if b.after--; b.after < 0 {
		return errDown
	}
	return nil
}

func (b *broken) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	if err := b.use(); err != nil {
		return false, err
	}
	return b.State.Claim(ctx, key, until)
}

func (b *broken) Claimed(ctx context.Context, key string) (bool, error) {
	if err := b.use(); err != nil {
		return false, err
	}
	return b.State.Claimed(ctx, key)
}

func (b *broken) Update(ctx context.Context, key string, ttl time.Duration, change func([]byte) ([]byte, error)) error {
	if err := b.use(); err != nil {
		return err
	}
	return b.State.Update(ctx, key, ttl, change)
}

// Wherever in a call the shared state goes away, nothing is sent before it has agreed; what it said is for the log only.
func TestStateThatGoesAway(t *testing.T) {
	for uses, says := range []string{
		"the hourly limit cannot be checked", // whether there is room
		"Whether the preview_token was used cannot be checked now",
		"Whether the preview_token was used cannot be checked now", // when it is used up
		"the hourly limit cannot be checked",                       // when it is taken from
		"",
	} {
		bubble(t, says, func(t *testing.T) {
			state := &broken{State: guard.NewMemory(time.Now), after: 1000}
			w := newWorld(t, setup{instances: jobs(1, simulator.Running), rules: toolbox.Rules{State: state}})
			_, second := w.previewed(t, "delete_instances", deletion(id(1)))
			state.after = uses
			var log strings.Builder
			r, err := w.try(zerolog.New(&log).WithContext(t.Context()), toolbox.Call{Tool: "delete_instances", Arguments: encoded(second)})
			text := r.Text
			if err != nil {
				text = toolbox.Explain(lang.English, err)
			}
			if says == "" {
				wantOutcomes(t, r, "done", "deleted")
				return
			}
			wantParts(t, text, says, "cannot be reached", "othing ")
			w.nothingSent(t)
			if strings.Contains(text, "10.0.0.7") || !strings.Contains(log.String(), "10.0.0.7") {
				t.Errorf("the answer is %s\nthe log is %s", text, log.String())
			}
		})
	}
}

// A human's no stays a no while the shared state is away, and what it could not be told is logged.
func TestANoHoldsWithoutTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := &broken{State: guard.NewMemory(time.Now), after: 1000}
		tokens, err := guard.NewTokens(nil, state, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer tokens.Close()
		w := newWorld(t, setup{instances: jobs(1, simulator.Running), rules: toolbox.Rules{State: state, Tokens: tokens}})
		call := toolbox.Call{Tool: "delete_instances", Arguments: encoded(deletion(id(1)).with(arguments{"confirm": true})),
			Caller: toolbox.Caller{Name: "local", CanAsk: true}}
		asked, err := w.toolbox.Call(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		state.after = 0
		var log strings.Builder
		call.Answer = &guard.Answer{Action: guard.Decline, Token: asked.Question.Token}
		if _, err := w.toolbox.Call(zerolog.New(&log).WithContext(t.Context()), call); !errors.Is(err, toolbox.ErrDeclined) {
			t.Errorf("%v", err)
		}
		if !strings.Contains(log.String(), "10.0.0.7") || strings.Contains(log.String(), asked.Question.Token) {
			t.Errorf("log %s", log.String())
		}
	})
}

// A caller that is removed during the wait after the canaries has nothing more carried out, and one that is narrowed between
// preview and confirmation nothing at all.
func TestPolicyChangesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(3, simulator.Running)})
		var gone atomic.Pointer[guard.Refusal]
		narrower := guard.Policy{}
		w.toolbox = w.toolbox.ForCaller(w.caller.Name, guard.Policy{},
			func() (guard.Policy, error) {
				if refusal := gone.Load(); refusal != nil {
					return narrower, refusal
				}
				return narrower, nil
			}, 0)
		a := execution("date", ids(3)...).with(arguments{"canary": 1, "canary_wait_seconds": 10})
		_, second := w.previewed(t, "execute_script", a)
		narrower.ReadOnly = true
		w.fails(t, "execute_script", second, "read-only", "Nothing was changed")
		w.nothingSent(t)
		narrower.ReadOnly = false

		_, second = w.previewed(t, "execute_script", a)
		time.AfterFunc(5*time.Second, func() {
			gone.Store(&guard.Refusal{Rule: guard.CallerRule, Reason: lang.T("caller local has been removed")})
		})
		r := w.call(t, "execute_script", second)
		wantOutcomes(t, r, "partial", "accepted", "not_attempted", "not_attempted")
		wantParts(t, r.Text, "Stopped: caller local has been removed")
	})
}
