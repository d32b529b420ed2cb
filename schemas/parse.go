package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// maxDepth bounds how deeply arrays and objects may nest. Everything that
// walks a parsed value may recurse without a bound of its own.
const maxDepth = 64

// Numbers beyond these limits are refused: the validator compares exact
// fractions, and would spend seconds and megabytes on 1e999999.
const (
	maxDigits   = 400
	maxExponent = 308
)

// place is where in a value the parser is. It is rendered only for problems.
type place struct {
	parent *place
	name   string
	index  int // of a list, when name is not set
	isItem bool
}

func (p *place) path() string {
	switch {
	case p.parent == nil:
		return ""
	case p.isItem:
		return item(p.parent.path(), p.index)
	}
	return member(p.parent.path(), p.name)
}

// parser reads a text that is known to be valid JSON. It is stricter than
// encoding/json, which lets the last of several equal keys win, and so would
// let one list of instances be reviewed and another be used.
type parser struct {
	text     []byte
	next     int // the position in text
	problems []Problem
}

var errTooDeep = lang.Errorf("the JSON value is nested more than %d levels deep", maxDepth)

// Parse reads exactly one JSON value, as Decode does, for texts that no schema describes: into map[string]any, []any, string,
// json.Number, bool and nil. The problems are repeated keys, of which the first counts, and oversized numbers, which are read
// as null. The error's text is fit for messages.
func Parse(text []byte) (value any, problems []Problem, err error) { return parse(text) }

func parse(text []byte) (any, []Problem, error) {
	if !utf8.Valid(text) {
		return nil, nil, lang.Errorf("the text is not valid UTF-8")
	}
	if !json.Valid(text) {
		return nil, nil, invalid(text)
	}
	p := parser{text: text}
	value, err := p.value(&place{}, 0)
	if err != nil {
		return nil, nil, err
	}
	return value, p.problems, nil
}

// invalid says where a text stops being JSON. The library calls a text that
// nests absurdly deeply invalid, too.
func invalid(text []byte) error {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, new(json.RawMessage)); errors.As(err, &syntax) {
		problem := lang.Errorf("the text is not valid JSON from byte %d of %d on", syntax.Offset, len(text))
		if lines := bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")); lines > 0 {
			problem = lang.Errorf("%w, in line %d", problem, lines+1)
		}
		return problem
	}
	return lang.Errorf("the text is not valid JSON")
}

func (p *parser) value(at *place, depth int) (any, error) {
	switch c := p.peek(); c {
	case '{', '[':
		if depth == maxDepth {
			return nil, errTooDeep
		}
		p.next++
		if c == '{' {
			return p.object(at, depth+1)
		}
		return p.list(at, depth+1)
	case '"':
		return p.string(), nil
	case 't':
		p.next += len("true")
		return true, nil
	case 'f':
		p.next += len("false")
		return false, nil
	case 'n':
		p.next += len("null")
		return nil, nil
	}
	start := p.next
	for p.next < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.next]) >= 0 {
		p.next++
	}
	number := string(p.text[start:p.next])
	if !manageable(number) {
		p.problem(at, lang.T("the number is too long or too large"))
		return nil, nil
	}
	return json.Number(number), nil
}

// peek returns the next byte that means something. Commas and colons are
// where they belong, and mean nothing any more.
func (p *parser) peek() byte {
	for strings.IndexByte(" \t\r\n,:", p.text[p.next]) >= 0 {
		p.next++
	}
	return p.text[p.next]
}

func (p *parser) string() string {
	start := p.next
	escaped := false
	for p.next++; p.text[p.next] != '"'; p.next++ {
		if p.text[p.next] == '\\' {
			escaped = true
			p.next++
		}
	}
	p.next++
	if !escaped {
		return string(p.text[start+1 : p.next-1])
	}
	var text string
	_ = json.Unmarshal(p.text[start:p.next], &text) // valid, as all of it is
	return text
}

func (p *parser) object(at *place, depth int) (any, error) {
	object := map[string]any{}
	var repeated map[string]bool
	for p.peek() != '}' {
		here := place{parent: at, name: p.string()}
		value, err := p.value(&here, depth)
		if err != nil {
			return nil, err
		}
		if _, ok := object[here.name]; !ok {
			object[here.name] = value
		} else if !repeated[here.name] {
			if repeated == nil {
				repeated = map[string]bool{}
			}
			repeated[here.name] = true
			p.problem(&here, lang.T("given more than once; give it once"))
		}
	}
	p.next++
	return object, nil
}

func (p *parser) list(at *place, depth int) (any, error) {
	list := []any{}
	for p.peek() != ']' {
		value, err := p.value(&place{parent: at, index: len(list), isItem: true}, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	p.next++
	return list, nil
}

func (p *parser) problem(at *place, text lang.Text) {
	if len(p.problems) < maxCollected {
		p.problems = append(p.problems, Problem{Path: at.path(), Text: text})
	}
}

// manageable reports whether a number is within the limits.
func manageable(number string) bool {
	if len(number) > maxDigits {
		return false
	}
	i := strings.IndexAny(number, "eE")
	if i < 0 {
		return len(number) <= maxExponent
	}
	exponent, err := strconv.Atoi(number[i+1:])
	if err != nil || exponent < -maxExponent || exponent > maxExponent {
		return false
	}
	_, err = strconv.ParseFloat(number, 64)
	return err == nil
}
