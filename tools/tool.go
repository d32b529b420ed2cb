// Package tools declares what the server offers: one file and one value per tool. Registration, schemas, annotations,
// documentation and the command line are all derived from these values.
package tools

import (
	"context"
	"encoding/json"

	"github.com/scnet-mcp/scnet-mcp/schemas"
)

// Risk says what a tool can do to the person who pays.
type Risk string

// The risks, in rising order.
const (
	Read        Risk = "read"        // changes nothing
	Disruptive  Risk = "disruptive"  // changes what runs, loses nothing that was stored
	Destructive Risk = "destructive" // may lose work for good
)

// Tool is one declared tool.
type Tool struct {
	Name        string
	Title       string
	Description string // for the model: what it does, what it does not, what to know about the result
	Toolset     string
	Risk        Risk

	Input  *schemas.Schema
	Output *schemas.Schema

	run func(context.Context, Service, json.RawMessage) (Result, error)
}

// Result is a tool's answer: data that matches the output schema, and a short text that is useful without it.
type Result struct {
	Structured json.RawMessage
	Text       string
}

// Mode is what the configuration decides about the tools before any call.
type Mode struct {
	SingleRegion bool // the credential reaches one region only, so no tool offers a region argument
}

// output is what a tool function returns: the struct is the structured result, Text its short form.
type output interface{ Text() string }

// Declare completes t with the schemas of In and Out and the function that does the work. run gets arguments that match
// In's schema. Declare panics when In or Out cannot be expressed as a portable schema, which a test of any kind shows.
func Declare[In any, Out output](t Tool, mode Mode, run func(context.Context, Service, In) (Out, error)) Tool {
	var options []schemas.Option
	if _, ok := any(*new(In)).(regional); ok && mode.SingleRegion {
		options = append(options, schemas.Without("region"))
	}
	input := schemas.MustFor[In](options...)
	result := schemas.MustFor[Out]()
	t.Input, t.Output = input, result
	t.run = func(ctx context.Context, service Service, arguments json.RawMessage) (Result, error) {
		var in In
		if err := input.Decode(arguments, &in); err != nil {
			return Result{}, err
		}
		out, err := run(ctx, service, in)
		if err != nil {
			return Result{}, err
		}
		structured, err := json.Marshal(out)
		if err != nil {
			return Result{}, err
		}
		if err := result.Validate(json.RawMessage(structured)); err != nil {
			return Result{}, &internalError{what: "the result does not match its schema", cause: err}
		}
		return Result{Structured: structured, Text: out.Text()}, nil
	}
	return t
}

// regional is an argument struct with a region property.
type regional interface{ regional() }

// All returns every tool that mode offers, by name.
func All(mode Mode) []Tool {
	return []Tool{
		listInstances(mode),
	}
}
