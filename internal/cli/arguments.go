package cli

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// maxArgument is how much is read from a file or from stdin.
const maxArgument = 1 << 20

// words are the arguments of a call in the making.
type words struct {
	stdin  io.Reader
	nested map[string]bool // the arguments that only JSON can express
	read   bool            // stdin has been read
	object string
	given  bool     // an object, which may be empty
	names  []string // of the pairs, in their order
	values map[string][]string
}

// parseArguments turns the words of the command line into a JSON object. Values stay strings; the tool's schema says
// which of them are numbers. Those of nested are JSON: lists of objects.
func parseArguments(args []string, stdin io.Reader, nested map[string]bool) (json.RawMessage, error) {
	w := words{stdin: stdin, nested: nested, values: map[string][]string{}}
	for _, word := range args {
		if err := w.add(word); err != nil {
			return nil, err
		}
	}
	return w.encode()
}

func (w *words) add(word string) (err error) {
	if !utf8.ValidString(word) {
		return lang.Errorf("%q is not UTF-8 text", word)
	}
	if word == "-" || strings.HasPrefix(word, "@") || strings.HasPrefix(strings.TrimSpace(word), "{") {
		if w.object != "" || w.given {
			return lang.Errorf("there are two JSON objects; give one")
		}
		w.given = true
		if word == "-" {
			word = "@-"
		}
		word, err = w.value(word)
		w.object = strings.TrimSpace(word)
		return err
	}
	name, value, found := strings.Cut(word, "=")
	if !found || name == "" {
		return lang.Errorf("%q is neither name=value nor a JSON object", word)
	}
	if value, err = w.value(value); err != nil {
		return lang.Errorf("%s: %w", name, err)
	}
	if w.values[name] == nil {
		w.names = append(w.names, name)
	}
	w.values[name] = append(w.values[name], value)
	return nil
}

// value reads what @ stands for.
func (w *words) value(text string) (string, error) {
	source, reads := strings.CutPrefix(text, "@")
	switch {
	case !reads, strings.HasPrefix(source, "@"): // @@ stands for a literal @
		return source, nil
	case source == "-":
		return w.readStdin()
	case source == "":
		return "", lang.Errorf("@ does not name a file; @@ stands for a literal @")
	}
	file, err := os.Open(source)
	if err != nil {
		return "", lang.Errorf("%w; write @@ if a literal @ is meant", err)
	}
	defer func() { _ = file.Close() }()
	return readText(file, source)
}

func (w *words) readStdin() (string, error) {
	if w.read {
		return "", lang.Errorf("stdin can be read only once")
	}
	w.read = true
	return readText(w.stdin, "stdin")
}

func readText(from io.Reader, name string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxArgument+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxArgument:
		return "", lang.Errorf("%s has more than %d bytes", name, maxArgument)
	case !utf8.Valid(text): // encoding it would replace what is not, and with it change a script
		return "", lang.Errorf("%s is not UTF-8 text", name)
	}
	return string(text), nil
}

// encode appends the pairs to the text of the object, rather than merging the two: a name that is in both comes out twice,
// which the tool's schema refuses.
func (w *words) encode() (json.RawMessage, error) {
	if len(w.names) == 0 && w.given {
		return json.RawMessage(w.object), nil
	}
	var members []string
	if w.object != "" {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(w.object), &object); err != nil {
			return nil, lang.Errorf("the JSON object before the pairs cannot be read: %w", err)
		}
		if len(object) > 0 {
			members = append(members, w.object[1:len(w.object)-1])
		}
	}
	for _, name := range w.names {
		var value any = w.values[name]
		if list := w.values[name]; len(list) == 1 {
			value = list[0]
		}
		if list := w.values[name]; len(list) == 1 && w.nested[name] && json.Valid([]byte(list[0])) {
			value = json.RawMessage(list[0])
		}
		member, err := json.Marshal(map[string]any{name: value})
		if err != nil {
			return nil, err
		}
		members = append(members, string(member[1:len(member)-1]))
	}
	return json.RawMessage("{" + strings.Join(members, ",") + "}"), nil
}
