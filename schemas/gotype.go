package schemas

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	textType     = reflect.TypeFor[lang.Text]() // which is encoded as a string
	numberType   = reflect.TypeFor[json.Number]()
	durationType = reflect.TypeFor[time.Duration]()

	// ownForm lists the interfaces through which a type chooses its own JSON form or schema, which reflection cannot see.
	ownForm = []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
		reflect.TypeFor[interface{ JSONSchema() *jsonschema.Schema }](),
		reflect.TypeFor[interface{ JSONSchemaAlias() any }](),
		reflect.TypeFor[interface{ JSONSchemaProperty(string) any }](),
	}
)

var errOwnForm = errors.New("the type has a JSON form of its own, which the schema cannot show")

// checkType refuses the types that the reflection library gets wrong. It must run before the library does: on a recursive
// type that one overflows the stack, which ends the process.
func checkType(t reflect.Type) error {
	if t.Kind() != reflect.Struct || t == timeType {
		return errors.New("the root must be a struct")
	}
	return checkFields(t, []reflect.Type{t}, map[string]bool{})
}

// checkFields checks the fields of a struct. above are the structs that are being checked, and names the properties found so
// far on the same level, over embedded structs too.
func checkFields(t reflect.Type, above []reflect.Type, names map[string]bool) error {
	if hasOwnForm(t) { // also by embedding a type that has one
		return errOwnForm
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" && options == "" {
			continue
		}
		if field.Anonymous && name == "" {
			if field.Type.Kind() != reflect.Struct {
				return fmt.Errorf("%s: only structs can be embedded", field.Name)
			}
			if err := enter(field.Type, above, names); err != nil {
				return fmt.Errorf("%s: %w", field.Name, err)
			}
			continue
		}
		if !field.IsExported() {
			continue
		}
		if err := checkField(field, strings.Split(options, ","), above); err != nil {
			return fmt.Errorf("%s: %w", field.Name, err)
		}
		if name == "" {
			name = field.Name
		}
		if names[name] {
			return fmt.Errorf("%s: the property %s is declared twice", field.Name, name)
		}
		names[name] = true
	}
	return nil
}

func checkField(field reflect.StructField, options []string, above []reflect.Type) error {
	optional := slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero")
	switch {
	case slices.Contains(options, "string"), slices.Contains(options, "inline"):
		return errors.New("the json options string and inline are not supported")
	case field.Type.Kind() == reflect.Pointer && !optional:
		return errors.New("a pointer without omitempty would be sent as null")
	}
	if err := checkValue(field.Type, above); err != nil {
		return err
	}
	return checkTags(field)
}

func checkValue(t reflect.Type, above []reflect.Type) error {
	if t == timeType || t == textType {
		return nil
	}
	if t == durationType {
		return errors.New("a duration would be sent as nanoseconds: use a whole number and name the unit in the property")
	}
	if t == numberType || t.Kind() != reflect.Pointer && hasOwnForm(t) {
		return errOwnForm
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer:
		return checkValue(t.Elem(), above)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return errors.New("bytes would be sent as base64: use a string")
		}
		if t.Elem().Kind() == reflect.Pointer {
			return errors.New("a list of pointers could hold null: use a list of values")
		}
		return checkValue(t.Elem(), above)
	case reflect.Struct:
		return enter(t, above, map[string]bool{})
	case reflect.Map:
		return errors.New("a map cannot be expressed: use a list of structs")
	case reflect.Interface:
		return errors.New("an interface cannot be expressed: use a type")
	default:
		return fmt.Errorf("%s cannot be expressed", t.Kind())
	}
}

func enter(t reflect.Type, above []reflect.Type, names map[string]bool) error {
	if slices.Contains(above, t) {
		return fmt.Errorf("%s contains itself", t)
	}
	return checkFields(t, append(slices.Clip(above), t), names)
}

func hasOwnForm(t reflect.Type) bool {
	return slices.ContainsFunc(ownForm, func(form reflect.Type) bool {
		return t.Implements(form) || reflect.PointerTo(t).Implements(form)
	})
}

// tagKeys says which keys of a jsonschema tag make sense on which type.
var tagKeys = map[string]string{
	"string":  "enum minLength maxLength pattern default",
	"number":  "minimum maximum default",
	"boolean": "default",
	"list":    "minItems maxItems",
	"other":   "",
}

var (
	tagNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	tagCount  = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)
)

// checkTags refuses what the reflection library would drop in silence: a misspelt key, a key on the wrong type, a value that
// it cannot parse, the rest of a description after a comma.
func checkTags(field reflect.StructField) error {
	t := field.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	list := t.Kind() == reflect.Slice || t.Kind() == reflect.Array
	allowed := tagKeys[class(t)]
	if list {
		t = t.Elem()
		allowed += " " + strings.ReplaceAll(tagKeys[class(t)], "default", "")
		if class(t) == "string" {
			allowed += " default"
		}
	}
	bounded := false
	for _, part := range splitTag(field.Tag.Get("jsonschema")) {
		key, value, _ := strings.Cut(part, "=")
		if !slices.Contains(strings.Fields(allowed), key) {
			return fmt.Errorf("jsonschema tag: %q is not supported on this type", part)
		}
		if !validTag(key, value, class(t)) || list && strings.Contains(value, "=") {
			return fmt.Errorf("jsonschema tag: %q has no usable value", part)
		}
		bounded = bounded || key == "minimum"
	}
	switch t.Kind() {
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !bounded {
			return errors.New("an unsigned number needs jsonschema:\"minimum=0\"")
		}
	}
	return nil
}

func validTag(key, value, class string) bool {
	switch {
	case key == "minimum", key == "maximum", key == "default" && class == "number":
		return tagNumber.MatchString(value)
	case key == "minLength", key == "maxLength", key == "minItems", key == "maxItems":
		return tagCount.MatchString(value)
	case key == "default" && class == "boolean":
		return value == "true" || value == "false"
	}
	return value != ""
}

// splitTag splits at the commas that have no backslash before them.
func splitTag(tag string) []string {
	if tag == "" {
		return nil
	}
	parts := strings.Split(strings.ReplaceAll(tag, `\,`, "\x00"), ",")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, "\x00", ",")
	}
	return parts
}

func class(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Struct, reflect.Map, reflect.Interface, reflect.Pointer:
		return "other"
	default:
		return "number"
	}
}
