package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFault reads a fault as written on a command line: the operation, a
// colon and comma-separated keys, "list-tasks:status=503,times=2". The
// operation "*" means all. Switches need no value: "execute:reset-after". A
// value with a comma or a quote in it is written as a quoted Go string.
func ParseFault(text string) (Fault, error) {
	f, err := parseFault(text)
	if err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

// String writes a fault in the form ParseFault reads.
func (f Fault) String() string {
	var parts []string
	v := reflect.ValueOf(f)
	for _, key := range faultKeys() {
		field := v.FieldByIndex(key.index)
		switch value := field.Interface().(type) {
		case bool:
			if value {
				parts = append(parts, key.name)
			}
		case string:
			if q := strconv.Quote(value); strings.Contains(value, ",") || q != `"`+value+`"` {
				value = q
			}
			if value != "" {
				parts = append(parts, key.name+"="+value)
			}
		default:
			if !field.IsZero() {
				parts = append(parts, fmt.Sprintf("%s=%v", key.name, value))
			}
		}
	}
	return cmp.Or(string(f.Operation), "*") + ":" + strings.Join(parts, ",")
}

// faultKey is one key of the text form and the field it stands for.
type faultKey struct {
	name  string
	index []int
}

func faultKeys() []faultKey {
	var keys []faultKey
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Fault]()) {
		if name := field.Tag.Get("fault"); name != "" {
			keys = append(keys, faultKey{name, field.Index})
		}
	}
	return keys
}

func parseFault(text string) (Fault, error) {
	name, rest, _ := strings.Cut(text, ":")
	var f Fault
	if name != "*" {
		f.Operation = Operation(name)
		if !slices.Contains(Operations(), f.Operation) {
			return f, fmt.Errorf("unknown operation %q (valid: *, %s)", name, joined(Operations()))
		}
	}
	keys := faultKeys()
	for rest != "" {
		key, value, tail, err := nextKey(rest)
		if err != nil {
			return f, err
		}
		rest = tail
		i := slices.IndexFunc(keys, func(k faultKey) bool { return k.name == key })
		if i < 0 {
			var names []string
			for _, k := range keys {
				names = append(names, k.name)
			}
			return f, fmt.Errorf("unknown key %q (valid: %s)", key, joined(names))
		}
		if err := setFault(reflect.ValueOf(&f).Elem().FieldByIndex(keys[i].index), value); err != nil {
			return f, fmt.Errorf("key %q: %w", key, err)
		}
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return f, errors.New(`key "status": not between 200 and 599`)
	}
	idle := Fault{Operation: f.Operation, After: f.After, Times: f.Times, RetryAfter: f.RetryAfter, Message: f.Message}
	if f == idle {
		return f, errors.New("says nothing that should go wrong")
	}
	return f, nil
}

// setFault writes the value of a key into its field.
func setFault(field reflect.Value, value string) error {
	switch target := field.Addr().Interface().(type) {
	case *string:
		*target = value
	case *bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*target = b
	case *int:
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a count", value)
		}
		*target = n
	case *time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration such as 1.5s", value)
		}
		*target = d
	}
	return nil
}

// nextKey takes one "key" or "key=value" off the front of text. A key without
// a value has the value "true".
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

func joined[T ~string](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = string(item)
	}
	return strings.Join(texts, ", ")
}
