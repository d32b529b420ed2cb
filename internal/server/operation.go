package server

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// Operation is a request that was answered, as the semantic conventions for MCP tell of it. Each member but Method and Took
// is from a small closed set.
type Operation struct {
	Method    string // one of Methods, or another
	Tool      string // of a call: a tool that there is, or ""
	Failure   string // ToolError, or the code of the error; "" for an answer
	Transport string // NetworkTransport: pipe or tcp
	Took      time.Duration
}

// ToolError is the failure of a call whose result says that the tool failed.
const ToolError = "tool_error"

// The transports, as the conventions name them.
const (
	pipeTransport = "pipe"
	tcpTransport  = "tcp"
)

// Methods returns the methods that the server answers.
func Methods() []string {
	methods := []string{
		string(mcp.MethodInitialize), string(mcp.MethodServerDiscover), string(mcp.MethodPing), string(mcp.MethodToolsList),
		string(mcp.MethodToolsCall),
	}
	for method := range libraryMethods {
		methods = append(methods, method)
	}
	slices.Sort(methods)
	return methods
}

// Failures returns the failures of operations.
func Failures() []string {
	failures := []string{ToolError}
	for _, code := range []int{
		mcp.PARSE_ERROR, mcp.INVALID_REQUEST, mcp.METHOD_NOT_FOUND, mcp.INVALID_PARAMS, mcp.INTERNAL_ERROR, mcp.RESOURCE_NOT_FOUND,
	} {
		failures = append(failures, strconv.Itoa(code))
	}
	return failures
}

// startSpan begins the span of a tool call, if spans are wanted.
func (s *Server) startSpan(ctx context.Context, m message) (context.Context, *trace.Span) {
	if s.spans == nil || m.Method != string(mcp.MethodToolsCall) {
		return ctx, nil
	}
	name := m.Method
	if s.isOurs(m.Params.Name) {
		name += " " + m.Params.Name
	}
	ctx, span := trace.Start(trace.WithRecorder(ctx, s.spans), trace.Server, name)
	span.Set("mcp.method.name", m.Method)
	span.Set("gen_ai.operation.name", "execute_tool")
	if s.isOurs(m.Params.Name) {
		span.Set("gen_ai.tool.name", m.Params.Name)
	}
	span.Set("network.transport", transportOf(ctx))
	if m.meta.version != "" {
		span.Set("mcp.protocol.version", shorten(m.meta.version))
	}
	return ctx, span
}

// observe tells everybody who wants to know that a request was answered. A stream of notifications is none: how long a client
// listens says nothing about the server.
func (s *Server) observe(ctx context.Context, m message, reply mcp.JSONRPCMessage, took time.Duration, span *trace.Span) {
	s.logRequest(ctx, m, reply, took)
	failure := failureOf(reply)
	span.End(failure)
	if s.watch == nil || m.Method == string(mcp.MethodSubscriptionsListen) {
		return
	}
	o := Operation{Method: m.Method, Failure: failure, Transport: transportOf(ctx), Took: took}
	if m.Method == string(mcp.MethodToolsCall) && s.isOurs(m.Params.Name) {
		o.Tool = m.Params.Name
	}
	s.watch(o)
}

func transportOf(ctx context.Context) string {
	if callerOf(ctx).transport == "stdio" {
		return pipeTransport
	}
	return tcpTransport
}

// failureOf words how a request failed, "" when it did not.
func failureOf(reply mcp.JSONRPCMessage) string {
	switch r := reply.(type) {
	case mcp.JSONRPCError:
		return strconv.Itoa(r.Error.Code)
	case mcp.JSONRPCResponse:
		if result, isCall := r.Result.(*mcp.CallToolResult); isCall && result.IsError {
			return ToolError
		}
	}
	return ""
}
