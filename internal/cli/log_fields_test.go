package cli

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// setters are the methods of zerolog that take the name of a field.
var setters = map[string]bool{
	"Str": true, "Strs": true, "Int": true, "Int64": true, "Uint64": true, "Dur": true, "Bool": true, "AnErr": true, "Time": true,
	"Stringer": true, "Any": true, "Interface": true,
}

// loggedFields finds the fields of every line that the code logs.
func loggedFields(t *testing.T) map[string]bool {
	t.Helper()
	fields := map[string]bool{"time": true, "level": true, "message": true, "error": true}
	for _, root := range []string{"../../internal", "../../scnet", "../../workspace", "../../tools", "../../prompts"} {
		err := filepath.WalkDir(filepath.FromSlash(root), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if name := fieldOf(call); name != "" {
						fields[name] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return fields
}

// fieldOf returns the name of the field that a call sets in a line of the log, or "".
func fieldOf(call *ast.CallExpr) string {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !setters[method.Sel.Name] || len(call.Args) < 2 {
		return ""
	}
	if receiver, ok := method.X.(*ast.Ident); ok && receiver.Name == "flag" {
		return ""
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return ""
	}
	name, _ := strconv.Unquote(literal.Value)
	return name
}

// The page for operators says of every field of the log what it holds, and of no other.
func TestLogFieldsAreDocumented(t *testing.T) {
	logged := loggedFields(t)
	names := regexp.MustCompile("`([a-z_]+)`")
	for page, heading := range map[string]string{"docs/operators.md": "### Logs\n", "docs/zh-CN/operators.md": "### 日志\n"} {
		content, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
		if err != nil {
			t.Fatal(err)
		}
		_, section, found := strings.Cut(string(content), heading)
		section, _, _ = strings.Cut(section, "\n#")
		if !found {
			t.Fatalf("%s has no %q", page, heading)
		}
		documented := map[string]bool{}
		for line := range strings.Lines(section) {
			if cell, _, isRow := strings.Cut(strings.TrimPrefix(line, "| "), " | "); isRow && strings.HasPrefix(line, "| `") {
				for _, match := range names.FindAllStringSubmatch(cell, -1) {
					documented[match[1]] = true
				}
			}
		}
		if !maps.Equal(documented, logged) {
			t.Errorf("%s has the fields\n%q\nthe code has\n%q", page, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(logged)))
		}
	}
}

// A call has one line, whoever is to read it.
func TestLineOfACall(t *testing.T) {
	s := serveHere(t, nil, "--demo", "--transport=http")
	s.done("", "list_instances", `{}`)
	s.said(1, `"message":"tool call"`)
	for line := range strings.Lines(s.errs.String()) {
		if !strings.Contains(line, "tool call") {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if _, isNumber := fields["duration_ms"].(float64); !isNumber || fields["tool"] != "list_instances" || fields["caller"] != "local" ||
			fields["outcome"] != "ok" || fields["level"] != "info" {
			t.Errorf("%s", line)
		}
	}
}

func TestLogFormat(t *testing.T) {
	for format, want := range map[string]string{"auto": `{"level":"warn","n":1,`, "json": `{"level":"warn","n":1,`, "console": "WRN x n=1\n"} {
		var out bytes.Buffer
		log, flush := newLog(&out, zerolog.LevelWarnValue, format)
		log.Warn().Int("n", 1).Msg("x")
		flush()
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s: %q", format, &out)
		}
	}
}
