package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

const (
	maxID   = 1 << 10 // bytes of a request's id or of a progress token, which come back with every message
	maxName = 64      // runes of a name that a client gives to itself, a method or a tool
)

// message is what has to be known of a message before it is handed on.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	Params struct {
		Name      string          `json:"name"`
		RequestID json.RawMessage `json:"requestId"`
		Meta      json.RawMessage `json:"_meta"`
	} `json:"params"`

	meta    meta
	payload *payload
}

// meta is what the params' _meta says.
type meta struct {
	ProgressToken json.RawMessage `json:"progressToken"`
	TraceParent   string          `json:"traceparent"`
	TraceState    string          `json:"tracestate"`

	version string // of the protocol
}

// payload is the text of a message until somebody takes it: a call that waits or runs must not hold on to megabytes that
// nobody will read again.
type payload struct {
	text      []byte
	arguments span
}

func (p *payload) take() (text []byte, arguments span) {
	text, arguments = p.text, p.arguments
	*p = payload{}
	return text, arguments
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
	scanned, err := scanMessage(text)
	if err != nil {
		return m, 0, &problem{scanned.id, mcp.INVALID_REQUEST, err.Error()}
	}
	_ = json.Unmarshal(text, &m) // a member of another type is left out here
	m.payload = &payload{text, scanned.arguments}
	m.meta = readMeta(m.Params.Meta)
	m.Params.Meta = nil
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
		return m, 0, &problem{m.ID, mcp.INVALID_REQUEST, fmt.Sprintf("the id of a request must be a string or a number of at most %d bytes", maxID)}
	}
	m.shrink()
	return m, request, nil
}

// shrink drops what a request does not need besides its text, and cuts names that are too long to be any.
func (m *message) shrink() {
	m.Result, m.Error, m.Params.RequestID = nil, nil, nil
	for _, name := range []*string{&m.Method, &m.Params.Name} {
		if len(*name) > maxID {
			*name = strings.Clone((*name)[:maxID])
		}
	}
}

// readMeta reads a message's _meta. The version is read by mcp-go's reader, because two readers may read two versions.
func readMeta(text json.RawMessage) (m meta) {
	if text == nil {
		return m
	}
	_ = json.Unmarshal(text, &m)
	var theirs *mcp.Meta
	if json.Unmarshal(text, &theirs) == nil {
		m.version = theirs.ProtocolVersion()
	}
	return m
}

// isID reports whether raw, a JSON value, may be a request's id: a string or a number, as MCP demands.
func isID(raw json.RawMessage) bool {
	return len(raw) > 0 && len(raw) <= maxID && (raw[0] == '"' || raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') &&
		utf8.Valid(raw)
}

// context returns ctx with what m carries for the call: where progress goes, and the trace that it belongs to.
func (m message) context(ctx context.Context) context.Context {
	if token := m.meta.ProgressToken; isID(token) {
		ctx = withProgressToken(ctx, token)
	}
	if parent, ok := trace.Parse(m.meta.TraceParent); ok {
		ctx = trace.With(ctx, parent)
		if state, ok := trace.ParseState(m.meta.TraceState); ok {
			ctx = trace.WithState(ctx, state)
		}
	}
	return ctx
}

// argumentsKey is for the arguments of a tool call, which mcp-go does not get to see.
type argumentsKey struct{}

// answer handles a request, and takes its text. The reply has the id as the client wrote it.
func (s *Server) answer(ctx context.Context, m message) mcp.JSONRPCMessage {
	started := time.Now()
	ctx, traced := s.startSpan(ctx, m)
	text, arguments := m.payload.take()
	if m.Method == string(mcp.MethodToolsCall) && arguments != (span{}) && s.isOurs(m.Params.Name) {
		cut := &payload{}
		text, cut.text = withoutArguments(text, arguments)
		ctx = context.WithValue(ctx, argumentsKey{}, cut)
	}
	reply := s.handle(ctx, text)
	if reply == nil {
		reply = mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.INVALID_REQUEST, "a message cannot be both a request and an answer", nil)
	}
	reply = s.explainUnknownTool(ctx, m, s.fromLibrary(ctx, m, text, reply))
	s.observe(ctx, m, reply, time.Since(started), traced)
	return withID(reply, m.ID)
}

// explainUnknownTool words the error for a tool that does not exist. mcp-go's does not say which do.
func (s *Server) explainUnknownTool(ctx context.Context, m message, reply mcp.JSONRPCMessage) mcp.JSONRPCMessage {
	failure, failed := reply.(mcp.JSONRPCError)
	if !failed || failure.Error.Code != mcp.INVALID_PARAMS || m.Method != string(mcp.MethodToolsCall) || m.Params.Name == "" ||
		s.mcp.GetTool(m.Params.Name) != nil {
		return reply
	}
	box := s.toolbox(ctx)
	_, err := box.Call(s.log.WithContext(ctx), toolbox.Call{Tool: shorten(m.Params.Name), Caller: s.caller(ctx)})
	if errors.Is(err, toolbox.ErrUnknownTool) {
		failure.Error.Message = toolbox.Explain(box.Lang(), err)
	}
	return failure
}

// logRequest logs one request at the level for debugging. A tool call also has a line of its own, which everybody sees.
func (s *Server) logRequest(ctx context.Context, m message, reply mcp.JSONRPCMessage, took time.Duration) {
	if s.log.GetLevel() > zerolog.DebugLevel {
		return
	}
	fields := s.log.With().Str("method", shorten(m.Method)).Int64("duration_ms", took.Milliseconds())
	if failure, failed := reply.(mcp.JSONRPCError); failed {
		fields = fields.Int("code", failure.Error.Code)
	}
	if id := trace.From(ctx).ID(); id != "" {
		fields = fields.Str("trace_id", id)
	}
	log := fields.Logger()
	log.Debug().Msg("request")
}

// shorten makes a name that a client sent fit for logs and messages.
func shorten(name string) string { return text.Line(name, maxName) }

// handle passes a message to mcp-go.
func (s *Server) handle(ctx context.Context, text []byte) mcp.JSONRPCMessage {
	return s.guarded(func() mcp.JSONRPCMessage { return s.mcp.HandleMessage(ctx, text) })
}

// guarded makes of a panic an error with an id that the log explains.
func (s *Server) guarded(answer func() mcp.JSONRPCMessage) (reply mcp.JSONRPCMessage) {
	defer func() {
		if cause := recover(); cause != nil {
			id := rand.Text()[:10]
			s.log.Error().Str("error_id", id).Str("cause", fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())).
				Msg("a fault in the server")
			reply = mcp.NewJSONRPCError(mcp.NewRequestId(nil), mcp.INTERNAL_ERROR, "a fault in the server (error id "+id+")", nil)
		}
	}()
	return answer()
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
