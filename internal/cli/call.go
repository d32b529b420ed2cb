package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// callCommand calls one tool from the shell. Exit status: 0 done, 1 the tool failed, 2 the call was wrong.
type callCommand struct {
	demoFlag
	Tool      string   `arg:"" help:"Name of the tool; scnet-mcp tools lists them."`
	Arguments []string `arg:"" optional:"" help:"A JSON object, - to read one from stdin, or name=value pairs; a repeated name makes a list."`
	JSON      bool     `help:"Print the structured result as JSON."`
}

// Run makes the call and prints its text or data to stdout, errors to stderr.
func (c callCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	arguments, err := parseArguments(c.Arguments, streams.In)
	if err != nil {
		_, _ = fmt.Fprintf(streams.Err, "scnet-mcp: %v\n", err)
		return status(exitUsage)
	}
	service, closeAll, err := c.open()
	if err != nil {
		return err
	}
	defer closeAll()
	result, err := newToolbox(service).Call(withLog(ctx, log), c.Tool, arguments)
	if err != nil {
		_, _ = fmt.Fprintf(streams.Err, "%s\n", tools.Explain(err))
		if errors.Is(err, tools.ErrUnknownTool) || errors.As(err, new(*schemas.ArgumentError)) {
			return status(exitUsage)
		}
		return status(exitError)
	}
	if c.JSON {
		_, err = fmt.Fprintf(streams.Out, "%s\n", result.Structured)
	} else {
		_, err = fmt.Fprintf(streams.Out, "%s\n", result.Text)
	}
	return err
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
