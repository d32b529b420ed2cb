package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// callCommand calls one tool from the shell. toolbox.ExitStatus says what its exit status means.
type callCommand struct {
	demoFlag
	policyFlags
	Tool      string   `arg:"" help:"Name of the tool; scnet-mcp tools lists them, scnet-mcp call TOOL --help shows its arguments."`
	Arguments []string `arg:"" optional:"" help:"A JSON object, - to read one from stdin, or name=value pairs. A repeated name makes a list; name=@FILE and name=@- read the value from a file or stdin, name=@@text begins with @."`
	JSON      bool     `env:"-" help:"Print the structured result, or the error, as JSON."`
	Confirm   bool     `env:"-" help:"Do what the preview shows, without asking. For scripts."`
}

// Run makes the call and prints its text or data to stdout; previews that are acted on, questions and errors go to stderr.
func (c callCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	arguments, err := parseArguments(c.Arguments, streams.In)
	if err != nil {
		return c.fail(streams, "scnet-mcp: "+err.Error(), err, toolbox.ExitWrong)
	}
	service, closeAll, err := c.open(c.policyFlags, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	ctx, ignore := untilHangup(withLog(ctx, log))
	defer ignore()
	s := shell{toolbox: newToolbox(service), streams: streams, confirm: c.Confirm, person: isPerson(streams)}
	result, err := s.call(ctx, c.Tool, arguments)
	exit := toolbox.ExitStatus(result, err)
	if err != nil {
		return c.fail(streams, explain(ctx, err, s.person), err, exit)
	}
	text := result.Text
	if s.person {
		text = withoutToken(text, previewToken(result.Structured))
	}
	if c.JSON {
		text = string(result.Structured)
	}
	if _, err = fmt.Fprintf(streams.Out, "%s\n", text); err != nil {
		return fmt.Errorf("the result cannot be written: %w; of the call itself, the exit status would have been %d", err, exit)
	}
	if result.NeedsConsent {
		_, _ = fmt.Fprintln(streams.Err, "Nothing was changed. Add --confirm to do this, or answer at a terminal.")
	}
	return status(exit)
}

// explain words an error. A person who has just said no is not told what a model has to hear then.
func explain(ctx context.Context, err error, person bool) string {
	switch {
	case !person || !errors.Is(err, toolbox.ErrDeclined):
		return toolbox.Explain(err)
	case ctx.Err() != nil:
		return "Interrupted. Nothing was changed."
	}
	return err.Error() + " Nothing was changed."
}

// problem is an error for programs. All but the first two fields are about a service that refused or did not answer.
type problem struct {
	Message    string        `json:"message"`
	ExitStatus int           `json:"exit_status"`
	Kind       upstream.Kind `json:"kind,omitempty"`
	Code       string        `json:"code,omitempty"`
	HTTPStatus int           `json:"http_status,omitempty"`
	Retryable  bool          `json:"retryable,omitempty"`
}

// fail prints an error to stderr and, with --json, to stdout as the one document that is there.
func (c callCommand) fail(streams Streams, message string, cause error, exit int) error {
	_, _ = fmt.Fprintln(streams.Err, message)
	if c.JSON {
		p := problem{Message: message, ExitStatus: exit}
		var f *upstream.Failure
		if errors.As(cause, &f) {
			p.Kind, p.Code, p.HTTPStatus, p.Retryable = f.Kind, f.Code, f.Status, f.Retryable
		}
		text, err := json.Marshal(map[string]problem{"error": p})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(streams.Out, "%s\n", text)
	}
	return status(exit)
}
