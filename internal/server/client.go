package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// Client is an MCP client that starts a server as a subprocess and drives it over stdio, as an IDE does.
type Client struct {
	mcp     *client.Client
	Server  string // name and version of the server
	Version string // negotiated protocol version
}

// Reply is what a tool call gave.
type Reply struct {
	Text       string
	Structured json.RawMessage // nil when there is none
	IsError    bool
}

// StartClient starts command, whose stderr goes to stderr, and makes the handshake. name and version introduce the client.
func StartClient(ctx context.Context, name, version, command string, env, args []string, stderr io.Writer) (*Client, error) {
	c, err := client.NewStdioMCPClientWithOptions(command, env, args, transport.WithCommandStderrWriter(stderr))
	if err != nil {
		return nil, err
	}
	var request mcp.InitializeRequest
	request.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	request.Params.ClientInfo = mcp.Implementation{Name: name, Version: version}
	result, err := c.Initialize(ctx, request)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	described := result.ServerInfo.Name + " " + result.ServerInfo.Version
	return &Client{mcp: c, Server: described, Version: result.ProtocolVersion}, nil
}

// ListTools returns the names of the offered tools.
func (c *Client) ListTools(ctx context.Context) ([]string, error) {
	result, err := c.mcp.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(result.Tools))
	for i, t := range result.Tools {
		names[i] = t.Name
	}
	return names, nil
}

// CallTool calls a tool.
func (c *Client) CallTool(ctx context.Context, name string, arguments map[string]any) (Reply, error) {
	var request mcp.CallToolRequest
	request.Params.Name = name
	request.Params.Arguments = arguments
	result, err := c.mcp.CallTool(ctx, request)
	if err != nil {
		return Reply{}, err
	}
	reply := Reply{IsError: result.IsError}
	for _, content := range result.Content {
		if text, ok := content.(mcp.TextContent); ok {
			reply.Text += text.Text
		}
	}
	if result.StructuredContent != nil {
		if reply.Structured, err = json.Marshal(result.StructuredContent); err != nil {
			return Reply{}, err
		}
	}
	return reply, nil
}

// Close ends the session: it closes the server's input and waits for it to exit.
func (c *Client) Close() error { return c.mcp.Close() }
