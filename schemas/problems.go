package schemas

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Limits on how much hostile arguments can make a message grow.
const (
	maxCollected = 1000
	maxListed    = 20
)

const unknownField = "unknown field"

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
	Path string // such as "limit" or "instance_ids[2]"
	Text string // such as "expected a whole number from 1 to 200, got 500"
}

func (e *ArgumentError) Error() string {
	var text string
	switch {
	case len(e.Problems) == 1 && e.Problems[0].Path == "":
		text = "the arguments cannot be read: " + e.Problems[0].Text
	case len(e.Problems) == 1:
		text = "1 argument is wrong:" + list(e.Problems)
	default:
		text = strconv.Itoa(len(e.Problems)) + " arguments are wrong:" + list(e.Problems)
	}
	if len(e.Valid) > 0 {
		text += "\nValid arguments: " + strings.Join(e.Valid, ", ")
	}
	return text
}

// list writes the problems one to a line, each line after a line break.
func list(problems []Problem) string {
	var text strings.Builder
	for i, problem := range problems {
		if i == maxListed {
			fmt.Fprintf(&text, "\n- and %d more", len(problems)-i)
			break
		}
		text.WriteString("\n- ")
		if problem.Path != "" {
			text.WriteString(problem.Path + ": ")
		}
		text.WriteString(problem.Text)
	}
	return text.String()
}

// collector turns the validator's findings into problems. The validator
// reports them in no fixed order.
type collector struct {
	root    *node
	value   any
	unknown string // what to call an unknown top-level name
	found   []found
}

type found struct {
	Problem
	order []int // the position in the schema, one number for each level
}

func collect(root *node, value any, err *validator.ValidationError, unknown string) []Problem {
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
	report := func(path, text string, order ...int) {
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
		report(path, "expected "+count(n.minItems, n.maxItems, "item")+", got "+strconv.Itoa(len(items)), order...)
	case *kind.Type, *kind.Enum, *kind.Minimum, *kind.Maximum, *kind.MinLength, *kind.MaxLength, *kind.Pattern, *kind.Format:
		report(path, "expected "+n.expected()+", got "+show(value), order...)
	default:
		report(path, "does not match what is expected: "+n.expected(), order...)
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

func (c *collector) unknownText(n *node, name, path string) string {
	text := unknownField
	if path == "" {
		text = c.unknown
	}
	if suggestion := suggest(name, n.names); suggestion != "" {
		return text + "; did you mean " + strconv.Quote(suggestion) + "?"
	}
	switch {
	case len(n.names) == 0:
		return text + "; nothing is taken here"
	case path != "":
		return text + "; valid here: " + strings.Join(n.names, ", ")
	}
	return text
}

func missing(n *node) string {
	text := n.description
	if end := strings.Index(text, "\n"); end >= 0 {
		text = text[:end]
	}
	for _, stop := range []string{". ", "。"} {
		if end := strings.Index(text, stop); end >= 0 {
			text = text[:end]
		}
	}
	return "required, but missing: " + strings.TrimSuffix(text, ".")
}

// show renders a value that somebody else chose: short, and on one line.
func show(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(value)
	case json.Number:
		text, _ := cut(value.String())
		return text
	case string:
		text, length := cut(value)
		if text == value {
			return strconv.Quote(text)
		}
		return fmt.Sprintf("%s (%d characters)", strconv.Quote(text), length)
	case []any:
		if len(value) == 0 {
			return "an empty list"
		}
		return "a list of " + plural(len(value), "item")
	case map[string]any:
		if len(value) == 0 {
			return "an empty object"
		}
		names := slices.Sorted(maps.Keys(value))
		return "an object with " + plural(len(names), "field")
	}
	return "something else"
}
