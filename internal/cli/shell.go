package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// shell makes one call on behalf of whoever typed the command: a person at a terminal is asked before every change, a script
// says --confirm.
type shell struct {
	toolbox *toolbox.Toolbox
	streams Streams
	confirm bool
	person  bool
}

// isPerson reports whether a person can be asked: stdin and stderr are a terminal.
func isPerson(streams Streams) bool {
	in, inFile := streams.In.(*os.File)
	errs, errFile := streams.Err.(*os.File)
	return inFile && errFile && isTerminal(in) && isTerminal(errs)
}

// call makes the call. With --confirm, what a preview shows is printed first and then done with the token of that preview.
func (s shell) call(ctx context.Context, tool string, arguments json.RawMessage) (toolbox.Result, error) {
	call := toolbox.Call{Tool: tool, Arguments: arguments, Caller: toolbox.Caller{
		Name: "local", Client: commandCall, ClientVersion: buildVersion(), Transport: "shell", AtTerminal: s.person && !s.confirm,
		AtShell: true,
	}}
	result, err := s.answered(ctx, call)
	if err != nil || !result.NeedsConsent || !s.confirm {
		return result, err
	}
	confirmed, err := withConsent(arguments, previewToken(result.Structured))
	if err != nil {
		return result, err
	}
	_, _ = fmt.Fprintf(s.streams.Err, "%s\n\n", paintFor(s.streams.Err).result(result.Text))
	call.Arguments = confirmed
	result, err = s.answered(ctx, call)
	var refusal *guard.Refusal
	if s.person && errors.As(err, &refusal) && refusal.Rule == guard.ConsentRule { // a human is demanded, and there is one
		call.Caller.AtTerminal = true
		return s.answered(ctx, call)
	}
	return result, err
}

// answered makes the call and puts its question, if there is one.
func (s shell) answered(ctx context.Context, call toolbox.Call) (toolbox.Result, error) {
	result, err := s.toolbox.Call(ctx, call)
	if err != nil || result.Question == nil {
		return result, err
	}
	_, _ = fmt.Fprintf(s.streams.Err, "%s\n\n", paintFor(s.streams.Err).result(result.Text))
	call.Answer = s.ask(ctx, *result.Question)
	return s.toolbox.Call(ctx, call)
}

// ask puts a question on the terminal. A choice is made by its number; nothing is preselected. An interrupt is a no, and does
// not wait for the end of the line.
func (s shell) ask(ctx context.Context, q guard.Question) *guard.Answer {
	_, _ = fmt.Fprintf(s.streams.Err, "%s\n", strings.TrimSpace(q.Message.In(s.streams.Lang)))
	for i, choice := range q.Choices {
		_, _ = fmt.Fprintf(s.streams.Err, "%d) %s\n", i+1, choice.In(s.streams.Lang))
	}
	_, _ = fmt.Fprint(s.streams.Err, "> ")
	line, err := readLine(ctx, s.streams.In)
	answer := &guard.Answer{Action: guard.Accept, Text: strings.TrimSpace(line), Token: q.Token}
	if err != nil {
		answer.Action = guard.Cancel
		_, _ = fmt.Fprintln(s.streams.Err)
	}
	if n, err := strconv.Atoi(answer.Text); err == nil && n >= 1 && n <= len(q.Choices) {
		if answer.Text = q.Choices[n-1].In(s.streams.Lang); n > 1 && answer.Action == guard.Accept {
			answer.Action = guard.Decline
		}
	}
	return answer
}

// readLine returns when a line is complete or ctx is done. In the second case the reading goes on: nothing else wants what
// is typed then, because the process ends.
func readLine(ctx context.Context, in io.Reader) (string, error) {
	type reading struct {
		line string
		err  error
	}
	read := make(chan reading, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		read <- reading{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case r := <-read:
		return r.line, r.err
	}
}

// previewToken returns the token of a preview, or "" when it has none.
func previewToken(preview json.RawMessage) string {
	var shown struct {
		Preview struct {
			Token string `json:"token"`
		} `json:"preview"`
	}
	_ = json.Unmarshal(preview, &shown) // a result without one has no preview
	return shown.Preview.Token
}

// withConsent adds confirm, and the token of a preview if it has one, to the arguments of a call. A token that the arguments
// hold already is not replaced: whoever gave it has seen another preview.
func withConsent(arguments json.RawMessage, token string) (confirmed json.RawMessage, err error) {
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(arguments, &values); err != nil {
		return nil, err
	}
	values["confirm"] = json.RawMessage("true")
	if _, given := values["preview_token"]; token != "" && !given {
		if values["preview_token"], err = json.Marshal(token); err != nil {
			return nil, err
		}
	}
	return json.Marshal(values)
}
