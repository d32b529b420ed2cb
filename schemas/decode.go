package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Decode reads the arguments of a call into the struct that into points to.
// Fields whose argument is absent keep their value.
//
// Arguments that are null or absent count as an object without members. Where
// the schema leaves no doubt, deviations that clients are known to send are
// accepted: the arguments or a list of strings as JSON in a string, numbers
// and booleans as strings, one string instead of a list, null for an optional
// argument. Wrong arguments yield an [*ArgumentError]; any other error is a
// defect of the program.
func (s *Schema) Decode(arguments json.RawMessage, into any) error {
	object, text, problems, err := readArguments(arguments)
	if err != nil {
		return s.unreadable(lang.ErrorText(err))
	}
	if s.root.coerceObject(object) {
		text = nil
	}
	found, err := s.check(object, unknownArgument)
	if err != nil {
		return err
	}
	if problems = join(problems, found); len(problems) > 0 {
		return s.wrong(problems, object)
	}
	if text == nil {
		if text, err = json.Marshal(object); err != nil {
			return errUndecodable
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(into)
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch) && strings.HasPrefix(mismatch.Value, "number"):
		return s.wrong([]Problem{s.root.outOfRange(mismatch.Field)}, object)
	}
	return errUndecodable
}

// errUndecodable has a fixed text, because the library's would show Go types.
var errUndecodable = lang.Errorf("the arguments match the schema, but not the Go value they are decoded into")

// Validate checks a result before it leaves. The value is marshalled unless
// it is a json.RawMessage. The error lists all problems; nothing is coerced.
func (s *Schema) Validate(value any) error {
	text, ok := value.(json.RawMessage)
	if !ok {
		var err error
		if text, err = json.Marshal(value); err != nil {
			return fmt.Errorf("the result cannot be written as JSON: %w", err) // not said to people
		}
	}
	parsed, problems, err := parse(text)
	if err != nil {
		return fmt.Errorf("the result cannot be read: %w", err) // not said to people
	}
	found, err := s.check(parsed, unknownField)
	if err != nil {
		return err
	}
	if problems = join(problems, found); len(problems) == 0 {
		return nil
	}
	return errors.New("the result does not match its schema:" + list(lang.English, problems)) // not said to people
}

// readArguments returns the arguments, and also their text as long as that
// has exactly the same meaning.
func readArguments(arguments json.RawMessage) (object map[string]any, text []byte, problems []Problem, err error) {
	text = bytes.TrimSpace(arguments)
	if len(text) == 0 {
		text = []byte("null")
	}
	value, problems, err := parse(text)
	if err != nil {
		return nil, nil, nil, err
	}
	if inner, ok := value.(string); ok && strings.HasPrefix(strings.TrimSpace(inner), "{") {
		text = []byte(inner)
		if value, problems, err = parse(text); err != nil {
			return nil, nil, nil, lang.Errorf("they are a string, and in it %w", err)
		}
	}
	switch value := value.(type) {
	case map[string]any:
		return value, text, problems, nil
	case nil:
		if len(problems) == 0 {
			return map[string]any{}, []byte("{}"), nil, nil
		}
	}
	return nil, nil, nil, lang.Errorf("expected a JSON object, got %s", show(value))
}

// join adds the problems of places that have none yet.
func join(problems, more []Problem) []Problem {
	if len(problems) == 0 {
		return more
	}
	for _, problem := range more {
		same := func(p Problem) bool { return p.Path == problem.Path }
		if !slices.ContainsFunc(problems, same) {
			problems = append(problems, problem)
		}
	}
	return problems
}

// check validates a parsed value.
func (s *Schema) check(value any, unknown lang.Text) ([]Problem, error) {
	compiled, err := s.compile()
	if err != nil {
		return nil, fmt.Errorf("the schema cannot be compiled: %w", err) // not said to people
	}
	var invalid *validator.ValidationError
	err = compiled.Validate(value)
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &invalid):
		return collect(s.root, value, invalid, unknown), nil
	}
	return nil, err
}

func (s *Schema) unreadable(reason lang.Text) error {
	return &ArgumentError{Problems: []Problem{{Text: reason}}, Valid: s.Properties()}
}

func (s *Schema) wrong(problems []Problem, object map[string]any) error {
	e := &ArgumentError{Problems: problems}
	for name := range object {
		if s.root.properties[name] == nil {
			e.Valid = s.Properties()
			break
		}
	}
	return e
}

// outOfRange is the problem of a number that the schema allows and the Go
// type cannot hold. The path also holds the names of embedded structs, which
// are nothing to the caller.
func (n *node) outOfRange(path string) Problem {
	problem := Problem{Text: lang.T("the number is out of range")}
	for name := range strings.SplitSeq(path, ".") {
		for n.items != nil {
			n = n.items
		}
		if slices.Contains(n.names, name) {
			n = n.properties[name]
			problem.Path = member(problem.Path, name)
			problem.Text = lang.T("expected %s, got a number that is out of range", n.expected())
		}
	}
	return problem
}

// compileText compiles a schema that Lint has passed.
func compileText(text []byte) (*validator.Schema, error) {
	document, _, err := parse(text)
	if err != nil {
		return nil, err
	}
	const name = "schema:///root"
	compiler := validator.NewCompiler()
	compiler.DefaultDraft(validator.Draft2020)
	compiler.AssertFormat()
	// The library's own check lets times pass that Go cannot read.
	compiler.RegisterFormat(&validator.Format{Name: "date-time", Validate: func(value any) error {
		if text, ok := value.(string); ok {
			return new(time.Time).UnmarshalText([]byte(text))
		}
		return nil
	}})
	if err := compiler.AddResource(name, document); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}
