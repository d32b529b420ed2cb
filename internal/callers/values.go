package callers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// is returns a value as a T. ok is false when it is something else, which has been named then as a problem.
func is[T any](r *reader, path string, value any, what lang.Text) (v T, ok bool) {
	if v, ok = value.(T); !ok {
		r.wrong(path, "must be %s", what)
	}
	return v, ok
}

func (r *reader) yes(path string, value any) bool {
	v, _ := is[bool](r, path, value, lang.T("true or false"))
	return v
}

func (r *reader) number(path string, value any) int {
	form := lang.T("a whole number of at least 1")
	number, ok := is[json.Number](r, path, value, form)
	n, err := strconv.Atoi(number.String())
	if ok && (err != nil || n < 1) {
		r.wrong(path, "must be %s; read_only forbids every change", form)
	}
	return n
}

// each reads a list of strings and hears each of them with its place. The result of an empty list is not nil.
func (r *reader) each(path string, value any, what lang.Text, hear func(at, text string)) (texts []string) {
	list, ok := is[[]any](r, path, value, what)
	if !ok {
		return nil
	}
	texts = []string{}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if text, ok := is[string](r, at, item, lang.T("a string")); ok {
			hear(at, text)
			texts = append(texts, text)
		}
	}
	return texts
}

// names reads a list of names that must be among valid.
func (r *reader) names(path string, value any, kind lang.Text, valid []string) []string {
	return r.each(path, value, lang.T("a list of strings"), func(at, name string) {
		if !slices.Contains(valid, name) {
			r.wrong(at, "there is no %s %q; valid are %s", kind, name, lang.Names(valid))
		}
	})
}

// patterns reads a list of patterns. texts are the patterns as they were written.
func (r *reader) patterns(path string, value any) (patterns []guard.Pattern, texts []string) {
	texts = r.each(path, value, lang.T("a list of patterns"), func(at, text string) {
		p, err := guard.ParsePattern(text)
		if err != nil {
			r.wrong(at, "%w; valid are id:ID, name:GLOB, region:ID or name, and an id or glob alone", err)
		}
		patterns = append(patterns, p)
	})
	return patterns, r.limiting(path, texts)
}

// limiting refuses a list that limits nothing.
func (r *reader) limiting(path string, list []string) []string {
	if list != nil && len(list) == 0 {
		r.wrong(path, "is empty, and so no limit; leave it out if that is meant")
	}
	return list
}
