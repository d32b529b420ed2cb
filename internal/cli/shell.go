package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// shell makes one call on behalf of whoever typed the command: a person at a terminal is asked, a script says --confirm.
type shell struct {
	ctx     context.Context
	toolbox *tools.Toolbox
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

// call makes the call. What needs consent is shown first, and then done with the token of what was shown.
func (s shell) call(tool string, arguments json.RawMessage) (tools.Result, error) {
	call := tools.Call{Tool: tool, Arguments: arguments, Caller: tools.Caller{
		Name: "local", Client: "scnet-mcp call", ClientVersion: buildVersion(), Transport: "shell", CanAsk: s.person && !s.confirm,
	}}
	result, err := s.answered(call)
	if err != nil || !result.NeedsConsent || (!s.confirm && !s.person) {
		return result, err
	}
	confirmed, err := withConsent(arguments, result.Structured)
	if err != nil {
		return result, err
	}
	_, _ = fmt.Fprintf(s.streams.Err, "%s\n\n", result.Text)
	call.Arguments = confirmed
	result, err = s.answered(call)
	var refusal *guard.Refusal
	if s.person && errors.As(err, &refusal) && refusal.Rule == guard.ConsentRule { // a human is demanded, and there is one
		call.Caller.CanAsk = true
		return s.answered(call)
	}
	return result, err
}

// answered makes the call and puts its question, if there is one.
func (s shell) answered(call tools.Call) (tools.Result, error) {
	result, err := s.toolbox.Call(s.ctx, call)
	if err != nil || result.Question == nil {
		return result, err
	}
	call.Answer = s.ask(*result.Question)
	return s.toolbox.Call(s.ctx, call)
}

// ask puts a question on the terminal. A choice is made by its number; nothing is preselected.
func (s shell) ask(q guard.Question) *guard.Answer {
	_, _ = fmt.Fprintf(s.streams.Err, "%s\n", strings.TrimSpace(q.Message))
	for i, choice := range q.Choices {
		_, _ = fmt.Fprintf(s.streams.Err, "%d) %s\n", i+1, choice)
	}
	_, _ = fmt.Fprint(s.streams.Err, "> ")
	line, err := bufio.NewReader(s.streams.In).ReadString('\n')
	answer := &guard.Answer{Action: guard.Accept, Text: strings.TrimSpace(line), Token: q.Token}
	if err != nil {
		answer.Action = guard.Cancel
	}
	if n, err := strconv.Atoi(answer.Text); err == nil && n >= 1 && n <= len(q.Choices) {
		answer.Text = q.Choices[n-1]
	}
	return answer
}

// withConsent adds confirm, and the token of a preview if it has one, to the arguments of a call.
func withConsent(arguments, preview json.RawMessage) (confirmed json.RawMessage, err error) {
	var shown struct {
		Preview struct {
			Token string `json:"preview_token"`
		} `json:"preview"`
	}
	if err := json.Unmarshal(preview, &shown); err != nil {
		return nil, err
	}
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(arguments, &values); err != nil {
		return nil, err
	}
	values["confirm"] = json.RawMessage("true")
	if shown.Preview.Token != "" {
		if values["preview_token"], err = json.Marshal(shown.Preview.Token); err != nil {
			return nil, err
		}
	}
	return json.Marshal(values)
}
