package tools_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

func patterns(t testing.TB, texts ...string) []guard.Pattern {
	t.Helper()
	var out []guard.Pattern
	for _, text := range texts {
		p, err := guard.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// One instance that may not be touched refuses the whole call, whichever way it is told, previewed or confirmed.
func TestPolicyHoldsForTheWholeCall(t *testing.T) {
	for name, c := range map[string]struct {
		policy func(*testing.T) guard.Policy
		rule   string
	}{
		"protected by id":          {func(t *testing.T) guard.Policy { return guard.Policy{Protect: patterns(t, id(2))} }, "protect"},
		"protected by name":        {func(t *testing.T) guard.Policy { return guard.Policy{Protect: patterns(t, "name:PROD-*")} }, "protect"},
		"by the end of a long one": {func(t *testing.T) guard.Policy { return guard.Policy{Protect: patterns(t, "*-keep")} }, "protect"},
		"protected by region":      {func(t *testing.T) guard.Policy { return guard.Policy{Protect: patterns(t, "region:*昆山*")} }, "protect"},
		"not allowed":              {func(t *testing.T) guard.Policy { return guard.Policy{Allow: [][]guard.Pattern{patterns(t, "job-*")}} }, "allow"},
	} {
		bubble(t, name, func(t *testing.T) {
			instances := jobs(3, simulator.Running)
			instances[1].Name = "prod-" + strings.Repeat("x", 300) + "-keep"
			instances = append(instances, simulator.Instance{ID: id(4), Name: "Prod-2-keep", Status: simulator.Terminated})
			w := newWorld(t, setup{instances: instances, rules: toolbox.Rules{Policy: c.policy(t)}})
			w.caller.CanAsk = true
			for tool, a := range map[string]arguments{
				"delete_instances": deletion(ids(3)...), "execute_script": execution("date", ids(4)...), "restart_instance": {"instance_id": id(4)},
			} {
				if tool == "restart_instance" && name == "protected by id" {
					continue
				}
				for _, more := range []arguments{{}, {"confirm": true}} {
					err := w.fails(t, tool, a.with(more), "Refused: ", "Nothing was changed", "Only the operator")
					var refusal *guard.Refusal
					if !errors.As(err, &refusal) || refusal.Rule != c.rule {
						t.Errorf("%s: %v", tool, err)
					}
				}
			}
			w.nothingSent(t)
		})
	}
}

// Policy sees the name as the service words it: one that only looks like what may be changed may not be.
func TestPolicySeesTheRawName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		instances := jobs(1, simulator.Running)
		instances[0].Name = "\tjob-1\n"
		w := newWorld(t, setup{instances: instances, rules: toolbox.Rules{Policy: guard.Policy{Allow: [][]guard.Pattern{patterns(t, "job-*")}}}})
		w.fails(t, "delete_instances", deletion(id(1)), "Refused: the operator does not allow changes of \"job-1\"")
		w.nothingSent(t)
	})
}

func TestMoreThanAllowedIsNotEvenLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(12, simulator.Running)})
		for tool, a := range map[string]arguments{"delete_instances": deletion(ids(11)...), "execute_script": execution("date", ids(11)...)} {
			w.fails(t, tool, a, "Refused: 11 targets in one call; the operator allows 10", "Nothing was changed")
		}
		w.wantSent(t, simulator.EndpointDetail, 0)
		w.wantSent(t, simulator.EndpointList, 0)

		// Repeated ids count once.
		r, _ := w.previewed(t, "delete_instances", deletion(slices.Concat(ids(10), ids(10))...))
		if len(r.Targets) != 10 {
			t.Errorf("%d targets", len(r.Targets))
		}
		w.wantSent(t, simulator.EndpointDetail, 10)
	})
}

func TestHourlyBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(6, simulator.Running), rules: toolbox.Rules{MaxMutationsPerHour: 3}})
		one := arguments{"concurrency": 1}
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, After: 1, Times: 1, Code: "716864"})
		wantOutcomes(t, w.confirmed(t, "execute_script", execution("date", ids(3)...).with(one)), "partial", "accepted", "rejected", "not_attempted")
		// What was not attempted was given back: one more fits, two do not.
		_, two := w.previewed(t, "execute_script", execution("date", ids(2)...))
		w.fails(t, "execute_script", two, "Refused: the hourly limit of 3 changes is reached (2 used, 2 wanted)", "room in 1h0m0s", "Nothing was changed")
		w.wantSent(t, simulator.EndpointExecute, 2)
		_, four := w.previewed(t, "delete_instances", deletion(ids(4)...))
		w.fails(t, "delete_instances", four, "4 changes in one call; the operator allows 3 per hour")
		w.confirmed(t, "execute_script", execution("date", id(1)))
		_, again := w.previewed(t, "delete_instances", deletion(id(1)))
		w.fails(t, "delete_instances", again, "3 used, 1 wanted")
		<-time.After(time.Hour)
		wantOutcomes(t, w.confirmed(t, "delete_instances", deletion(id(1))), "done", "deleted")
	})
}

// changing are the names of the tools for instances that change something.
func changing() (names []string) {
	for _, tool := range (tools.Instances{}).Tools() {
		if tool.Risk != guard.Read {
			names = append(names, tool.Name)
		}
	}
	return names
}

func TestWithheldToolsAreRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		policy guard.Policy
		rule   string
		want   string
	}{
		"read-only":       {guard.Policy{ReadOnly: true}, "read-only", "the server runs read-only"},
		"another toolset": {guard.Policy{Toolsets: []string{"workspace"}}, "toolsets", "has not enabled the toolset "},
		"disabled":        {guard.Policy{DisabledTools: changing()}, "disable-tools", "has disabled"},
	} {
		bubble(t, name, func(t *testing.T) {
			log, records := auditLog(t)
			w := newWorld(t, setup{instances: jobs(2, simulator.Running), rules: toolbox.Rules{Policy: c.policy, Audit: log}})
			withheld := w.toolbox.Withheld()
			if len(withheld)+len(w.toolbox.Tools()) != len(w.tools) {
				t.Errorf("%d of %d tools are withheld, %d offered", len(withheld), len(w.tools), len(w.toolbox.Tools()))
			}
			for _, tool := range changing() {
				if !slices.ContainsFunc(withheld, func(t toolbox.Tool) bool { return t.Name == tool }) {
					t.Errorf("%s is offered", tool)
				}
				w.fails(t, tool, deletion(id(1)).with(arguments{"confirm": true}), "Refused: ", c.want, "Nothing was changed")
			}
			if n := len(w.Requests()); n != 0 {
				t.Errorf("%d requests", n)
			}
			for _, r := range records() {
				if r.Event != "refused" || r.Rule != c.rule || r.Caller != "local" {
					t.Errorf("audit record %+v", r)
				}
			}
			if n := len(records()); n != len(changing()) {
				t.Errorf("%d audit records", n)
			}
		})
	}
}
