package callers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// member is one member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of an object in their order. Of two with the same name it returns the first, and names the
// problem. ok is false when value is no object, which has been named then.
func (r *reader) members(path string, value json.RawMessage) (found []member, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		r.wrong(path, "must be an object")
		return nil, false
	}
	seen := map[string]bool{}
	for decoder.More() {
		m, err := nextMember(decoder)
		if err != nil {
			r.wrong(path, "%w", err)
			return nil, false
		}
		if seen[m.name] {
			r.wrong(path, "the field %q stands there twice; keep one", m.name)
			continue
		}
		seen[m.name] = true
		found = append(found, m)
	}
	return found, true
}

func nextMember(decoder *json.Decoder) (m member, err error) {
	name, err := decoder.Token()
	if err != nil {
		return m, err
	}
	m.name, _ = name.(string) // the decoder lets nothing else stand there
	err = decoder.Decode(&m.value)
	return m, err
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }

// decode reads a value of a simple type. ok is false when it is of another, or null, which has been named then as a problem.
func decode[T any](r *reader, path string, value json.RawMessage, what string) (v T, ok bool) {
	if isNull(value) || json.Unmarshal(value, &v) != nil {
		r.wrong(path, "must be %s", what)
		return *new(T), false
	}
	return v, true
}

func (r *reader) yes(path string, value json.RawMessage) bool {
	v, _ := decode[bool](r, path, value, "true or false")
	return v
}

func (r *reader) number(path string, value json.RawMessage) int {
	const form = "a whole number of at least 1"
	n, ok := decode[int](r, path, value, form)
	if ok && n < 1 {
		r.wrong(path, "must be %s; read_only forbids every change", form)
	}
	return n
}

// names reads a list of names that must be among valid. The result of an empty list is not nil.
func (r *reader) names(path string, value json.RawMessage, kind string, valid []string) []string {
	names, _ := decode[[]string](r, path, value, "a list of strings")
	for i, name := range names {
		if !slices.Contains(valid, name) {
			r.wrong(fmt.Sprintf("%s[%d]", path, i), "there is no %s %q; valid are %s", kind, name, strings.Join(valid, ", "))
		}
	}
	return names
}

// patterns reads a list of patterns. texts are the patterns as they were written; of an empty list they are not nil.
func (r *reader) patterns(path string, value json.RawMessage) (patterns []guard.Pattern, texts []string) {
	texts, _ = decode[[]string](r, path, value, "a list of patterns")
	for i, text := range texts {
		p, err := guard.ParsePattern(text)
		if err != nil {
			r.wrong(fmt.Sprintf("%s[%d]", path, i), "%w; valid are id:ID, name:GLOB, region:ID or name, and an id or glob alone", err)
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns, texts
}
