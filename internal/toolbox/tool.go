// Package toolbox is the frame that tools run in: what a tool is, how it is called, and, for one that changes something, the
// way from plan over consent to act with an audit record of every step. It knows neither a cloud nor MCP.
package toolbox

import (
	"context"
	"encoding/json"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/schemas"
)

// Tool is one declared tool. Read and Change complete it.
type Tool struct {
	Name        string
	Title       string
	Description string // for the model: what it does, what it does not, what to know about the result
	Toolset     string
	Risk        guard.Risk
	Consent     guard.Level // that it needs unless the operator sets another; "": what its risk needs
	Example     string      // arguments on a command line, as in: scnet-mcp call NAME limit=5

	Input  *schemas.Schema
	Output *schemas.Schema

	run func(context.Context, *Toolbox, Call) ending
}

// StandardConsent is the consent that a change needs unless the operator sets another.
func (t Tool) StandardConsent() guard.Level {
	if t.Consent != "" {
		return t.Consent
	}
	return guard.DefaultLevel(t.Risk)
}

// Call is one call of a tool.
type Call struct {
	Tool      string
	Arguments json.RawMessage
	Caller    Caller
	Answer    *guard.Answer // a human's, to the Question of an earlier Result
}

// Caller is who calls, as far as the transport knows.
type Caller struct {
	Name          string // what the server knows the caller by; "local" for the process that started it
	Identity      Identity
	Client        string // what the client calls itself
	ClientVersion string
	Transport     string
	CanAsk        bool // the client can put a question to a human, now
	AtTerminal    bool // a person made the call at a terminal, and is asked before every change
	AtShell       bool // the call is a command line: a preview is worded for whoever typed it, not for a model
}

// Identity is whom an authorization server issued the caller's access token to. It is empty for a caller without one.
type Identity struct{ Issuer, Subject, ClientID string }

// Result is a tool's answer: data that matches the output schema, and a short text that is useful without it. With a
// Question there is only the text of a preview: the human has to be asked, and the call repeated with the answer.
type Result struct {
	Structured   json.RawMessage
	Text         string
	State        State // of a change; "" for a tool that only reads
	NeedsConsent bool  // it is a preview; nothing was changed
	Question     *guard.Question
	// Problem says, of a result that IsError, why the first target that failed did; nil otherwise, or if nothing is known.
	Problem *Problem
}

// ending is how a call ended: what the caller gets, and what only the observer is told.
type ending struct {
	result  Result
	err     error
	consent string // guard.Decision.Method; "" when the call did not get that far
}

// Output is what a tool function returns: the struct is the structured result, Text its short form.
type Output interface{ Text(lang.Lang) string }

// Read completes t for a tool that changes nothing. run gets arguments that match In's schema. Read panics when In or Out
// cannot be expressed as a portable schema, which a test of any kind shows.
func Read[In any, Out Output](t Tool, run func(context.Context, In) (Out, error), options ...schemas.Option) Tool {
	return ReadUnderPolicy(t, func(ctx context.Context, _ guard.Live, in In) (Out, error) { return run(ctx, in) }, options...)
}

// ReadUnderPolicy is Read for a tool that shows more to those whom the policy allows it. live is the caller's policy.
func ReadUnderPolicy[In any, Out Output](
	t Tool, run func(ctx context.Context, live guard.Live, in In) (Out, error), options ...schemas.Option,
) Tool {
	t.Input, t.Output = schemas.MustFor[In](options...), schemas.MustFor[Out]()
	t.run = func(ctx context.Context, b *Toolbox, call Call) (e ending) {
		var in In
		if e.err = t.Input.Decode(call.Arguments, &in); e.err != nil {
			return e
		}
		out, err := run(ctx, b.live, in)
		if err != nil {
			return ending{err: err}
		}
		e.result, e.err = b.render(t.Output, out)
		return e
	}
	return t
}

// render encodes what a tool returned, and checks it against the schema that clients were told unless it is trusted.
func (b *Toolbox) render(schema *schemas.Schema, out Output) (Result, error) {
	structured, err := json.Marshal(out)
	if err != nil {
		return Result{}, err
	}
	if !b.rules.TrustResults {
		if err := schema.Validate(json.RawMessage(structured)); err != nil {
			return Result{}, &internalError{what: lang.T("the result does not match its schema"), cause: err}
		}
	}
	return Result{Structured: structured, Text: out.Text(b.rules.Lang)}, nil
}
