package workspace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

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

// Moment is a time that the service sent. Its operations word times in several ways, and only some of these are documented.
type Moment struct {
	Raw string    // as it was sent and not cleaned for display; "" when the service gives none
	At  time.Time // zero when Raw is in no form that is documented
}

// IsSet reports whether the service gave a time, in whatever form.
func (m Moment) IsSet() bool { return m.Raw != "" }

// UnmarshalJSON never fails. What stands for "none" is the zero Moment: absent, null, "" and the year 1 that some clients
// make of an empty time. The documented forms are those of RFC 3339, with and without fractions of a second. A time without a
// zone is not read: what zone it is in is not documented.
func (m *Moment) UnmarshalJSON(raw []byte) error {
	*m = Moment{}
	var t text
	_ = t.UnmarshalJSON(raw) // never fails
	s := strings.TrimSpace(string(t))
	if s == "" || s == "0" || strings.HasPrefix(s, "0001-01-01") {
		return nil
	}
	m.Raw = s
	if at, err := time.Parse(time.RFC3339, s); err == nil && at.Year() > 1 && at.Year() < 10_000 {
		m.At = at
	}
	return nil
}

// Page is one answer of a list operation.
type Page[T any] = upstream.Page[T]

// page makes call and decodes the rows under key. row reports false for a row without an id, which cannot be acted on.
func page[T any](
	ctx context.Context, c *Client, call *call, key string, offset int, row func(json.RawMessage) (T, bool),
) (Page[T], error) {
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

// rows yields the rows of pages. Pages that cannot be told apart are a fault of the answer to op.
func rows[T any](op string, pages iter.Seq2[Page[T], error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page, err := range pages {
			if errors.Is(err, ErrRepeatedRows) || errors.Is(err, upstream.ErrIgnoresStart) {
				err = (&call{op: op}).fail(Error{Kind: upstream.Malformed, Delivery: Answered, Status: http.StatusOK, Err: err})
			}
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, r := range page.Rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}
