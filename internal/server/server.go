// Package server offers a toolbox over MCP. It is the only package that knows mcp-go.
package server

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/tools"
)

// Options configure a Server.
type Options struct {
	Name         string
	Title        string
	Version      string
	Website      string
	Instructions string // for the model, at the start of a session
	Toolbox      *tools.Toolbox
	Log          zerolog.Logger
}

// Server is an MCP server that speaks both protocol eras: with the initialize handshake (up to 2025-11-25) and without
// (2026-07-28).
type Server struct {
	mcp *mcpserver.MCPServer
	log zerolog.Logger
}

// New returns a Server for the options' tools.
func New(o Options) *Server {
	s := &Server{
		log: o.Log,
		mcp: mcpserver.NewMCPServer(o.Name, o.Version,
			mcpserver.WithTitle(o.Title),
			mcpserver.WithWebsiteURL(o.Website),
			mcpserver.WithInstructions(o.Instructions),
			mcpserver.WithToolCapabilities(false),
			mcpserver.WithLogger(slog.New(zerolog.NewSlogHandler(o.Log))),
		),
	}
	for _, t := range o.Toolbox.Tools() {
		s.mcp.AddTool(describe(t), s.handler(o.Toolbox, t.Name))
	}
	return s
}

// describe turns a declaration into what clients are told.
func describe(t tools.Tool) mcp.Tool {
	described := mcp.NewToolWithRawSchema(t.Name, t.Description, t.Input.JSON())
	described.Title = t.Title
	described.RawOutputSchema = t.Output.JSON()
	described.Annotations = mcp.ToolAnnotation{ // a hint that is left out counts as its worst value
		ReadOnlyHint:    mcp.ToBoolPtr(t.Risk == tools.Read),
		DestructiveHint: mcp.ToBoolPtr(t.Risk == tools.Destructive),
		IdempotentHint:  mcp.ToBoolPtr(t.Risk == tools.Read),
		OpenWorldHint:   mcp.ToBoolPtr(true),
	}
	return described
}

// handler answers calls of one tool. Every outcome is a result: a Go error would become a protocol error, which clients
// do not show to the model.
func (s *Server) handler(toolbox *tools.Toolbox, name string) mcpserver.ToolHandlerFunc {
	return func(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		ctx = s.log.WithContext(ctx)
		ctx, finish := withProgress(ctx)
		defer finish()
		result, err := toolbox.Call(ctx, name, request.Params.RawArguments)
		if err != nil {
			return mcp.NewToolResultError(tools.Explain(err)), nil
		}
		return mcp.NewToolResultStructured(result.Structured, result.Text), nil
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
