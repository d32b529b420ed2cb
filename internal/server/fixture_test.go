package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// fixture is a server of the tools, prompts and resources that the conformance suite looks for, behind our own transport.
type fixture struct {
	mcp   *mcpserver.MCPServer
	state string // what the client has to bring back; nobody can guess it

	mu        sync.Mutex
	listeners map[*session]listener
}

type listener struct {
	id     any // of its request
	wanted mcp.SubscriptionFilter
}

const (
	pixel   = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
	silence = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

func newFixture() *Server {
	f := &fixture{state: rand.Text(), listeners: map[*session]listener{}}
	hooks := &mcpserver.Hooks{}
	hooks.AddBeforeSubscriptionsListen(f.listen)
	f.mcp = mcpserver.NewMCPServer("fixture", "1", mcpserver.WithHooks(hooks),
		mcpserver.WithToolCapabilities(true), mcpserver.WithResourceCapabilities(true, true), mcpserver.WithPromptCapabilities(true),
		mcpserver.WithCompletions(), mcpserver.WithLogging(), mcpserver.WithElicitation())
	f.mcp.EnableSampling()
	handlers := map[string]mcpserver.ToolHandlerFunc{}
	maps.Copy(handlers, plainTools())
	maps.Copy(handlers, f.notifyingTools())
	maps.Copy(handlers, f.askingTools())
	maps.Copy(handlers, f.roundTripTools())
	for name, handler := range handlers {
		schema := fixtureSchemas[name]
		if schema == "" {
			schema = `{"type":"object","properties":{}}`
		}
		f.mcp.AddTool(mcp.NewToolWithRawSchema(name, "A tool of the conformance suite.", json.RawMessage(schema)), handler)
	}
	f.addResources()
	f.addPrompts()
	return &Server{mcp: f.mcp, tools: toolbox.New(toolbox.Rules{}, nil), log: zerolog.Nop(), attackLog: zerolog.Nop()}
}

// fixtureSchemas are the input schemas of tools that have arguments.
var fixtureSchemas = map[string]string{
	"test_sampling":      `{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]}`,
	"test_elicitation":   `{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}`,
	"test_custom_header": `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`,
	"json_schema_2020_12_tool": `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
		"$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
		"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},
			"contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},
		"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
		"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},
		"then":{"required":["phone"]},"else":{"required":["email"]},"additionalProperties":false}`,
}

// answering is a tool that always answers the same.
func answering(content ...mcp.Content) mcpserver.ToolHandlerFunc {
	return func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: content}, nil
	}
}

// plainTools answer without asking or telling the client anything.
func plainTools() map[string]mcpserver.ToolHandlerFunc {
	text := func(uri, kind, text string) mcp.Content {
		return mcp.NewEmbeddedResource(mcp.TextResourceContents{URI: uri, MIMEType: kind, Text: text})
	}
	image := mcp.NewImageContent(pixel, "image/png")
	return map[string]mcpserver.ToolHandlerFunc{
		"test_simple_text":       answering(mcp.NewTextContent("This is a simple text response for testing.")),
		"test_image_content":     answering(image),
		"test_audio_content":     answering(mcp.NewAudioContent(silence, "audio/wav")),
		"test_embedded_resource": answering(text("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
		"test_multiple_content_types": answering(mcp.NewTextContent("Multiple content types test:"), image,
			text("test://mixed-content-resource", "application/json", `{"test":"data","value":123}`)),
		"test_error_handling": func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultError("This tool intentionally returns an error for testing"), nil
		},
		"test_custom_header":       answering(mcp.NewTextContent("the headers were right")),
		"json_schema_2020_12_tool": answering(mcp.NewTextContent("the schema is what counts")),
		"test_missing_capability": func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if info := mcpserver.RequestProtocolInfoFromContext(ctx); info == nil || info.ClientCapabilities.Sampling == nil {
				return nil, mcp.MissingRequiredClientCapabilityError{Capability: "sampling"}
			}
			return mcp.NewToolResultText("sampling was declared"), nil
		},
	}
}

// notifyingTools tell the client something before their result.
func (f *fixture) notifyingTools() map[string]mcpserver.ToolHandlerFunc {
	log := func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for _, text := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			line := mcp.NewLoggingMessageNotification(mcp.LoggingLevelInfo, "fixture", text)
			if err := f.mcp.SendLogMessageToClient(ctx, line); err != nil {
				return nil, err
			}
		}
		return mcp.NewToolResultText("logged"), nil
	}
	trigger := func(method string) mcpserver.ToolHandlerFunc {
		return func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			f.tellListeners(method)
			return mcp.NewToolResultText("told"), nil
		}
	}
	return map[string]mcpserver.ToolHandlerFunc{
		"test_tool_with_logging": log,
		"test_logging_tool":      log,
		"test_tool_with_progress": func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			ctx, finish := withProgress(ctx, 0) // as every tool of the server reports it
			defer finish()
			for _, done := range []int{0, 50, 100} {
				toolbox.ReportProgress(ctx, done, 100, lang.T("a step"))
			}
			return mcp.NewToolResultText("done"), nil
		},
		"test_trigger_tool_change":   trigger(mcp.MethodNotificationToolsListChanged),
		"test_trigger_prompt_change": trigger(mcp.MethodNotificationPromptsListChanged),
	}
}

// listen keeps who asked for notifications. The server's own tools never change, so the transport need not know listeners.
func (f *fixture) listen(ctx context.Context, id any, request *mcp.SubscriptionsListenRequest) {
	own := mcpserver.ClientSessionFromContext(ctx).(*session)
	f.mu.Lock()
	f.listeners[own] = listener{id, request.Params.Notifications}
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, own)
	})
}

func (f *fixture) tellListeners(method string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for own, l := range f.listeners {
		if method == mcp.MethodNotificationToolsListChanged && l.wanted.ToolsListChanged ||
			method == mcp.MethodNotificationPromptsListChanged && l.wanted.PromptsListChanged {
			own.NotificationChannel() <- mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{
				Method: method, Params: mcp.NotificationParams{Meta: map[string]any{mcp.MetaKeySubscriptionID: l.id}},
			}}
		}
	}
}

// askingTools ask the client while their call waits, as servers did before 2026-07-28.
func (f *fixture) askingTools() map[string]mcpserver.ToolHandlerFunc {
	elicit := func(ctx context.Context, message, schema string) (*mcp.CallToolResult, error) {
		request := mcp.ElicitationRequest{Params: elicitation(message, schema)}
		request.Method = string(mcp.MethodElicitationCreate)
		answer, err := f.mcp.RequestElicitation(ctx, request)
		if err != nil {
			return nil, err
		}
		return mcp.NewToolResultText(fmt.Sprintf("action=%s, content=%v", answer.Action, answer.Content)), nil
	}
	asking := func(message, schema string) mcpserver.ToolHandlerFunc {
		return func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return elicit(ctx, message, schema)
		}
	}
	return map[string]mcpserver.ToolHandlerFunc{
		"test_sampling": func(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			own := mcpserver.ClientSessionFromContext(ctx).(*session)
			if own.request == nil {
				return nil, errors.New("the client cannot be asked")
			}
			answer, err := own.request(ctx, string(mcp.MethodSamplingCreateMessage), sampling(request.GetString("prompt", "")))
			if err != nil {
				return nil, err
			}
			var result struct{ Content mcp.TextContent }
			if err := json.Unmarshal(answer.Result, &result); err != nil {
				return nil, err
			}
			return mcp.NewToolResultText("LLM response: " + result.Content.Text), nil
		},
		"test_elicitation": func(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return elicit(ctx, request.GetString("message", ""), oneField("response", "string"))
		},
		"test_elicitation_sep1034_defaults": asking("Please check the fields", `{"type":"object","properties":{
			"name":{"type":"string","default":"John Doe"},"age":{"type":"integer","default":30},"score":{"type":"number","default":95.5},
			"status":{"type":"string","enum":["active","inactive","pending"],"default":"active"},
			"verified":{"type":"boolean","default":true}}}`),
		"test_elicitation_sep1330_enums": asking("Please choose", `{"type":"object","properties":{
			"untitledSingle":{"type":"string","enum":["option1","option2"]},
			"titledSingle":{"type":"string","oneOf":[{"const":"value1","title":"One"},{"const":"value2","title":"Two"}]},
			"legacyEnum":{"type":"string","enum":["opt1","opt2"],"enumNames":["One","Two"]},
			"untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2"]}},
			"titledMulti":{"type":"array","items":{"anyOf":[{"const":"value1","title":"One"},{"const":"value2","title":"Two"}]}}}}`),
	}
}

func elicitation(message, schema string) mcp.ElicitationParams {
	return mcp.ElicitationParams{Message: message, RequestedSchema: json.RawMessage(schema)}
}

func oneField(name, kind string) string {
	return fmt.Sprintf(`{"type":"object","properties":{%[1]q:{"type":%[2]q}},"required":[%[1]q]}`, name, kind)
}

func sampling(prompt string) mcp.CreateMessageParams {
	return mcp.CreateMessageParams{
		MaxTokens: 100, Messages: []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent(prompt)}},
	}
}

// question is one thing that a tool of roundTripTools asks the client for.
type question struct {
	key    string
	method mcp.MCPMethod
	text   string // of an elicitation or a sampling
	field  string // of an elicitation
}

func (q question) add(to *mcpserver.InputRequestBuilder) {
	switch q.method {
	case mcp.MethodElicitationCreate:
		to.Elicit(q.key, elicitation(q.text, oneField(q.field, "string")))
	case mcp.MethodSamplingCreateMessage:
		to.Sample(q.key, sampling(q.text))
	default:
		to.Roots(q.key)
	}
}

// answered reports whether the client gave the question an answer of its kind.
func (q question) answered(given mcp.InputResponses) bool {
	response, found := given[q.key]
	if !found || response.DecodeFor(q.method) != nil {
		return false
	}
	return q.method != mcp.MethodElicitationCreate || response.Elicitation.Action != ""
}

// roundTrips is a tool that asks in each of its rounds what the client answers in a call of the next.
func (f *fixture) roundTrips(withState bool, rounds ...[]question) mcpserver.ToolHandlerFunc {
	return func(_ context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		round := 0
		if state := request.Params.RequestState; state != "" {
			round = slices.IndexFunc(rounds, func(r []question) bool { return f.stateOf(r) == state })
			if round < 0 {
				return nil, errors.New("the request state is none of this server's")
			}
		}
		if !slices.ContainsFunc(rounds[round], func(q question) bool { return !q.answered(request.Params.InputResponses) }) {
			if round++; round == len(rounds) {
				return mcp.NewToolResultText("state-ok: everything was answered"), nil
			}
		}
		ask := mcpserver.NewInputRequestBuilder("")
		if withState {
			ask.RequestState(f.stateOf(rounds[round]))
		}
		for _, q := range rounds[round] {
			q.add(ask)
		}
		return ask.ToolResult(), nil
	}
}

func (f *fixture) stateOf(round []question) string { return f.state + ":" + round[0].key }

// roundTripTools ask in their result, as 2026-07-28 wants it.
func (f *fixture) roundTripTools() map[string]mcpserver.ToolHandlerFunc {
	name := question{"user_name", mcp.MethodElicitationCreate, "What is your name?", "name"}
	confirm := question{"confirm", mcp.MethodElicitationCreate, "Please confirm", "ok"}
	capital := question{"capital_question", mcp.MethodSamplingCreateMessage, "What is the capital of France?", ""}
	roots := question{"client_roots", mcp.MethodListRoots, "", ""}
	return map[string]mcpserver.ToolHandlerFunc{
		"test_input_required_result_elicitation":    f.roundTrips(false, []question{name}),
		"test_streaming_elicitation":                f.roundTrips(false, []question{name}),
		"test_input_required_result_sampling":       f.roundTrips(false, []question{capital}),
		"test_input_required_result_list_roots":     f.roundTrips(false, []question{roots}),
		"test_input_required_result_request_state":  f.roundTrips(true, []question{confirm}),
		"test_input_required_result_tampered_state": f.roundTrips(true, []question{confirm}),
		"test_input_required_result_multiple_inputs": f.roundTrips(true, []question{
			name, {"greeting", mcp.MethodSamplingCreateMessage, "Generate a greeting", ""}, roots,
		}),
		"test_input_required_result_multi_round": f.roundTrips(true,
			[]question{{"step1", mcp.MethodElicitationCreate, "Step 1: What is your name?", "name"}},
			[]question{{"step2", mcp.MethodElicitationCreate, "Step 2: What is your favorite color?", "color"}}),
		"test_input_required_result_capabilities": func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var asked []question
			declared := mcpserver.RequestProtocolInfoFromContext(ctx).ClientCapabilities
			if declared != nil && declared.Elicitation != nil {
				asked = append(asked, name)
			}
			if declared != nil && declared.Sampling != nil {
				asked = append(asked, capital)
			}
			if asked == nil {
				return mcp.NewToolResultText("the client can do nothing"), nil
			}
			return f.roundTrips(true, asked)(ctx, r)
		},
	}
}

func (f *fixture) addResources() {
	add := func(name, title string, contents mcp.ResourceContents) {
		f.mcp.AddResource(mcp.NewResource("test://"+name, name, mcp.WithResourceTitle(title), mcp.WithResourceDescription(title)),
			func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
				return []mcp.ResourceContents{contents}, nil
			})
	}
	add("static-text", "Static text", mcp.TextResourceContents{
		URI: "test://static-text", MIMEType: "text/plain", Text: "This is the content of the static text resource.",
	})
	add("static-binary", "Static image", mcp.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: pixel})
	add("watched-resource", "Watched text", mcp.TextResourceContents{
		URI: "test://watched-resource", MIMEType: "text/plain", Text: "Nothing has happened.",
	})
	f.mcp.AddResourceTemplate(mcp.NewResourceTemplate("test://template/{id}/data", "template", mcp.WithTemplateDescription("By id")),
		func(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			id := strings.TrimSuffix(strings.TrimPrefix(r.Params.URI, "test://template/"), "/data")
			text := fmt.Sprintf(`{"id":%q,"templateTest":true,"data":%q}`, id, "Data for ID: "+id)
			return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: "application/json", Text: text}}, nil
		})
}

func (f *fixture) addPrompts() {
	add := func(prompt mcp.Prompt, contents func(arguments map[string]string) []mcp.Content) {
		f.mcp.AddPrompt(prompt, func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			result := &mcp.GetPromptResult{}
			for _, content := range contents(r.Params.Arguments) {
				result.Messages = append(result.Messages, mcp.NewPromptMessage(mcp.RoleUser, content))
			}
			return result, nil
		})
	}
	wants := func(name string) mcp.PromptOption {
		return mcp.WithArgument(name, mcp.ArgumentDescription("An argument"), mcp.RequiredArgument())
	}
	prompt := func(name string, options ...mcp.PromptOption) mcp.Prompt {
		return mcp.NewPrompt(name, append(options, mcp.WithPromptDescription("A prompt of the conformance suite."))...)
	}
	add(prompt("test_simple_prompt"), func(map[string]string) []mcp.Content {
		return []mcp.Content{mcp.NewTextContent("This is a simple prompt for testing.")}
	})
	add(prompt("test_prompt_with_arguments", wants("arg1"), wants("arg2")), func(a map[string]string) []mcp.Content {
		return []mcp.Content{mcp.NewTextContent(fmt.Sprintf("arg1='%s', arg2='%s'", a["arg1"], a["arg2"]))}
	})
	add(prompt("test_prompt_with_embedded_resource", wants("resourceUri")), func(a map[string]string) []mcp.Content {
		return []mcp.Content{mcp.NewEmbeddedResource(mcp.TextResourceContents{
			URI: a["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing.",
		}), mcp.NewTextContent("Please process the embedded resource above.")}
	})
	add(prompt("test_prompt_with_image"), func(map[string]string) []mcp.Content {
		return []mcp.Content{mcp.NewImageContent(pixel, "image/png"), mcp.NewTextContent("Please analyze the image above.")}
	})
	f.mcp.AddPrompt(prompt("test_input_required_result_prompt"), f.askingPrompt)
}

// askingPrompt asks in its result.
func (f *fixture) askingPrompt(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	q := question{"user_context", mcp.MethodElicitationCreate, "What context should the prompt use?", "context"}
	if q.answered(r.Params.InputResponses) {
		text := mcp.NewTextContent("a prompt with context")
		return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, text)}}, nil
	}
	ask := mcpserver.NewInputRequestBuilder("")
	q.add(ask)
	return ask.PromptResult(), nil
}

// fixtureLevels are the log levels that sessions asked for. A session itself keeps none: no tool of the server logs to its
// client.
var fixtureLevels sync.Map // mcp.LoggingLevel by session id

var _ mcpserver.SessionWithLogging = (*session)(nil)

func (s *session) SetLogLevel(level mcp.LoggingLevel) { fixtureLevels.Store(s.id, level) }

func (s *session) GetLogLevel() mcp.LoggingLevel {
	if level, ok := fixtureLevels.Load(s.id); ok {
		return level.(mcp.LoggingLevel)
	}
	return mcp.LoggingLevelInfo
}
