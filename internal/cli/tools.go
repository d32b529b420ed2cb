package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// toolsCommand shows what a client would be offered.
type toolsCommand struct {
	demoFlag
	policyFlags
	Tool     string `arg:"" optional:"" help:"Show the arguments of this tool."`
	JSON     bool   `env:"-" xor:"form" help:"Print the result of tools/list as clients get it."`
	Markdown bool   `env:"-" xor:"form" help:"Print the tool table of the README."`
}

// Run prints the tools.
func (c toolsCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	service, closeAll, err := c.open(streams, c.policyFlags, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	toolbox := newToolbox(service)
	if c.Tool != "" {
		return c.one(ctx, streams, service, toolbox)
	}
	if c.Markdown {
		return writeMarkdown(streams.Out, toolbox.Tools())
	}
	list, err := newServer(service, toolbox, c.Demo, log).ListTools(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = fmt.Fprintf(streams.Out, "%s\n", list)
		return err
	}
	for _, t := range toolbox.Tools() {
		if err = streams.say(streams.Out, "%s (%s, toolset %s): %s\n  arguments: %s\n", t.Name, t.Risk, t.Toolset,
			t.Description, strings.Join(t.Input.Properties(), ", ")); err != nil {
			return err
		}
	}
	err = streams.say(streams.Out, "%d tools; tools/list is %d bytes.\n", len(toolbox.Tools()), len(list))
	return err
}

// one prints one of the offered tools.
func (c toolsCommand) one(ctx context.Context, streams Streams, service services, box *toolbox.Toolbox) error {
	t, err := findTool(c.Tool, box.Tools())
	switch {
	case err != nil:
		return wrong(streams, c.JSON, err)
	case c.Markdown:
		return writeMarkdown(streams.Out, []toolbox.Tool{t})
	case !c.JSON:
		return writeToolHelp(streams.Out, streams.Lang, t, service.Policy.Level(t.Name, t.StandardConsent()))
	}
	list, err := newServer(service, box, c.Demo, zerolog.Nop()).ListTools(ctx)
	if err != nil {
		return err
	}
	var all struct {
		Tools []json.RawMessage `json:"tools"`
	}
	if err := json.Unmarshal(list, &all); err != nil {
		return err
	}
	for _, text := range all.Tools {
		var named struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal(text, &named); err == nil && named.Name == t.Name {
			_, err = fmt.Fprintf(streams.Out, "%s\n", text)
			return err
		}
	}
	return lang.Errorf("tools/list lacks %s", t.Name)
}

// writeMarkdown writes the tool table that stands in both READMEs.
func writeMarkdown(out io.Writer, offered []toolbox.Tool) error {
	var b strings.Builder
	b.WriteString("| tool | risk | arguments | result |\n| --- | --- | --- | --- |\n")
	for _, t := range offered {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | `%s` |\n", t.Name, t.Risk,
			strings.Join(t.Input.Properties(), "` `"), strings.Join(t.Output.Properties(), "` `"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
