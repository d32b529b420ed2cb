package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

const (
	// askTimeout is how long a human may take in the older protocol era, where the tool call waits for the answer. Clients
	// give a call up after about 60 seconds. In the newer era the question travels in the result, and its token bounds it.
	askTimeout = 40 * time.Second

	consentKey  = "consent"      // names the question among a result's input requests
	answerField = "confirmation" // names the field of the form
)

// errCannotAsk says that a client refused the request that asks a human, which it had declared to support.
var errCannotAsk = errors.New("the client cannot ask the user") // not said to people

// call runs a tool with everything that consent may need. A question to a human goes out in the way of the request's
// protocol era: as a request of ours that the call waits for, or as a result that the client answers with a new call.
func (s *Server) call(
	ctx context.Context, box *toolbox.Toolbox, call toolbox.Call, params mcp.CallToolParams,
) (*mcp.CallToolResult, error) {
	modern := mcpserver.IsModernRequest(ctx)
	call.Caller = s.caller(ctx)
	if modern && call.Caller.CanAsk && params.RequestState != "" {
		call.Answer = answerOf(mcpserver.ElicitationResponse(params.InputResponses, consentKey))
		call.Answer.Token = params.RequestState
	}
	var result toolbox.Result
	var err error
	if modern || !call.Caller.CanAsk {
		result, err = box.Call(ctx, call) // the arguments are let go here
		if err == nil && result.Question != nil {
			question := form(box.Lang(), *result.Question)
			return mcpserver.NewInputRequestBuilder(result.Question.Token).Elicit(consentKey, question).ToolResult(), nil
		}
	} else if result, err = box.Call(ctx, call); err == nil && result.Question != nil {
		call.Answer = s.ask(ctx, box.Lang(), *result.Question)
		result, err = box.Call(ctx, call)
	}
	if err != nil {
		refused, problem := mcp.NewToolResultError(toolbox.Explain(box.Lang(), err)), toolbox.ProblemOf(err)
		refused.Meta = problemMeta(&problem)
		return refused, nil
	}
	answered := mcp.NewToolResultStructured(result.Structured, result.Text)
	answered.IsError = result.IsError()
	answered.Meta = problemMeta(result.Problem)
	return answered, nil
}

// problemMeta is what went wrong, for programs.
func problemMeta(problem *toolbox.Problem) *mcp.Meta {
	if problem == nil {
		return nil
	}
	fields := map[string]any{"kind": problem.Kind, "retryable": problem.Retryable}
	if problem.Code != "" {
		fields["code"] = problem.Code
	}
	if problem.HTTPStatus != 0 {
		fields["http_status"] = problem.HTTPStatus
	}
	return &mcp.Meta{AdditionalFields: fields}
}

// caller says who calls. Declarations count only for the request they came with, or for the session whose handshake made
// them.
func (s *Server) caller(ctx context.Context) toolbox.Caller {
	known := callerOf(ctx)
	caller := toolbox.Caller{Name: known.Name, Identity: known.Identity, Transport: known.transport}
	var client mcp.Implementation
	if info := mcpserver.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern {
		if info.ClientInfo != nil {
			client = *info.ClientInfo
		}
		caller.CanAsk = info.ClientCapabilities != nil && canShowForm(*info.ClientCapabilities)
	} else if own, ok := mcpserver.ClientSessionFromContext(ctx).(*session); ok {
		client = own.GetClientInfo()
		caller.CanAsk = own.request != nil && canShowForm(own.GetClientCapabilities()) && !own.cannotAsk.Load()
	}
	caller.Client, caller.ClientVersion = client.Name, client.Version
	return caller
}

// canShowForm reports whether the client declared elicitation with forms. Before 2025-11-25 there were only forms, declared
// by an empty object.
func canShowForm(c mcp.ClientCapabilities) bool {
	return c.Elicitation != nil && (c.Elicitation.Form != nil || c.Elicitation.URL == nil)
}

// ask puts a question to the human and waits for the answer, at most askTimeout. Silence is an answer too.
func (s *Server) ask(ctx context.Context, l lang.Lang, q guard.Question) *guard.Answer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request := mcp.ElicitationRequest{Params: form(l, q)}
	request.Method = string(mcp.MethodElicitationCreate)
	result, err := s.mcp.RequestElicitation(ctx, request)
	answer := answerOf(result)
	switch {
	case errors.Is(err, errCannotAsk):
		answer.Action = guard.Unsupported
		if own, ok := mcpserver.ClientSessionFromContext(ctx).(*session); ok {
			own.cannotAsk.Store(true)
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		answer.Action = guard.NoAnswer
	case err != nil || result == nil:
		answer.Action = guard.NotAsked
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the user could not be asked")
	}
	answer.Token = q.Token
	return answer
}

// form is the question as MCP puts it: one text field, or one choice, with nothing filled in.
func form(l lang.Lang, q guard.Question) mcp.ElicitationParams {
	field := map[string]any{"type": "string", "title": l.Word("Confirmation"), "description": l.Sprintf("Type %s", q.Expected())}
	if len(q.Choices) > 0 {
		choices := make([]string, len(q.Choices))
		for i, choice := range q.Choices {
			choices[i] = choice.In(l)
		}
		field = map[string]any{"type": "string", "title": l.Word("Decision"),
			"description": l.Word("Nothing happens unless you choose the first."), "enum": choices}
	}
	return mcp.ElicitationParams{
		Message: q.Message.In(l), // no mode: a form is the default, and clients before 2025-11-25 know no other
		RequestedSchema: map[string]any{
			"type": "object", "properties": map[string]any{answerField: field}, "required": []string{answerField},
		},
	}
}

// answerOf reads a human's answer. What cannot be read has no text, which consents to nothing.
func answerOf(result *mcp.ElicitationResult) *guard.Answer {
	if result == nil {
		return &guard.Answer{Action: guard.Cancel}
	}
	answer := &guard.Answer{Action: guard.Action(result.Action)}
	content, err := json.Marshal(result.Content)
	if err != nil {
		return answer
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(content, &fields) == nil {
		_ = json.Unmarshal(fields[answerField], &answer.Text)
	}
	return answer
}
