// Package lenient decodes JSON of services whose documentation and samples disagree on types. Its types take every form and
// never fail, so that one odd field cannot hide a whole list: a struct that is decoded by them, in a List, an Object or a
// Table, must be made of nothing else.
//
// An answer is gone through once: [Unmarshal] hands its decoder down to the types, and what a page of rows sends is kept
// only as far as [Table] is told to. The library is what Go itself has as encoding/json/v2 from 1.27 on; encoding/json looks
// at each byte again for every level that it is nested in.
package lenient

import (
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// asBefore are the liberties that encoding/json takes, and services with it: names in any case, the last of several equal
// names, and U+FFFD for what is not UTF-8.
var asBefore = json.JoinOptions(
	json.MatchCaseInsensitiveNames(true), jsonv1.MatchCaseSensitiveDelimiter(true),
	jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true),
)

// Unmarshal decodes data, which must be exactly one JSON value.
func Unmarshal(data []byte, into any) error { return json.Unmarshal(data, into, asBefore) }

// Decode decodes the next value of dec, whose options hold.
func Decode(dec *jsontext.Decoder, into any) error { return json.UnmarshalDecode(dec, into) }

// Members calls read with the name of each member of an object, which must read its value. It fails for anything else.
func Members(dec *jsontext.Decoder, read func(name string) error) error {
	if dec.PeekKind() != jsontext.KindBeginObject {
		return errors.Join(dec.SkipValue(), errNoObject)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == jsontext.KindString {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := read(name.String()); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

var errNoObject = errors.New("it is not an object")

// Text decodes a string, a number or a boolean; anything else is "".
type Text string

// UnmarshalJSONFrom fails only where the JSON is broken, like those of the other types.
func (t *Text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*t = ""
	kind := dec.PeekKind()
	if kind == jsontext.KindString {
		return json.UnmarshalDecode(dec, (*string)(t)) // which makes one string of equal ones
	}
	if kind == jsontext.KindNumber || kind == jsontext.KindTrue || kind == jsontext.KindFalse {
		raw, err := dec.ReadValue()
		*t = Text(raw)
		return err
	}
	return dec.SkipValue()
}

// Number decodes a whole number, also from a string; anything else is 0.
type Number int64

// UnmarshalJSONFrom fails only where the JSON is broken.
func (n *Number) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	*n = 0
	s := strings.TrimSpace(strings.Trim(string(raw), `"`))
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = Number(i)
	} else if f, err := strconv.ParseFloat(s, 64); err == nil && f >= -1<<53 && f <= 1<<53 {
		*n = Number(f)
	}
	return err
}

// Truth decodes a boolean, also from a string or a number.
type Truth bool

// UnmarshalJSONFrom fails only where the JSON is broken.
func (b *Truth) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	word := strings.TrimSpace(strings.Trim(string(raw), `"`))
	*b = Truth(strings.EqualFold(word, "true") || word == "1")
	return err
}

// List decodes an array; null, a missing field or anything else is empty. Elements that are null are left out, and so are
// those that are not an object where T is a struct.
type List[T any] []T

// UnmarshalJSONFrom fails only where the JSON is broken.
func (l *List[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*l = nil
	objects := reflect.TypeFor[T]().Kind() == reflect.Struct
	_, err := elements(dec, func(kind jsontext.Kind) error {
		if kind == jsontext.KindNull || objects && kind != jsontext.KindBeginObject {
			return dec.SkipValue()
		}
		*l = append(*l, *new(T))
		return json.UnmarshalDecode(dec, &(*l)[len(*l)-1])
	})
	return err
}

// Object decodes an object into a struct; anything else is a zero T.
type Object[T any] struct{ Value T }

// UnmarshalJSONFrom fails only where the JSON is broken.
func (o *Object[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	o.Value = *new(T)
	if dec.PeekKind() != jsontext.KindBeginObject {
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, &o.Value)
}

// Table decodes an array of objects, each into the same Row, and keeps what Keep makes of it. Rows may have room beforehand.
type Table[Row, T any] struct {
	Keep func(*Row) (T, bool) // false: the row is left out

	Kind jsontext.Kind // of what was decoded; 0: nothing was
	Rows []T
	Len  int // of the array, elements that are left out included
}

// Reset forgets what was decoded.
func (t *Table[Row, T]) Reset() { t.Kind, t.Rows, t.Len = jsontext.KindInvalid, t.Rows[:0], 0 }

// UnmarshalJSONFrom fails only where the JSON is broken.
func (t *Table[Row, T]) UnmarshalJSONFrom(dec *jsontext.Decoder) (err error) {
	t.Reset()
	t.Kind = dec.PeekKind()
	var row Row
	t.Len, err = elements(dec, func(kind jsontext.Kind) error {
		if kind != jsontext.KindBeginObject {
			return dec.SkipValue()
		}
		row = *new(Row)
		if err := json.UnmarshalDecode(dec, &row); err != nil {
			return err
		}
		if kept, ok := t.Keep(&row); ok {
			t.Rows = append(t.Rows, kept)
		}
		return nil
	})
	return err
}

// elements calls read for each element of an array, which must read it, and returns how many there were. It skips what is
// not an array.
func elements(dec *jsontext.Decoder, read func(kind jsontext.Kind) error) (n int, err error) {
	if dec.PeekKind() != jsontext.KindBeginArray {
		return 0, dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return 0, err
	}
	for {
		switch kind := dec.PeekKind(); kind {
		case jsontext.KindEndArray:
			_, err := dec.ReadToken()
			return n, err
		case jsontext.KindInvalid: // the end, or broken
			_, err := dec.ReadToken()
			return n, err
		default:
			if err := read(kind); err != nil {
				return n, err
			}
			n++
		}
	}
}
