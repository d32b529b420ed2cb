package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	maxLines = 70  // of a function
	maxWidth = 126 // columns, with a tab as one
)

// longText is what may make a line too wide: a message is searched for as a whole, and a struct tag cannot be broken.
var longText = regexp.MustCompile("\"([^\"\\\\]|\\\\.){40,}\"|`\\w+:\"")

// TestForm checks what is shipped, and not the tests: their tables are read by row.
func TestForm(t *testing.T) {
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && file != "." && (strings.HasPrefix(name, ".") || name == "testdata" || isModule(file)) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			checkForm(t, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkForm(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	positions := token.NewFileSet()
	parsed, err := parser.ParseFile(positions, file, content, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if lines := positions.Position(f.End()).Line - positions.Position(f.Pos()).Line + 1; lines > maxLines {
			t.Errorf("%s: %s has %d lines, more than %d", file, f.Name.Name, lines, maxLines)
		}
	}
	for i, line := range strings.Split(string(content), "\n") {
		if width := utf8.RuneCountInString(line); width > maxWidth && !longText.MatchString(line) {
			t.Errorf("%s:%d: %d columns, more than %d", file, i+1, width, maxWidth)
		}
	}
}
