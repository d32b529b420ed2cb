package lang

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var missing = flag.String("missing", "", "write the sentences that the catalogue lacks to this file")

// covered are the packages, and single files, whose sentences people read. The rest of internal/server speaks protocols.
var covered = []string{
	"schemas", "scnet", "workspace", "tools", "internal/anchor", "internal/audit", "internal/callers", "internal/capture", "internal/cli",
	"internal/config", "internal/guard", "internal/install", "internal/lang", "internal/oauth/oauth.go",
	"internal/server/consent.go", "internal/text", "internal/toolbox", "internal/upstream",
}

// uncovered are files that say nothing to people who use the server, but to whoever declares a tool wrongly.
var uncovered = []string{"schemas/gotype.go", "schemas/lint.go", "schemas/schema.go"}

// sayers take a key of the catalogue as their first text: what is called, or what ends in it.
var sayers = map[string]bool{
	"T": true, "Errorf": true, "Sprintf": true, "Fprintf": true, "Word": true, "Words": true, "Count": true,
	"note": true, "wrong": true, "add": true, "refuse": true, "revoked": true, "problem": true, "say": true,
	"ok": true, "fail": true, "noteOnce": true, "printf": true, "plural": true, "count": true, "step": true,
}

// unsaid are calls whose texts no person reads, or that look for a text.
var unsaid = map[string]bool{
	"Msg": true, "Msgf": true, "panic": true, "Contains": true, "HasPrefix": true, "HasSuffix": true, "Sscanf": true,
	"MustCompile": true, "shared": true, "NewReplacer": true, "Lookup": true, "Verbatim": true, "named": true,
}

// unsaidFields are fields that hold other texts: what models read about tools, and both languages side by side.
var unsaidFields = map[string]bool{"Title": true, "Example": true, "English": true, "Chinese": true}

// prose is what a sentence, or a part of one, looks like.
var prose = regexp.MustCompile(`[a-z]{2,}[,;:.]? [a-zA-Z%(]|%[a-z] [a-z]{2,}`)

// sentence is a text of the code.
type sentence struct {
	text, where string
	said        bool // by something that looks it up
	told        bool // to models; people read it in the help of a tool
}

// sentences finds the texts of a package that people may read.
func sentences(t *testing.T, folder string) []sentence {
	t.Helper()
	files := []string{filepath.Join("..", "..", folder)}
	if !strings.HasSuffix(folder, ".go") {
		var err error
		if files, err = filepath.Glob(filepath.Join("..", "..", folder, "*.go")); err != nil {
			t.Fatal(err)
		}
	}
	var all []sentence
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(filepath.Base(file), "chinese") || slices.Contains(uncovered, path.Join(folder, filepath.Base(file))) {
			continue
		}
		positions := token.NewFileSet()
		parsed, err := parser.ParseFile(positions, file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sentencesOf(positions, parsed)...)
	}
	return all
}

func sentencesOf(positions *token.FileSet, file *ast.File) (all []sentence) {
	exempt := map[int]bool{} // lines that end in a comment which says so
	for _, group := range file.Comments {
		for _, c := range group.List {
			if strings.Contains(c.Text, "not said to people") {
				exempt[positions.Position(c.Pos()).Line] = true
			}
		}
	}
	var above []ast.Node
	done := map[ast.Node]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			above = above[:len(above)-1]
			return true
		}
		if text, ok := constant(n); ok && !done[n] {
			ast.Inspect(n, func(part ast.Node) bool { done[part] = true; return true })
			where := positions.Position(n.Pos())
			kind := use(above, n)
			if !exempt[where.Line] && kind != ignored && (kind == looked && says(text) || prose.MatchString(text)) {
				all = append(all, sentence{text, where.String(), kind == looked, kind == told})
			}
		}
		if field, ok := n.(*ast.Field); ok && field.Tag != nil {
			tag, _ := strconv.Unquote(field.Tag.Value)
			if help, ok := reflect.StructTag(tag).Lookup("help"); ok {
				all = append(all, sentence{help, positions.Position(n.Pos()).String(), true, false})
			}
			if description, ok := reflect.StructTag(tag).Lookup("jsonschema_description"); ok {
				all = append(all, sentence{description, positions.Position(n.Pos()).String(), false, true})
			}
			ast.Inspect(field.Tag, func(part ast.Node) bool { done[part] = true; return true })
		}
		above = append(above, n)
		return true
	})
	return all
}

var verbs = regexp.MustCompile(`%[\[\]0-9.]*[a-z]`)

// says reports whether there is anything to translate: a letter that is not of a verb, or what English puts between words.
func says(text string) bool {
	return strings.ContainsAny(verbs.ReplaceAllString(text, ""), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:;(")
}

// constant returns the text of literals that are joined by +.
func constant(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.BasicLit:
		if n.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(n.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := constant(n.X)
		right, also := constant(n.Y)
		return left + right, ok && also && n.Op == token.ADD
	}
	return "", false
}

// The uses of a text.
const (
	ignored = iota // by something that no person reads
	looked         // by something that looks it up in the catalogue
	told           // by models
	plain          // by anything else
)

// use says what the innermost thing around a text does with it.
func use(above []ast.Node, n ast.Node) int {
	if slices.ContainsFunc(above, isOfBothLanguages) {
		return ignored
	}
	inner := n
	for i := len(above) - 1; i >= 0; inner, i = above[i], i-1 {
		switch outer := above[i].(type) {
		case *ast.ImportSpec:
			return ignored
		case *ast.KeyValueExpr:
			key, ok := outer.Key.(*ast.Ident)
			switch {
			case ok && key.Name == "Description":
				return told
			case outer.Key == inner, ok && unsaidFields[key.Name]:
				return ignored
			}
		case *ast.ValueSpec:
			if strings.HasPrefix(outer.Names[0].Name, "text") {
				return looked
			}
			return plain
		case *ast.CallExpr:
			name, from := called(outer)
			switch {
			case unsaid[name]:
				return ignored
			case from == "fmt" || from == "errors" || !sayers[name]:
				return plain
			case name == "Words" || isKey(outer, n):
				return looked
			}
			return plain
		case *ast.BinaryExpr, *ast.BlockStmt:
			return plain
		}
	}
	return plain
}

// isOfBothLanguages reports whether n is an upstream.Text, which has the English and the Chinese side by side.
func isOfBothLanguages(n ast.Node) bool {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return false
	}
	switch name := literal.Type.(type) {
	case *ast.SelectorExpr:
		return name.Sel.Name == "Text"
	case *ast.Ident:
		return name.Name == "Text"
	}
	return false
}

// isKey reports whether n is the format of a call: its first constant, but for the name of a field before it.
func isKey(call *ast.CallExpr, n ast.Node) bool {
	for i, arg := range call.Args {
		text, ok := constant(arg)
		if !ok {
			continue
		}
		if nameOf(call) == "refuse" && isName.MatchString(text) {
			return false // that of a rule, behind an error
		}
		if i+1 < len(call.Args) && isName.MatchString(text) && takesName[nameOf(call)] {
			continue
		}
		return arg == n
	}
	return false
}

// takesName are sayers that take the name of a field, or of a rule, before the key.
var takesName = map[string]bool{"add": true, "wrong": true, "ok": true, "note": true, "fail": true}

var isName = regexp.MustCompile(`^[a-z_]*$`)

func nameOf(call *ast.CallExpr) string {
	name, _ := called(call)
	return name
}

func called(call *ast.CallExpr) (name, from string) {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name, ""
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return f.Sel.Name, x.Name
		}
		return f.Sel.Name, ""
	}
	return "", ""
}

// keys returns every key of the catalogue.
func keys() map[string]string {
	all := map[string]string{}
	for _, part := range catalogue {
		for _, m := range part {
			all[m.english] = m.chinese
		}
	}
	return all
}

// TestCatalogueIsComplete: every sentence of the packages is looked up, and is there; and nothing is there that none says.
func TestCatalogueIsComplete(t *testing.T) {
	known, used, lacking := keys(), map[string]bool{}, map[string]bool{}
	for _, folder := range covered {
		for _, s := range sentences(t, folder) {
			key := s.text
			if _, ok := known["%d "+key+"s"]; ok {
				used["%d "+key+"s"] = true
			}
			if _, ok := known[key]; ok {
				used[key] = true
				continue
			}
			if s.told || used["%d "+key+"s"] { // what tools tell, internal/cli looks for
				continue
			}
			lacking[key] = true
			if *missing == "" {
				t.Errorf("%s: %q is not in the catalogue (said %v)", s.where, key, s.said)
			}
		}
	}
	if *missing != "" {
		var b strings.Builder
		for _, key := range slices.Sorted(maps.Keys(lacking)) {
			b.WriteString(strconv.Quote(key) + "\n")
		}
		if err := os.WriteFile(*missing, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for key := range known {
		if !used[key] {
			t.Errorf("nothing says %q", key)
		}
	}
}

// TestCatalogueIsInOrder: what is looked up by bisection is sorted, and each sentence is there once.
func TestCatalogueIsInOrder(t *testing.T) {
	once := map[string]bool{}
	for _, part := range catalogue {
		for i, m := range part {
			if i > 0 && part[i-1].english >= m.english {
				t.Errorf("%q is not behind %q", m.english, part[i-1].english)
			}
			if once[m.english] {
				t.Errorf("%q is there twice", m.english)
			}
			once[m.english] = true
		}
	}
}

// verb is one thing that a format takes. Chinese has them in another order where it says so, as in %[2]s.
var verb = regexp.MustCompile(`%(?:\[(\d+)\])?([0-9.]*)([a-z%])`)

// verbsOf returns what a format takes, by place.
func verbsOf(format string) map[int]string {
	all, next := map[int]string{}, 1
	for _, match := range verb.FindAllStringSubmatch(format, -1) {
		if match[3] == "%" {
			continue
		}
		if match[1] != "" {
			next, _ = strconv.Atoi(match[1])
		}
		all[next] = match[2] + match[3]
		next++
	}
	return all
}

// TestTranslationsTakeTheSame: a translation takes what the sentence takes, of the same kind.
func TestTranslationsTakeTheSame(t *testing.T) {
	for english, chinese := range keys() {
		if want, got := verbsOf(english), verbsOf(chinese); !maps.Equal(want, got) {
			t.Errorf("%q takes %v, %q takes %v", english, want, chinese, got)
		}
		if strings.Count(english, "\n") != strings.Count(chinese, "\n") {
			t.Errorf("%q and %q have different lines", english, chinese)
		}
	}
}
