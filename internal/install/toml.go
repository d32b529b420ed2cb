package install

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// tomlFile is a configuration in TOML as its text. The server has a table of its own in it, with a table for its environment.
type tomlFile []byte

func (doc tomlFile) parse() (map[string]any, error) {
	all := map[string]any{}
	err := toml.Unmarshal(doc, &all)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		row, column := at.Position()
		return nil, lang.Errorf("it is not TOML: line %d, column %d: %w", row, column, err)
	}
	return all, err
}

// entryOf returns the table of the server, which is nil when there is none.
func entryOf(all map[string]any, list, name string) map[string]any {
	servers, _ := all[list].(map[string]any)
	entry, _ := servers[name].(map[string]any)
	return entry
}

func (doc tomlFile) holds(list, name string) bool {
	all, err := doc.parse()
	return err == nil && entryOf(all, list, name) != nil
}

// set returns the text with the server's table. What a user has added to the table stays in it.
func (doc tomlFile) set(list string, server Server, stale func(string) bool) (tomlFile, error) {
	all, err := doc.parse()
	if err != nil {
		return nil, err
	}
	before := entryOf(all, list, server.Name)
	section, err := tomlSection(list, server, before, stale)
	if err != nil {
		return nil, err
	}
	newline := "\n"
	if bytes.Contains(doc, []byte("\r\n")) {
		newline = "\r\n"
	}
	section = strings.ReplaceAll(section, "\n", newline)
	from, to := doc.section(list, server.Name)
	text := slices.Concat(doc[:from], []byte(section), doc[to:])
	if from == to {
		if before != nil {
			return nil, lang.Errorf("the server stands in it in a form that this program does not change")
		}
		gap := ""
		if len(doc) > 0 {
			gap = newline
		}
		if len(doc) > 0 && doc[len(doc)-1] != '\n' {
			gap += newline
		}
		text = slices.Concat(doc, []byte(gap+section))
	}
	return text, doc.sameBut(text, list, server.Name)
}

// sameBut reports whether another text says the same of everything but the server.
func (doc tomlFile) sameBut(other tomlFile, list, name string) error {
	before, err := doc.parse()
	if err != nil {
		return err
	}
	after, err := other.parse()
	if err != nil {
		return lang.Errorf("the server cannot be put into it: %w", err)
	}
	for _, all := range []map[string]any{before, after} {
		if servers, ok := all[list].(map[string]any); ok {
			if delete(servers, name); len(servers) == 0 {
				delete(all, list)
			}
		}
	}
	if !reflect.DeepEqual(before, after) {
		return lang.Errorf("its tables are written in a form that this program does not change")
	}
	return nil
}

// tomlSection is the text of the server's tables.
func tomlSection(list string, server Server, before map[string]any, stale func(string) bool) (string, error) {
	table, env := maps.Clone(before), map[string]any{}
	if table == nil {
		table = map[string]any{}
	}
	if old, ok := table["env"].(map[string]any); ok {
		for name, value := range old {
			if !stale(name) {
				env[name] = value
			}
		}
	}
	for _, setting := range server.Env {
		env[setting.Name] = setting.Value
	}
	table["command"], table["args"] = server.Command, server.arguments()
	if delete(table, "env"); len(env) > 0 {
		table["env"] = env
	}
	text, err := toml.Marshal(map[string]any{list: map[string]any{server.Name: table}})
	// The table of all servers needs no header of its own; a second one would be an error.
	return strings.TrimPrefix(string(text), "["+list+"]\n"), err
}

// without returns what the text can have been before the server was put into it.
func (doc tomlFile) without(list, name string) ([][]byte, error) {
	all, err := doc.parse()
	if err != nil || entryOf(all, list, name) == nil {
		return nil, err
	}
	from, to := doc.section(list, name)
	if from == to {
		return nil, lang.Errorf("the server stands in it in a form that this program does not change")
	}
	head := doc[:from]
	plain := slices.Concat(head, doc[to:])
	candidates := [][]byte{plain}
	for range 2 { // the empty line before it, and the line end that the last line did not have
		head = trimNewline(head)
		candidates = append(candidates, slices.Concat(head, doc[to:]))
	}
	if len(bytes.TrimSpace(doc[to:])) == 0 || bytes.HasPrefix(bytes.TrimLeft(doc[to:], "\r\n"), []byte("[")) {
		candidates[0], candidates[1] = candidates[1], candidates[0]
	}
	return candidates, doc.sameBut(candidates[0], list, name)
}

func trimNewline(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// section returns where the tables of the server begin and end. They are the same where no header names it.
func (doc tomlFile) section(list, name string) (from, to int) {
	own := false
	var p unstable.Parser
	for p.Reset(doc); p.NextExpression(); {
		expression := p.Expression()
		if expression.Kind != unstable.Table && expression.Kind != unstable.ArrayTable {
			continue
		}
		var key []string
		offset := 0
		for parts := expression.Key(); parts.Next(); {
			if len(key) == 0 {
				offset = int(parts.Node().Raw.Offset)
			}
			key = append(key, string(parts.Node().Data))
		}
		line := bytes.LastIndexByte(doc[:offset], '\n') + 1
		was := own
		own = len(key) >= 2 && key[0] == list && key[1] == name
		switch {
		case own && !was && to > from:
			return 0, 0 // its tables stand apart
		case own && !was:
			from, to = line, len(doc)
		case !own && was:
			to = line
		}
	}
	return from, from + len(content(doc[from:to]))
}

// content is a text without the empty lines and the comments at its end: they belong to what follows.
func content(text []byte) []byte {
	for end := len(text); end > 0; {
		line := bytes.LastIndexByte(text[:end-1], '\n') + 1
		if trimmed := bytes.TrimSpace(text[line:end]); len(trimmed) > 0 && trimmed[0] != '#' {
			return text[:end]
		}
		end = line
	}
	return nil
}
