package workspace

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Problem is an argument that breaks a rule.
type Problem struct {
	Field   string    // as the service names it: "gray_count"
	Message lang.Text // the rule, and what was given
}

// ArgumentError lists everything that is wrong with the arguments of a call. Nothing was sent.
type ArgumentError struct{ Problems []Problem }

// Unwrap returns it as a failure of the call that the arguments were for.
func (e *ArgumentError) Unwrap() error {
	return &Error{Kind: upstream.Argument, Service: service, Err: (*brokenRules)(e)}
}

// Error joins the problems.
func (e *ArgumentError) Error() string { return e.In(lang.English) }

// In says them in a language.
func (e *ArgumentError) In(l lang.Lang) string {
	var parts []lang.Text
	for _, p := range e.Problems {
		parts = append(parts, lang.T("%s: %s", p.Field, p.Message))
	}
	return lang.Clauses(parts...).In(l)
}

// brokenRules is an ArgumentError as the cause of a failure, which does not lead back to it.
type brokenRules ArgumentError

func (e *brokenRules) Error() string { return (*ArgumentError)(e).Error() }

func (e *brokenRules) In(l lang.Lang) string { return (*ArgumentError)(e).In(l) }

// problems collects what is wrong.
type problems []Problem

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, Problem{field, lang.T(format, args...)})
}

// err returns nil when there are none.
func (p *problems) err() error {
	if len(*p) == 0 {
		return nil
	}
	return &ArgumentError{*p}
}

var idRule = lang.T("ids are 1 to 128 letters, digits, - and _")

// id checks one that must be there.
func (p *problems) id(field, id string) {
	if !clean.IsID(id) {
		p.add(field, "%q is not an id; %s", clean.Line(id, 40), idRule)
	}
}

// optionalID checks one that may be left out.
func (p *problems) optionalID(field, id string) {
	if id != "" {
		p.id(field, id)
	}
}

// ids checks a list and names the first offender of each kind.
func (p *problems) ids(field string, ids []string, least, most int) {
	p.each(field, ids, least, most, idRule, clean.IsID)
}

// names checks a list of what stands for ids, as far as that goes without a look-up.
func (p *problems) names(field string, names []string, least, most int) {
	p.each(field, names, least, most, lang.T("names are 1 to %d characters", maxFilter), func(name string) bool {
		return strings.TrimSpace(name) != "" && utf8.RuneCountInString(name) <= maxFilter && utf8.ValidString(name)
	})
}

func (p *problems) each(field string, ids []string, least, most int, rule lang.Text, valid func(string) bool) {
	if len(ids) < least || len(ids) > most {
		p.add(field, "%d to %d ids go in one call, not %d", least, most, len(ids))
	}
	var invalid, repeated int
	var firstInvalid, firstRepeated string
	seen := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if !valid(id) {
			if invalid++; invalid == 1 {
				firstInvalid = id
			}
		}
		if _, known := seen[id]; known {
			if repeated++; repeated == 1 {
				firstRepeated = id
			}
		}
		seen[id] = struct{}{}
	}
	if invalid > 0 {
		p.add(field, "%q%s is not an id; %s", clean.Line(firstInvalid, 40), others(invalid), rule)
	}
	if repeated > 0 {
		p.add(field, "%q%s is there twice; name each id once", clean.Line(firstRepeated, 40), others(repeated))
	}
}

func others(count int) lang.Text {
	if count < 2 {
		return lang.Text{}
	}
	return lang.T(" (and %d more)", count-1)
}

// text checks a length in characters, and that JSON carries the text unchanged.
func (p *problems) text(field, value string, least, most int) {
	if n := utf8.RuneCountInString(value); n < least || n > most {
		p.add(field, "%d to %d characters are allowed, not %d", least, most, n)
	}
	if !utf8.ValidString(value) {
		p.add(field, "it is not valid UTF-8")
	}
	if strings.ContainsRune(value, 0) {
		p.add(field, "it holds a NUL character")
	}
}

// maxFilter is how long a filter may be, in characters: it travels in the URL.
const maxFilter = 256

// filters checks the lengths of what selects rows, in the order of the fields.
func (p *problems) filters(values map[string]string) {
	for _, field := range slices.Sorted(maps.Keys(values)) {
		p.text(field, values[field], 0, maxFilter)
	}
}

// maxOffset is documented for the script operations.
const maxOffset = 2147483646

// window checks offset and limit. A limit of 0 leaves the number of rows to the service.
func (p *problems) window(offset, limit, most int) {
	if offset < 0 || offset > maxOffset {
		p.add("offset", "it must be 0 to %d, not %d", maxOffset, offset)
	}
	if limit < 0 || limit > most {
		p.add("limit", "it must be 1 to %d, or 0 for the service's default, not %d", most, limit)
	}
}

// timestamp is how the script operations write times.
func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }
