package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// property is what the help tells of one argument, as the tool's schema has it.
type property struct {
	Type        any               `json:"type"`
	Description string            `json:"description"`
	Enum        []json.RawMessage `json:"enum"`
	Default     json.RawMessage   `json:"default"`
	Minimum     json.RawMessage   `json:"minimum"`
	Maximum     json.RawMessage   `json:"maximum"`
	Items       *property         `json:"items"`
}

// kind words the type and the limits of an argument.
func (p property) kind() string {
	word := fmt.Sprint(p.Type)
	switch {
	case len(p.Enum) > 0:
		values := make([]string, len(p.Enum))
		for i, value := range p.Enum {
			values[i] = strings.Trim(string(value), `"`)
		}
		word = strings.Join(values, "|")
	case p.Items != nil:
		word = "list of " + p.Items.kind()
	case p.Minimum != nil && p.Maximum != nil:
		word = fmt.Sprintf("%s %s to %s", word, p.Minimum, p.Maximum)
	}
	return word
}

// writeToolHelp writes everything about one tool that a person needs to call it.
func writeToolHelp(out io.Writer, t toolbox.Tool) error {
	var schema struct {
		Required   []string            `json:"required"`
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(t.Input.JSON(), &schema); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (%s, toolset %s)\n\n%s\n\nArguments:\n", t.Name, t.Title, t.Risk, t.Toolset, t.Description)
	for _, name := range t.Input.Properties() {
		if t.Risk != guard.Read && (name == "confirm" || name == "preview_token") {
			continue // for models; the command line has --confirm and a person
		}
		p := schema.Properties[name]
		var notes []string
		if slices.Contains(schema.Required, name) {
			notes = append(notes, "required")
		}
		if p.Default != nil {
			notes = append(notes, "default "+string(p.Default))
		}
		note := ""
		if notes != nil {
			note = " (" + strings.Join(notes, ", ") + ")"
		}
		fmt.Fprintf(&b, "  %-22s %s; %s%s\n", name+"=", p.kind(), p.Description, note)
	}
	fmt.Fprintf(&b, "\nResult (--json): %s\n", strings.Join(t.Output.Properties(), ", "))
	if t.Risk != guard.Read {
		b.WriteString("\nAt a terminal you are asked before anything is changed. In a script, the call shows what would happen and\n" +
			"exits with 3; --confirm does it.\n")
	}
	b.WriteString("\nscnet-mcp call --help lists the flags.\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// findTool returns the tool of that name.
func findTool(name string, among []toolbox.Tool) (toolbox.Tool, error) {
	var names []string
	for _, t := range among {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return toolbox.Tool{}, fmt.Errorf("there is no tool %q; the tools are %s", name, strings.Join(names, ", "))
}

// printHelp is kong's help, but for `call TOOL --help`, which is about the tool.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	name := toolOfCall(ctx)
	if name == "" {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	t, err := findTool(name, tools.Catalogue())
	if err != nil {
		_, err = fmt.Fprintf(ctx.Stderr, "scnet-mcp: %v\n", err)
		if err == nil {
			ctx.Exit(exitUsage)
		}
		return err
	}
	return writeToolHelp(ctx.Stdout, t)
}

// toolOfCall returns the tool that `call` is given, or "".
func toolOfCall(ctx *kong.Context) string {
	if selected := ctx.Selected(); selected == nil || selected.Name != "call" {
		return ""
	}
	for _, element := range ctx.Path {
		if element.Positional != nil && element.Positional.Name == "tool" {
			if value := ctx.Value(element); value.Kind() == reflect.String {
				return value.String()
			}
		}
	}
	return ""
}
