package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// callCommand calls one tool from the shell. Exit status: 0 done, 1 the tool failed, 2 the call was wrong, 3 consent is
// needed.
type callCommand struct {
	demoFlag
	policyFlags
	Tool      string   `arg:"" help:"Name of the tool; scnet-mcp tools lists them."`
	Arguments []string `arg:"" optional:"" help:"A JSON object, - to read one from stdin, or name=value pairs; a repeated name makes a list."`
	JSON      bool     `env:"-" help:"Print the structured result as JSON."`
	Confirm   bool     `env:"-" help:"Act on what the preview shows, without asking. For scripts."`
}

// Run makes the call and prints its text or data to stdout; previews that are acted on, questions and errors go to stderr.
func (c callCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	arguments, err := parseArguments(c.Arguments, streams.In)
	if err != nil {
		_, _ = fmt.Fprintf(streams.Err, "scnet-mcp: %v\n", err)
		return status(exitUsage)
	}
	service, closeAll, err := c.open(c.policyFlags, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	s := shell{ctx: withLog(ctx, log), toolbox: newToolbox(service), streams: streams, confirm: c.Confirm, person: isPerson(streams)}
	result, err := s.call(c.Tool, arguments)
	if err != nil {
		_, _ = fmt.Fprintf(streams.Err, "%s\n", tools.Explain(err))
		return status(exitCode(err))
	}
	text := result.Text
	if c.JSON {
		text = string(result.Structured)
	}
	if _, err = fmt.Fprintf(streams.Out, "%s\n", text); err != nil {
		return err
	}
	if result.NeedsConsent {
		_, _ = fmt.Fprintln(streams.Err, "Nothing was changed. Add --confirm to act on this, or answer at a terminal.")
		return status(exitConsent)
	}
	return nil
}

func exitCode(err error) int {
	var refusal *guard.Refusal
	switch {
	case errors.Is(err, tools.ErrUnknownTool), errors.As(err, new(*schemas.ArgumentError)):
		return exitUsage
	case errors.Is(err, tools.ErrDeclined), errors.As(err, &refusal) && refusal.Rule == guard.ConsentRule:
		return exitConsent
	}
	return exitError
}

// parseArguments turns the words of the command line into a JSON object. Values stay strings; the tool's schema says
// which of them are numbers.
func parseArguments(words []string, stdin io.Reader) (json.RawMessage, error) {
	if len(words) == 1 && words[0] == "-" {
		const limit = 1 << 20
		text, err := io.ReadAll(io.LimitReader(stdin, limit+1))
		if err != nil {
			return nil, err
		}
		if len(text) > limit {
			return nil, fmt.Errorf("more than %d bytes on stdin", limit)
		}
		return text, nil
	}
	if len(words) == 1 && strings.HasPrefix(strings.TrimSpace(words[0]), "{") {
		return json.RawMessage(words[0]), nil
	}
	values := map[string]any{}
	for _, word := range words {
		name, value, found := strings.Cut(word, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("%q is neither name=value nor a JSON object", word)
		}
		switch earlier := values[name].(type) {
		case nil:
			values[name] = value
		case string:
			values[name] = []string{earlier, value}
		case []string:
			values[name] = append(earlier, value)
		}
	}
	return json.Marshal(values)
}
