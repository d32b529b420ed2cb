package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/tailscale/hujson"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// jsonFile is a configuration in JSON, with or without comments, as its text.
type jsonFile []byte

func (doc jsonFile) parse() (hujson.Value, error) {
	if len(bytes.TrimSpace(doc)) == 0 {
		return hujson.Value{}, errEmpty
	}
	root, err := hujson.Parse(doc)
	if err != nil {
		return root, lang.Errorf("it is not JSON: %w", errors.Unwrap(err))
	}
	return root, nil
}

// errEmpty is that of a file without any content.
var errEmpty = lang.Errorf("it is empty")

// holds reports whether there is something at path.
func (doc jsonFile) holds(path ...string) bool {
	at, rest, err := doc.find(path)
	return err == nil && at != nil && len(rest) == 0
}

// names returns the names of the members of the object at path.
func (doc jsonFile) names(path ...string) (all []string) {
	at, rest, err := doc.find(path)
	if err != nil || len(rest) > 0 {
		return nil
	}
	if o, ok := at.Value.(*hujson.Object); ok {
		for _, m := range o.Members {
			if literal, ok := m.Name.Value.(hujson.Literal); ok {
				all = append(all, literal.String())
			}
		}
	}
	return all
}

// find walks down path as far as there is something: it returns the last value that there is and what is left of path.
func (doc jsonFile) find(path []string) (at *hujson.Value, rest []string, err error) {
	root, err := doc.parse()
	if err != nil {
		return nil, path, err
	}
	at = &root
	for i, name := range path {
		o, ok := at.Value.(*hujson.Object)
		if !ok {
			return nil, nil, lang.Errorf("%s in it is not an object", where(path[:i]))
		}
		k, err := memberOf(o, name)
		if err != nil {
			return nil, nil, err
		}
		if k < 0 {
			return at, path[i:], nil
		}
		at = &o.Members[k].Value
	}
	return at, nil, nil
}

func where(path []string) lang.Text {
	if len(path) == 0 {
		return lang.T("the outermost value")
	}
	return lang.T("%q", strings.Join(path, "."))
}

// memberOf returns the place of a member, or -1.
func memberOf(o *hujson.Object, name string) (int, error) {
	found := -1
	for i, m := range o.Members {
		if literal, ok := m.Name.Value.(hujson.Literal); ok && literal.String() == name {
			if found >= 0 {
				return -1, lang.Errorf("%q stands in it twice", name)
			}
			found = i
		}
	}
	return found, nil
}

// set returns the text with value at path, in the style of the text around it.
func (doc jsonFile) set(path []string, value any) (jsonFile, error) {
	at, rest, err := doc.find(path)
	if errors.Is(err, errEmpty) {
		doc = append(bytes.Clone(doc), "{}\n"...)
		at, rest, err = doc.find(path)
	}
	if err != nil {
		return nil, err
	}
	style := doc.style()
	if len(rest) == 0 {
		text, err := style.format(value, doc.indentAt(at.StartOffset), bytes.ContainsRune(doc[at.StartOffset:at.EndOffset], '\n'))
		return doc.splice(at.StartOffset, at.EndOffset, text), err
	}
	for _, name := range slices.Backward(rest[1:]) {
		value = object{{name, value}}
	}
	o, ok := at.Value.(*hujson.Object)
	if !ok {
		return nil, lang.Errorf("%s in it is not an object", where(path[:len(path)-len(rest)]))
	}
	return doc.insert(o, at.StartOffset, at.EndOffset-1, rest[0], value, style)
}

// insert adds a member at the end of the object between the braces at open and end.
func (doc jsonFile) insert(o *hujson.Object, open, end int, name string, value any, style style) (jsonFile, error) {
	extra := end - len(o.AfterExtra) // what stands before the closing brace begins here
	own := doc.indentAt(open)
	indent, lines := own+style.unit, true
	trailingComma := false
	if n := len(o.Members); n > 0 {
		last := o.Members[n-1]
		trailingComma = last.Value.AfterExtra != nil
		if before := last.Name.BeforeExtra; bytes.ContainsRune(before, '\n') {
			indent = string(before[bytes.LastIndexByte(before, '\n')+1:])
		} else {
			lines = false
		}
	}
	text, err := style.format(value, indent, lines)
	if err != nil {
		return nil, err
	}
	quoted, err := encode(name)
	if err != nil {
		return nil, err
	}
	text = string(quoted) + ": " + text
	if trailingComma {
		text += ","
	}
	if !lines {
		out := doc.splice(extra+len(bytes.TrimRight(o.AfterExtra, " \t")), end, " "+text+string(trailingSpace(o.AfterExtra)))
		return out.comma(o, trailingComma), nil
	}
	// The new lines begin before the line end that precedes the closing brace; where there is none, they bring one.
	at, closing := end, style.newline+own
	if i := bytes.LastIndexByte(o.AfterExtra, '\n'); i >= 0 && len(bytes.TrimSpace(o.AfterExtra[i:])) == 0 {
		at, closing = extra+i, ""
		if i > 0 && o.AfterExtra[i-1] == '\r' {
			at--
		}
	}
	out := doc.splice(at, at, style.newline+indent+text+closing)
	return out.comma(o, trailingComma), nil
}

func trailingSpace(b []byte) []byte { return b[len(bytes.TrimRight(b, " \t")):] }

// comma puts one after what was the last member.
func (doc jsonFile) comma(before *hujson.Object, there bool) jsonFile {
	if there || len(before.Members) == 0 {
		return doc
	}
	at := before.Members[len(before.Members)-1].Value.EndOffset
	return doc.splice(at, at, ",")
}

// without returns what the text can have been before path was set; the first is the plainest. There is none when nothing is
// at path.
func (doc jsonFile) without(path []string) ([][]byte, error) {
	parent, rest, err := doc.find(path[:len(path)-1])
	if err != nil || len(rest) > 0 {
		return nil, err
	}
	o, ok := parent.Value.(*hujson.Object)
	if !ok {
		return nil, nil
	}
	name := path[len(path)-1]
	k, err := memberOf(o, name)
	if err != nil || k < 0 {
		return nil, err
	}
	cut := doc.cut(o, k)
	if len(o.Members) > 1 {
		return [][]byte{cut}, nil
	}
	var all [][]byte
	inner := cut[parent.StartOffset+1 : parent.EndOffset-1-(len(doc)-len(cut))]
	if len(bytes.TrimSpace(inner)) == 0 {
		all = append(all, cut.splice(parent.StartOffset+1, parent.StartOffset+1+len(inner), ""))
	}
	all = append(all, cut)
	if len(path) > 1 && len(bytes.TrimSpace(inner)) == 0 { // the object itself may have come with its member
		outer, err := doc.without(path[:len(path)-1])
		if err != nil {
			return nil, err
		}
		return append(all, outer...), nil
	}
	return all, nil
}

// cut takes member k of an object out, with the line on which it begins and one comma.
func (doc jsonFile) cut(o *hujson.Object, k int) jsonFile {
	m := o.Members[k]
	from, to := m.Name.StartOffset, m.Value.EndOffset
	for from > 0 && (doc[from-1] == ' ' || doc[from-1] == '\t') {
		from--
	}
	if from > 0 && doc[from-1] == '\n' {
		from--
		if from > 0 && doc[from-1] == '\r' {
			from--
		}
	}
	if k < len(o.Members)-1 || m.Value.AfterExtra != nil { // a comma follows
		return doc.splice(from, to+len(m.Value.AfterExtra)+1, "")
	}
	out := doc.splice(from, to, "")
	if k > 0 {
		previous := o.Members[k-1].Value
		comma := previous.EndOffset + len(previous.AfterExtra)
		out = out.splice(comma, comma+1, "")
	}
	return out
}

// splice replaces a part of the text.
func (doc jsonFile) splice(from, to int, text string) jsonFile {
	return slices.Concat(doc[:from], []byte(text), doc[to:])
}

// indentAt is the white space at the beginning of the line that holds offset.
func (doc jsonFile) indentAt(offset int) string {
	line := doc[bytes.LastIndexByte(doc[:offset], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// style is how a text is laid out.
type style struct{ unit, newline string }

func (doc jsonFile) style() style {
	s := style{unit: "  ", newline: "\n"}
	if bytes.Contains(doc, []byte("\r\n")) {
		s.newline = "\r\n"
	}
	for line := range bytes.Lines(doc) {
		if rest := bytes.TrimLeft(line, " \t"); len(rest) < len(line) && len(rest) > 0 && rest[0] == '"' {
			s.unit = string(line[:len(line)-len(rest)])
			break
		}
	}
	return s
}

// format writes a value, in several lines or in one.
func (s style) format(value any, indent string, lines bool) (string, error) {
	text, err := encode(value)
	if err != nil || !lines {
		return string(text), err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, indent, s.unit); err != nil {
		return "", err
	}
	return strings.ReplaceAll(b.String(), "\n", s.newline), nil
}
