// Package tools declares what the server offers: one file and one value per tool. Registration, schemas, annotations,
// documentation and the command line are all derived from these values.
package tools

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/schemas"
)

// Tool is one declared tool.
type Tool struct {
	Name        string
	Title       string
	Description string // for the model: what it does, what it does not, what to know about the result
	Toolset     string
	Risk        guard.Risk
	Consent     guard.Level // that it needs unless the operator sets another; "": what its risk needs

	Input  *schemas.Schema
	Output *schemas.Schema

	run func(context.Context, *Toolbox, Call) (Result, error)
}

func (t Tool) standardConsent() guard.Level {
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

	seen *Observation // what Toolbox.Call tells about the call when it ends
}

// Caller is who calls, as far as the transport knows.
type Caller struct {
	Name          string // what the server knows the caller by; "local" for the process that started it
	Client        string // what the client calls itself
	ClientVersion string
	Transport     string
	CanAsk        bool // the client can put a question to a human, now
	AtTerminal    bool // a person made the call at a terminal, and is asked before every change
}

// Result is a tool's answer: data that matches the output schema, and a short text that is useful without it. With a
// Question there is only the text of a preview: the human has to be asked, and the call repeated with the answer.
type Result struct {
	Structured   json.RawMessage
	Text         string
	State        string // of a change; "" for a tool that only reads
	NeedsConsent bool   // it is a preview; nothing was changed
	Question     *guard.Question
}

// Mode is what the configuration decides about the tools before any call.
type Mode struct {
	SingleRegion bool // the credential reaches one region only, so no tool offers a region argument
	Workspace    bool // Huawei Cloud Workspace is configured
}

// output is what a tool function returns: the struct is the structured result, Text its short form.
type output interface{ Text() string }

// Declare completes t with the schemas of In and Out and the function that does the work. run gets arguments that match
// In's schema. Declare panics when In or Out cannot be expressed as a portable schema, which a test of any kind shows.
func Declare[In any, Out output](t Tool, mode Mode, run func(context.Context, Service, In) (Out, error)) Tool {
	input, result := schemasOf[In, Out](mode)
	t.Input, t.Output = input, result
	t.run = func(ctx context.Context, b *Toolbox, call Call) (Result, error) {
		var in In
		if err := input.Decode(call.Arguments, &in); err != nil {
			return Result{}, err
		}
		out, err := run(ctx, b.service, in)
		if err != nil {
			return Result{}, err
		}
		return render(result, out)
	}
	return t
}

func schemasOf[In any, Out output](mode Mode) (input, result *schemas.Schema) {
	var options []schemas.Option
	if _, ok := any(*new(In)).(regional); ok && mode.SingleRegion {
		options = append(options, schemas.Without("region"))
	}
	return schemas.MustFor[In](options...), schemas.MustFor[Out]()
}

// render encodes what a tool returned, after a check against the schema that clients were told.
func render(schema *schemas.Schema, out output) (Result, error) {
	structured, err := json.Marshal(out)
	if err != nil {
		return Result{}, err
	}
	if err := schema.Validate(json.RawMessage(structured)); err != nil {
		return Result{}, &internalError{what: "the result does not match its schema", cause: err}
	}
	return Result{Structured: structured, Text: out.Text()}, nil
}

// regional is an argument struct with a region property.
type regional interface{ regional() }

// All returns every tool that there is in mode. Policy decides which of them are offered.
func All(mode Mode) []Tool {
	offered := slices.Clone(instanceTools[mode.SingleRegion]())
	if mode.Workspace {
		offered = append(offered, workspaceTools()...)
	}
	return offered
}

// Declarations are made once, when they are first asked for: schemas take most of the time that the server needs to start.
var (
	instanceTools = map[bool]func() []Tool{ // by Mode.SingleRegion
		false: sync.OnceValue(func() []Tool { return declareInstanceTools(Mode{SingleRegion: false}) }),
		true:  sync.OnceValue(func() []Tool { return declareInstanceTools(Mode{SingleRegion: true}) }),
	}
	workspaceTools = sync.OnceValue(func() []Tool {
		return []Tool{
			listWorkspaceDesktops(Mode{}),
			listWorkspaceScripts(Mode{}),
			runWorkspaceScript(Mode{}),
			getWorkspaceRun(Mode{}),
			stopWorkspaceRun(Mode{}),
		}
	})
)

func declareInstanceTools(mode Mode) []Tool {
	return []Tool{
		listInstances(mode),
		restartInstance(mode),
		deleteInstances(mode),
		executeScript(mode),
	}
}
