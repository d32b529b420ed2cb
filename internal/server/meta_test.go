package server

import (
	"encoding/json"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// Every error says for programs what it is.
func TestErrorsHaveMeta(t *testing.T) {
	pattern, err := guard.ParsePattern("id:" + running)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, guard.Policy{Protect: []guard.Pattern{pattern}})
	for name, c := range map[string]struct{ tool, arguments, want string }{
		"arguments": {"list_instances", `{"limit":"x"}`, `{"kind":"argument","retryable":false}`},
		"policy":    {"delete_instances", deletion(running, ""), `{"code":"protect","kind":"policy","retryable":false}`},
	} {
		r := w.once(initialize("2025-11-25"), call(`1`, c.tool, c.arguments)).tool(t)
		if got, _ := json.Marshal(r.Meta); !r.IsError || string(got) != c.want {
			t.Errorf("%s: _meta is %s, want %s", name, got, c.want)
		}
	}
}

// What the service says of an error reaches the program behind every transport: of an error without data, and of a result
// whose targets failed. A result that is not an error says nothing of the kind.
func TestServiceErrorsHaveMeta(t *testing.T) {
	for name, c := range map[string]struct {
		fault     simulator.Fault
		tool      string
		arguments string
		confirm   bool   // a preview comes first
		state     string // of the data; "": there is none
		want      string
	}{
		"refused": {simulator.Fault{Endpoint: simulator.EndpointRestart, Code: "716868"}, "restart_instance",
			`{"instance_id":"` + stopped + `","confirm":true}`, false, "", `{"code":"716868","http_status":200,"kind":"refused","retryable":false}`},
		"not permitted": {simulator.Fault{Endpoint: simulator.EndpointGroups, Code: "10009"}, "list_resources",
			`{"kind":"groups"}`, false, "", `{"code":"10009","http_status":200,"kind":"permission","retryable":false}`},
		"not there": {simulator.Fault{Endpoint: simulator.EndpointMounts, Status: 503}, "list_resources",
			`{"kind":"mounts"}`, false, "", `{"http_status":503,"kind":"unavailable","retryable":true}`},
		"targets refused": {simulator.Fault{Endpoint: simulator.EndpointDelete, Code: "716866"}, "delete_instances",
			deletion(running, ""), true, "failed", `{"code":"716866","http_status":200,"kind":"refused","retryable":false}`},
		"targets unknown": {simulator.Fault{Endpoint: simulator.EndpointExecute, Status: 503}, "execute_script",
			`{"instance_ids":["` + running + `"],"script":"date","capture":"off"}`, true, "unknown",
			`{"http_status":503,"kind":"unavailable","retryable":false}`},
		"not an error": {simulator.Fault{Endpoint: simulator.EndpointDelete, Code: "716866", After: 1}, "delete_instances",
			deletion(running, ""), true, "done", `{}`},
	} {
		for _, r := range routes() {
			t.Run(name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, guard.Policy{})
				w.sim.Inject(c.fault)
				client := r.connect(w, nil)
				defer client.hangUp()
				arguments := c.arguments
				if c.confirm {
					token := w.preview(c.tool, client.must(c.tool, arguments), "would")
					arguments = arguments[:len(arguments)-1] + with(token) + "}"
				}
				result := client.must(c.tool, arguments)
				delete(result.Meta, "io.modelcontextprotocol/serverInfo") // which the modern era adds to every result
				if result.Meta == nil {
					result.Meta = map[string]any{}
				}
				if got, _ := json.Marshal(result.Meta); string(got) != c.want || result.IsError != (c.want != "{}") {
					t.Errorf("error %v, _meta %s, want %s: %+v", result.IsError, got, c.want, result.Content)
				}
				if (result.Structured == nil) != (c.state == "") || c.state != "" && w.structured(c.tool, result).State != c.state {
					t.Errorf("data %s, want state %q", result.Structured, c.state)
				}
			})
		}
	}
}
