// Package secret holds credentials in a type that cannot print itself.
package secret

import (
	"fmt"
	"io"
)

// mask is what every printed form of a set secret shows: no prefix, no length.
const mask = "[secret]"

// Value is a credential. Printing, logging or marshalling it shows a mask, never the text.
//
// The text sits behind a pointer because fmt cannot call methods on unexported struct fields: with a plain string,
// printing a struct that holds a Value would print the text.
type Value struct{ text *string }

// New wraps text. An empty text gives the unset Value.
func New(text string) Value {
	if text == "" {
		return Value{}
	}
	kept := text // else the parameter would be on the heap, an empty one too
	return Value{text: &kept}
}

// Reveal returns the text. Call it only where the text goes on the wire.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsSet reports whether there is a text.
func (v Value) IsSet() bool { return v.text != nil }

// String returns a mask, or "" when unset.
func (v Value) String() string {
	if v.text == nil {
		return ""
	}
	return mask
}

// Format writes the mask for every verb, %#v and %q included.
func (v Value) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, v.String()) }

// MarshalText gives the mask to every encoder (JSON, YAML, log fields).
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
