package schemas

import (
	"encoding/json"
	"math/big"
	"strings"
)

// coerce turns the deviations that clients are known to send into what the
// schema wants. It does so only where no other reading is possible; anything
// else is left for validation to refuse. It changes lists and objects in
// place, and reports whether anything changed.
func (n *node) coerce(value any) (result any, changed bool) {
	switch n.kind {
	case "integer":
		return coerceInteger(value)
	case "number":
		return coerceNumber(value)
	case "boolean":
		return coerceBoolean(value)
	case "array":
		return n.coerceList(value)
	case "object":
		return value, n.coerceObject(value)
	}
	return value, false
}

// coerceObject also drops the nulls that clients in strict mode send for
// every optional property.
func (n *node) coerceObject(value any) (changed bool) {
	object, ok := value.(map[string]any)
	if !ok {
		return false
	}
	for _, name := range n.names {
		value, ok := object[name]
		if !ok {
			continue
		}
		if value == nil && !n.required[name] {
			delete(object, name)
			changed = true
		} else if value, ok := n.properties[name].coerce(value); ok {
			object[name] = value
			changed = true
		}
	}
	return changed
}

// coerceList wraps a lone string, but reads one that is itself a JSON list of
// strings. A blank string is refused, as it more likely means "none".
func (n *node) coerceList(value any) (any, bool) {
	changed := false
	if text, ok := value.(string); ok && n.items.kind == "string" && strings.TrimSpace(text) != "" {
		value, changed = []any{text}, true
		if list, ok := stringList(text); ok {
			value = list
		}
	}
	list, ok := value.([]any)
	if !ok {
		return value, false
	}
	for i, element := range list {
		if element, ok := n.items.coerce(element); ok {
			list[i] = element
			changed = true
		}
	}
	return list, changed
}

func stringList(text string) ([]any, bool) {
	if !strings.HasPrefix(strings.TrimSpace(text), "[") {
		return nil, false
	}
	value, _, err := parse([]byte(text))
	list, ok := value.([]any)
	if err != nil || !ok {
		return nil, false
	}
	for _, element := range list {
		if _, ok := element.(string); !ok {
			return nil, false
		}
	}
	return list, true
}

func coerceNumber(value any) (any, bool) {
	text, ok := value.(string)
	if !ok {
		return value, false
	}
	if text, ok := numberText(text); ok {
		return json.Number(text), true
	}
	return value, false
}

// coerceInteger writes whole numbers without fraction and exponent, because
// the validator takes 5.0 for a whole number and Go does not.
func coerceInteger(value any) (any, bool) {
	text, fromString := value.(string)
	if number, ok := value.(json.Number); ok {
		text = number.String()
	} else if !fromString {
		return value, false
	}
	text, ok := numberText(text)
	if !ok || !fromString && !strings.ContainsAny(text, ".eE") {
		return value, false
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() && !exact.Num().IsUint64() {
		return value, false
	}
	return json.Number(exact.Num().String()), true
}

func coerceBoolean(value any) (any, bool) {
	text, ok := value.(string)
	switch {
	case ok && strings.EqualFold(text, "true"):
		return true, true
	case ok && strings.EqualFold(text, "false"):
		return false, true
	}
	return value, false
}

// numberText returns text without the spaces around it if it is a JSON number.
func numberText(text string) (string, bool) {
	text = strings.Trim(text, " \t\r\n")
	if len(text) > maxDigits || text == "" || (text[0] != '-' && (text[0] < '0' || text[0] > '9')) {
		return "", false
	}
	return text, json.Valid([]byte(text)) && manageable(text)
}
