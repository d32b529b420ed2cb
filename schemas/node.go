package schemas

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
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

// expected says in plain English which values fit.
func (n *node) expected() string {
	switch n.kind {
	case "integer":
		return "a whole number" + n.numberRange()
	case "number":
		return "a number" + n.numberRange()
	case "boolean":
		return "true or false"
	case "string":
		return n.expectedText()
	case "array":
		text := "a list"
		if size := count(n.minItems, n.maxItems, "item"); size != "" {
			text += " of " + size
		}
		return text + ", each " + n.items.expected()
	}
	if len(n.names) == 0 {
		return "an empty object"
	}
	return "an object with " + strings.Join(n.names, ", ")
}

func (n *node) expectedText() string {
	if len(n.enum) > 0 {
		quoted := make([]string, len(n.enum))
		for i, value := range n.enum {
			quoted[i] = strconv.Quote(value)
		}
		if len(quoted) == 1 {
			return quoted[0]
		}
		return "one of " + strings.Join(quoted, ", ")
	}
	if n.format == "date-time" {
		return `a date and time such as "2026-01-31T08:00:00Z"`
	}
	text := "text"
	if size := count(n.minLength, n.maxLength, "character"); size != "" {
		text += " of " + size
	}
	if n.pattern != "" {
		text += " matching " + n.pattern
	}
	return text
}

func (n *node) numberRange() string {
	switch {
	case n.minimum != "" && n.maximum != "":
		return " from " + n.minimum + " to " + n.maximum
	case n.minimum != "":
		return " of at least " + n.minimum
	case n.maximum != "":
		return " of at most " + n.maximum
	}
	return ""
}

// count says "1 to 20 items", or nothing when there is no limit.
func count(least, most *uint64, unit string) string {
	hasLeast := least != nil && *least > 0
	switch {
	case hasLeast && most != nil && *least == *most:
		return "exactly " + plural(*most, unit)
	case hasLeast && most != nil:
		return fmt.Sprintf("%d to %s", *least, plural(*most, unit))
	case hasLeast:
		return "at least " + plural(*least, unit)
	case most != nil:
		return "at most " + plural(*most, unit)
	}
	return ""
}

func plural[N int | uint64](n N, unit string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", unit)
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
