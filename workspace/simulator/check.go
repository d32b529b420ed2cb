package simulator

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// check remembers the first thing that is wrong with a request.
type check struct{ bad string }

func (c *check) fail(format string, args ...any) {
	if c.bad == "" {
		c.bad = fmt.Sprintf(format, args...)
	}
}

// verdict is the error reply for what is wrong, if anything is.
func (c *check) verdict() (reply, bool) {
	if c.bad == "" {
		return reply{}, true
	}
	return fail(codeParameter, "Invalid parameter: %s.", c.bad), false
}

// length checks a string's length, which the pages give in characters.
func (c *check) length(name, value string, lo, hi int) {
	if n := utf8.RuneCountInString(value); n < lo || n > hi {
		c.fail("%s has %d characters, allowed are %d to %d", name, n, lo, hi)
	}
}

// list checks an array of ids.
func (c *check) list(name string, values []string, items, lo, hi int) {
	if len(values) > items {
		c.fail("%s has %d items, allowed are %d", name, len(values), items)
	}
	for _, v := range values {
		c.length("an item of "+name, v, lo, hi)
	}
}

// between checks an optional number; an absent one is zero.
func (c *check) between(name string, value *int, lo, hi int) int {
	if value == nil {
		return 0
	}
	if *value < lo || *value > hi {
		c.fail("%s is %d, allowed are %d to %d", name, *value, lo, hi)
	}
	return *value
}

func (c *check) word(name, value string, words ...string) {
	if !slices.Contains(words, value) {
		c.fail("%s is %q, allowed are %v", name, value, words)
	}
}

// decode reads a JSON object. Members that are not documented are ignored, as the service is assumed to do: it once took more
// of them.
func (c *check) decode(body []byte, into any) {
	if err := json.Unmarshal(body, into); err != nil {
		c.fail("the body is not the expected JSON object (%v)", err)
	} else if string(body) == "null" {
		c.fail("the body is null")
	}
}

// query reads the parameters of a query.
type query struct {
	check
	values url.Values
}

// text reads a string. Sending one twice is assumed to be an error: on page ListScriptTasks script_id is a string, on page
// ListScriptRecords an array.
func (q *query) text(name string, limit int) string {
	if len(q.values[name]) > 1 {
		q.fail("%s is there %d times", name, len(q.values[name]))
	}
	v := q.values.Get(name)
	q.length(name, v, 0, limit)
	return v
}

// list reads an array, which is a repeated key, with at most 100 items of at most 128 characters.
func (q *query) list(name string) []string {
	v := q.values[name]
	q.check.list(name, v, 100, 0, 128)
	return v
}

func (q *query) number(name string, fallback, lo, hi int) int {
	text := q.text(name, 20)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		q.fail("%s is not a number", name)
		return fallback
	}
	return q.between(name, &n, lo, hi)
}

// page reads offset and limit.
func (q *query) page(fallback, lo, hi int) page {
	return page{
		offset: q.number("offset", 0, 0, 2147483646),
		limit:  q.number("limit", fallback, lo, hi),
	}
}

// flag reads a boolean; set is false for an absent one.
func (q *query) flag(name string) (value, set bool) {
	text := q.text(name, 5)
	if text == "" {
		return false, false
	}
	if text != "true" && text != "false" {
		q.fail("%s is neither true nor false", name)
	}
	return text == "true", true
}

// time reads a time of the form of page ListScriptTasks, 2021-10-01T12:00:00Z.
func (q *query) time(name string) time.Time {
	text := q.text(name, 64)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(timeForm, text)
	if err != nil {
		q.fail("%s is not a time such as 2021-10-01T12:00:00Z", name)
	}
	return t
}

// page is the part of a list that was asked for.
type page struct{ offset, limit int }

// cut returns the part of the list.
func cut[T any](items []T, p page) []T {
	lo := min(p.offset, len(items))
	return items[lo:min(lo+p.limit, len(items))]
}
