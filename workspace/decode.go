package workspace

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

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

// UnmarshalJSONFrom fails only where the JSON is broken. What stands for "none" is the zero Moment: absent, null, "" and
// the year 1 that some clients make of an empty time. The documented forms are those of RFC 3339, with and without
// fractions of a second. A time without a zone is not read: what zone it is in is not documented.
func (m *Moment) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*m = Moment{}
	var t text
	err := t.UnmarshalJSONFrom(dec)
	s := strings.TrimSpace(string(t))
	if err != nil || s == "" || s == "0" || strings.HasPrefix(s, "0001-01-01") {
		return err
	}
	m.Raw = s
	if at, err := time.Parse(time.RFC3339, s); err == nil && at.Year() > 1 && at.Year() < 10_000 {
		m.At = at
	}
	return nil
}

// Page is one answer of a list operation.
type Page[T any] = upstream.Page[T]

// page makes call and decodes the rows under key. keep reports false for a row without an id, which cannot be acted on.
func page[Row, T any](
	ctx context.Context, c *Client, call *call, key string, offset int, keep func(*Row) (T, bool),
) (Page[T], error) {
	call.isList = true
	resp, err := c.do(ctx, call)
	if err != nil {
		return Page[T]{}, err
	}
	answer := listAnswer[Row, T]{key: key, Table: lenient.Table[Row, T]{Keep: keep}}
	if lenient.Unmarshal(resp.Body, &answer) != nil || answer.errorCode != "" {
		return Page[T]{}, call.answerError(resp)
	}
	p := Page[T]{Start: offset, Total: -1, Rows: answer.Rows, Received: answer.Len, Nameless: answer.Len - len(answer.Rows)}
	if total := cmp.Or(answer.totalCount, answer.count); total != nil {
		p.Total = max(int(*total), -1)
	}
	isList := answer.Kind == jsontext.KindBeginArray || answer.Kind == jsontext.KindNull ||
		answer.Kind == jsontext.KindInvalid && p.Total == 0
	if !isList || p.Received > 0 && len(p.Rows) == 0 {
		return Page[T]{}, call.answerError(resp)
	}
	if p.Total < offset+p.Received && p.Received > 0 { // cannot be true
		p.Total = -1
	}
	return p, nil
}

// listAnswer is an answer with the rows under key.
type listAnswer[Row, T any] struct {
	lenient.Table[Row, T]
	key               string
	count, totalCount *number // of scripts, tasks and records; of desktops
	errorCode         text
}

// UnmarshalJSONFrom fails only where the JSON is broken or not an object.
func (a *listAnswer[Row, T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return lenient.Members(dec, func(name string) error {
		switch {
		case name == a.key:
			return a.Table.UnmarshalJSONFrom(dec)
		case name == "count":
			return lenient.Decode(dec, &a.count)
		case name == "total_count":
			return lenient.Decode(dec, &a.totalCount)
		case strings.EqualFold(name, "error_code"):
			return a.errorCode.UnmarshalJSONFrom(dec)
		}
		return dec.SkipValue()
	})
}

// rows yields the rows of pages. Pages that cannot be told apart are a fault of the answer to op.
func rows[T any](op string, pages iter.Seq2[Page[T], error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page, err := range pages {
			if errors.Is(err, ErrRepeatedRows) || errors.Is(err, upstream.ErrIgnoresStart) {
				err = (&call{op: op}).fail(Error{Kind: upstream.Malformed, Delivery: upstream.Answered, Status: http.StatusOK, Err: err})
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
