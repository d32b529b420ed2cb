package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/server"
)

// demoTimeout bounds the whole demo.
const demoTimeout = time.Minute

// demoCommand shows the server at work.
type demoCommand struct{}

// demoStep is one call of the demo. check fails the demo when the answer is not what a user would rely on.
type demoStep struct {
	why       string
	tool      string
	arguments map[string]any
	check     func(server.Reply) error
}

// Run starts this program as a server on simulated instances, drives it over stdio with an MCP client, and prints what
// was asked and answered. It fails when an answer is not as it should be.
func (demoCommand) Run(ctx context.Context, streams Streams) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	client, err := server.StartClient(ctx, "scnet-mcp-demo", buildVersion(), program, nil, []string{"serve", "--demo"}, streams.Err)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	err = drive(ctx, client, streams.Out)
	if closeErr := client.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("stop the server: %w", closeErr))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(streams.Out, "\nDemo done. Nothing real was shown or changed.")
	return err
}

func drive(ctx context.Context, client *server.Client, out io.Writer) error {
	names, err := client.ListTools(ctx)
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintf(out, "connected to %s over stdio, MCP %s\ntools: %s\n", client.Server, client.Version, strings.Join(names, ", ")); err != nil {
		return err
	}
	for i, step := range demoSteps() {
		request, err := encode(step.arguments)
		if err != nil {
			return err
		}
		if _, err = fmt.Fprintf(out, "\n%d. %s\n→ %s %s\n", i+1, step.why, step.tool, request); err != nil {
			return err
		}
		reply, err := client.CallTool(ctx, step.tool, step.arguments)
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		mark := "←"
		if reply.IsError {
			mark = "← error:"
		}
		if _, err = fmt.Fprintf(out, "%s %s\n", mark, strings.ReplaceAll(reply.Text, "\n", "\n  ")); err != nil {
			return err
		}
		if err := step.check(reply); err != nil {
			return fmt.Errorf("step %d did not answer as it should: %w", i+1, err)
		}
	}
	return nil
}

func demoSteps() []demoStep {
	return []demoStep{
		{
			why: "What is there?", tool: "list_instances", arguments: map[string]any{},
			check: func(r server.Reply) error { return expectRows(r, func(n int) bool { return n > 2 }) },
		},
		{
			why: "Two at a time, with hardware and times; secrets in rows are withheld.", tool: "list_instances",
			arguments: map[string]any{"limit": 2, "detail": true},
			check:     func(r server.Reply) error { return expectRows(r, func(n int) bool { return n == 2 }) },
		},
		{
			why: "Only what is running, in the other region.", tool: "list_instances",
			arguments: map[string]any{"status": "running", "region": "20057"},
			check:     func(r server.Reply) error { return expectRows(r, func(n int) bool { return n > 0 }) },
		},
		{
			why: "A call with mistakes: every one is named, nothing is sent.", tool: "list_instances",
			arguments: map[string]any{"limit": 500, "state": "Running"},
			check:     func(r server.Reply) error { return expectError(r, "limit", "state", "Nothing was sent") },
		},
		{
			why: "A region that does not exist: the usable ones are named.", tool: "list_instances",
			arguments: map[string]any{"region": "哈尔滨"},
			check:     func(r server.Reply) error { return expectError(r, "11250", "20057") },
		},
	}
}

func expectRows(r server.Reply, fits func(int) bool) error {
	var result struct {
		Instances []json.RawMessage `json:"instances"`
	}
	if r.IsError {
		return errors.New("it is an error")
	}
	if err := json.Unmarshal(r.Structured, &result); err != nil {
		return err
	}
	if !fits(len(result.Instances)) {
		return fmt.Errorf("%d rows", len(result.Instances))
	}
	return nil
}

func expectError(r server.Reply, parts ...string) error {
	if !r.IsError || r.Structured != nil {
		return errors.New("it is not a plain tool error")
	}
	for _, part := range parts {
		if !strings.Contains(r.Text, part) {
			return fmt.Errorf("%q is missing", part)
		}
	}
	return nil
}

func encode(arguments map[string]any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(arguments)
	return strings.TrimSpace(b.String()), err
}
