package hostile

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// Write is a call of a client that changes something.
type Write struct {
	Name string
	// Do calls the server at url, and reports whether the error of the client leaves open if the change has happened.
	Do func(t *testing.T, url string, transport *http.Transport) (uncertain bool)
}

// AtMostOnce checks that a client sends each write at most once, however the exchange is broken off, and that it never
// reports a write that arrived as not done. transport makes the default transport of the client. writes must be all that the
// package in the current folder marks as such.
func AtMostOnce(t *testing.T, transport func() *http.Transport, writes []Write) {
	t.Parallel()
	if n := marked(t); n == 0 || n != len(writes) {
		t.Errorf("%d calls are marked as writes, %d were given", n, len(writes))
	}
	for _, mode := range Modes() {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			for _, write := range writes {
				t.Run(string(mode)+"/"+protocol+"/"+write.Name, func(t *testing.T) {
					t.Parallel()
					server := Start(t, mode)
					trusting := server.Trust(transport(), protocol == "HTTP/2")
					defer trusting.CloseIdleConnections()
					uncertain := write.Do(t, server.URL, trusting)
					journal := server.Journal()
					if len(journal) > 1 || mode != CloseBeforeRequest && len(journal) == 0 {
						t.Errorf("%d requests arrived, want one: %.300q", len(journal), journal)
					}
					for _, line := range journal {
						if !strings.HasPrefix(line, protocol+" ") {
							t.Errorf("spoken to with %s", line)
						}
					}
					if len(journal) > 0 && !uncertain {
						t.Error("a write that arrived counts as not done")
					}
				})
			}
		}
	}
}

// marked counts the calls that the package in the current folder marks as writes, with write: true.
func marked(t *testing.T) (count int) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if field, ok := n.(*ast.KeyValueExpr); ok {
				key, isName := field.Key.(*ast.Ident)
				value, isWord := field.Value.(*ast.Ident)
				if isName && isWord && key.Name == "write" && value.Name == "true" {
					count++
				}
			}
			return true
		})
	}
	return count
}
