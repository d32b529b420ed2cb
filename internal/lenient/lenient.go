// Package lenient decodes JSON of services whose documentation and samples disagree on types. Its types take every form and
// never fail, so that one odd field cannot hide a whole list.
package lenient

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Text decodes a string, a number or a boolean; anything else is "".
type Text string

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(raw []byte) error {
	*t = ""
	switch {
	case len(raw) == 0 || raw[0] == 'n' || raw[0] == '{' || raw[0] == '[':
	case raw[0] == '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			*t = Text(s)
		}
	default:
		*t = Text(raw)
	}
	return nil
}

// Number decodes a whole number, also from a string; anything else is 0.
type Number int64

// UnmarshalJSON never fails.
func (n *Number) UnmarshalJSON(raw []byte) error {
	*n = 0
	s := strings.TrimSpace(strings.Trim(string(raw), `"`))
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = Number(i)
	} else if f, err := strconv.ParseFloat(s, 64); err == nil && f >= -1<<53 && f <= 1<<53 {
		*n = Number(f)
	}
	return nil
}

// Truth decodes a boolean, also from a string or a number.
type Truth bool

// UnmarshalJSON never fails.
func (b *Truth) UnmarshalJSON(raw []byte) error {
	word := strings.ToLower(strings.TrimSpace(strings.Trim(string(raw), `"`)))
	*b = word == "true" || word == "1"
	return nil
}

// List decodes an array; null, a missing field or anything else is empty, and so is an element that does not decode.
type List[T any] []T

// UnmarshalJSON never fails.
func (l *List[T]) UnmarshalJSON(raw []byte) error {
	*l = nil
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return nil
	}
	*l = make([]T, 0, len(elements))
	for _, element := range elements {
		var v T
		if json.Unmarshal(element, &v) == nil && !bytes.Equal(element, []byte("null")) {
			*l = append(*l, v)
		}
	}
	return nil
}
