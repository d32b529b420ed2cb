package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// message is what has to be known of a message before it is handed on.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	Params struct {
		RequestID json.RawMessage `json:"requestId"`
		Meta      struct {
			ProgressToken json.RawMessage `json:"progressToken"`
			TraceParent   string          `json:"traceparent"`
			Version       string          `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
	} `json:"params"`
}

// kind is what a message is for.
type kind int

const (
	request kind = iota
	notification
	answer // to a request of ours
)

// problem says why a message cannot be handled.
type problem struct {
	id   json.RawMessage // nil when it cannot be told
	code int
	text string
}

func (p *problem) reply() mcp.JSONRPCError {
	id := mcp.NewRequestId(nil)
	if isID(p.id) {
		id = mcp.NewRequestId(p.id)
	}
	return mcp.NewJSONRPCError(id, p.code, p.text, nil)
}

// readMessage reads one message. Only its frame is checked; mcp-go says what is wrong with the rest.
func readMessage(text []byte) (message, kind, *problem) {
	var m message
	if !json.Valid(text) {
		return m, 0, &problem{nil, mcp.PARSE_ERROR, "the message is not valid JSON"}
	}
	if text[0] != '{' {
		return m, 0, &problem{nil, mcp.INVALID_REQUEST, "a message must be one JSON object; batches are not part of MCP any more"}
	}
	_ = json.Unmarshal(text, &m) // a member of another type is left out here
	switch {
	case m.Method == "" && (m.Result != nil || m.Error != nil):
		return m, answer, nil
	case !utf8.Valid(text): // it would be decoded to other words than the user's
		return m, 0, &problem{m.ID, mcp.PARSE_ERROR, "the message is not valid UTF-8"}
	case m.ID == nil && m.Method == "":
		return m, 0, &problem{nil, mcp.INVALID_REQUEST, "a message must have a method"}
	case m.ID == nil:
		return m, notification, nil
	case !isID(m.ID):
		return m, 0, &problem{m.ID, mcp.INVALID_REQUEST, "the id of a request must be a string or a number"}
	}
	return m, request, nil
}

// isID reports whether raw, a JSON value, may be a request's id: a string or a number, as MCP demands.
func isID(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '"' || raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') && utf8.Valid(raw)
}

// context returns ctx with what m wants to be known about it: where progress goes, and the trace that it belongs to.
func (m message) context(ctx context.Context) context.Context {
	if token := m.Params.Meta.ProgressToken; isID(token) {
		ctx = withProgressToken(ctx, token)
	}
	if parent, ok := trace.Parse(m.Params.Meta.TraceParent); ok {
		ctx = trace.With(ctx, parent)
	}
	return ctx
}

// answer handles a request. Its reply has the id as the client wrote it.
func (s *Server) answer(ctx context.Context, id json.RawMessage, text []byte) mcp.JSONRPCMessage {
	reply := s.handle(ctx, text)
	if reply == nil {
		reply = mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.INVALID_REQUEST, "a message cannot be both a request and an answer", nil)
	}
	return withID(reply, id)
}

// handle passes a message to mcp-go. A panic there becomes an error with an id that the log explains.
func (s *Server) handle(ctx context.Context, text []byte) (reply mcp.JSONRPCMessage) {
	defer func() {
		if cause := recover(); cause != nil {
			id := rand.Text()[:10]
			s.log.Error().Str("error_id", id).Str("cause", fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())).
				Msg("a fault in the server")
			reply = mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.INTERNAL_ERROR, "a fault in the server (error id "+id+")", nil)
		}
	}()
	return s.mcp.HandleMessage(ctx, text)
}

// withID gives reply the id as the client wrote it; mcp-go carries numbers as float64.
func withID(reply mcp.JSONRPCMessage, id json.RawMessage) mcp.JSONRPCMessage {
	switch r := reply.(type) {
	case mcp.JSONRPCResponse:
		r.ID = mcp.NewRequestId(id)
		return r
	case mcp.JSONRPCError:
		r.ID = mcp.NewRequestId(id)
		return r
	}
	return reply
}

// sameID makes ids comparable.
func sameID(id json.RawMessage) string { return string(bytes.TrimSpace(id)) }
