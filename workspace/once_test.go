package workspace_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream/hostile"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func TestWritesLeaveAtMostOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range hostile.Modes() {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			for _, op := range operations {
				if !op.write {
					continue
				}
				t.Run(string(mode)+"/"+protocol+"/"+op.name, func(t *testing.T) {
					t.Parallel()
					server := hostile.Start(t, mode)
					transport := server.Trust(upstream.NewTransport(), protocol == "HTTP/2")
					defer transport.CloseIdleConnections()
					client, err := workspace.New(workspace.Config{
						AccessKey: workspace.NewSecret("a"), SecretKey: workspace.NewSecret("s"), ProjectID: "p",
						Endpoint: server.URL, Transport: transport,
					})
					if err != nil {
						t.Fatal(err)
					}
					err = op.run(t.Context(), client, "task", "record")
					e := asError(t, err)
					journal := server.Journal()
					if len(journal) > 1 || mode != hostile.CloseBeforeRequest && len(journal) == 0 {
						t.Errorf("%d requests arrived, want one: %.300q", len(journal), journal)
					}
					for _, line := range journal {
						if !strings.HasPrefix(line, protocol+" ") {
							t.Errorf("spoken to with %s", line)
						}
					}
					if len(journal) > 0 && !e.Uncertain {
						t.Errorf("a write that arrived counts as not done: %v", err)
					}
				})
			}
		}
	}
}

// TestOperationsHoldEveryWrite compares the table of the tests with the calls that the package marks as writes.
func TestOperationsHoldEveryWrite(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	marked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if field, ok := n.(*ast.KeyValueExpr); ok {
				key, isName := field.Key.(*ast.Ident)
				value, isWord := field.Value.(*ast.Ident)
				if isName && isWord && key.Name == "write" && value.Name == "true" {
					marked++
				}
			}
			return true
		})
	}
	endpoints := map[string]bool{}
	for _, op := range operations {
		if op.write {
			endpoints[string(op.op)] = true
		}
	}
	if marked == 0 || marked != len(endpoints) {
		t.Errorf("%d calls are marked as writes, the table has %d", marked, len(endpoints))
	}
}
