package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
)

// Limits of one message. Decoding costs far more memory per value than the two bytes that an empty list takes on the wire.
const (
	maxValues = 50_000 // of JSON: objects, lists, strings, numbers, true, false, null
	maxDepth  = 100    // of objects and lists in each other; the arguments of a tool may take 64 of them
)

// The members that MCP defines where they decide what a message does. encoding/json takes any spelling of them for the
// member, and the last of several; other readers take the exact one, or the first. Such a message would be reviewed as one
// thing and carried out as another.
var members = map[place]map[string]string{
	inMessage: byFold("jsonrpc", "id", "method", "params", "result", "error"),
	inParams: byFold("name", "arguments", "_meta", "task", "inputResponses", "requestState", "requestId", "protocolVersion",
		"capabilities", "clientInfo", "notifications", "uri", "cursor", "ref", "argument", "context"),
	inMeta: byFold("progressToken", "traceparent", "tracestate",
		mcp.MetaKeyProtocolVersion, mcp.MetaKeyClientCapabilities, mcp.MetaKeyClientInfo),
	inAnswer: byFold("action", "content"),
}

func byFold(names ...string) map[string]string {
	spelt := map[string]string{}
	for _, name := range names {
		spelt[fold(name)] = name
	}
	return spelt
}

// place is where in a message an object is, as far as that matters.
type place int

const (
	inMessage   place = iota
	inParams          // of the message
	inMeta            // of the params
	inAnswer          // a human's: the result of an elicitation, or one of the input responses
	inResponses       // the answers of one call, by the names of the questions
	inProtocol        // below all of these: no name is given twice
	inData            // the arguments of a tool, which are checked with its schema; the data of an error
)

// inside returns the place of the value of a member.
func (p place) inside(member string) place {
	switch {
	case p == inData, p == inParams && member == "arguments", p == inMessage && member == "error":
		return inData
	case p == inMessage && member == "params":
		return inParams
	case p == inMessage && member == "result", p == inResponses:
		return inAnswer
	case p == inParams && member == "_meta":
		return inMeta
	case p == inParams && member == "inputResponses":
		return inResponses
	}
	return inProtocol
}

// span is a piece of a text.
type span struct{ from, to int }

// scan goes once through a message that is valid JSON, before anything decodes it.
type scan struct {
	text   []byte
	next   int
	values int

	arguments span            // of a tool; empty: there are none
	id        json.RawMessage // of the message; nil: there is none, or several

	idUncertain bool
}

// scanMessage returns what must be known of a message beforehand, or what is wrong with it in words for the client. text
// must be one valid JSON value without space around it.
func scanMessage(text []byte) (scan, error) {
	s := scan{text: text}
	err := s.value(inMessage, 0)
	switch {
	case s.idUncertain:
		s.id = nil
	case err != nil && s.id == nil: // it comes after what is wrong, if at all
		s.id = findID(text[:min(len(text), keptOfLine)], text[max(len(text)-keptOfLine, 0):])
	}
	return s, err
}

func (s *scan) value(at place, depth int) error {
	if s.values++; s.values > maxValues {
		return fmt.Errorf("the message holds more than %d JSON values; nothing was done", maxValues)
	}
	switch s.peek() {
	case '{', '[':
		if depth == maxDepth {
			return fmt.Errorf("the message is nested more than %d levels deep; nothing was done", maxDepth)
		}
		if s.text[s.next] == '{' {
			return s.object(at, depth+1)
		}
		s.next++
		for s.peek() != ']' {
			if err := s.value(at, depth+1); err != nil {
				return err
			}
		}
		s.next++
	case '"':
		s.string()
	default:
		for s.next < len(s.text) && strings.IndexByte(" \t\r\n,]}", s.text[s.next]) < 0 {
			s.next++
		}
	}
	return nil
}

func (s *scan) object(at place, depth int) error {
	seen := map[string]bool{}
	s.next++
	for s.peek() != '}' {
		name, raw := "", s.string()
		if at != inData {
			name = unquote(raw)
			if err := checkName(name, at, seen); err != nil {
				s.idUncertain = at == inMessage && fold(name) == "id"
				return err
			}
		}
		s.peek()
		from := s.next
		if err := s.value(at.inside(name), depth); err != nil {
			return err
		}
		switch {
		case at == inParams && name == "arguments":
			s.arguments = span{from, s.next}
		case at == inMessage && name == "id":
			s.id = s.text[from:s.next]
		}
	}
	s.next++
	return nil
}

// checkName says what is wrong with a member's name.
func checkName(name string, at place, seen map[string]bool) error {
	folded := fold(name)
	if spelt, known := members[at][folded]; known && name != spelt {
		return fmt.Errorf("%q is not a member of MCP messages; it is spelt %q. Nothing was done", name, spelt)
	}
	if seen[folded] {
		return fmt.Errorf("the message has the member %q twice; nothing was done", shorten(name))
	}
	seen[folded] = true
	return nil
}

// fold makes those names equal that encoding/json takes for the same member.
func fold(name string) string {
	if !isASCII(name) {
		name = strings.Map(func(r rune) rune {
			least := r
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				least = min(least, other)
			}
			return least
		}, name)
	}
	return strings.ToLower(name)
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// unquote returns the text of a valid JSON string.
func unquote(raw []byte) (text string) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	_ = json.Unmarshal(raw, &text)
	return text
}

// peek returns the next byte that means something. Commas and colons are where they belong, and mean nothing here.
func (s *scan) peek() byte {
	for strings.IndexByte(" \t\r\n,:", s.text[s.next]) >= 0 {
		s.next++
	}
	return s.text[s.next]
}

func (s *scan) string() []byte {
	s.peek()
	from := s.next
	for s.next++; s.text[s.next] != '"'; s.next++ {
		if s.text[s.next] == '\\' {
			s.next++
		}
	}
	s.next++
	return s.text[from:s.next]
}

// withoutArguments returns text with an empty object for the arguments of a tool, and the arguments. mcp-go would decode
// them several times over, and keep what it decoded for as long as the call runs.
func withoutArguments(text []byte, arguments span) (rest []byte, cut json.RawMessage) {
	return slices.Concat(text[:arguments.from], []byte("{}"), text[arguments.to:]), text[arguments.from:arguments.to]
}
