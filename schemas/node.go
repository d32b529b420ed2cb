package schemas

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// node is one place in a schema.
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
	defaults         []string // more than one only for a list
}

// remove takes a property out of an object; false if it is not there.
func (n *node) remove(name string) bool {
	if n.properties[name] == nil {
		return false
	}
	delete(n.properties, name)
	delete(n.required, name)
	n.names = slices.DeleteFunc(n.names, func(other string) bool { return other == name })
	return true
}

// checkPatterns finds at start-up what compiling would only find at the
// first call.
func (n *node) checkPatterns() error {
	if n.pattern != "" {
		if _, err := regexp.Compile(n.pattern); err != nil {
			return fmt.Errorf("pattern: %w", err)
		}
	}
	if n.items != nil {
		return n.items.checkPatterns()
	}
	for _, name := range n.names {
		if err := n.properties[name].checkPatterns(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
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
