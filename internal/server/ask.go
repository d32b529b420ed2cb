package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// errInputEnded says that no answer can come any more.
var errInputEnded = errors.New("the input ended before the answer")

const (
	// questionLifetime is how long an answer to a question is accepted. The caller who asked waits only for askTimeout.
	questionLifetime = askTimeout + 20*time.Second
	// maxAnswerBytes is much more than a form with one field needs.
	maxAnswerBytes = 16 << 10
)

// asked are the requests to clients that wait for an answer.
type asked struct {
	key []byte // of the ids

	mu      sync.Mutex
	waiting map[string]awaited // by the id's text
}

// awaited is an answer that only its owner may give.
type awaited struct {
	owner  string
	answer chan message
}

// asker puts requests to one client.
type asker struct {
	asked *asked
	owner string // whose answer counts
	send  func(any) error
	ended <-chan struct{} // closed when no more answers can come

	// opened is called with the id of every request before it is sent; nil: nothing else has to know.
	opened func(ctx context.Context, id string)
}

// request sends a request and waits for the answer until ctx or the input ends.
func (a asker) request(ctx context.Context, method string, params any) (message, error) {
	id, answers := a.asked.open(a.owner)
	defer a.asked.close(id)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.opened != nil {
		a.opened(ctx, id)
	}
	err := a.send(mcp.JSONRPCRequest{
		JSONRPC: mcp.JSONRPC_VERSION, ID: mcp.NewRequestId(json.RawMessage(id)), Request: mcp.Request{Method: method},
		Params: params,
	})
	if err != nil {
		return message{}, err
	}
	select {
	case answer := <-answers:
		return answer, nil
	case <-ctx.Done():
		_ = a.send(mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{
			Method: "notifications/cancelled",
			Params: mcp.NotificationParams{AdditionalFields: map[string]any{
				"requestId": json.RawMessage(id), "reason": "the server no longer waits for the answer",
			}},
		}})
		return message{}, context.Cause(ctx)
	case <-a.ended:
		select {
		case answer := <-answers: // what was read before the end counts
			return answer, nil
		default:
			return message{}, errInputEnded
		}
	}
}

// readElicitation reads a client's answer. It returns errCannotAsk when the client does not know the method after all.
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

// newAsked returns asked whose ids are sealed with what key is the root of.
func newAsked(key []byte) *asked {
	derived := hmac.New(sha256.New, key)
	derived.Write([]byte("question ids"))
	return &asked{key: derived.Sum(nil)}
}

// newID makes an id that nobody can guess: over HTTP, anybody who knew it and the owner could answer.
func (a *asked) newID(owner string) string {
	body := fmt.Sprintf("ask-%d-%s", time.Now().UnixMilli(), rand.Text())
	return strconv.Quote(body + "-" + a.seal(owner, body))
}

func (a *asked) seal(owner, body string) string {
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(owner + "\n" + body))
	return hex.EncodeToString(mac.Sum(nil)[:12])
}

// isOurs reports whether this replica or another one asked owner the question, not long ago.
func (a *asked) isOurs(owner, id string) bool {
	text, err := strconv.Unquote(id)
	if err != nil {
		return false
	}
	cut := strings.LastIndexByte(text, '-')
	if cut < 0 || !hmac.Equal([]byte(text[cut+1:]), []byte(a.seal(owner, text[:cut]))) {
		return false
	}
	millis, _, _ := strings.Cut(strings.TrimPrefix(text[:cut], "ask-"), "-")
	at, err := strconv.ParseInt(millis, 10, 64)
	return err == nil && time.Since(time.UnixMilli(at)) < questionLifetime
}

// isNo reports whether an answer is anything but the consent that a form may carry.
func isNo(answer message) bool {
	result, err := readElicitation(answer)
	return err == nil && result.Action != mcp.ElicitationResponseActionAccept
}

func (a *asked) open(owner string) (id string, answers <-chan message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id = a.newID(owner)
	answer := make(chan message, 1)
	if a.waiting == nil {
		a.waiting = map[string]awaited{}
	}
	a.waiting[id] = awaited{owner, answer}
	return id, answer
}

func (a *asked) close(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

// deliver passes an answer to the call that waits for it, and reports whether there was one. The first answer counts. An
// answer that nobody waits for is dropped: an error in return could go back and forth for ever.
func (a *asked) deliver(owner string, answer message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := sameID(answer.ID)
	waiting, ok := a.waiting[id]
	if !ok || waiting.owner != owner {
		return false
	}
	delete(a.waiting, id)
	waiting.answer <- answer
	return true
}
