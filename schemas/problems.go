package schemas

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Limits on how much hostile arguments can make a message grow.
const (
	maxCollected = 1000
	maxListed    = 20
)

var (
	unknownField    = lang.T("unknown field")
	unknownArgument = lang.T("unknown argument")
)

// ArgumentError lists everything that is wrong with the arguments of a call.
// Its text is written for the model that sent them, and shows what it sent
// only quoted and cut.
type ArgumentError struct {
	// Problems holds one entry for each wrong field, in the order of the
	// schema, with the unknown ones last. A problem without a path concerns
	// the arguments as a whole, and is then the only one.
	Problems []Problem
	// Valid names the arguments that exist. Decode sets it only when knowing
	// them helps: an argument was unknown, or the arguments were unreadable.
	Valid []string
}

// Problem says what is wrong with one field.
type Problem struct {
	Path string    // such as "limit" or "instance_ids[2]"
	Text lang.Text // such as "expected a whole number from 1 to 200, got 500"
}

func (e *ArgumentError) Error() string { return e.In(lang.English) }

// In says it in a language.
func (e *ArgumentError) In(l lang.Lang) string {
	var text string
	switch {
	case len(e.Problems) == 1 && e.Problems[0].Path == "":
		text = l.Sprintf("the arguments cannot be read: %s", e.Problems[0].Text)
	case len(e.Problems) == 1:
		text = l.Sprintf("%d argument is wrong:", 1) + list(l, e.Problems)
	default:
		text = l.Sprintf("%d arguments are wrong:", len(e.Problems)) + list(l, e.Problems)
	}
	if len(e.Valid) > 0 {
		text += "\n" + l.Sprintf("Valid arguments: %s", lang.Names(e.Valid))
	}
	return text
}

// list writes the problems one to a line, each line after a line break.
func list(l lang.Lang, problems []Problem) string {
	var text strings.Builder
	for i, problem := range problems {
		if i == maxListed {
			l.Fprintf(&text, "\n- and %d more", len(problems)-i)
			break
		}
		text.WriteString("\n- ")
		if problem.Path != "" {
			l.Fprintf(&text, "%s: ", problem.Path)
		}
		text.WriteString(problem.Text.In(l))
	}
	return text.String()
}

// collector turns the validator's findings into problems. The validator
// reports them in no fixed order.
type collector struct {
	root    *node
	value   any
	unknown lang.Text // what to call an unknown top-level name
	found   []found
}

type found struct {
	Problem
	order []int // the position in the schema, one number for each level
}

func collect(root *node, value any, err *validator.ValidationError, unknown lang.Text) []Problem {
	c := collector{root: root, value: value, unknown: unknown}
	c.add(err)
	slices.SortStableFunc(c.found, func(a, b found) int {
		return cmp.Or(slices.Compare(a.order, b.order), cmp.Compare(a.Path, b.Path))
	})
	var problems []Problem
	for i, f := range c.found {
		// One value can break several rules; the text names them all.
		if i == 0 || f.Path != c.found[i-1].Path {
			problems = append(problems, f.Problem)
		}
	}
	return problems
}

func (c *collector) add(err *validator.ValidationError) {
	if len(c.found) >= maxCollected {
		return
	}
	for _, cause := range err.Causes {
		c.add(cause)
	}
	if len(err.Causes) > 0 {
		return
	}
	n, value, path, order := c.locate(err.InstanceLocation)
	report := func(path string, text lang.Text, order ...int) {
		c.found = append(c.found, found{Problem{Path: path, Text: text}, order})
	}
	switch kind := err.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range kind.Missing {
			order := append(slices.Clip(order), slices.Index(n.names, name))
			report(member(path, name), missing(n.properties[name]), order...)
		}
	case *kind.AdditionalProperties:
		slices.Sort(kind.Properties)
		for _, name := range kind.Properties[:min(len(kind.Properties), maxCollected)] {
			order := append(slices.Clip(order), math.MaxInt)
			report(member(path, name), c.unknownText(n, name, path), order...)
		}
	case *kind.MinItems, *kind.MaxItems:
		items, _ := value.([]any)
		report(path, lang.T("expected %s, got %d", count(n.minItems, n.maxItems, "item"), len(items)), order...)
	case *kind.Type, *kind.Enum, *kind.Minimum, *kind.Maximum, *kind.MinLength, *kind.MaxLength, *kind.Pattern, *kind.Format:
		report(path, lang.T("expected %s, got %s", n.expected(), show(value)), order...)
	default:
		report(path, lang.T("does not match what is expected: %s", n.expected()), order...)
	}
}

// locate follows the validator's path through the schema and the value.
func (c *collector) locate(location []string) (n *node, value any, path string, order []int) {
	n, value = c.root, c.value
	for _, step := range location {
		switch container := value.(type) {
		case map[string]any:
			order = append(order, slices.Index(n.names, step))
			n, value, path = n.properties[step], container[step], member(path, step)
		case []any:
			index, _ := strconv.Atoi(step)
			order = append(order, index)
			n, value, path = n.items, container[index], item(path, index)
		}
	}
	return n, value, path, order
}

func (c *collector) unknownText(n *node, name, path string) lang.Text {
	text := unknownField
	if path == "" {
		text = c.unknown
	}
	if suggestion := suggest(name, n.names); suggestion != "" {
		return lang.T("%s; did you mean %q?", text, suggestion)
	}
	switch {
	case len(n.names) == 0:
		return lang.T("%s; nothing is taken here", text)
	case path != "":
		return lang.T("%s; valid here: %s", text, lang.Names(n.names))
	}
	return text
}

func missing(n *node) lang.Text {
	text := n.description
	if end := strings.Index(text, "\n"); end >= 0 {
		text = text[:end]
	}
	for _, stop := range []string{". ", "。"} {
		if end := strings.Index(text, stop); end >= 0 {
			text = text[:end]
		}
	}
	return lang.T("required, but missing: %s", strings.TrimSuffix(text, "."))
}

// show renders a value that somebody else chose: short, and on one line.
func show(value any) lang.Text {
	switch value := value.(type) {
	case nil:
		return lang.Verbatim("null")
	case bool:
		return lang.Verbatim(strconv.FormatBool(value))
	case json.Number:
		text, _ := cut(value.String())
		return lang.Verbatim(text)
	case string:
		text, length := cut(value)
		if text == value {
			return lang.Verbatim(strconv.Quote(text))
		}
		return lang.T("%q (%d characters)", text, length)
	case []any:
		if len(value) == 0 {
			return lang.T("an empty list")
		}
		return lang.T("a list of %s", lang.Count(len(value), "item"))
	case map[string]any:
		if len(value) == 0 {
			return lang.T("an empty object")
		}
		return lang.T("an object with %s", lang.Count(len(value), "field"))
	}
	return lang.T("something else")
}
