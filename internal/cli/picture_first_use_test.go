package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// speaker marks a line of a picture that says who speaks.
const speaker = "▸ "

// firstUse is what passes between a client that can ask its user and the server when an instance is to be deleted: the
// client's arguments, the server's question with its form, and the result. How it looks in a window is up to each client.
func firstUse(t *testing.T, program, language string) (first, rest string) {
	t.Helper()
	words := map[string][]string{
		"en": {"the assistant calls delete_instances %s", "the server asks you, through the client", "the server tells the assistant"},
		"zh": {"助手调用 delete_instances %s", "服务器通过客户端询问您", "服务器答复助手"},
	}[language]
	phrase := map[string]string{"en": "delete 1", "zh": "删除 1"}[language]
	const arguments = `{"instance_ids": ["d3e0702e9389426cbc9cb86cdc548a54"], "confirm": true}`
	send, receive := converse(t, program, "serve", "--demo", "--lang", language)
	send(`{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", ` +
		`"capabilities": {"elicitation": {}}, "clientInfo": {"name": "picture", "version": "1"}}}`)
	receive()
	send(`{"jsonrpc": "2.0", "method": "notifications/initialized"}`)
	send(`{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "delete_instances", "arguments": ` + arguments + `}}`)
	question := receive()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s%s\n%s\n\n", speaker, words[1], question.Params.Message)
	for name, field := range question.Params.Schema.Properties {
		fmt.Fprintf(&b, "%s (%s): %s\n", field.Title, field.Description, phrase)
		send(fmt.Sprintf(`{"jsonrpc": "2.0", "id": %q, "result": {"action": "accept", "content": {%q: %q}}}`, question.ID, name, phrase))
	}
	result := receive().Result
	if len(result.Content) != 1 || result.IsError {
		t.Fatalf("%+v after %+v", result, question)
	}
	fmt.Fprintf(&b, "\n%s%s\n%s", speaker, words[2], result.Content[0].Text)
	return fmt.Sprintf(speaker+words[0], arguments), b.String()
}

// message is what the picture needs of what a server sends.
type message struct {
	ID     any `json:"id"`
	Params struct {
		Message string `json:"message"`
		Schema  struct {
			Properties map[string]struct {
				Title       string `json:"title"`
				Description string `json:"description"`
			} `json:"properties"`
		} `json:"requestedSchema"`
	} `json:"params"`
	Result struct {
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
		IsError bool `json:"isError"`
	} `json:"result"`
}

// converse starts a server over stdio, which ends with the test.
func converse(t *testing.T, program string, args ...string) (send func(string), receive func() message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // the clean-up stops it
	server := exec.CommandContext(ctx, program, args...)
	server.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
		cancel()
	})
	lines := bufio.NewReader(out)
	send = func(line string) {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Error(err)
		}
	}
	receive = func() (m message) {
		line, err := lines.ReadString('\n')
		if err == nil {
			err = json.Unmarshal([]byte(line), &m)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		return m
	}
	return send, receive
}
