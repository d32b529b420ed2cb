package upstream

import (
	"errors"
	"slices"
	"testing"
)

func TestWalk(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	all := []string{"a", "b", "c", "d", "e"}
	for name, c := range map[string]struct {
		start   int
		fetch   func(start, limit int) (Page[string], error)
		want    []string
		err     error
		fetches int
	}{
		"pages of two": {fetch: func(start, limit int) (Page[string], error) {
			rows := all[min(start, 5):min(start+2, 5)]
			return Page[string]{Rows: slices.Clone(rows), Start: start, Total: -1, Received: len(rows)}, nil
		}, want: all, fetches: 4},
		"a total ends it": {fetch: func(start, limit int) (Page[string], error) {
			rows := all[start:min(start+2, 5)]
			return Page[string]{Rows: slices.Clone(rows), Start: start, Total: 5, Received: len(rows)}, nil
		}, want: all, fetches: 3},
		"from the middle": {start: 3, fetch: func(start, limit int) (Page[string], error) {
			rows := all[start:min(start+max(limit, 2), 5)]
			return Page[string]{Rows: slices.Clone(rows), Start: start, Total: 5, Received: len(rows)}, nil
		}, want: []string{"d", "e"}, fetches: 2},
		"rows without an id count": {fetch: func(start, limit int) (Page[string], error) {
			if start >= 4 {
				return Page[string]{Total: -1}, nil
			}
			return Page[string]{Rows: []string{all[start]}, Start: start, Total: -1, Received: 2, Nameless: 1}, nil
		}, want: []string{"a", "c"}, fetches: 3},
		"repeats": {fetch: func(start, limit int) (Page[string], error) {
			return Page[string]{Rows: []string{"a", "b"}, Start: start, Total: -1, Received: 2}, nil
		}, want: []string{"a", "b"}, err: ErrRepeatedRows, fetches: 2},
		"ignores start": {start: 2, fetch: func(start, limit int) (Page[string], error) {
			return Page[string]{Rows: []string{"a", "b"}, Start: start, Total: 100, Received: 2}, nil
		}, err: ErrIgnoresStart, fetches: 2},
		"fails": {fetch: func(start, limit int) (Page[string], error) { return Page[string]{}, broken }, err: broken, fetches: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var err error
			fetches := 0
			counted := func(start, limit int) (Page[string], error) {
				fetches++
				return c.fetch(start, limit)
			}
			for page, pageErr := range Walk(c.start, counted, func(s string) string { return s }) {
				got, err = append(got, page.Rows...), pageErr
			}
			if !slices.Equal(got, c.want) || !errors.Is(err, c.err) || fetches != c.fetches {
				t.Errorf("%q, %v in %d fetches", got, err, fetches)
			}
		})
	}
}
