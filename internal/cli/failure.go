package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// problem is an error for programs. All but the first two fields are about a call of a tool.
type problem struct {
	Message    string `json:"message"`
	ExitStatus int    `json:"exit_status"`
	Kind       string `json:"kind,omitempty"`
	Code       string `json:"code,omitempty"`
	HTTPStatus int    `json:"http_status,omitempty"`
	Retryable  bool   `json:"retryable,omitempty"`
}

// of adds what a program wants to know of the cause.
func (p problem) of(cause error) problem {
	about := toolbox.ProblemOf(cause)
	p.Kind, p.Code, p.HTTPStatus, p.Retryable = about.Kind, about.Code, about.HTTPStatus, about.Retryable
	return p
}

// fail ends a command with an error: for people on stderr and, with --json, on stdout as the one document that is there.
func fail(streams Streams, asJSON bool, p problem) error {
	_, _ = fmt.Fprintln(streams.Err, p.Message)
	if asJSON {
		writeProblem(streams.Out, p)
	}
	return status(p.ExitStatus)
}

// wrong ends a command whose words are wrong.
func wrong(streams Streams, asJSON bool, err error) error {
	return fail(streams, asJSON, problem{
		Message: "scnet-mcp: " + streams.Lang.Say(err), ExitStatus: exitUsage, Kind: string(upstream.Argument),
	})
}

func writeProblem(out io.Writer, p problem) {
	text, _ := json.Marshal(map[string]problem{"error": p}) // strings and numbers always encode
	_, _ = fmt.Fprintf(out, "%s\n", text)
}

// wantsJSON reports whether a command line asks for JSON. One that could not be parsed is judged by its words.
func wantsJSON(parsed *kong.Context, args []string) bool {
	if parsed == nil {
		if end := slices.Index(args, "--"); end >= 0 {
			args = args[:end]
		}
		return slices.Contains(args, "--json")
	}
	for _, flag := range parsed.Flags() {
		if flag.Name == "json" {
			asked, _ := parsed.FlagValue(flag).(bool)
			return asked
		}
	}
	return false
}
