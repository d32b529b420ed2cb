package schemas

import (
	"fmt"
	"math"
	"strconv"

	"github.com/invopop/jsonschema"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// node is one place in a schema, in the form that coercion and messages need.
type node struct {
	kind        string
	description string

	names      []string // properties in struct order
	properties map[string]*node
	required   map[string]bool

	items              *node
	minItems, maxItems *uint64

	enum                 []string
	minLength, maxLength *uint64
	pattern, format      string

	minimum, maximum string
}

// newNode reads a schema of a Go type.
func newNode(schema *jsonschema.Schema) *node {
	n := &node{
		kind:        schema.Type,
		description: schema.Description,
		minItems:    schema.MinItems,
		maxItems:    schema.MaxItems,
		minLength:   schema.MinLength,
		maxLength:   schema.MaxLength,
		pattern:     schema.Pattern,
		format:      schema.Format,
		minimum:     schema.Minimum.String(),
		maximum:     schema.Maximum.String(),
	}
	for _, value := range schema.Enum {
		n.enum = append(n.enum, fmt.Sprint(value))
	}
	if schema.Items != nil {
		n.items = newNode(schema.Items)
	}
	if schema.Properties != nil {
		n.properties, n.required = map[string]*node{}, map[string]bool{}
		for name, property := range schema.Properties.FromOldest() {
			n.names = append(n.names, name)
			n.properties[name] = newNode(property)
		}
	}
	for _, name := range schema.Required {
		n.required[name] = true
	}
	return n
}

// expected says in plain words which values fit.
func (n *node) expected() lang.Text {
	switch n.kind {
	case "integer":
		return lang.T("a whole number%s", n.numberRange())
	case "number":
		return lang.T("a number%s", n.numberRange())
	case "boolean":
		return lang.T("true or false")
	case "string":
		return n.expectedText()
	case "array":
		if size := count(n.minItems, n.maxItems, "item"); !size.IsZero() {
			return lang.T("a list of %s, each %s", size, n.items.expected())
		}
		return lang.T("a list, each %s", n.items.expected())
	}
	if len(n.names) == 0 {
		return lang.T("an empty object")
	}
	return lang.T("an object with %s", lang.Names(n.names))
}

func (n *node) expectedText() lang.Text {
	if len(n.enum) > 0 {
		quoted := make([]string, len(n.enum))
		for i, value := range n.enum {
			quoted[i] = strconv.Quote(value)
		}
		if len(quoted) == 1 {
			return lang.Verbatim(quoted[0])
		}
		return lang.T("one of %s", lang.Names(quoted))
	}
	if n.format == "date-time" {
		return lang.T("a date and time such as \"2026-01-31T08:00:00Z\"")
	}
	text := lang.T("text")
	if size := count(n.minLength, n.maxLength, "character"); !size.IsZero() {
		text = lang.T("text of %s", size)
	}
	if n.pattern != "" {
		return lang.T("%s matching %s", text, n.pattern)
	}
	return text
}

func (n *node) numberRange() lang.Text {
	switch {
	case n.minimum != "" && n.maximum != "":
		return lang.T(" from %s to %s", n.minimum, n.maximum)
	case n.minimum != "":
		return lang.T(" of at least %s", n.minimum)
	case n.maximum != "":
		return lang.T(" of at most %s", n.maximum)
	}
	return lang.Text{}
}

// count says "1 to 20 items", or nothing when there is no limit.
func count(least, most *uint64, unit string) lang.Text {
	hasLeast := least != nil && *least > 0
	switch {
	case hasLeast && most != nil && *least == *most:
		return lang.T("exactly %s", plural(*most, unit))
	case hasLeast && most != nil:
		return lang.T("%d to %s", *least, plural(*most, unit))
	case hasLeast:
		return lang.T("at least %s", plural(*least, unit))
	case most != nil:
		return lang.T("at most %s", plural(*most, unit))
	}
	return lang.Text{}
}

func plural(n uint64, unit string) lang.Text { return lang.Count(int(min(n, math.MaxInt)), unit) }
