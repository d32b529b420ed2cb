package server

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

func patterns(t *testing.T, texts ...string) []guard.Pattern {
	t.Helper()
	var all []guard.Pattern
	for _, text := range texts {
		p, err := guard.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// A no of the operator's is a tool error with the reason, whatever consent there is, and nobody is asked.
func TestPolicyRefusals(t *testing.T) {
	flag := map[string]guard.Level{"delete_instances": guard.Flag, "execute_script": guard.Flag}
	both := `{"instance_ids":["` + running + `","` + other + `"],"confirm":true}`
	for _, c := range []struct {
		name, tool, arguments string
		policy                guard.Policy
		says, rule            string
		listed                bool
	}{
		{"read-only", "delete_instances", deletion(running, confirmed), guard.Policy{ReadOnly: true, Consent: flag}, "runs read-only", "read-only", false},
		{"read-only, wrong arguments", "delete_instances", `{}`, guard.Policy{ReadOnly: true}, "runs read-only", "read-only", false},
		{"disabled", "delete_instances", deletion(running, confirmed), guard.Policy{DisabledTools: []string{"delete_instances"}, Consent: flag}, "has disabled", "disable-tools", false},
		{"another toolset", "restart_instance", `{"instance_id":"` + stopped + `","confirm":true}`, guard.Policy{Toolsets: []string{"nodes"}}, "has not enabled the toolset", "toolsets", false},
		{"protected by id", "delete_instances", both, guard.Policy{Protect: patterns(t, "id:"+other), Consent: flag}, "has protected", "protect", true},
		{"protected by name", "delete_instances", both, guard.Policy{Protect: patterns(t, "PROD-*"), Consent: flag}, "prod-api", "protect", true},
		{"protected by region", "execute_script", scripted, guard.Policy{Protect: patterns(t, "region:11250"), Consent: flag}, "has protected", "protect", true},
		{"protected, to be restarted", "restart_instance", `{"instance_id":"` + stopped + `","confirm":true}`, guard.Policy{Protect: patterns(t, "bert-*")}, "has protected", "protect", true},
		{"not allowed", "delete_instances", both, guard.Policy{Allow: [][]guard.Pattern{patterns(t, "id:"+running)}, Consent: flag}, "prod-api", "allow", true},
		{"too many", "delete_instances", both, guard.Policy{MaxTargets: 1, Consent: flag}, "the operator allows 1", "max-targets", true},
		{"human", "delete_instances", both, guard.Policy{Consent: map[string]guard.Level{"delete_instances": guard.Human}}, "demands a human", "consent", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.policy)
			answered := 0
			for _, line := range []string{
				initialize("2025-11-25") + call(`1`, c.tool, c.arguments),
				declares("2025-11-25", asks) + call(`1`, c.tool, c.arguments),
				modernCall(`1`, `{}`, c.tool, c.arguments, ""),
				modernCall(`1`, asks, c.tool, c.arguments, ""),
				modernCall(`1`, asks, c.tool, c.arguments, responses("x", yes)),
				call(`1`, c.tool, strings.Replace(c.arguments, confirmed, "", 1)),
			} {
				if c.rule == "consent" && (strings.Contains(line, asks) || !strings.Contains(line, confirmed)) {
					continue
				}
				r := w.once(line)
				answered++
				refused(t, r.tool(t), c.says)
				refused(t, r.tool(t), "Only the operator")
				records := w.records()
				if last := records[len(records)-1]; len(records) != answered || last.Event != audit.Refused || last.Rule != c.rule || last.Tool != c.tool {
					t.Errorf("%+v", last)
				}
			}
			w.untouched()
			names := listed(t, w.server)
			if slices.Contains(names, c.tool) != c.listed {
				t.Errorf("%q are listed", names)
			}
			r := w.once(modern(`1`, "tools/list", ""))
			if strings.Contains(string(r.Result), `"`+c.tool+`"`) != c.listed {
				t.Errorf("in the newer era: %s", r.line)
			}
		})
	}
}

func listed(t *testing.T, s *Server) []string {
	t.Helper()
	var names []string
	for _, tool := range listTools(t, s) {
		names = append(names, tool.Name)
	}
	return names
}

// More targets than one call may change are not even looked up.
func TestTooManyTargets(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	ids := make([]string, guard.DefaultMaxTargets+1)
	for i := range ids {
		ids[i] = fmt.Sprintf("%032x", i)
	}
	list, _ := json.Marshal(ids)
	refused(t, w.once(call(`1`, "delete_instances", `{"instance_ids":`+string(list)+`}`)).tool(t), "11 targets in one call")
	if n := w.sent(simulator.EndpointDetail); n != 0 {
		t.Errorf("%d lookups", n)
	}
}

// The hourly budget is shared by all tools and refuses a call as a whole.
func TestBudget(t *testing.T) {
	w := newWorld(t, guard.Policy{Consent: map[string]guard.Level{"execute_script": guard.Flag, "delete_instances": guard.Flag}},
		func(s *stage) { s.MaxMutationsPerHour = 2 })
	w.outcome("execute_script", w.once(call(`1`, "execute_script", scripted)).tool(t))
	both := `{"instance_ids":["` + running + `","` + other + `"],"confirm":true}`
	refused(t, w.once(call(`1`, "delete_instances", both)).tool(t), "the hourly limit of 2 changes is reached")
	w.recorded(audit.Refused, "")
	w.outcome("delete_instances", w.once(call(`1`, "delete_instances", deletion(other, confirmed))).tool(t))
	refused(t, w.once(call(`1`, "delete_instances", deletion(running, confirmed))).tool(t), "there is room in")
	if w.changes() != 2 {
		t.Errorf("%d changes", w.changes())
	}
	w.preview("delete_instances", w.once(call(`1`, "delete_instances", deletion(running, ""))).tool(t), "delete 1") // costs nothing
}

// Every error of a tool that changes something is a tool error without data, in both eras.
func TestErrorsHaveNoData(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	const gone = "00000000000000000000000000000000"
	for _, c := range []struct{ tool, arguments string }{
		{"delete_instances", `{}`}, {"delete_instances", `{"instance_ids":[]}`}, {"delete_instances", `{"instance_ids":5}`}, {"delete_instances", `[]`},
		{"delete_instances", deletion("prod", "")}, {"delete_instances", deletion(running, `,"confirm":"perhaps"`)},
		{"delete_instances", deletion(running, `,"region":"nowhere"`)}, {"delete_instances", deletion("a/../b", "")},
		{"execute_script", `{"instance_ids":["` + running + `"]}`}, {"execute_script", `{"instance_ids":["` + gone + `"],"script":"date"}`},
		{"execute_script", `{"instance_ids":["` + running + `"],"script":""}`}, {"execute_script", `{"instance_ids":["` + running + `"],"script":"date","canary":3}`},
		{"restart_instance", `{"instance_id":"` + gone + `"}`}, {"restart_instance", `{"instance_id":"` + running + `"}`}, {"restart_instance", `{"instance_id":"` + running + `","wait_seconds":51}`},
	} {
		for _, line := range []string{call(`1`, c.tool, c.arguments), modernCall(`1`, asks, c.tool, c.arguments, "")} {
			if r := w.once(line).tool(t); !r.IsError || r.Structured != nil || !strings.Contains(r.Content[0].Text, "Nothing was") {
				t.Errorf("%s %s: %+v", c.tool, c.arguments, r)
			}
		}
	}
	w.untouched()
	w.sim.Inject(simulator.Fault{Endpoint: simulator.EndpointDetail, Code: "716020"})
	for _, r := range []toolResult{
		w.once(call(`1`, "delete_instances", deletion(running, ""))).tool(t), w.once(call(`1`, "execute_script", scripted)).tool(t),
	} {
		refused(t, r, "716020")
	}
	w.untouched()
}

// What the model is told at the start is about the tools that the policy offers.
func TestInstructionsFollowThePolicy(t *testing.T) {
	for _, c := range []struct {
		policy guard.Policy
		says   string
	}{
		{guard.Policy{}, "show the user the preview"},
		{guard.Policy{ReadOnly: true}, "nothing can be changed"},
		{guard.Policy{DisabledTools: []string{"delete_instances", "execute_script"}}, "show the user the preview"},
		{guard.Policy{Toolsets: []string{"nodes"}}, "nothing can be changed"},
	} {
		box := toolbox.New(toolbox.Rules{Policy: c.policy}, tools.Instances{}.Tools())
		var offered []string
		for _, tool := range (tools.Instances{}).Tools() {
			if c.policy.Offers(tool.Name, tool.Toolset, tool.Risk) == nil {
				offered = append(offered, tool.Name)
			}
		}
		slices.Sort(offered)
		s := New(Options{Name: "scnet", Version: "1", Toolbox: box, Log: zerolog.New(io.Discard)})
		if names := listed(t, s); !slices.Equal(names, offered) {
			t.Errorf("%q are listed, want %q", names, offered)
		}
		for _, line := range []string{initialize("2025-11-25"), modern(`1`, "server/discover", "")} {
			told := decode[struct{ Instructions string }](t, run(t, s, line)[0].Result).Instructions
			if !strings.Contains(told, c.says) {
				t.Errorf("%q is not said: %s", c.says, told)
			}
			for _, tool := range (tools.Instances{}).Tools() {
				if tool.Risk != guard.Read && strings.Contains(told, tool.Name) != slices.Contains(offered, tool.Name) {
					t.Errorf("%s: %s", tool.Name, told)
				}
			}
		}
	}
}

// A change that the service refused is an error without reading the text, with the outcome of each target in it all the same.
func TestAFailedChangeIsAnError(t *testing.T) {
	for _, r := range routes() {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t, guard.Policy{NeverAsk: true})
			w.sim.Inject(simulator.Fault{Endpoint: simulator.EndpointDelete, Code: "716866"})
			client := r.connect(w, nil)
			defer client.hangUp()
			token := w.preview("delete_instances", client.must("delete_instances", deletion(running, "")), "delete 1 instance")
			result := client.must("delete_instances", deletion(running, with(token)))
			if out := w.structured("delete_instances", result); !result.IsError || out.State != "failed" {
				t.Errorf("isError %v, state %q", result.IsError, out.State)
			}
		})
	}
}
