package simulator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFault reads a fault as written on a command line: the endpoint, a colon
// and comma-separated keys, "list:status=503,times=2". The endpoint "*" means
// all. Switches need no value: "execute:reset-after". A value with a comma or a
// quote in it is written as a quoted Go string.
func ParseFault(text string) (Fault, error) {
	f, err := parseFault(text)
	if err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

// String writes a fault in the form ParseFault reads.
func (f Fault) String() string {
	name := string(f.Endpoint)
	if name == "" {
		name = "*"
	}
	var parts []string
	for _, k := range faultKeys {
		if part := k.text(&f); part != "" {
			parts = append(parts, part)
		}
	}
	return name + ":" + strings.Join(parts, ",")
}

func parseFault(text string) (Fault, error) {
	name, rest, _ := strings.Cut(text, ":")
	var f Fault
	if name != "*" {
		f.Endpoint = Endpoint(name)
		if !slices.Contains(Endpoints(), f.Endpoint) {
			return f, fmt.Errorf("unknown endpoint %q (valid: *, %s)", name, joined(Endpoints()))
		}
	}
	for rest != "" {
		key, value, tail, err := nextKey(rest)
		if err != nil {
			return f, err
		}
		rest = tail
		i := slices.IndexFunc(faultKeys, func(k faultKey) bool { return k.name == key })
		if i < 0 {
			var names []string
			for _, k := range faultKeys {
				names = append(names, k.name)
			}
			return f, fmt.Errorf("unknown key %q (valid: %s)", key, joined(names))
		}
		if err := faultKeys[i].set(&f, value); err != nil {
			return f, fmt.Errorf("key %q: %w", key, err)
		}
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return f, errors.New(`key "status": not between 200 and 599`)
	}
	if !f.acts() {
		return f, errors.New("says nothing that should go wrong")
	}
	return f, nil
}

// acts reports whether the fault does anything to a request it applies to.
func (f Fault) acts() bool {
	return f.Latency > 0 || f.Status != 0 || f.Code != "" || f.HTML || f.Truncate || f.Reset ||
		f.ResetAfter || f.HangAfter || f.Redirect != "" || f.ExpireToken || f.Huge > 0
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

// faultKey is one key of the text form. text returns "" for a field that is
// zero.
type faultKey struct {
	name string
	set  func(*Fault, string) error
	text func(*Fault) string
}

var faultKeys = []faultKey{
	textKey("region", func(f *Fault) *string { return &f.Region }),
	countKey("after", func(f *Fault) *int { return &f.After }),
	countKey("times", func(f *Fault) *int { return &f.Times }),
	latencyKey(),
	countKey("status", func(f *Fault) *int { return &f.Status }),
	textKey("retry-after", func(f *Fault) *string { return &f.RetryAfter }),
	textKey("code", func(f *Fault) *string { return &f.Code }),
	textKey("message", func(f *Fault) *string { return &f.Message }),
	flagKey("code-as-int", func(f *Fault) *bool { return &f.CodeAsInt }),
	flagKey("html", func(f *Fault) *bool { return &f.HTML }),
	flagKey("truncate", func(f *Fault) *bool { return &f.Truncate }),
	flagKey("reset", func(f *Fault) *bool { return &f.Reset }),
	flagKey("reset-after", func(f *Fault) *bool { return &f.ResetAfter }),
	flagKey("hang-after", func(f *Fault) *bool { return &f.HangAfter }),
	textKey("redirect", func(f *Fault) *string { return &f.Redirect }),
	flagKey("expire-token", func(f *Fault) *bool { return &f.ExpireToken }),
	countKey("huge", func(f *Fault) *int { return &f.Huge }),
}

func textKey(name string, field func(*Fault) *string) faultKey {
	return faultKey{name,
		func(f *Fault, v string) error { *field(f) = v; return nil },
		func(f *Fault) string {
			v := *field(f)
			if v == "" {
				return ""
			}
			if q := strconv.Quote(v); strings.Contains(v, ",") || q != `"`+v+`"` {
				v = q
			}
			return name + "=" + v
		}}
}

func countKey(name string, field func(*Fault) *int) faultKey {
	return faultKey{name,
		func(f *Fault, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return fmt.Errorf("%q is not a count", v)
			}
			*field(f) = n
			return nil
		},
		func(f *Fault) string {
			if *field(f) == 0 {
				return ""
			}
			return name + "=" + strconv.Itoa(*field(f))
		}}
}

func flagKey(name string, field func(*Fault) *bool) faultKey {
	return faultKey{name,
		func(f *Fault, v string) error {
			b, err := strconv.ParseBool(v)
			if err != nil {
				return fmt.Errorf("%q is neither true nor false", v)
			}
			*field(f) = b
			return nil
		},
		func(f *Fault) string {
			if !*field(f) {
				return ""
			}
			return name
		}}
}

func latencyKey() faultKey {
	return faultKey{"latency",
		func(f *Fault, v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < 0 {
				return fmt.Errorf("%q is not a duration such as 1.5s", v)
			}
			f.Latency = d
			return nil
		},
		func(f *Fault) string {
			if f.Latency == 0 {
				return ""
			}
			return "latency=" + f.Latency.String()
		}}
}

func joined[T ~string](items []T) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(item))
	}
	return b.String()
}
