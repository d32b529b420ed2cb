package lang

import (
	"fmt"
	"strings"
	"time"
)

// Text is a sentence, or a part of one, that can be said in each language. It is made where something is known and said where
// it is shown. As JSON it is its English.
type Text struct {
	format string
	args   []any
}

// T returns the text that format, a key of the catalogue, and args make. Args that can be said are said in the same language.
func T(format string, args ...any) Text {
	if false {
		_ = fmt.Sprintf(format, args...) // so that vet checks the calls
	}
	return Text{format, args}
}

// Verbatim returns a text that is the same in every language: a name, or what somebody else said.
func Verbatim(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{"%s", []any{s}}
}

// In says the text in a language.
func (t Text) In(l Lang) string {
	return l.Sprintf(t.format, t.args...)
}

// String says the text in English.
func (t Text) String() string { return t.In(English) }

// IsZero reports whether there is nothing to say.
func (t Text) IsZero() bool { return t.format == "" }

// MarshalText returns the English.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText takes what MarshalText gave.
func (t *Text) UnmarshalText(text []byte) error {
	*t = Verbatim(string(text))
	return nil
}

// Sentences joins sentences into a paragraph. Parts with nothing to say are left out, here as below.
func Sentences(parts ...Text) Text { return join(separator{" ", ""}, parts) }

// List joins the items of a list.
func List(items ...Text) Text { return join(separator{", ", "、"}, items) }

// And joins two or more things that belong together.
func And(items ...Text) Text { return join(separator{" and ", "、"}, items) }

// Parts joins parts of a sentence that follow one another.
func Parts(parts ...Text) Text { return join(separator{", ", "，"}, parts) }

// Clauses joins clauses, each of which could stand alone.
func Clauses(parts ...Text) Text { return join(separator{"; ", "；"}, parts) }

// Lines puts each part on a line of its own.
func Lines(parts ...Text) Text { return join(separator{"\n", "\n"}, parts) }

// Run puts parts one after the other.
func Run(parts ...Text) Text { return join(separator{}, parts) }

// separator is what stands between parts.
type separator struct{ english, chinese string }

func join(between separator, parts []Text) Text {
	var all []Text
	for _, p := range parts {
		if !p.IsZero() {
			all = append(all, p)
		}
	}
	switch len(all) {
	case 0:
		return Text{}
	case 1:
		return all[0]
	}
	return Text{"%s", []any{joined{between, all}}}
}

type joined struct {
	between separator
	parts   []Text
}

func (j joined) In(l Lang) string {
	between := j.between.english
	if l == Chinese {
		between = j.between.chinese
	}
	var b strings.Builder
	for i, part := range j.parts {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(part.In(l))
	}
	return b.String()
}

func (j joined) String() string { return j.In(English) }

// Count words a number of things, of which thing is the singular and a key of the catalogue: 1 instance, 2 instances.
func Count(n int, thing string) Text {
	return Text{"%s", []any{counted{n, thing}}}
}

type counted struct {
	n     int
	thing string
}

func (c counted) In(l Lang) string {
	switch {
	case l == Chinese:
		return fmt.Sprintf(translated("%d "+c.thing+"s"), c.n)
	case c.n == 1:
		return "1 " + c.thing
	}
	return fmt.Sprintf("%d %ss", c.n, c.thing)
}

func (c counted) String() string { return c.In(English) }

// Some joins the first few of a list and says how many more there are.
func Some(items []string) Text {
	const few = 10
	if len(items) <= few {
		return Names(items)
	}
	return T("%s and %d more", Names(items[:few]), len(items)-few)
}

// Names joins what is the same in every language.
func Names(items []string) Text {
	texts := make([]Text, len(items))
	for i, item := range items {
		texts[i] = Verbatim(item)
	}
	return List(texts...)
}

// Age is a duration that is worded with its largest unit: 5d, 3h, 12m, 40s.
type Age time.Duration

// String words it in English.
func (a Age) String() string { return a.In(English) }

// In words it in a language.
func (a Age) In(l Lang) string {
	switch d := time.Duration(a); {
	case d < 0:
		return l.Sprintf("%ds", 0)
	case d >= 48*time.Hour:
		return l.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return l.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return l.Sprintf("%dm", d/time.Minute)
	default:
		return l.Sprintf("%ds", d/time.Second)
	}
}

// Span is a duration that is worded with its two largest units: 13d 23h, 1h 59m, 12m, 40s.
type Span time.Duration

// String words it in English.
func (s Span) String() string { return s.In(English) }

// In words it in a language.
func (s Span) In(l Lang) string {
	switch d := time.Duration(s); {
	case d >= 48*time.Hour:
		return l.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return l.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return Age(s).In(l)
}

// Map returns a text that is changed by change after it was said.
func (t Text) Map(change func(string) string) Text {
	if t.IsZero() {
		return t
	}
	return Text{"%s", []any{changed{t, change}}}
}

type changed struct {
	text   Text
	change func(string) string
}

func (c changed) In(l Lang) string { return c.change(c.text.In(l)) }

func (c changed) String() string { return c.In(English) }
