// Package server offers a toolbox over MCP. It is the only package that knows mcp-go.
package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
	"github.com/scnet-mcp/scnet-mcp/prompts"
)

// Options configure a Server.
type Options struct {
	Name        string
	Title       string
	Description string
	Version     string
	Website     string
	Icon        string // an SVG; "": none
	// Situation is what instructions and library depend on besides the tools that a caller is offered.
	Situation prompts.Situation
	Library   *prompts.Library // nil: neither prompts nor resources nor skills
	OAuth     bool             // callers may come with access tokens
	Toolbox   *toolbox.Toolbox
	Log       zerolog.Logger
	Spans     trace.Recorder  // takes a span of each tool call and of each request to a service; nil: there are none
	Answered  func(Operation) // is told of each request that was answered; nil: nobody is
}

// Server is an MCP server that speaks both protocol eras: with the initialize handshake (up to 2025-11-25) and without
// (2026-07-28).
type Server struct {
	mcp       *mcpserver.MCPServer
	identity  mcp.Implementation // as every result of the newer era names it
	situation prompts.Situation  // of no tools
	library   *prompts.Library
	oauth     bool
	tools     *toolbox.Toolbox
	ours      map[string]bool // the tools of the toolbox, withheld ones too; tests add others
	log       zerolog.Logger
	spans     trace.Recorder
	watch     func(Operation)
	attackLog zerolog.Logger // for what strangers can make the server write
}

// New returns a Server for the options' tools.
func New(o Options) *Server {
	hooks := &mcpserver.Hooks{}
	s := &Server{
		identity:  mcp.Implementation{Name: o.Name, Version: o.Version, Title: o.Title, WebsiteURL: o.Website},
		situation: o.Situation, library: o.Library, oauth: o.OAuth,
		tools: o.Toolbox, ours: map[string]bool{}, log: o.Log, spans: o.Spans, watch: o.Answered,
		attackLog: o.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Minute}),
	}
	hooks.AddAfterListTools(func(ctx context.Context, _ any, _ *mcp.ListToolsRequest, list *mcp.ListToolsResult) {
		withhold(list, s.toolbox(ctx))
	})
	hooks.AddAfterInitialize(func(ctx context.Context, _ any, request *mcp.InitializeRequest, result *mcp.InitializeResult) {
		if own, ok := mcpserver.ClientSessionFromContext(ctx).(*session); ok {
			own.introduce(request.Params.ClientInfo, request.Params.Capabilities)
		}
		result.Instructions, result.ServerInfo = s.instructions(ctx), s.introduction(o)
		s.declare(&result.Capabilities)
	})
	hooks.AddAfterDiscover(func(ctx context.Context, _ any, _ *mcp.DiscoverRequest, result *mcp.DiscoverResult) {
		result.Instructions = s.instructions(ctx)
		result.EnsureResultMeta().SetServerInfo(s.introduction(o))
		s.declare(&result.Capabilities)
	})
	s.mcp = mcpserver.NewMCPServer(o.Name, o.Version,
		mcpserver.WithTitle(o.Title),
		mcpserver.WithWebsiteURL(o.Website),
		mcpserver.WithToolCapabilities(false),
		mcpserver.WithCacheHints(lasting.Milliseconds(), mcp.CacheScopePrivate),
		mcpserver.WithHooks(hooks),
	)
	for _, t := range append(o.Toolbox.Tools(), o.Toolbox.Withheld()...) {
		s.ours[t.Name] = true
		s.mcp.AddTool(describe(t), s.handler(t.Name))
	}
	return s
}

func (s *Server) isOurs(tool string) bool { return s.ours[tool] }

func (s *Server) instructions(ctx context.Context) string {
	return prompts.Instructions(s.situationOf(s.toolbox(ctx)))
}

// situationOf is the situation of somebody who is offered the tools of box.
func (s *Server) situationOf(box *toolbox.Toolbox) prompts.Situation {
	situation := s.situation
	for _, t := range box.Tools() {
		situation.Tools = append(situation.Tools, t.Name)
		if !slices.Contains(situation.Toolsets, t.Toolset) {
			situation.Toolsets = append(situation.Toolsets, t.Toolset)
		}
		situation.Changing = situation.Changing || t.Risk != guard.Read
	}
	return situation
}

// refuseTool lets the toolbox refuse a tool that is beyond the caller's scopes, and says why.
func (s *Server) refuseTool(ctx context.Context, name string) string {
	box := s.toolbox(ctx)
	_, err := box.Call(s.log.WithContext(ctx), toolbox.Call{Tool: name, Caller: s.caller(ctx)})
	return toolbox.Explain(box.Lang(), err)
}

// introduction is what the server says of itself where a client gets to know it. Results of the newer era repeat its
// identity, and would be the longer by description and icon each.
func (s *Server) introduction(o Options) mcp.Implementation {
	introduced := s.identity
	introduced.Description = o.Description
	if o.Icon != "" {
		src := "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(o.Icon))
		introduced.Icons = []mcp.Icon{{Src: src, MIMEType: "image/svg+xml", Sizes: []string{"any"}}}
	}
	return introduced
}

// withhold takes the tools that the policy does not offer off the list. They stay registered, so that a call by name is
// refused with the reason; mcp-go's own filter would answer that there is no such tool.
func withhold(list *mcp.ListToolsResult, box *toolbox.Toolbox) {
	withheld := box.Withheld()
	list.Tools = slices.DeleteFunc(list.Tools, func(t mcp.Tool) bool {
		return slices.ContainsFunc(withheld, func(w toolbox.Tool) bool { return w.Name == t.Name })
	})
}

// describe turns a declaration into what clients are told.
func describe(t toolbox.Tool) mcp.Tool {
	described := mcp.NewToolWithRawSchema(t.Name, t.Description, t.Input.JSON())
	described.Title = t.Title
	described.RawOutputSchema = t.Output.JSON()
	described.Annotations = mcp.ToolAnnotation{ // a hint that is left out counts as its worst value
		ReadOnlyHint:    mcp.ToBoolPtr(t.Risk == guard.Read),
		DestructiveHint: mcp.ToBoolPtr(t.Risk == guard.Destructive),
		IdempotentHint:  mcp.ToBoolPtr(t.Risk == guard.Read),
		OpenWorldHint:   mcp.ToBoolPtr(true),
	}
	return described
}

// handler answers calls of one tool. Every outcome is a result: a Go error would become a protocol error, which clients
// do not show to the model.
func (s *Server) handler(name string) mcpserver.ToolHandlerFunc {
	return func(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		ctx = s.log.WithContext(ctx)
		ctx, finish := withProgress(ctx, s.tools.Lang())
		defer finish()
		defer started(ctx)() // what the call did is recorded when this ends; that the client hears of it may take longer
		call := toolbox.Call{Tool: name}
		if cut, ok := ctx.Value(argumentsKey{}).(*payload); ok {
			call.Arguments, _ = cut.take()
		}
		return s.call(ctx, s.toolbox(ctx), call, request.Params)
	}
}

// ListTools returns the result of tools/list as a client gets it.
func (s *Server) ListTools(ctx context.Context) (json.RawMessage, error) {
	reply := s.mcp.HandleMessage(ctx, json.RawMessage(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	encoded, err := json.Marshal(reply)
	if err != nil {
		return nil, err
	}
	var envelope struct {
		Result json.RawMessage `json:"result"`
	}
	err = json.Unmarshal(encoded, &envelope)
	return envelope.Result, err
}
