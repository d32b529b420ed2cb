package workspace

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// The service's pages and samples leave open which fields are there and of what type. Ids are longer than a float64 is exact:
// text keeps them.
type (
	text        = lenient.Text
	number      = lenient.Number
	truth       = lenient.Truth
	list[T any] = lenient.List[T]
)

func texts(l list[text]) []string {
	var out []string
	for _, t := range l {
		if t != "" {
			out = append(out, string(t))
		}
	}
	return out
}

// moment decodes a time as opaque text. What stands for "none" is nil: absent, null, "" and the year 1 that some clients
// make of an empty time.
type moment struct{ text *string }

func (m *moment) UnmarshalJSON(raw []byte) error {
	m.text = nil
	var t text
	_ = t.UnmarshalJSON(raw) // never fails
	if s := strings.TrimSpace(string(t)); s != "" && s != "0" && !strings.HasPrefix(s, "0001-01-01") {
		m.text = &s
	}
	return nil
}

// Page is one answer of a list operation.
type Page[T any] = upstream.Page[T]

// page makes call and decodes the rows under key. row reports false for a row without an id, which cannot be acted on.
func page[T any](ctx context.Context, c *Client, call *call, key string, offset int, row func(json.RawMessage) (T, bool)) (Page[T], error) {
	resp, err := c.do(ctx, call)
	if err != nil {
		return Page[T]{}, err
	}
	var answer map[string]json.RawMessage
	if json.Unmarshal(resp.Body, &answer) != nil {
		return Page[T]{}, call.answerError(resp)
	}
	p := Page[T]{Start: offset, Total: -1}
	for _, name := range []string{"count", "total_count"} { // scripts, tasks and records; desktops
		if raw, ok := answer[name]; ok && !bytes.Equal(raw, []byte("null")) {
			var n number
			_ = n.UnmarshalJSON(raw) // never fails
			p.Total = max(int(n), -1)
		}
	}
	raw, ok := answer[key]
	if bytes.Equal(raw, []byte("null")) || !ok && p.Total == 0 {
		raw = json.RawMessage("[]")
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return Page[T]{}, call.answerError(resp)
	}
	p.Received = len(elements)
	p.Rows = make([]T, 0, len(elements))
	for _, element := range elements {
		if r, ok := row(element); ok {
			p.Rows = append(p.Rows, r)
		}
	}
	if len(elements) > 0 && len(p.Rows) == 0 {
		return Page[T]{}, call.answerError(resp)
	}
	p.Nameless = len(elements) - len(p.Rows)
	if p.Total < offset+len(elements) && len(elements) > 0 { // cannot be true
		p.Total = -1
	}
	return p, nil
}
