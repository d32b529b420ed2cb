package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// asked are the requests to the client that wait for an answer.
type asked struct {
	mu      sync.Mutex
	last    int
	waiting map[string]chan message // by the id's text
}

// RequestElicitation asks the client's user and waits for the answer until ctx or the input ends. It returns errCannotAsk
// when the client does not know the method after all.
func (t *stdio) RequestElicitation(ctx context.Context, request mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	id, answers := t.asked.open()
	defer t.asked.close(id)
	err := t.write(mcp.JSONRPCRequest{
		JSONRPC: mcp.JSONRPC_VERSION, ID: mcp.NewRequestId(json.RawMessage(id)), Request: request.Request, Params: request.Params,
	})
	if err != nil {
		return nil, err
	}
	select {
	case answer := <-answers:
		return readElicitation(answer)
	case <-ctx.Done():
		_ = t.write(mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{
			Method: "notifications/cancelled",
			Params: mcp.NotificationParams{AdditionalFields: map[string]any{"requestId": json.RawMessage(id), "reason": "the answer is not waited for any more"}},
		}})
		return nil, context.Cause(ctx)
	case <-t.inputEnded:
		select {
		case answer := <-answers: // what was read before the end counts
			return readElicitation(answer)
		default:
			return nil, errors.New("the input ended before the answer")
		}
	}
}

func readElicitation(answer message) (*mcp.ElicitationResult, error) {
	if answer.Error != nil && string(answer.Error) != "null" { // some clients write every member
		var failure struct {
			Code int `json:"code"`
		}
		if json.Unmarshal(answer.Error, &failure) == nil && failure.Code == mcp.METHOD_NOT_FOUND {
			return nil, errCannotAsk
		}
		return nil, fmt.Errorf("the client answered with error %d", failure.Code)
	}
	var result mcp.ElicitationResult
	if err := json.Unmarshal(answer.Result, &result); err != nil {
		return nil, errors.New("the client's answer is not that of elicitation/create")
	}
	return &result, nil
}

func (a *asked) open() (id string, answers <-chan message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	id = strconv.Quote("ask-" + strconv.Itoa(a.last))
	answer := make(chan message, 1)
	if a.waiting == nil {
		a.waiting = map[string]chan message{}
	}
	a.waiting[id] = answer
	return id, answer
}

func (a *asked) close(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

// deliver passes an answer to who waits for it. The first counts; one that nobody waits for is dropped, because an error
// in return could go back and forth for ever.
func (a *asked) deliver(answer message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := string(answer.ID)
	if waiting, ok := a.waiting[id]; ok {
		delete(a.waiting, id)
		waiting <- answer
	}
}
