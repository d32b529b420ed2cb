package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// property is what the help tells of one argument, as the tool's schema has it.
type property struct {
	Type        any                 `json:"type"`
	Description string              `json:"description"`
	Enum        []json.RawMessage   `json:"enum"`
	Default     json.RawMessage     `json:"default"`
	Minimum     json.RawMessage     `json:"minimum"`
	Maximum     json.RawMessage     `json:"maximum"`
	Items       *property           `json:"items"`
	Properties  map[string]property `json:"properties"`
}

// argument is a property that a command line can give.
type argument struct {
	property
	name     string
	required bool
}

// argumentsOf returns what a person can give a tool, in the order of its schema. What a model consents with is not among
// them: the command line has --confirm, and a person.
func argumentsOf(t toolbox.Tool) (arguments []argument, err error) {
	var schema struct {
		Required   []string            `json:"required"`
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(t.Input.JSON(), &schema); err != nil {
		return nil, err
	}
	for _, name := range t.Input.Properties() {
		if t.Risk != guard.Read && (name == "confirm" || name == "preview_token") {
			continue
		}
		arguments = append(arguments, argument{schema.Properties[name], name, slices.Contains(schema.Required, name)})
	}
	return arguments, nil
}

// nestedOf names the arguments of a tool that only JSON can express.
func nestedOf(tool string) map[string]bool {
	nested := map[string]bool{}
	t, err := findTool(tool, tools.Catalogue())
	if err != nil {
		return nested
	}
	arguments, _ := argumentsOf(t) // a schema of ours decodes
	for _, a := range arguments {
		nested[a.name] = a.isNested()
	}
	return nested
}

func (p property) isNested() bool { return p.Properties != nil || p.Items != nil && p.Items.isNested() }

// words returns the values of an argument that has a closed set of them.
func (p property) words() []string {
	if p.Items != nil {
		return p.Items.words()
	}
	if p.Type == "boolean" {
		return []string{"true", "false"}
	}
	words := make([]string, len(p.Enum))
	for i, value := range p.Enum {
		words[i] = strings.Trim(string(value), `"`)
	}
	return words
}

// kind words the type and the limits of an argument.
func (p property) kind(l lang.Lang) string {
	word := l.Word(textKinds[fmt.Sprint(p.Type)])
	switch words := p.words(); {
	case p.isNested():
		return l.Word(textNested)
	case p.Items != nil:
		return l.Sprintf(textList, p.Items.kind(l))
	case len(words) > 0:
		return strings.Join(words, "|")
	case p.Minimum != nil && p.Maximum != nil:
		return l.Sprintf(textRange, word, p.Minimum, p.Maximum)
	case p.Minimum != nil:
		return l.Sprintf(textFrom, word, p.Minimum)
	}
	return word
}

// notes follow the type: whether the argument is required, and what holds without it.
func (a argument) notes(l lang.Lang) string {
	notes := a.kind(l)
	if a.required {
		notes += l.Word(textRequired)
	}
	if a.Default != nil {
		notes += l.Sprintf(textDefault, strings.Trim(string(a.Default), `"`))
	}
	return notes
}

// fields are the members of the objects of a nested argument.
func (p property) fields(l lang.Lang) string {
	if p.Items != nil {
		return p.Items.fields(l)
	}
	var fields []string
	for name, field := range p.Properties {
		fields = append(fields, name+l.Sprintf(" (%s)", field.kind(l)))
	}
	slices.Sort(fields)
	return lang.Names(fields).In(l)
}

// The columns of the help of a tool.
const (
	helpWidth  = 100
	helpIndent = 24
)

// writeToolHelp writes everything about one tool that a person needs to call it, with the consent that it needs.
func writeToolHelp(out io.Writer, l lang.Lang, t toolbox.Tool, level guard.Level) error {
	arguments, err := argumentsOf(t)
	if err != nil {
		return err
	}
	var b strings.Builder
	fill := func(indent int, words string) { text.Fill(&b, words, indent, helpColumns(out)) }
	l.Fprintf(&b, "%s (%s, toolset %s)\n", t.Name, t.Risk, t.Toolset)
	fill(0, titleOf(l, t))
	b.WriteString("\n")
	fill(0, forPeople(l.Word(t.Description)))
	b.WriteString("\n" + l.Word(textArguments) + "\n")
	for _, a := range arguments {
		var notes strings.Builder
		text.Fill(&notes, a.notes(l), helpIndent, helpColumns(out))
		fmt.Fprintf(&b, "  %-*s%s", helpIndent-2, a.name+"=", strings.TrimLeft(notes.String(), " "))
		fill(helpIndent, l.Word(a.Description))
		if a.isNested() {
			fill(helpIndent, l.Sprintf(textFields, a.fields(l)))
		}
	}
	if consent := textConsent[level]; t.Risk != guard.Read {
		b.WriteString("\n" + l.Word(textConsentTitle) + "\n")
		fill(2, l.Word(consent))
	}
	fmt.Fprintf(&b, "\n%s\n  %s\n", l.Word(textExample), strings.TrimSpace(commandCall+" "+t.Name+" "+t.Example))
	b.WriteString("\n" + l.Word(textResult) + "\n")
	fill(2, strings.Join(t.Output.Properties(), ", "))
	b.WriteString("\n")
	fill(0, l.Word(textMoreHelp))
	_, err = io.WriteString(out, b.String())
	return err
}

// titleOf returns the words that people search a tool with. They are in both languages, those in Chinese behind the others.
func titleOf(l lang.Lang, t toolbox.Tool) string {
	_, chinese, found := strings.Cut(strings.TrimSuffix(t.Title, ")"), " (")
	if l == lang.Chinese && found {
		return chinese
	}
	return t.Title
}

// helpColumns is how wide the help is: as the terminal is, but not so wide that it is hard to read.
func helpColumns(out io.Writer) int {
	if file := terminalOf(out); file != nil {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width >= 2*helpIndent {
			return min(width, helpWidth)
		}
	}
	return helpWidth
}

// forPeople takes out of a description the sentences that tell a model how consent is given.
func forPeople(description string) string {
	sentences := strings.SplitAfter(description, ". ")
	return strings.TrimSpace(strings.Join(slices.DeleteFunc(sentences, func(s string) bool {
		return strings.Contains(s, "confirm=true") || strings.HasPrefix(s, "The first call shows a preview")
	}), ""))
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
	return toolbox.Tool{}, lang.Errorf(textNoSuchTool, name, lang.Names(names))
}

// printToolHelp is for `call TOOL --help`.
func printToolHelp(l lang.Lang, name string, ctx *kong.Context) error {
	t, err := findTool(name, tools.Catalogue())
	if err != nil {
		_, err = fmt.Fprintln(ctx.Stderr, "scnet-mcp:", l.Say(err))
		if err == nil {
			ctx.Exit(exitUsage)
		}
		return err
	}
	return writeToolHelp(ctx.Stdout, l, t, t.StandardConsent())
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

// helpCommand is `help call` for `call --help`, and `help list_instances` for `call list_instances --help`.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"A command, or a tool."`
}

// Run prints the help.
func (c helpCommand) Run(streams Streams) error {
	words := c.Command
	if len(words) == 1 {
		if _, err := findTool(words[0], tools.Catalogue()); err == nil {
			words = []string{"call", words[0]}
		}
	}
	if slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, "-") }) {
		return lang.Errorf(textHelpOfFlags)
	}
	return status(Run(append(slices.Clone(words), "--help"), streams))
}
