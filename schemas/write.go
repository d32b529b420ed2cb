package schemas

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync"
)

// writer writes the text of a schema: of each node first its own keywords, then what it contains.
type writer struct {
	out     bytes.Buffer
	strings *json.Encoder // into out
}

func (n *node) text() json.RawMessage {
	w, _ := writers.Get().(*writer)
	defer writers.Put(w)
	w.out.Reset()
	w.node(n)
	return bytes.Clone(w.out.Bytes())
}

// writers are used again, because growing their buffers costs more than all the rest.
var writers = sync.Pool{New: func() any {
	w := &writer{}
	w.strings = json.NewEncoder(&w.out)
	w.strings.SetEscapeHTML(false)
	return w
}}

func (w *writer) node(n *node) {
	w.out.WriteString(`{"type":`)
	w.string(n.kind)
	w.list("enum", n.enum)
	w.number("maximum", n.maximum)
	w.number("minimum", n.minimum)
	w.count("maxLength", n.maxLength)
	w.count("minLength", n.minLength)
	w.member("pattern", n.pattern)
	w.count("maxItems", n.maxItems)
	w.count("minItems", n.minItems)
	var required []string
	for _, name := range n.names {
		if n.required[name] {
			required = append(required, name)
		}
	}
	w.list("required", required)
	w.member("format", n.format)
	w.member("description", n.description)
	w.defaults(n)
	if n.kind == "object" {
		w.key("properties")
		w.out.WriteByte('{')
		for i, name := range n.names {
			if i > 0 {
				w.out.WriteByte(',')
			}
			w.string(name)
			w.out.WriteByte(':')
			w.node(n.properties[name])
		}
		w.out.WriteString(`},"additionalProperties":false`)
	}
	if n.items != nil {
		w.key("items")
		w.node(n.items)
	}
	w.out.WriteByte('}')
}

func (w *writer) defaults(n *node) {
	switch {
	case n.kind == "array":
		w.list("default", n.defaults)
	case n.kind == "string" && n.defaults != nil:
		w.member("default", n.defaults[0])
	case n.defaults != nil:
		w.number("default", n.defaults[0])
	}
}

func (w *writer) key(name string) { w.out.WriteString(`,"` + name + `":`) }

// string writes a JSON string. The encoder cannot fail: the buffer takes all, and a string can always be written.
func (w *writer) string(text string) {
	_ = w.strings.Encode(text)
	w.out.Truncate(w.out.Len() - len("\n"))
}

func (w *writer) member(key, text string) {
	if text != "" {
		w.key(key)
		w.string(text)
	}
}

// number writes what is a JSON value already.
func (w *writer) number(key, text string) {
	if text != "" {
		w.key(key)
		w.out.WriteString(text)
	}
}

func (w *writer) count(key string, n *uint64) {
	if n != nil {
		w.number(key, strconv.FormatUint(*n, 10))
	}
}

func (w *writer) list(key string, texts []string) {
	for i, text := range texts {
		if i == 0 {
			w.key(key)
			w.out.WriteByte('[')
		} else {
			w.out.WriteByte(',')
		}
		w.string(text)
	}
	if len(texts) > 0 {
		w.out.WriteByte(']')
	}
}
