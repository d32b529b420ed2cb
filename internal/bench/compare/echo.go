package main

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// echo serves one tool with mcp-go and nothing around it: over stdio, or over HTTP at an address.
func echo(args []string) error {
	s := mcpserver.NewMCPServer("echo", "1")
	s.AddTool(mcp.NewTool("echo", mcp.WithString("text")),
		func(_ context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText(request.GetString("text", "")), nil
		})
	if len(args) == 0 {
		return mcpserver.ServeStdio(s)
	}
	return mcpserver.NewStreamableHTTPServer(s).Start(args[0])
}
