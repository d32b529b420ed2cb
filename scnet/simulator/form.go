package simulator

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// form reads the parameters of a request and remembers what is wrong with them: 10003 and 10004 name no parameter, so one
// verdict at the end will do.
type form struct {
	members    map[string]json.RawMessage
	incomplete bool
	invalid    bool
}

// jsonForm reads a JSON body. Its content type does not matter: the curl samples send JSON without one.
func jsonForm(body []byte) *form {
	f := &form{}
	if len(bytes.TrimSpace(body)) > 0 {
		f.invalid = json.Unmarshal(body, &f.members) != nil
	}
	return f
}

// queryForm reads a query. A parameter without a value is absent.
func queryForm(query url.Values) *form {
	f := &form{members: map[string]json.RawMessage{}}
	for name, values := range query {
		switch {
		case len(values) > 1:
			f.members[name] = fakecloud.EncodeJSON(values)
		case values[0] != "":
			f.members[name] = fakecloud.EncodeJSON(values[0])
		}
	}
	return f
}

// verdict is the error reply for what was wrong, if anything was.
func (f *form) verdict() (reply, bool) {
	switch {
	case f.invalid:
		return fail(codeInvalid), false
	case f.incomplete:
		return fail(codeIncomplete), false
	}
	return reply{}, true
}

// check declares the form invalid unless ok.
func (f *form) check(ok bool) {
	f.invalid = f.invalid || !ok
}

// value decodes a member and reports whether it is there; null counts as absent.
func (f *form) value(name string, required bool, into any) bool {
	raw, ok := f.members[name]
	if !ok || string(raw) == "null" {
		f.incomplete = f.incomplete || required
		return false
	}
	err := json.Unmarshal(raw, into)
	f.check(err == nil)
	return err == nil
}

// text reads a string; an empty one counts as absent.
func (f *form) text(name string, required bool) string {
	var v string
	if f.value(name, required, &v) && v == "" && required {
		f.incomplete = true
	}
	return v
}

// word reads a string that must be one of the given ones.
func (f *form) word(name string, required bool, words ...string) string {
	v := f.text(name, required)
	f.check(v == "" || slices.Contains(words, v))
	return v
}

// number reads an integer, also if it is written as a string.
func (f *form) number(name string, required bool, least int) int {
	var v json.Number
	if !f.value(name, required, &v) {
		return 0
	}
	n, err := strconv.Atoi(string(v))
	f.check(err == nil && n >= least)
	return n
}

// flag reads a boolean.
func (f *form) flag(name string, required bool) bool {
	var v bool
	f.value(name, required, &v)
	return v
}

// texts reads an array of strings, or a single string.
func (f *form) texts(name string) []string {
	var many []string
	if raw := f.members[name]; len(raw) > 0 && raw[0] == '"' {
		many = []string{f.text(name, false)}
	} else {
		f.value(name, false, &many)
	}
	return slices.DeleteFunc(many, func(v string) bool { return v == "" })
}
