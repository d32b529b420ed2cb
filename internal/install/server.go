package install

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
)

// Server is the server that a client shall start.
type Server struct {
	Name    string // the key of its entry
	Command string
	Args    []string
	Env     []Setting
}

// Setting is a variable of the server's environment. Its value is shown and written as it is: a secret is named by the file
// that holds it.
type Setting struct{ Name, Value string }

// member is a name and a value of an object whose order is kept.
type member struct {
	name  string
	value any
}

// object is a JSON object in its order.
type object []member

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(m.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode writes a value without the escapes for HTML, which nobody wants to read in a path.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// entry is what stands in a configuration under the name of the server.
func (s Server) entry(extra []member) object {
	entry := append(object{}, extra...)
	entry = append(entry, member{"command", s.Command}, member{"args", s.arguments()})
	if len(s.Env) > 0 {
		entry = append(entry, member{"env", s.environment()})
	}
	return entry
}

func (s Server) arguments() []string { return append([]string{}, s.Args...) }

func (s Server) environment() object {
	var env object
	for _, setting := range s.Env {
		env = append(env, member{setting.Name, setting.Value})
	}
	return env
}

func vscodeLink(s Server) string {
	return "vscode:mcp/install?" + url.PathEscape(compact(append(object{{"name", s.Name}}, s.entry(nil)...)))
}

func cursorLink(s Server) string {
	return "cursor://anysphere.cursor-deeplink/mcp/install?" + query(parameter{"name", s.Name}, parameter{"config", base64Of(s.entry(nil))})
}

func traeLink(s Server) string {
	return "trae-cn://trae.ai-ide/mcp-import?" + query(
		parameter{"type", "stdio"}, parameter{"name", s.Name}, parameter{"config", base64Of(s.entry(nil))},
	)
}

func cherryLink(s Server) string {
	return "cherrystudio://mcp/install?" + query(
		parameter{"servers", base64Of(object{{"mcpServers", object{{s.Name, s.entry(nil)}}}})},
	)
}

// parameter is one of a link.
type parameter struct{ name, value string }

// query joins parameters in the order in which the clients' documentation shows them.
func query(all ...parameter) string {
	var b bytes.Buffer
	for i, p := range all {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + url.QueryEscape(p.value))
	}
	return b.String()
}

func base64Of(o object) string { return base64.StdEncoding.EncodeToString([]byte(compact(o))) }

func compact(o object) string {
	text, err := o.MarshalJSON()
	if err != nil { // of strings only, which always can be encoded
		return ""
	}
	return string(text)
}
