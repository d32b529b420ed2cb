package server

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// reader asks a server for what is not a tool, in one way.
type reader struct {
	name   string
	modern bool
	ask    func(method, params string) reply
}

// readers are the transports in both eras.
func readers(w *world) []reader {
	legacy := func(method, params string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`+"\n", method, params)
	}
	listener, _ := serveHTTP(w)
	s := &site{t: w.t, url: listener.URL, client: listener.Client()}
	session := s.shakeHands()
	return []reader{
		{"stdio, legacy", false, func(method, params string) reply {
			return w.once(initialize("2025-11-25"), legacy(method, params))
		}},
		{"stdio, modern", true, func(method, params string) reply { return w.once(modern(`1`, method, params)) }},
		{"HTTP, legacy", false, func(method, params string) reply {
			return parse(w.t, s.post(legacy(method, params), session...).body)
		}},
		{"HTTP, modern", true, func(method, params string) reply {
			return parse(w.t, s.post(modern(`1`, method, params), newEraHeaders(method, nameIn(method, params))...).body)
		}},
	}
}

// nameIn is what the header Mcp-Name has to say.
func nameIn(method, params string) string {
	var named struct{ Name, URI string }
	_ = json.Unmarshal([]byte("{"+params+"}"), &named)
	switch method {
	case "prompts/get":
		return named.Name
	case "resources/read":
		return named.URI
	}
	return ""
}

// library is any result of the library's methods.
type library struct {
	ResultType string
	TTLMs      *int
	CacheScope string
	Meta       map[string]json.RawMessage `json:"_meta"`

	Capabilities map[string]json.RawMessage
	ServerInfo   struct {
		Description string
		Icons       []struct{ Src, MIMEType string }
	}

	Prompts []struct {
		Name      string
		Arguments []struct{ Name string }
	}
	Messages []struct {
		Role    string
		Content struct{ Type, Text string }
	}
	Resources []struct {
		URI, Name, MIMEType string
		Size                int
	}
	ResourceTemplates []struct{ URITemplate string }
	Contents          []struct{ URI, MIMEType, Text string }
	Completion        struct{ Values []string }
	Skills            []skill
	Skill             skill
}

func (r reader) library(t *testing.T, method, params string) library {
	t.Helper()
	answer := r.ask(method, params)
	if answer.code() != 0 {
		t.Fatalf("%s: %s: %s", r.name, method, answer.line)
	}
	return decode[library](t, answer.Result)
}

// fresh checks how long a result may be kept.
func (l library) fresh(t *testing.T, r reader, method string, ttl int) {
	t.Helper()
	if !r.modern {
		if l.TTLMs != nil || l.ResultType != "" || l.Meta != nil {
			t.Errorf("%s: %s has what only the newer era knows", r.name, method)
		}
		return
	}
	if l.ResultType != "complete" || l.TTLMs == nil || *l.TTLMs != ttl || l.CacheScope != "private" ||
		l.Meta["io.modelcontextprotocol/serverInfo"] == nil {
		t.Errorf("%s: %s: %+v", r.name, method, l)
	}
}

// Prompts, resources, completions and skills are the same over every transport and in both eras.
func TestLibrary(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	const fiveMinutes = 300_000
	for _, r := range readers(w) {
		prompts := r.library(t, "prompts/list", "")
		prompts.fresh(t, r, "prompts/list", fiveMinutes)
		var names []string
		for _, p := range prompts.Prompts {
			names = append(names, p.Name)
		}
		if want := []string{"check_instances", "why_not_running", "rollout_script", "clean_up"}; !slices.Equal(names, want) {
			t.Errorf("%s: %q, want %q", r.name, names, want)
		}

		got := r.library(t, "prompts/get", `"name":"why_not_running","arguments":{"instance":"bert-eval"}`)
		if len(got.Messages) != 2 || got.Messages[0].Role != "user" || !strings.Contains(got.Messages[0].Content.Text, `- instance: "bert-eval"`) ||
			!strings.Contains(got.Messages[1].Content.Text, "~~~\n\"bert-eval\" ("+stopped+")") {
			t.Errorf("%s: %+v", r.name, got.Messages)
		}

		listed := r.library(t, "resources/list", "")
		listed.fresh(t, r, "resources/list", fiveMinutes)
		templates := r.library(t, "resources/templates/list", "")
		templates.fresh(t, r, "resources/templates/list", fiveMinutes)
		if len(listed.Resources) != 7 || len(templates.ResourceTemplates) != 1 || templates.ResourceTemplates[0].URITemplate != "scnet://instances/{id}" {
			t.Errorf("%s: %+v, %+v", r.name, listed.Resources, templates.ResourceTemplates)
		}
		for _, resource := range listed.Resources {
			read := r.library(t, "resources/read", fmt.Sprintf(`"uri":%q`, resource.URI))
			keep := fiveMinutes
			if resource.URI == "scnet://policy" {
				keep = 0
			}
			read.fresh(t, r, resource.URI, keep)
			if len(read.Contents) != 1 || read.Contents[0].URI != resource.URI || read.Contents[0].MIMEType != resource.MIMEType ||
				resource.Size > 0 && len(read.Contents[0].Text) != resource.Size {
				t.Errorf("%s: %+v is read as %+v", r.name, resource, read.Contents)
			}
		}
		instance := r.library(t, "resources/read", `"uri":"scnet://instances/`+running+`"`)
		instance.fresh(t, r, "an instance", 0)
		if !strings.Contains(instance.Contents[0].Text, `"id":"`+running+`"`) {
			t.Errorf("%s: %+v", r.name, instance.Contents)
		}

		completed := r.library(t, "completion/complete", `"ref":{"type":"ref/prompt","name":"why_not_running"},"argument":{"name":"instance","value":"bert"}`)
		if !slices.Equal(completed.Completion.Values, []string{"bert-eval"}) {
			t.Errorf("%s: %+v", r.name, completed.Completion)
		}
		completed = r.library(t, "completion/complete", `"ref":{"type":"ref/resource","uri":"scnet://instances/{id}"},"argument":{"name":"id","value":"prod"}`)
		if !slices.Equal(completed.Completion.Values, []string{other}) {
			t.Errorf("%s: %+v", r.name, completed.Completion)
		}
		checkSkills(t, r)
	}
	w.untouched()
}

func checkSkills(t *testing.T, r reader) {
	t.Helper()
	list := r.library(t, "skills/list", "")
	list.fresh(t, r, "skills/list", 300_000)
	if len(list.Skills) != 4 {
		t.Errorf("%s: %+v", r.name, list.Skills)
	}
	for _, s := range list.Skills {
		one := r.library(t, "skills/get", fmt.Sprintf(`"uri":%q`, s.URI))
		one.fresh(t, r, "skills/get", 300_000)
		text := r.library(t, "resources/read", fmt.Sprintf(`"uri":%q`, s.URI)).Contents[0].Text
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
		if fmt.Sprint(one.Skill) != fmt.Sprint(s) || len(s.Resources) != 1 || s.Resources[0] != (skillResource{s.URI, digest, len(text)}) {
			t.Errorf("%s: %+v and %+v of a file with %s", r.name, s, one.Skill, digest)
		}
	}
}

// What the server says of itself comes once, and not with every result.
func TestIntroduction(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	s := New(Options{
		Name: "scnet", Version: "1", Description: "What it is.", Icon: "<svg/>", Library: w.server.library, Toolbox: w.server.tools,
	})
	w.server = s
	hello := decode[library](t, run(t, s, initialize("2025-11-25"))[0].Result)
	discovered := decode[library](t, w.once(modern(`1`, "server/discover", "")).Result)
	if err := json.Unmarshal(discovered.Meta["io.modelcontextprotocol/serverInfo"], &discovered.ServerInfo); err != nil {
		t.Fatal(err)
	}
	for _, got := range []library{hello, discovered} {
		if got.ServerInfo.Description != "What it is." || len(got.ServerInfo.Icons) != 1 || got.ServerInfo.Icons[0].Src != "data:image/svg+xml;base64,PHN2Zy8+" {
			t.Errorf("%+v", got.ServerInfo)
		}
		for _, name := range []string{"tools", "prompts", "resources", "completions", "extensions"} {
			if got.Capabilities[name] == nil {
				t.Errorf("%s is not declared: %v", name, got.Capabilities)
			}
		}
		if string(got.Capabilities["extensions"]) != `{"io.modelcontextprotocol/skills":{}}` {
			t.Errorf("%s", got.Capabilities["extensions"])
		}
	}
	for _, line := range []string{modern(`1`, "tools/list", ""), modern(`1`, "prompts/list", ""), modernCall(`1`, `{}`, "list_instances", `{}`, "")} {
		if r := w.once(line); strings.Contains(r.line, "svg+xml") || r.code() != 0 {
			t.Error(r.line)
		}
	}
}

func TestLibraryErrors(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	gone := strings.Repeat("0", 32)
	for _, r := range readers(w) {
		notFound := mcp.RESOURCE_NOT_FOUND
		if r.modern {
			notFound = mcp.INVALID_PARAMS
		}
		for _, c := range []struct {
			method, params string
			code           int
			says           string
		}{
			{"prompts/get", `"name":"nope"`, mcp.INVALID_PARAMS, "there are: check_instances"},
			{"prompts/get", `"name":"why_not_running"`, mcp.INVALID_PARAMS, "instance is missing"},
			{"prompts/get", `"name":"why_not_running","arguments":{"instance":5,"other":1}`, mcp.INVALID_PARAMS, "instance must be a text; \\\"other\\\" is not an argument"},
			{"prompts/get", `"name":"why_not_running","arguments":{"instance":"nope"}`, mcp.INVALID_PARAMS, "neither the id nor the name"},
			{"prompts/get", `"name":"check_instances","arguments":[]`, mcp.INVALID_PARAMS, "not of the form"},
			{"prompts/list", `"cursor":"x"`, mcp.INVALID_PARAMS, "not of the form"},
			{"resources/read", `"uri":"scnet://nope"`, notFound, `"data":{"uri":"scnet://nope"}`},
			{"resources/read", `"uri":"scnet://instances/` + gone + `"`, notFound, `"data":{"uri":"scnet://instances/` + gone},
			{"resources/read", `"uri":"scnet://instances/a%2Fb"`, notFound, "is not offered"},
			{"resources/read", `"uri":"skill://scnet-mcp/nope/SKILL.md"`, notFound, "is not offered"},
			{"skills/get", `"uri":"skill://scnet-mcp/nope/SKILL.md"`, mcp.INVALID_PARAMS, "is not offered"},
			{"skills/get", `"uri":"scnet://regions"`, mcp.INVALID_PARAMS, "is not offered"},
			{"completion/complete", `"ref":{"type":"ref/prompt","name":"nope"},"argument":{"name":"a","value":""}`, mcp.INVALID_PARAMS, "is not offered"},
			{"completion/complete", `"ref":{"type":"ref/other"},"argument":{"name":"a","value":""}`, mcp.INVALID_PARAMS, "not of the form"},
			{"completion/complete", ``, mcp.INVALID_PARAMS, "not of the form"},
			{"resources/subscribe", `"uri":"scnet://policy"`, mcp.METHOD_NOT_FOUND, ""},
			{"resources/directory/read", `"uri":"skill://scnet-mcp/clean-up"`, mcp.METHOD_NOT_FOUND, ""},
		} {
			if got := r.ask(c.method, c.params); got.code() != c.code || !strings.Contains(got.line, c.says) {
				t.Errorf("%s: %s %s: %s", r.name, c.method, c.params, got.line)
			}
		}
	}
	w.untouched()
}

// While the service fails, prompts say so, resources fail, and completions are empty.
func TestLibraryWithoutService(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	for _, r := range readers(w) {
		w.sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Code: "10009"})
		w.sim.Inject(simulator.Fault{Endpoint: simulator.EndpointDetail, Code: "10009"})
		got := r.library(t, "prompts/get", `"name":"check_instances"`)
		if len(got.Messages) != 2 || !strings.Contains(got.Messages[1].Content.Text, "could not read anything just now") {
			t.Errorf("%s: %+v", r.name, got.Messages)
		}
		if got := r.ask("resources/read", `"uri":"scnet://instances/`+running+`"`); got.code() != mcp.INTERNAL_ERROR || !strings.Contains(got.line, "10009") {
			t.Errorf("%s: %s", r.name, got.line)
		}
		values := r.library(t, "completion/complete", `"ref":{"type":"ref/prompt","name":"clean_up"},"argument":{"name":"name","value":"b"}`)
		if values.Completion.Values == nil || len(values.Completion.Values) > 0 {
			t.Errorf("%s: %+v", r.name, values.Completion)
		}
		w.sim.ClearFaults()
	}
}

// What the policy withholds is neither listed nor read, nor told by way of something else.
func TestLibraryFollowsThePolicy(t *testing.T) {
	const nothing = "nothing"
	for _, c := range []struct {
		name    string
		policy  guard.Policy
		prompts []string
		listed  string // of the instances: yes, nothing
	}{
		{"read-only", guard.Policy{ReadOnly: true}, []string{"check_instances", "why_not_running"}, ""},
		{"no deletion", guard.Policy{DisabledTools: []string{"delete_instances"}}, []string{"check_instances", "why_not_running", "rollout_script"}, ""},
		{"no list", guard.Policy{DisabledTools: []string{"list_instances"}}, []string{"why_not_running"}, ""},
		{"another toolset", guard.Policy{Toolsets: []string{"workspace"}}, nil, nothing},
	} {
		w := newWorld(t, c.policy)
		for _, r := range readers(w) {
			var names, uris []string
			for _, p := range r.library(t, "prompts/list", "").Prompts {
				names = append(names, p.Name)
			}
			if !slices.Equal(names, c.prompts) {
				t.Errorf("%s, %s: %q, want %q", c.name, r.name, names, c.prompts)
			}
			if n := len(r.library(t, "skills/list", "").Skills); n != len(c.prompts) {
				t.Errorf("%s, %s: %d skills", c.name, r.name, n)
			}
			for _, resource := range r.library(t, "resources/list", "").Resources {
				uris = append(uris, resource.URI)
			}
			if slices.Contains(uris, "scnet://error-codes") != (c.listed != nothing) || !slices.Contains(uris, "scnet://policy") {
				t.Errorf("%s, %s: %q", c.name, r.name, uris)
			}
			for _, request := range [][2]string{
				{"prompts/get", `"name":"clean_up"`}, {"skills/get", `"uri":"skill://scnet-mcp/clean-up/SKILL.md"`},
				{"resources/read", `"uri":"skill://scnet-mcp/clean-up/SKILL.md"`},
				{"completion/complete", `"ref":{"type":"ref/prompt","name":"clean_up"},"argument":{"name":"name","value":""}`},
			} {
				if got := r.ask(request[0], request[1]); got.code() == 0 {
					t.Errorf("%s, %s: %s: %s", c.name, r.name, request[0], got.line)
				}
			}
			if got := r.ask("resources/read", `"uri":"scnet://instances/`+running+`"`); (got.code() != 0) != (c.listed == nothing) {
				t.Errorf("%s, %s: %s", c.name, r.name, got.line)
			}
			policy := r.library(t, "resources/read", `"uri":"scnet://policy"`).Contents[0].Text
			for _, tool := range w.server.tools.Withheld() {
				if strings.Contains(policy, tool.Name) {
					t.Errorf("%s, %s: %s: %s", c.name, r.name, tool.Name, policy)
				}
			}
		}
		if lists := w.sent(simulator.EndpointList); c.listed == nothing && lists > 0 {
			t.Errorf("%s: %d lists", c.name, lists)
		}
	}
}

// Over HTTP the caller's own policy counts, and another caller's does not show.
func TestLibraryOfACaller(t *testing.T) {
	w := newWorld(t, guard.Policy{Protect: patterns(t, "name:prod-*"), MaxTargets: 7})
	narrow := guard.Policy{Caller: "narrow", ReadOnly: true, MaxTargets: 3, Toolsets: []string{"instances"}}
	strange := guard.Policy{Caller: "strange", DisabledTools: []string{"get_instance"}, Allow: [][]guard.Pattern{patterns(t, "name:secret-team-*")}}
	boxes := map[string]guard.Policy{"narrow": narrow, "strange": strange}
	listener, _ := serveHTTP(w, func(o *HTTPOptions) {
		o.Authenticate = func(token string) (Caller, bool) {
			policy, known := boxes[token]
			return Caller{Name: token, Toolbox: w.server.tools.ForCaller(token, policy, guard.Fixed(policy), 5)}, known
		}
	})
	s := &site{t: t, url: listener.URL, client: listener.Client()}
	ask := func(token, method, params string) reply {
		headers := newEraHeaders(method, nameIn(method, params), "Authorization", "Bearer "+token)
		return parse(t, s.post(modern(`1`, method, params), headers...).body)
	}
	for token, want := range map[string]string{
		"narrow":  `"read_only":true`,
		"strange": `"read_only":false`,
	} {
		policy := decode[library](t, ask(token, "resources/read", `"uri":"scnet://policy"`).Result).Contents[0].Text
		if !strings.Contains(policy, want) || strings.Contains(policy, "prod-") || strings.Contains(policy, "secret-team") ||
			!strings.Contains(policy, `"max_mutations_per_hour":5`) || !strings.Contains(policy, `"protects_some_instances":true`) ||
			strings.Contains(policy, `"max_targets":3`) != (token == "narrow") ||
			strings.Contains(policy, `"allows_changes_of_some_instances_only":true`) != (token == "strange") ||
			strings.Contains(policy, "delete_instances") != (token == "strange") || strings.Contains(policy, "get_instance") != (token == "narrow") {
			t.Errorf("%s: %s", token, policy)
		}
		if got := ask(token, "resources/read", `"uri":"scnet://instances/`+running+`"`); (got.code() == 0) != (token == "narrow") {
			t.Errorf("%s: %s", token, got.line)
		}
		if got := ask(token, "prompts/get", `"name":"clean_up"`); got.code() == 0 {
			t.Errorf("%s: %s", token, got.line)
		}
	}
}

// Neither access addresses nor start scripts are told, whatever the policy allows.
func TestLibraryTellsNoSecrets(t *testing.T) {
	const script = "export TOKEN=hunter2"
	w := newWorld(t, guard.Policy{AllowAccessURLs: true})
	w.sim.AddInstance("11250", simulator.Instance{
		ID: strings.Repeat("e", 32), Name: "with-secrets", Status: simulator.Running, TaskType: "jupyter", UseStartScript: true, StartScriptContent: script,
	})
	for _, r := range readers(w) {
		for _, got := range []reply{
			r.ask("resources/read", `"uri":"scnet://instances/`+strings.Repeat("e", 32)+`"`),
			r.ask("prompts/get", `"name":"why_not_running","arguments":{"instance":"with-secrets"}`),
			r.ask("prompts/get", `"name":"check_instances"`),
			r.ask("completion/complete", `"ref":{"type":"ref/prompt","name":"clean_up"},"argument":{"name":"name","value":"with"}`),
		} {
			if got.code() != 0 || strings.Contains(got.line, "hunter2") || !strings.Contains(got.line, "with-secrets") || strings.Contains(got.line, "http://") {
				t.Errorf("%s: %s", r.name, got.line)
			}
		}
	}
	if n := w.sent(simulator.EndpointURL); n > 0 {
		t.Errorf("%d addresses were asked for", n)
	}
}
