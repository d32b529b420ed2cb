package schemas

import (
	"bytes"
	"encoding/json"

	"github.com/invopop/jsonschema"
)

// keywordsOnly is a schema without its MarshalJSON. That one writes every
// level once more for each level above it, which makes start-up slow.
type keywordsOnly jsonschema.Schema

// write appends a schema's text: first its own keywords, then what it
// contains. Keywords that are not portable are written too, for Lint to find.
func write(out *bytes.Buffer, schema *jsonschema.Schema) error {
	if schema == jsonschema.FalseSchema {
		out.WriteString("false")
		return nil
	}
	own := keywordsOnly(*schema)
	own.Properties, own.Items, own.AdditionalProperties = nil, nil, nil
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(own); err != nil {
		return err
	}
	out.Truncate(out.Len() - len("}\n"))
	if schema.Properties != nil {
		key(out, "properties")
		out.WriteByte('{')
		for name, property := range schema.Properties.FromOldest() {
			key(out, name)
			if err := write(out, property); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	}
	if schema.Items != nil {
		key(out, "items")
		if err := write(out, schema.Items); err != nil {
			return err
		}
	}
	if schema.AdditionalProperties != nil {
		key(out, "additionalProperties")
		if err := write(out, schema.AdditionalProperties); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// key begins a member of an object. A name that would need escaping makes
// the text invalid or the name unportable, and Lint refuses both.
func key(out *bytes.Buffer, name string) {
	if !bytes.HasSuffix(out.Bytes(), []byte("{")) {
		out.WriteByte(',')
	}
	out.WriteString(`"` + name + `":`)
}
