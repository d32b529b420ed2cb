package fakecloud

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The text form of a struct is what people write on a command line: comma-separated keys, "status=503,times=2". A field
// takes part if it has a tag `key:"…"`. A switch needs no value, "reset-after". A value with a comma or a quote in it is
// written as a quoted Go string. A field of an integer type with a tag `words:"one two three"` is written as a word, of
// which the first stands for zero. A map is written as "from:to|from:to". A struct without a tag adds its own fields.

// key is one field of the text form.
type key struct {
	name  string
	words []string
	none  bool // a duration of 0 is written as -1, which means none where zero means the default
	with  bool // the tag `only:"with"`: it says when or how, and not what
	index []int
}

func keysOf(t reflect.Type) []key {
	var keys []key
	for i := range t.NumField() {
		field := t.Field(i)
		switch name := field.Tag.Get("key"); {
		case name != "":
			keys = append(keys, key{
				name: name, words: strings.Fields(field.Tag.Get("words")),
				none: field.Tag.Get("zero") == "none", with: field.Tag.Get("only") == "with", index: field.Index,
			})
		case field.Type.Kind() == reflect.Struct:
			for _, k := range keysOf(field.Type) {
				k.index = append([]int{i}, k.index...)
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Keys describes the keys of a struct, one each, with the words or the kind of value that it takes.
func Keys(of any) []string {
	t := reflect.TypeOf(of)
	var lines []string
	for _, k := range keysOf(t) {
		kind := ""
		switch field := t.FieldByIndex(k.index).Type; {
		case len(k.words) > 0:
			kind = "=" + strings.Join(k.words, "|")
		case field.Kind() == reflect.Bool:
		case field.Kind() == reflect.Map:
			kind = "=FROM:TO|…"
		case field == reflect.TypeFor[time.Duration]():
			kind = "=DURATION"
		case field.Kind() == reflect.Int:
			kind = "=N"
		default:
			kind = "=TEXT"
		}
		lines = append(lines, k.name+kind)
	}
	return lines
}

// ParseKeys reads the text form into the struct that into points to. Keys that are not there leave their field as it is.
func ParseKeys(text string, into any) error {
	v := reflect.ValueOf(into).Elem()
	keys := keysOf(v.Type())
	for text != "" {
		name, value, rest, err := nextKey(text)
		if err != nil {
			return err
		}
		text = rest
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		if i < 0 {
			names := make([]string, len(keys))
			for j, k := range keys {
				names[j] = k.name
			}
			return fmt.Errorf("unknown key %q (valid: %s)", name, strings.Join(names, ", "))
		}
		if err := keys[i].set(v.FieldByIndex(keys[i].index), value); err != nil {
			return fmt.Errorf("key %q: %w", name, err)
		}
	}
	return nil
}

// KeysText writes a struct in the form that ParseKeys reads.
func KeysText(of any) string {
	v := reflect.ValueOf(of)
	var parts []string
	for _, k := range keysOf(v.Type()) {
		field := v.FieldByIndex(k.index)
		switch value := field.Interface().(type) {
		case bool:
			if value {
				parts = append(parts, k.name)
			}
			continue
		case string:
			if value != "" {
				parts = append(parts, k.name+"="+quoted(value))
			}
			continue
		case map[string]string:
			if len(value) > 0 {
				parts = append(parts, k.name+"="+quoted(mapText(value)))
			}
			continue
		}
		switch {
		case field.IsZero():
		case len(k.words) > 0:
			parts = append(parts, k.name+"="+k.words[field.Int()])
		default:
			parts = append(parts, fmt.Sprintf("%s=%v", k.name, field.Interface()))
		}
	}
	return strings.Join(parts, ",")
}

func mapText(m map[string]string) string {
	var pairs []string
	for _, from := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, from+":"+m[from])
	}
	return strings.Join(pairs, "|")
}

func quoted(value string) string {
	if q := strconv.Quote(value); strings.Contains(value, ",") || q != `"`+value+`"` {
		return q
	}
	return value
}

// set writes the value of a key into its field.
func (k key) set(field reflect.Value, value string) error {
	switch target := field.Addr().Interface().(type) {
	case *string:
		*target = value
		return nil
	case *bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*target = b
		return nil
	case *time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration such as 1.5s", value)
		}
		if d == 0 && k.none {
			d = -1
		}
		*target = d
		return nil
	case *map[string]string:
		return setMap(target, value)
	}
	if len(k.words) > 0 {
		i := slices.Index(k.words, value)
		if i < 0 {
			return fmt.Errorf("%q is not one of %s", value, strings.Join(k.words, ", "))
		}
		field.SetInt(int64(i))
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a count", value)
	}
	field.SetInt(int64(n))
	return nil
}

func setMap(target *map[string]string, value string) error {
	m := map[string]string{}
	for pair := range strings.SplitSeq(value, "|") {
		from, to, ok := strings.Cut(pair, ":")
		if !ok || from == "" {
			return fmt.Errorf("%q is not FROM:TO", pair)
		}
		m[from] = to
	}
	*target = m
	return nil
}

// nextKey takes one "key" or "key=value" off the front of text. A key without a value has the value "true".
func nextKey(text string) (key, value, rest string, err error) {
	end := strings.IndexAny(text, "=,")
	if end < 0 {
		return text, "true", "", nil
	}
	if text[end] == ',' {
		return text[:end], "true", text[end+1:], nil
	}
	key, text = text[:end], text[end+1:]
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ",")
		return key, value, rest, nil
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err == nil {
		value, err = strconv.Unquote(quoted)
	}
	if err != nil {
		return "", "", "", fmt.Errorf("key %q: bad quoting", key)
	}
	rest = text[len(quoted):]
	if rest != "" && rest[0] != ',' {
		return "", "", "", fmt.Errorf("key %q: text after the closing quote", key)
	}
	return key, value, strings.TrimPrefix(rest, ","), nil
}

// ParseFault reads a fault as written on a command line: an endpoint, a colon and keys, such as "list:status=503,times=2".
// The endpoint "*" means all. The simulator gives the names that it knows, and what it calls them.
func ParseFault[Name ~string, Own any](text, what string, names []Name) (Fault[Name, Own], error) {
	f, err := parseFault[Name, Own](text, what, names)
	if err != nil {
		return Fault[Name, Own]{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

func parseFault[Name ~string, Own any](text, what string, names []Name) (f Fault[Name, Own], err error) {
	name, rest, _ := strings.Cut(text, ":")
	if name != "*" {
		f.Endpoint = Name(name)
		if !slices.Contains(names, f.Endpoint) {
			return f, fmt.Errorf("unknown %s %q (valid: *, %s)", what, name, joined(names))
		}
	}
	if err := ParseKeys(rest, &f); err != nil {
		return f, err
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return f, errors.New(`key "status": not between 200 and 599`)
	}
	if !f.acts() {
		return f, errors.New("says nothing that should go wrong")
	}
	return f, nil
}

func joined[Name ~string](names []Name) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

// acts reports whether a fault does anything to a request that it applies to.
func (f Fault[Name, Own]) acts() bool {
	v := reflect.ValueOf(f)
	return slices.ContainsFunc(keysOf(v.Type()), func(k key) bool { return !k.with && !v.FieldByIndex(k.index).IsZero() })
}

// String writes a fault in the form that ParseFault reads.
func (f Fault[Name, Own]) String() string { return cmp.Or(string(f.Endpoint), "*") + ":" + KeysText(f) }
