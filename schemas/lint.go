package schemas

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// keywords are the ones that every known client accepts.
var keywords = strings.Fields(`type title description default properties required additionalProperties
	items minItems maxItems enum minLength maxLength pattern format minimum maximum`)

var kinds = []string{"object", "array", "string", "integer", "number", "boolean"}

// Lint lists what in a schema some client is known to refuse, or worse, to
// drop together with every other tool. Each finding begins with its place.
func Lint(schema json.RawMessage) []string {
	value, problems, err := parse(schema)
	if err != nil {
		return []string{"$: " + err.Error()}
	}
	l := linter{}
	for _, problem := range problems {
		l.find("$."+problem.Path, "%s", problem.Text)
	}
	if object, ok := value.(map[string]any); ok && object["type"] != "object" {
		l.find("$", "the root is not of type object")
	}
	l.schema("$", value)
	return l.findings
}

type linter struct{ findings []string }

func (l *linter) find(path, format string, args ...any) {
	l.findings = append(l.findings, path+": "+fmt.Sprintf(format, args...))
}

func (l *linter) schema(path string, value any) {
	schema, ok := value.(map[string]any)
	if !ok {
		if _, ok := value.(bool); ok {
			l.find(path, "boolean schema")
		} else {
			l.find(path, "a schema must be an object, not %s", show(value))
		}
		return
	}
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		if !slices.Contains(keywords, keyword) {
			short, _ := cut(keyword)
			l.find(path, "the keyword %s is not portable", strconv.Quote(short))
		}
	}
	kind := l.kind(path, schema)
	l.enum(path, kind, schema)
	if format, ok := schema["format"]; ok && format != "date-time" {
		l.find(path, "the format %s is not portable; only date-time is", show(format))
	}
	if properties, ok := schema["properties"]; ok || kind == "object" {
		l.object(path, schema, properties)
	} else if _, ok := schema["additionalProperties"]; ok {
		l.find(path, "additionalProperties on something that is not an object")
	}
	if items, ok := schema["items"]; ok {
		l.items(path+".items", items)
	} else if kind == "array" {
		l.find(path, "an array without items")
	}
}

func (l *linter) kind(path string, schema map[string]any) string {
	switch kind := schema["type"].(type) {
	case nil:
		l.find(path, "no type")
	case []any:
		l.find(path, "a list of types; only one is portable")
	case string:
		if !slices.Contains(kinds, kind) {
			l.find(path, "the type %s is not portable", show(kind))
		}
		return kind
	default:
		l.find(path, "the type must be a string, not %s", show(kind))
	}
	return ""
}

func (l *linter) enum(path, kind string, schema map[string]any) {
	enum, ok := schema["enum"]
	if !ok {
		return
	}
	values, ok := enum.([]any)
	if !ok || len(values) == 0 {
		l.find(path, "an enum must be a list of values, not %s", show(enum))
	}
	if kind == "" {
		l.find(path, "an enum without a type")
		return
	}
	if kind != "string" || slices.ContainsFunc(values, func(v any) bool { _, ok := v.(string); return !ok }) {
		l.find(path, "an enum of something other than strings")
	}
}

func (l *linter) object(path string, schema map[string]any, value any) {
	if schema["additionalProperties"] != false {
		l.find(path, "an object without additionalProperties: false")
	}
	properties, ok := value.(map[string]any)
	if !ok {
		l.find(path, "an object without properties")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		place := path + "." + member("properties", name)
		if !isKey(name) {
			l.find(place, "the name is not snake_case of at most 64 characters")
		}
		property, ok := properties[name].(map[string]any)
		if description, _ := property["description"].(string); ok && strings.TrimSpace(description) == "" {
			l.find(place, "no description")
		}
		l.schema(place, properties[name])
	}
	required, ok := schema["required"].([]any)
	if _, given := schema["required"]; given && !ok {
		l.find(path, "required must be a list")
	}
	for _, name := range required {
		if key, ok := name.(string); !ok || properties[key] == nil {
			l.find(path, "required names something that is not a property: %s", show(name))
		}
	}
}

func (l *linter) items(path string, items any) {
	if _, ok := items.([]any); ok {
		l.find(path, "a list of schemas; only one for all items is portable")
		return
	}
	l.schema(path, items)
}
