package scnet

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// The service's pages and samples disagree on types: numbers come as strings, strings as numbers, booleans as words,
// empty lists as null. These types take every form seen and never fail, so that one odd field cannot hide a whole list.

// text decodes a string, a number or a boolean; anything else is "".
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	switch {
	case len(raw) == 0 || raw[0] == 'n' || raw[0] == '{' || raw[0] == '[':
	case raw[0] == '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			*t = text(s)
		}
	default:
		*t = text(raw)
	}
	return nil
}

// number decodes a whole number, also from a string; anything else is 0.
type number int64

func (n *number) UnmarshalJSON(raw []byte) error {
	*n = 0
	s := strings.TrimSpace(strings.Trim(string(raw), `"`))
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = number(i)
	} else if f, err := strconv.ParseFloat(s, 64); err == nil && f >= -1<<53 && f <= 1<<53 {
		*n = number(f)
	}
	return nil
}

// truth decodes a boolean, also from a string or a number.
type truth bool

func (b *truth) UnmarshalJSON(raw []byte) error {
	word := strings.ToLower(strings.TrimSpace(strings.Trim(string(raw), `"`)))
	*b = word == "true" || word == "1"
	return nil
}

// list decodes an array; null, a missing field or anything else is empty, and so is an element that does not decode.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(raw []byte) error {
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

// envelope wraps every answer of the service. On errors data may be a string, so it stays raw.
type envelope struct {
	Code    *text           `json:"code"`
	Msg     text            `json:"msg"`
	Message text            `json:"message"` // some gateways say message instead of msg
	Total   *number         `json:"total"`
	Data    json.RawMessage `json:"data"`
}

// parseEnvelope reports false when body is not a JSON object with a code.
func parseEnvelope(body []byte) (envelope, bool) {
	var e envelope
	if json.Unmarshal(body, &e) != nil || e.Code == nil {
		return envelope{}, false
	}
	if e.Msg == "" {
		e.Msg = e.Message
	}
	return e, true
}

// ok reports success: "0" as documented, or the 200 that some platform answers carry.
func (e envelope) ok() bool { return *e.Code == "0" || *e.Code == "200" }

// isNull reports whether raw is absent or null.
func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}
