package metrics

import "strconv"

// other stands for every value that is not in a label's list.
const other = "other"

// unconventional is what the semantic conventions call it.
const unconventional = "_OTHER"

// closed is the set of values that a label may take.
type closed map[string]bool

func newClosed(values []string) closed {
	set := closed{}
	for _, v := range values {
		set[v] = true
	}
	return set
}

// label returns value, or other when the set does not hold it.
func (set closed) label(value string) string {
	if set[value] {
		return value
	}
	return other
}

// class returns the class of an HTTP status: "2xx" to "5xx", "none" for 0, and "other".
func class(status int) string {
	switch {
	case status == 0:
		return "none"
	case status >= 200 && status <= 599:
		return strconv.Itoa(status/100) + "xx"
	}
	return other
}
