package schemas

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func property(schema string) string {
	return `{"type":"object","properties":{"a":` + schema + `},"additionalProperties":false}`
}

func TestLint(t *testing.T) {
	const d = `"description":"A."`
	tests := []struct {
		schema string
		want   []string
	}{
		{`{"type":"object","properties":{},"additionalProperties":false}`, nil},
		{property(`{"type":"string",` + d + `,"enum":["x"],"minLength":1,"maxLength":2,"pattern":"x","default":"x","title":"T"}`), nil},
		{property(`{"type":"string",` + d + `,"format":"date-time"}`), nil},
		{property(`{"type":"array",` + d + `,"items":{"type":"integer","minimum":1,"maximum":2},"minItems":1,"maxItems":2}`), nil},
		{`{"$schema":"x","$id":"x","$defs":{},"type":"object","properties":{},"additionalProperties":false}`,
			[]string{`$: the keyword "$defs" is not portable`, `$: the keyword "$id" is not portable`, `$: the keyword "$schema" is not portable`}},
		{property(`{"$ref":"#/x",` + d + `}`), []string{`$.properties.a: the keyword "$ref" is not portable`, `$.properties.a: no type`}},
		{`true`, []string{`$: boolean schema`}},
		{property(`true`), []string{`$.properties.a: boolean schema`}},
		{property(`{"type":"array",` + d + `,"items":true}`), []string{`$.properties.a.items: boolean schema`}},
		{property(`{"type":"array",` + d + `}`), []string{`$.properties.a: an array without items`}},
		{property(`{"type":"array",` + d + `,"items":[{"type":"string"}]}`), []string{`$.properties.a.items: a list of schemas; only one for all items is portable`}},
		{property(`{"type":"array",` + d + `,"items":{"type":"string"},"prefixItems":[]}`), []string{`$.properties.a: the keyword "prefixItems" is not portable`}},
		{property(`{"type":["string","null"],` + d + `}`), []string{`$.properties.a: a list of types; only one is portable`}},
		{property(`{` + d + `}`), []string{`$.properties.a: no type`}},
		{property(`{"type":"null",` + d + `}`), []string{`$.properties.a: the type "null" is not portable`}},
		{property(`{"type":5,` + d + `}`), []string{`$.properties.a: the type must be a string, not 5`}},
		{property(`{"type":"string"}`), []string{`$.properties.a: no description`}},
		{property(`{"type":"string","description":" "}`), []string{`$.properties.a: no description`}},
		{property(`{"type":"string",` + d + `,"format":"uri"}`), []string{`$.properties.a: the format "uri" is not portable; only date-time is`}},
		{property(`{"type":"string",` + d + `,"nullable":true}`), []string{`$.properties.a: the keyword "nullable" is not portable`}},
		{property(`{"type":"integer",` + d + `,"enum":[1]}`), []string{`$.properties.a: an enum of something other than strings`}},
		{property(`{"type":"string",` + d + `,"enum":["x",1]}`), []string{`$.properties.a: an enum of something other than strings`}},
		{property(`{` + d + `,"enum":["x"]}`), []string{`$.properties.a: no type`, `$.properties.a: an enum without a type`}},
		{property(`{"type":"string",` + d + `,"enum":"x"}`), []string{`$.properties.a: an enum must be a list of values, not "x"`}},
		{property(`{"type":"string",` + d + `,"enum":[]}`), []string{`$.properties.a: an enum must be a list of values, not an empty list`}},
		{property(`{"type":"object",` + d + `,"additionalProperties":false}`), []string{`$.properties.a: an object without properties`}},
		{property(`{"type":"object",` + d + `,"properties":{}}`), []string{`$.properties.a: an object without additionalProperties: false`}},
		{property(`{"type":"object",` + d + `,"properties":{},"additionalProperties":{"type":"string"}}`), []string{`$.properties.a: an object without additionalProperties: false`}},
		{property(`{"type":"string",` + d + `,"additionalProperties":false}`), []string{`$.properties.a: additionalProperties on something that is not an object`}},
		{property(`{"type":"object",` + d + `,"properties":{"b":{"type":"string"}},"additionalProperties":false}`), []string{`$.properties.a.properties.b: no description`}},
		{property(`5`), []string{`$.properties.a: a schema must be an object, not 5`}},
		{`{"type":"string"}`, []string{`$: the root is not of type object`}},
		{`{"type":"object","additionalProperties":false}`, []string{`$: an object without properties`}},
		{`{"type":"object","properties":{"fooBar":{"type":"string","description":"A."}},"additionalProperties":false}`,
			[]string{`$.properties.fooBar: the name is not snake_case of at most 64 characters`}},
		{`{"type":"object","properties":{},"required":["a",1],"additionalProperties":false}`,
			[]string{`$: required names something that is not a property: "a"`, `$: required names something that is not a property: 1`}},
		{`{"type":"object","properties":{},"required":"a","additionalProperties":false}`, []string{`$: required must be a list`}},
		{`{"type":"object","type":"object","properties":{},"additionalProperties":false}`, []string{`$.type: given more than once; give it once`}},
		{`{`, []string{`$: the text is not valid JSON from byte 1 of 1 on`}},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), []string{`$: the JSON value is nested more than 64 levels deep`}},
	}
	for _, keyword := range []string{"oneOf", "anyOf", "allOf", "not", "if", "const", "exclusiveMinimum", "exclusiveMaximum"} {
		tests = append(tests, struct {
			schema string
			want   []string
		}{property(`{"type":"string",` + d + `,"` + keyword + `":1}`), []string{`$.properties.a: the keyword "` + keyword + `" is not portable`}})
	}
	for _, test := range tests {
		if got := Lint(json.RawMessage(test.schema)); !slices.Equal(got, test.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", test.schema, got, test.want)
		}
	}
}

func TestIsKey(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "a_1": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
		"": false, "1a": false, "_a": false, "A": false, "a-b": false, "a.b": false, "a\n": false, "é": false,
	} {
		if isKey(name) != want {
			t.Errorf("%q: got %v", name, !want)
		}
	}
}
