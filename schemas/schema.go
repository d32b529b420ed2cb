// Package schemas turns Go structs into JSON Schemas that every known client
// accepts, and turns the arguments a language model sends into those structs.
//
// A struct is declared once. [For] derives its schema and refuses whatever
// some client is known to choke on. [Schema.Decode] accepts the small
// deviations that clients are known to send, and answers everything else with
// an [ArgumentError], whose text a model can act on.
package schemas

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is the JSON Schema of one Go struct, in the portable subset. It is
// safe for concurrent use.
type Schema struct {
	text    json.RawMessage
	root    *node
	compile func() (*validator.Schema, error)
}

// Option changes the schema that [For] makes.
type Option struct{ without string }

// Without leaves a property out, for an argument that is offered only
// sometimes. A caller who sends it anyway is told that it is unknown.
func Without(property string) Option { return Option{without: property} }

func (o Option) apply(schema *jsonschema.Schema) error {
	if _, ok := schema.Properties.Delete(o.without); !ok {
		return fmt.Errorf("there is no property %q to leave out", o.without)
	}
	schema.Required = slices.DeleteFunc(schema.Required, func(name string) bool { return name == o.without })
	return nil
}

// For returns the schema of the struct T.
//
// Field names come from the json tag, and a field is optional when that tag
// says omitempty or omitzero. Every field needs a jsonschema_description tag.
// The jsonschema tag may add enum, minimum, maximum, minLength, maxLength,
// minItems, maxItems, pattern and default, each as key=value; on a list of
// strings or numbers all but minItems, maxItems and default apply to the
// items.
//
// For returns an error when T cannot be expressed in the portable subset.
//
// A schema is made once for a type and its options: making them takes most of
// the time that a server needs to start.
func For[T any](options ...Option) (*Schema, error) {
	t := reflect.TypeFor[T]()
	once, _ := schemasOf.LoadOrStore(made{t, fmt.Sprint(options)}, sync.OnceValues(func() (*Schema, error) {
		schema, err := reflectType(t, options)
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", t, err)
		}
		return schema, nil
	}))
	return once.(func() (*Schema, error))()
}

// made is what a schema is made of.
type made struct {
	t       reflect.Type
	options string
}

// schemasOf holds a function for each made, which returns what [For] does.
var schemasOf sync.Map

// MustFor is [For] for package-level declarations: it panics on an error.
func MustFor[T any](options ...Option) *Schema {
	schema, err := For[T](options...)
	if err != nil {
		panic(err)
	}
	return schema
}

// JSON returns the schema's text. It is the same on every run, with the
// properties in the order of the struct's fields.
func (s *Schema) JSON() json.RawMessage {
	return slices.Clone(s.text)
}

// Properties returns the names of the top-level properties in the order of
// the struct's fields.
func (s *Schema) Properties() []string {
	return slices.Clone(s.root.names)
}

func reflectType(t reflect.Type, options []Option) (*Schema, error) {
	if err := checkType(t); err != nil {
		return nil, err
	}
	reflector := jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true, Mapper: textSchema}
	schema := reflector.ReflectFromType(t)
	schema.Version, schema.ID = "", ""
	for _, option := range options {
		if err := option.apply(schema); err != nil {
			return nil, err
		}
	}
	text, err := textOf(schema)
	if err != nil {
		return nil, err
	}
	root := newNode(schema)
	if err := root.check(); err != nil {
		return nil, err
	}
	// Compiling costs far more than all the rest, and a process that only
	// lists its tools needs none of it.
	compile := sync.OnceValues(func() (*validator.Schema, error) { return compileText(text) })
	return &Schema{text: text, root: root, compile: compile}, nil
}

// textSchema is the schema of what has another form than its type.
func textSchema(t reflect.Type) *jsonschema.Schema {
	if t == textType {
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// check finds what the tags of a struct can do wrong in a schema; what else
// [Lint] looks for, its types cannot do. A pattern that is none would only be
// found at the first call.
func (n *node) check() error {
	if n.pattern != "" {
		if _, err := regexp.Compile(n.pattern); err != nil {
			return fmt.Errorf("pattern: %w", err)
		}
	}
	if n.items != nil {
		return n.items.check()
	}
	for _, name := range n.names {
		property := n.properties[name]
		switch {
		case !isKey(name):
			return fmt.Errorf("%q: the name is not snake_case of at most 64 characters", name)
		case strings.TrimSpace(property.description) == "":
			return fmt.Errorf("%s: no description", name)
		}
		if err := property.check(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
