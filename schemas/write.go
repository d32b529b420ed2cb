package schemas

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/invopop/jsonschema"
)

// keywordsOnly is a schema without its MarshalJSON. That one writes every
// level once more for each level above it, which makes start-up slow.
type keywordsOnly jsonschema.Schema

// writer writes a schema's text.
type writer struct {
	out  bytes.Buffer
	json *json.Encoder // into out
}

// writers are used again: letting their buffers grow costs more than all the rest.
var writers = sync.Pool{New: func() any {
	w := &writer{}
	w.json = json.NewEncoder(&w.out)
	w.json.SetEscapeHTML(false)
	return w
}}

func textOf(schema *jsonschema.Schema) (json.RawMessage, error) {
	w, _ := writers.Get().(*writer)
	defer writers.Put(w)
	w.out.Reset()
	err := w.write(schema)
	return bytes.Clone(w.out.Bytes()), err
}

// write appends a schema: first its own keywords, then what it contains.
// Keywords that are not portable are written too, for Lint to find.
func (w *writer) write(schema *jsonschema.Schema) error {
	if schema == jsonschema.FalseSchema {
		w.out.WriteString("false")
		return nil
	}
	properties, items, additional := schema.Properties, schema.Items, schema.AdditionalProperties
	schema.Properties, schema.Items, schema.AdditionalProperties = nil, nil, nil // not a copy: a schema has 500 bytes
	err := w.json.Encode((*keywordsOnly)(schema))
	schema.Properties, schema.Items, schema.AdditionalProperties = properties, items, additional
	if err != nil {
		return err
	}
	w.out.Truncate(w.out.Len() - len("}\n"))
	if properties != nil {
		key(&w.out, "properties")
		w.out.WriteByte('{')
		for name, property := range properties.FromOldest() {
			key(&w.out, name)
			if err := w.write(property); err != nil {
				return err
			}
		}
		w.out.WriteByte('}')
	}
	if items != nil {
		key(&w.out, "items")
		if err := w.write(items); err != nil {
			return err
		}
	}
	if additional != nil {
		key(&w.out, "additionalProperties")
		if err := w.write(additional); err != nil {
			return err
		}
	}
	w.out.WriteByte('}')
	return nil
}

// key begins a member of an object. A name that would need escaping makes
// the text invalid; For refuses it.
func key(out *bytes.Buffer, name string) {
	if !bytes.HasSuffix(out.Bytes(), []byte("{")) {
		out.WriteByte(',')
	}
	out.WriteString(`"` + name + `":`)
}
