package schemas

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	numberType   = reflect.TypeFor[json.Number]()
	durationType = reflect.TypeFor[time.Duration]()

	// ownForm lists the interfaces through which a type chooses its own JSON form, which reflection cannot see.
	ownForm = []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
)

var errOwnForm = errors.New("the type has a JSON form of its own, which the schema cannot show")

// ofStruct returns the schema of a root.
func ofStruct(t reflect.Type) (*node, error) {
	if t.Kind() != reflect.Struct || t == timeType {
		return nil, errors.New("the root must be a struct")
	}
	return ofObject(t, nil)
}

// ofObject returns the schema of a struct. above are the structs that it is in.
func ofObject(t reflect.Type, above []reflect.Type) (*node, error) {
	n := &node{kind: "object", properties: map[string]*node{}, required: map[string]bool{}}
	return n, n.addFields(t, above)
}

// addFields adds the fields of a struct, which may be embedded in that of n.
func (n *node) addFields(t reflect.Type, above []reflect.Type) error {
	if slices.Contains(above, t) {
		return fmt.Errorf("%s contains itself", t)
	}
	if hasOwnForm(t) { // also by embedding a type that has one
		return errOwnForm
	}
	above = append(slices.Clip(above), t)
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		var err error
		switch {
		case name == "-" && options == "":
		case field.Anonymous && name == "" && field.Type.Kind() != reflect.Struct:
			err = errors.New("only structs can be embedded")
		case field.Anonymous && name == "":
			err = n.addFields(field.Type, above)
		case field.IsExported():
			err = n.addField(field, name, strings.Split(options, ","), above)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", field.Name, err)
		}
	}
	return nil
}

func (n *node) addField(field reflect.StructField, name string, options []string, above []reflect.Type) error {
	optional := slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero")
	switch {
	case slices.Contains(options, "string"), slices.Contains(options, "inline"):
		return errors.New("the json options string and inline are not supported")
	case field.Type.Kind() == reflect.Pointer && !optional:
		return errors.New("a pointer without omitempty would be sent as null")
	case name == "":
		name = field.Name
	}
	property, err := ofValue(field.Type, above)
	if err != nil {
		return err
	}
	if err := property.addTags(field); err != nil {
		return err
	}
	property.description = field.Tag.Get("jsonschema_description")
	switch {
	case strings.TrimSpace(property.description) == "":
		return errors.New("no description")
	case !isKey(name):
		return fmt.Errorf("the name %q is not snake_case of at most 64 characters", name)
	case n.properties[name] != nil:
		return fmt.Errorf("the property %s is declared twice", name)
	}
	n.names = append(n.names, name)
	n.properties[name], n.required[name] = property, !optional
	return nil
}

func ofValue(t reflect.Type, above []reflect.Type) (*node, error) {
	switch {
	case t == timeType:
		return &node{kind: "string", format: "date-time"}, nil
	case t == durationType:
		return nil, errors.New("a duration would be sent as nanoseconds: use a whole number and name the unit in the property")
	case t == numberType || t.Kind() != reflect.Pointer && hasOwnForm(t):
		return nil, errOwnForm
	}
	switch t.Kind() {
	case reflect.Bool:
		return &node{kind: "boolean"}, nil
	case reflect.String:
		return &node{kind: "string"}, nil
	case reflect.Float32, reflect.Float64:
		return &node{kind: "number"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &node{kind: "integer"}, nil
	case reflect.Pointer:
		return ofValue(t.Elem(), above)
	case reflect.Slice, reflect.Array:
		return ofList(t, above)
	case reflect.Struct:
		return ofObject(t, above)
	case reflect.Map:
		return nil, errors.New("a map cannot be expressed: use a list of structs")
	case reflect.Interface:
		return nil, errors.New("an interface cannot be expressed: use a type")
	default:
		return nil, fmt.Errorf("%s cannot be expressed", t.Kind())
	}
}

func ofList(t reflect.Type, above []reflect.Type) (*node, error) {
	switch t.Elem().Kind() {
	case reflect.Uint8:
		return nil, errors.New("bytes would be sent as base64: use a string")
	case reflect.Pointer:
		return nil, errors.New("a list of pointers could hold null: use a list of values")
	}
	items, err := ofValue(t.Elem(), above)
	n := &node{kind: "array", items: items}
	if t.Kind() == reflect.Array {
		length := uint64(t.Len())
		n.minItems, n.maxItems = &length, &length
	}
	return n, err
}

func hasOwnForm(t reflect.Type) bool {
	if t.PkgPath() == "" && t.Name() != "" { // string, int and the like have no methods
		return false
	}
	return slices.ContainsFunc(ownForm, func(form reflect.Type) bool {
		return t.Implements(form) || reflect.PointerTo(t).Implements(form)
	})
}

// tagKeys says which keys of a jsonschema tag make sense on which kind.
var tagKeys = map[string][]string{
	"string":  {"enum", "minLength", "maxLength", "pattern", "default"},
	"integer": {"minimum", "maximum", "default"},
	"number":  {"minimum", "maximum", "default"},
	"boolean": {"default"},
	"array":   {"minItems", "maxItems"},
}

// addTags reads the jsonschema tag of a field. It refuses a misspelt key, a key on the wrong type, a value that it cannot
// parse, and the rest of a value after a comma.
func (n *node) addTags(field reflect.StructField) error {
	for _, part := range splitTag(field.Tag.Get("jsonschema")) {
		key, value, _ := strings.Cut(part, "=")
		about := n
		switch {
		case n.items == nil || slices.Contains(tagKeys["array"], key):
		case key == "default" && n.items.kind != "string":
			return fmt.Errorf("jsonschema tag: %q is not supported on this type", part)
		case key == "default":
			n.defaults = append(n.defaults, value)
			continue
		default:
			about = n.items
		}
		if !slices.Contains(tagKeys[about.kind], key) || about.format != "" {
			return fmt.Errorf("jsonschema tag: %q is not supported on this type", part)
		}
		if !about.set(key, value) || n.items != nil && strings.Contains(value, "=") {
			return fmt.Errorf("jsonschema tag: %q has no usable value", part)
		}
	}
	t := field.Type
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	if kind := t.Kind(); kind >= reflect.Uint && kind <= reflect.Uint64 && n.lowest() == "" {
		return errors.New("an unsigned number needs jsonschema:\"minimum=0\"")
	}
	return nil
}

// lowest is the minimum of a number, or of those in a list.
func (n *node) lowest() string {
	if n.items != nil {
		return n.items.lowest()
	}
	return n.minimum
}

// set sets what a key of the jsonschema tag means. It reports whether the value can be used.
func (n *node) set(key, value string) bool {
	if value == "" {
		return false
	}
	switch key {
	case "minimum":
		n.minimum = value
		return isNumber(value)
	case "maximum":
		n.maximum = value
		return isNumber(value)
	case "minLength":
		return setCount(&n.minLength, value)
	case "maxLength":
		return setCount(&n.maxLength, value)
	case "minItems":
		return setCount(&n.minItems, value)
	case "maxItems":
		return setCount(&n.maxItems, value)
	case "pattern":
		n.pattern = value
	case "enum":
		n.enum = append(n.enum, value)
	case "default":
		n.defaults = []string{value}
		switch n.kind {
		case "string":
			return true
		case "boolean":
			return value == "true" || value == "false"
		}
		return isNumber(value)
	}
	return true
}

// isNumber reports whether text is a number in JSON, without an exponent.
func isNumber(text string) bool {
	return strings.Trim(text, "-.0123456789") == "" && json.Valid([]byte(text))
}

func setCount(to **uint64, text string) bool {
	count, err := strconv.ParseUint(text, 10, 30)
	*to = &count
	return err == nil && text == strconv.FormatUint(count, 10)
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
