package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	legacyEra = "2025-11-25"
	modernEra = "2026-07-28"

	asks = `{"elicitation":{"form":{}}}` // capabilities of a client that can ask its user
)

// agent is a client that speaks MCP over Streamable HTTP by hand. It may be used by several goroutines once it is open.
type agent struct {
	http         *http.Client
	url          string // of the MCP endpoint
	token        string
	era          string
	capabilities string
	session      string // "" in the modern era
	ids          atomic.Int64

	asked func(ctx context.Context, question answer) error // what a server's request leads to
}

// newAgent returns an agent of the era, legacyEra or modernEra, with connections of its own.
func newAgent(t testing.TB, base, era, token string) *agent {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &agent{
		http: &http.Client{Transport: transport, Timeout: 2 * time.Minute},
		url:  base + "/mcp", token: token, era: era, capabilities: "{}",
	}
}

// opened returns an agent that has shaken hands, where its era has that.
func opened(t testing.TB, base, era, token string) *agent {
	t.Helper()
	a := newAgent(t, base, era, token)
	if err := a.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// answer is what came back for one message.
type answer struct {
	reply
	status  int
	replica string // that answered, when there is a proxy that says so
	session string
	text    string // the body, or the last event
	method  string // of a request of the server's
}

// fault says that an answer, or the way to it, is not what was expected.
func (r answer) fault(what string, err error) error {
	return errors.Join(err, fmt.Errorf("%s: status %d: %.500s", what, r.status, r.text))
}

// open makes a session. In the modern era there is none to make.
func (a *agent) open(ctx context.Context) error {
	if a.era == modernEra {
		return nil
	}
	if err := a.initialize(ctx); err != nil {
		return err
	}
	done, err := a.send(ctx, "notifications/initialized", "", `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if err != nil || done.status != http.StatusAccepted {
		return done.fault("initialized", err)
	}
	return nil
}

// initialize asks for a session, whether there is one already or not.
func (a *agent) initialize(ctx context.Context) error {
	a.session = ""
	hello, err := a.request(ctx, "initialize", "", fmt.Sprintf(
		`"protocolVersion":%q,"capabilities":%s,"clientInfo":{"name":"e2e","version":"1"}`, a.era, a.capabilities))
	if err != nil || hello.status != http.StatusOK || hello.session == "" {
		return hello.fault("initialize", err)
	}
	a.session = hello.session
	return nil
}

// call calls a tool. The error is about the way there and back; what the tool says is in the answer.
func (a *agent) call(ctx context.Context, tool, arguments string, further ...string) (answer, error) {
	params := append([]string{fmt.Sprintf(`"name":%q,"arguments":%s`, tool, arguments)}, further...)
	return a.request(ctx, "tools/call", tool, strings.Join(params, ","))
}

// request sends a request and returns the answer to it. params are the members of an object.
func (a *agent) request(ctx context.Context, method, name, params string) (answer, error) {
	if a.era == modernEra {
		if params != "" {
			params += ","
		}
		params += fmt.Sprintf(`"_meta":{"io.modelcontextprotocol/protocolVersion":%q,`+
			`"io.modelcontextprotocol/clientInfo":{"name":"e2e","version":"1"},"io.modelcontextprotocol/clientCapabilities":%s}`,
			a.era, a.capabilities)
	}
	message := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s}}`, a.ids.Add(1), method, params)
	return a.send(ctx, method, name, message)
}

// send posts a message and reads until its answer.
func (a *agent) send(ctx context.Context, method, name, message string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, strings.NewReader(message))
	if err != nil {
		return answer{}, err
	}
	h := request.Header
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	if a.token != "" {
		h.Set("Authorization", "Bearer "+a.token)
	}
	if a.session != "" {
		h.Set("Mcp-Session-Id", a.session)
	}
	if method != "initialize" {
		h.Set("Mcp-Protocol-Version", a.era)
	}
	if a.era == modernEra {
		h.Set("Mcp-Method", method)
		if name != "" {
			h.Set("Mcp-Name", name)
		}
	}
	response, err := a.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got := answer{
		status: response.StatusCode, replica: response.Header.Get("X-Replica"), session: response.Header.Get("Mcp-Session-Id"),
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return a.follow(ctx, got, bufio.NewReader(response.Body))
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return got, fmt.Errorf("an answer with status %d was cut off: %w", got.status, err)
	}
	if got.text = string(body); len(body) == 0 {
		return got, nil
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		return got, json.Unmarshal(body, &got.reply)
	}
	return got, nil
}

// follow reads events until the answer.
func (a *agent) follow(ctx context.Context, got answer, events *bufio.Reader) (answer, error) {
	for {
		line, err := events.ReadString('\n')
		if err != nil {
			return got, fmt.Errorf("a stream ended before the answer: %w", err)
		}
		data, found := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !found {
			continue
		}
		var head struct{ Method string }
		got.reply, got.text = reply{}, data
		if err := json.Unmarshal([]byte(data), &head); err != nil {
			return got, err
		}
		if err := json.Unmarshal([]byte(data), &got.reply); err != nil {
			return got, err
		}
		switch got.method = head.Method; {
		case got.method == "":
			return got, nil
		case got.ID != nil && a.asked != nil:
			if err := a.asked(ctx, got); err != nil {
				return got, err
			}
		}
	}
}

// respond answers a request of the server's.
func (a *agent) respond(ctx context.Context, question answer, result string) (answer, error) {
	return a.send(ctx, "", "", fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, question.ID, result))
}

// outcome is what every tool that changes something answers.
type outcome struct {
	State   string
	Targets []struct{ ID, Outcome string }
	Preview struct {
		Token string `json:"token"`
	}
}

// outcome reads a result. The error says what else it is.
func (r answer) outcome() (outcome, error) {
	var o outcome
	if r.status != http.StatusOK || r.Result.IsError && len(r.Result.StructuredContent) == 0 || r.Error != nil {
		return o, r.fault("no result", nil)
	}
	return o, json.Unmarshal(r.Result.StructuredContent, &o)
}

// deletion are the arguments that delete an instance, with more members behind.
func deletion(id, more string) string { return fmt.Sprintf(`{"instance_ids":[%q]%s}`, id, more) }

// with confirms with a preview token.
func with(token string) string { return fmt.Sprintf(`,"confirm":true,"preview_token":%q`, token) }

// preview returns the token of a preview of a deletion.
func (a *agent) preview(ctx context.Context, id string) (token string, got answer, err error) {
	got, err = a.call(ctx, "delete_instances", deletion(id, ""))
	if err != nil {
		return "", got, err
	}
	o, err := got.outcome()
	if err == nil && o.Preview.Token == "" {
		err = got.fault("there is no preview_token", nil)
	}
	return o.Preview.Token, got, err
}

// list lists the instances, and fails unless that works.
func (a *agent) list(ctx context.Context) (answer, error) {
	got, err := a.call(ctx, "list_instances", `{}`)
	if err != nil {
		return got, err
	}
	if got.status != http.StatusOK || got.Error != nil || got.Result.IsError || got.Result.StructuredContent == nil {
		return got, got.fault("no list", nil)
	}
	return got, nil
}

// deleted reports whether the answer says that the one target was deleted.
func (r answer) deleted() bool {
	o, err := r.outcome()
	return err == nil && len(o.Targets) == 1 && o.Targets[0].Outcome == "deleted"
}
