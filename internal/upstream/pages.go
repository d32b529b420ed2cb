package upstream

import (
	"iter"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Page is one answer of a list operation.
type Page[T any] struct {
	Rows     []T
	Start    int // rows before the first
	Total    int // all that match, as the service counts them; -1 when it does not say
	Received int // rows that the service sent, those without an id included: Start + Received is where the next page starts
	Nameless int // rows without an id, which Rows leaves out because nothing can be done with them
}

// Errors of a list that does not page as documented.
var (
	ErrRepeatedRows = lang.Errorf("the service repeated rows that it had already sent")
	ErrIgnoresStart = lang.Errorf("the service ignores where the list is to start: it sent the first rows again")
)

// Walk yields page after page from start on until the service has no more rows. A page holds only rows that were not
// yielded before. Without any new row the walk ends with ErrRepeatedRows, because a service that ignores the offset would
// go on for ever; and a first page beyond the beginning that holds the list's very first row ends it with ErrIgnoresStart. A
// page that is shorter than asked for is not the end: the service may cap it.
//
// fetch asks for a page; a limit of 0 leaves its length open.
func Walk[T any](
	start int, fetch func(start, limit int) (Page[T], error), id func(T) string,
) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		seen := map[string]struct{}{}
		for at := start; ; {
			page, err := fetch(at, 0)
			if err != nil {
				yield(Page[T]{}, err)
				return
			}
			if page.Received == 0 {
				if at == start {
					yield(page, nil)
				}
				return
			}
			if at == start && start > 0 && startsOver(page, fetch, id) {
				yield(Page[T]{Start: start, Total: page.Total}, ErrIgnoresStart)
				return
			}
			fresh := page.Rows[:0]
			for _, row := range page.Rows {
				if _, repeated := seen[id(row)]; !repeated {
					seen[id(row)] = struct{}{}
					fresh = append(fresh, row)
				}
			}
			if len(fresh) == 0 {
				yield(Page[T]{Start: at, Total: page.Total}, ErrRepeatedRows)
				return
			}
			page.Rows = fresh
			if !yield(page, nil) {
				return
			}
			at += page.Received
			if page.Total >= 0 && at >= page.Total {
				return
			}
		}
	}
}

// startsOver reports whether page, which is to lie beyond the beginning, holds the list's first row.
func startsOver[T any](page Page[T], fetch func(start, limit int) (Page[T], error), id func(T) string) bool {
	head, err := fetch(0, 1)
	if err != nil || len(head.Rows) == 0 {
		return false
	}
	for _, row := range page.Rows {
		if id(row) == id(head.Rows[0]) {
			return true
		}
	}
	return false
}
