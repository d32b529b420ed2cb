package lang

import (
	"fmt"
	"strings"
)

// fault is an error of ours. It is the error that fmt.Errorf makes, which can also be said in other languages.
type fault struct {
	error
	format string
	args   []any
}

// Errorf is fmt.Errorf for what people read: format is a key of the catalogue.
func Errorf(format string, args ...any) error {
	return &fault{fmt.Errorf(format, args...), format, args}
}

// Unwrap returns what fmt.Errorf made, which wraps what was given to %w.
func (f *fault) Unwrap() error { return f.error }

// In says the error in a language.
func (f *fault) In(l Lang) string {
	if l == English {
		return f.Error()
	}
	return fmt.Sprintf(strings.ReplaceAll(translated(f.format), "%w", "%v"), l.said(f.args)...)
}

// Say says an error in a language. Of an error that cannot be said, what it wraps is said in its place.
func (l Lang) Say(err error) string {
	if err == nil {
		return ""
	}
	if l == English {
		return err.Error()
	}
	if said, ok := err.(Sayer); ok {
		return said.In(l)
	}
	text := err.Error()
	switch wraps := err.(type) { //nolint:errorlint // what it wraps is said, whatever that is
	case interface{ Unwrap() []error }:
		for _, inner := range wraps.Unwrap() {
			text = l.replaced(text, inner)
		}
	case interface{ Unwrap() error }:
		text = l.replaced(text, wraps.Unwrap())
	}
	return text
}

func (l Lang) replaced(text string, inner error) string {
	if inner == nil || inner.Error() == "" {
		return text
	}
	return strings.Replace(text, inner.Error(), l.Say(inner), 1)
}

// ErrorText is the text that an error says.
func ErrorText(err error) Text {
	if err == nil {
		return Text{}
	}
	return Text{"%v", []any{err}}
}

// Error returns an error with a text.
func (t Text) Error() error { return &textError{t} }

type textError struct{ text Text }

func (e *textError) Error() string { return e.text.String() }

func (e *textError) In(l Lang) string { return e.text.In(l) }
