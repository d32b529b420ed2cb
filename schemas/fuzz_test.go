package schemas

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"name":"a"}`, `{"name":"a","limit":"5"}`, `"{\"name\":\"a\"}"`, `{"name":"a","instance_ids":"[\"aa\"]"}`,
		`{"name":"a","price":1e5,"force":"TRUE","ports":["1",2.0],"filter":{"status":"x","count":null},"since":"2026-01-31T08:00:00Z"}`,
		`{"name":"a","name":"b"}`, `{"name":"\ud800","x":[[[]]]}`, `{"small":300,"name":"a"}`, `{"limit":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, arguments []byte) {
		var in sample
		err := sampleSchema.Decode(arguments, &in)
		if err != nil {
			var wrong *ArgumentError
			if !errors.As(err, &wrong) || len(wrong.Problems) == 0 {
				t.Fatalf("%q: %v", arguments, err)
			}
			if text := err.Error(); !utf8.ValidString(text) || leaks(text) && !leaks(string(arguments)) {
				t.Fatalf("%q: %q", arguments, text)
			}
			return
		}
		if err := sampleSchema.Validate(in); err != nil {
			t.Fatalf("%q was accepted, but: %v", arguments, err)
		}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := sampleSchema.Decode(text, new(sample)); err != nil {
			t.Fatalf("%q was accepted, but %s is not: %v", arguments, text, err)
		}
	})
}

func leaks(text string) bool {
	for _, mark := range []string{"&{", "json:", "jsonschema", "schemas."} {
		if strings.Contains(text, mark) {
			return true
		}
	}
	return false
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}],"c":"\u0000"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, _, err := parse(text); err == nil && !json.Valid(text) {
			t.Fatalf("%q is not JSON", text)
		}
	})
}

func FuzzLint(f *testing.F) {
	f.Add([]byte(sampleSchema.JSON()))
	f.Add([]byte(`{"type":["a"],"properties":{"A b":true},"items":[{}],"required":[1]}`))
	f.Fuzz(func(t *testing.T, schema []byte) {
		findings := Lint(schema)
		for _, finding := range findings {
			if !strings.HasPrefix(finding, "$") || strings.Contains(finding, "\n") {
				t.Fatalf("%q: %q", schema, finding)
			}
		}
	})
}
