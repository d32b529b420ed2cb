package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

var legacyVersions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// modern is a request of the era without handshake; params are further members of its params.
func modern(id, method, params string) string {
	if params != "" {
		params += ","
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{%s"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
		`"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}}}`+"\n", id, method, params)
}

func initialize(version string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`+
		"\n"+`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n", version)
}

func decode[T any](t testing.TB, text json.RawMessage) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%.200q: %v", text, err)
	}
	return v
}

func TestHandshake(t *testing.T) {
	type result struct {
		ProtocolVersion string `json:"protocolVersion"`
		ServerInfo      struct {
			Name, Title, Version, WebsiteURL string
		} `json:"serverInfo"`
		Instructions string                     `json:"instructions"`
		Capabilities map[string]json.RawMessage `json:"capabilities"`
	}
	versions := map[string]string{"2026-07-28": "2025-11-25", "1999-01-01": "2025-11-25"} // asked for: given
	for _, v := range legacyVersions {
		versions[v] = v
	}
	for asked, given := range versions {
		s := newFakes().newServer(io.Discard)
		replies := run(t, s, initialize(asked)+call(`1`, "echo", `{"text":"a"}`))
		got := decode[result](t, replies[0].Result)
		if len(replies) != 2 || string(replies[0].ID) != `"init"` || got.ProtocolVersion != given {
			t.Errorf("%s: %s", asked, replies[0].line)
		}
		if got.ServerInfo.Name != "fake" || got.ServerInfo.Title != "Fake" || got.ServerInfo.Version != "1.2.3" ||
			got.ServerInfo.WebsiteURL != "https://example.com" || !strings.HasPrefix(got.Instructions, fakeInstructions) || got.Capabilities["tools"] == nil {
			t.Errorf("%s: %+v", asked, got)
		}
		if r := replies[1].tool(t); r.IsError {
			t.Errorf("%s: %+v", asked, r)
		}
	}
}

// The answer to initialize comes before everything that was asked after it.
func TestHandshakeComesFirst(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for range 20 {
		if replies := run(t, s, initialize("2025-11-25")+ping("1")+ping("2")); string(replies[0].ID) != `"init"` {
			t.Fatal(replies[0].line)
		}
	}
}

func TestModernEra(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	discovered := decode[struct {
		SupportedVersions []string                   `json:"supportedVersions"`
		Capabilities      map[string]json.RawMessage `json:"capabilities"`
		Instructions      string                     `json:"instructions"`
		ResultType        string                     `json:"resultType"`
	}](t, runOne(t, s, modern(`1`, "server/discover", "")).Result)
	if !slices.Contains(discovered.SupportedVersions, "2026-07-28") || discovered.Capabilities["tools"] == nil ||
		!strings.HasPrefix(discovered.Instructions, fakeInstructions) || discovered.ResultType != "complete" {
		t.Errorf("%+v", discovered)
	}

	listed := decode[struct {
		Tools      []json.RawMessage `json:"tools"`
		ResultType string            `json:"resultType"`
	}](t, runOne(t, s, modern(`"list"`, "tools/list", "")).Result)
	if len(listed.Tools) != len(newFakes().tools()) || listed.ResultType != "complete" {
		t.Errorf("%+v", listed)
	}

	r := runOne(t, s, modern(`9007199254740993`, "tools/call", `"name":"echo","arguments":{"n":9007199254740993}`))
	if string(r.ID) != `9007199254740993` || string(r.tool(t).Structured) != `{"echo":"","n":9007199254740993}` {
		t.Error(r.line)
	}
	if got := decode[struct{ ResultType string }](t, r.Result); got.ResultType != "complete" {
		t.Error(r.line)
	}
}

func TestModernEraRefusals(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for _, c := range []struct {
		line string
		code int
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, -32602},
		{strings.Replace(modern(`1`, "tools/list", ""), "2026-07-28", "2099-01-01", 1), -32022},
		{strings.Replace(modern(`1`, "tools/list", ""), `Capabilities":{}`, `Capabilities":5`, 1), -32602},
		{modern(`1`, "ping", ""), -32601},
		{modern(`1`, "initialize", ""), -32601},
		{modern(`1`, "no/such", ""), -32601},
		{modern(`1`, "tools/call", `"name":"nothing"`), -32602},
		{`{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, -32601},
	} {
		if r := runOne(t, s, strings.TrimSpace(c.line)+"\n"); string(r.ID) != "1" || r.code() != c.code {
			t.Errorf("%s: %s", c.line, r.line)
		}
	}
}

// Both eras on one connection do not disturb each other.
func TestErasMixed(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	var input strings.Builder
	input.WriteString(initialize("2024-11-05"))
	for i := range 50 {
		input.WriteString(modern(fmt.Sprintf(`"m%d"`, i), "tools/call", `"name":"echo"`))
		input.WriteString(call(fmt.Sprintf(`"l%d"`, i), "echo", `{}`))
	}
	for _, r := range run(t, s, input.String())[1:] {
		got := decode[struct{ ResultType string }](t, r.Result)
		if (got.ResultType != "") != strings.HasPrefix(string(r.ID), `"m`) {
			t.Error(r.line)
		}
	}
}

func TestSubscriptionsListen(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for range 50 {
		replies := run(t, s, modern(`"sub"`, "subscriptions/listen", `"notifications":{"toolsListChanged":true}`)+modern(`1`, "tools/list", ""))
		acknowledged, ended := -1, -1
		for i, r := range replies {
			switch {
			case r.Method == "notifications/subscriptions/acknowledged":
				acknowledged = i
			case string(r.ID) == `"sub"`:
				ended = i
			}
		}
		if len(replies) != 3 || acknowledged < 0 || ended < acknowledged {
			t.Fatalf("%+v", replies)
		}
	}
}

type listedTool struct {
	Name, Title, Description  string
	InputSchema, OutputSchema json.RawMessage
	Annotations               map[string]any
}

func listTools(t testing.TB, s *Server) []listedTool {
	t.Helper()
	result, err := s.ListTools(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return decode[struct{ Tools []listedTool }](t, result).Tools
}

// offered are servers of everything that is offered in reality, and one of the fakes.
func offered() map[string]*Server {
	servers := map[string]*Server{"fakes": newFakes().newServer(io.Discard)}
	one, err := scnet.New(scnet.Config{Token: scnet.NewSecret("token"), AIURL: "https://ai.test", Region: "11250"})
	if err != nil {
		panic(err)
	}
	for name, offered := range map[string][]toolbox.Tool{"many regions": tools.Catalogue(), "one region": tools.Instances{SCNet: one}.Tools()} {
		servers[name] = New(Options{Name: "s", Version: "1", Toolbox: toolbox.New(toolbox.Rules{}, offered)})
	}
	return servers
}

func TestListToolsIsPortable(t *testing.T) {
	for name, s := range offered() {
		for _, tool := range listTools(t, s) {
			for kind, schema := range map[string]json.RawMessage{"input": tool.InputSchema, "output": tool.OutputSchema} {
				for _, finding := range schemas.Lint(schema) {
					t.Errorf("%s: %s of %s: %s", name, kind, tool.Name, finding)
				}
			}
			if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`).MatchString(tool.Name) || tool.Title == "" || tool.Description == "" {
				t.Errorf("%s: %+v", name, tool)
			}
		}
	}
}

func TestListToolsIsDeterministic(t *testing.T) {
	for name, s := range offered() {
		first, err := s.ListTools(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again, err := offered()[name].ListTools(t.Context())
		if err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s: two servers list other tools (%v)", name, err)
		}
		r := runOne(t, s, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`+"\n")
		if !bytes.Equal(first, r.Result) {
			t.Errorf("%s: stdio lists other tools", name)
		}
		listed := listTools(t, s)
		if !slices.IsSortedFunc(listed, func(a, b listedTool) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%s: the tools are not sorted", name)
		}
	}
}

func TestAnnotations(t *testing.T) {
	risks := map[string]guard.Risk{}
	for _, tool := range newFakes().tools() {
		risks[tool.Name] = tool.Risk
	}
	for _, tool := range listTools(t, newFakes().newServer(io.Discard)) {
		risk := risks[tool.Name]
		for hint, want := range map[string]bool{
			"readOnlyHint": risk == guard.Read, "destructiveHint": risk == guard.Destructive,
			"idempotentHint": risk == guard.Read, "openWorldHint": true,
		} {
			if got, ok := tool.Annotations[hint].(bool); !ok || got != want {
				t.Errorf("%s: %s is %v", tool.Name, hint, tool.Annotations[hint])
			}
		}
	}
}

func TestResultsFitTheirSchema(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for _, tool := range listTools(t, s) {
		if tool.Name != "echo" {
			continue
		}
		document, err := validator.UnmarshalJSON(bytes.NewReader(tool.OutputSchema))
		if err != nil {
			t.Fatal(err)
		}
		compiler := validator.NewCompiler()
		if err := compiler.AddResource("output.json", document); err != nil {
			t.Fatal(err)
		}
		schema, err := compiler.Compile("output.json")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"", "a", "<&>\u2028编号\\\"\x7f", strings.Repeat("x", 100000)} {
			arguments, _ := json.Marshal(textInput{Text: text, N: 9007199254740993})
			r := runOne(t, s, call(`1`, "echo", string(arguments))).tool(t)
			structured, err := validator.UnmarshalJSON(bytes.NewReader(r.Structured))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(structured); err != nil {
				t.Error(err)
			}
			got := decode[textOutput](t, r.Structured)
			if want := (textOutput{Echo: text, N: 9007199254740993}); r.IsError || got != want || r.Content[0].Text != want.Text(lang.English) {
				t.Errorf("%.300q became %.300q", text, r.Structured)
			}
		}
		return
	}
	t.Error("no tool was tried")
}

func TestHugeResult(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	const size = 1 << 20
	if r := runOne(t, s, call(`1`, "huge", fmt.Sprintf(`{"n":%d}`, size))).tool(t); len(decode[textOutput](t, r.Structured).Echo) != size {
		t.Error("the result is cut")
	}
}

func TestToolErrors(t *testing.T) {
	var log bytes.Buffer
	s := newFakes().newServer(&log)
	for _, c := range []struct{ tool, arguments, want string }{
		{"fail", `{}`, errTool.Error()},
		{"echo", `{"n":"many"}`, "n"},
		{"echo", `{"txt":"a"}`, "text"},
		{"echo", `[1]`, "Nothing was sent"},
		{"panic", `{}`, "error id"},
		{"broken", `{}`, "error id"},
	} {
		log.Reset()
		r := runOne(t, s, call(`1`, c.tool, c.arguments))
		got := r.tool(t)
		if !got.IsError || got.Structured != nil || !strings.Contains(got.Content[0].Text, c.want) {
			t.Errorf("%s %s: %s", c.tool, c.arguments, r.line)
		}
		if strings.Contains(r.line, panicText) || strings.Contains(r.line, ".go:") {
			t.Errorf("%s: the reply tells what only the log should: %s", c.tool, r.line)
		}
		if _, id, found := strings.Cut(got.Content[0].Text, "error id "); found {
			if id, _, _ = strings.Cut(id, ")"); len(id) != 10 || !strings.Contains(log.String(), id) {
				t.Errorf("%s: the log does not explain %q: %s", c.tool, id, log.String())
			}
		}
		if c.tool == "panic" && (!strings.Contains(log.String(), panicText) || !strings.Contains(log.String(), "fake_test.go")) {
			t.Errorf("the log does not tell about the panic: %s", log.String())
		}
	}
}

// A panic outside of tools becomes a reply too.
func TestPanicInServer(t *testing.T) {
	var log bytes.Buffer
	s := newFakes().newServer(&log)
	s.mcp = nil
	m, _, problem := readMessage([]byte(strings.TrimSpace(ping(`"id"`))))
	if problem != nil {
		t.Fatal(problem)
	}
	reply, err := json.Marshal(s.answer(t.Context(), m))
	if err != nil {
		t.Fatal(err)
	}
	r := parse(t, reply)
	if string(r.ID) != `"id"` || r.code() != -32603 || strings.Contains(r.line, "nil pointer") {
		t.Error(r.line)
	}
	_, id, _ := strings.Cut(r.Error.Message, "error id ")
	if id = strings.TrimSuffix(id, ")"); id == "" || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "nil pointer") {
		t.Errorf("the log does not explain %q: %s", id, log.String())
	}
}
