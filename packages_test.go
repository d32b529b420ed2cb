package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/scnet-mcp/scnet-mcp/"

// small are libraries of ours and of others that know nothing of MCP or of a service; every package may use them.
var small = []string{
	"github.com/rs/zerolog", "golang.org/x/sync/...", "github.com/go-json-experiment/json/...",
	module + "internal/lang", module + "internal/lenient", module + "internal/secret", module + "internal/text",
	module + "internal/trace", module + "internal/upstream",
}

// packages says what each package may import besides the standard library. A trailing /... stands for everything below.
var packages = map[string][]string{
	".":                   {module + "internal/cli"},
	"scnet":               small,
	"scnet/simulator":     {module + "internal/fakecloud"},
	"workspace":           small,
	"workspace/simulator": {module + "internal/fakecloud"},
	"schemas":             {module + "internal/lang", "github.com/invopop/jsonschema", "github.com/santhosh-tekuri/jsonschema/v6/..."},
	"tools": append([]string{
		module + "internal/capture", module + "scnet", module + "workspace", module + "schemas", module + "internal/toolbox", module + "internal/guard",
		module + "internal/audit", module + "internal/rollout",
	}, small...),
	"internal/toolbox": append([]string{ // no client of a cloud
		module + "schemas", module + "internal/guard", module + "internal/audit", module + "internal/rollout",
	}, small...),
	"prompts":          append([]string{module + "scnet"}, small...),
	"internal/capture": append([]string{module + "scnet"}, small...),
	"internal/audit":   {module + "internal/filelock", module + "internal/lang", module + "internal/text"},
	"internal/anchor": {
		module + "internal/audit", module + "internal/lang", module + "internal/secret", module + "internal/upstream", "github.com/rs/zerolog",
	},
	"internal/fakecloud": {},
	"internal/golden":    {},
	"internal/filelock":  {},
	"internal/userstate": {module + "internal/guard", module + "internal/filelock", "github.com/rs/zerolog"},
	"internal/guard":     {module + "internal/lang", module + "internal/text", "golang.org/x/text/unicode/norm"},
	"internal/install":   {module + "internal/lang", "github.com/tailscale/hujson", "github.com/pelletier/go-toml/v2/..."},
	"internal/lenient":   {"github.com/go-json-experiment/json/..."},
	"internal/rollout":   {},
	"internal/lang":      {},
	"internal/text":      {module + "internal/lang", "golang.org/x/text/width"},
	"internal/secret":    {},
	"internal/otlp":      {module + "internal/trace", module + "internal/upstream", "github.com/rs/zerolog"},
	"internal/trace":     {},
	"internal/upstream":  {"github.com/rs/zerolog", module + "internal/lang", module + "internal/trace"},
	"internal/callers":   {module + "internal/lang", module + "internal/guard", module + "internal/oauth", module + "schemas"},
	"internal/metrics":   {},
	"internal/oauth":     {module + "internal/lang", module + "internal/upstream", "github.com/go-jose/go-jose/v4/..."},
	"internal/oauth/issuertest": { // a server for tests
		"github.com/go-jose/go-jose/v4",
	},
	"internal/redis": {"github.com/gomodule/redigo/redis"},
	"internal/fakecloud/fakecloudtest": {
		module + "internal/fakecloud", module + "internal/upstream",
	},
	"internal/server": {
		module + "internal/toolbox", module + "prompts", module + "schemas", module + "internal/guard", module + "internal/lang", module + "internal/text",
		module + "internal/trace", module + "internal/upstream", "github.com/mark3labs/mcp-go/...", "github.com/rs/zerolog",
		"golang.org/x/time/rate",
	},
	"internal/upstream/hostile": { // a server for tests
		"golang.org/x/net/...",
	},
	"internal/config": {"..."},
	"internal/cli":    {"..."},
	"internal/bench":  {},
	"internal/bench/compare": { // a program that is run by hand
		module + "scnet", module + "scnet/simulator", "github.com/go-json-experiment/json", "github.com/mark3labs/mcp-go/...",
	},
	"e2e": {"..."},
}

// mcpGo may be imported by one package of the product only, so that another SDK would be a change in one place. What the
// product is compared with uses it too.
const mcpGo = "github.com/mark3labs/mcp-go"

// TestPackages enforces the table of packages in CONTRIBUTING.md. Test files may import more, mcp-go excepted.
func TestPackages(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || isModule(file)) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(file))
		allowed, known := packages[folder]
		if !known {
			t.Errorf("%s: the folder is not in the table of packages", file)
			return nil
		}
		seen[folder] = true
		checkImports(t, file, folder, allowed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder := range packages {
		if !seen[folder] {
			t.Errorf("the package %s is in the table but has no Go file", folder)
		}
	}
}

// isModule reports whether a folder is a module of its own.
func isModule(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

func checkImports(t *testing.T, file, folder string, allowed []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		if strings.HasPrefix(imported, mcpGo) && folder != "internal/server" && folder != "internal/bench/compare" {
			t.Errorf("%s imports %s; only internal/server may", file, imported)
		}
		if strings.HasSuffix(file, "_test.go") || !strings.Contains(imported, ".") {
			continue // a standard package has no dot in its path
		}
		if !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, imported) }) {
			t.Errorf("%s imports %s, which the package %q may not", file, imported, folder)
		}
	}
}

func matches(pattern, imported string) bool {
	if base, all := strings.CutSuffix(pattern, "..."); all {
		return imported == path.Clean(base) || strings.HasPrefix(imported, base) || base == ""
	}
	return pattern == imported
}

// TestTable compares the tables of packages in CONTRIBUTING.md, English and Chinese, with packages: every package has a row, and
// the last column says what it may import.
func TestTable(t *testing.T) {
	var folders [][]string
	for _, file := range []string{"CONTRIBUTING.md", "CONTRIBUTING.zh-CN.md"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows, want := table(t, string(content), strings.Contains(file, "zh-CN"))
		folders = append(folders, rows)
		for folder := range packages {
			if !slices.Contains(rows, folder) {
				t.Errorf("%s has no row for %s", file, folder)
			}
		}
		if *update {
			err = os.WriteFile(file, []byte(want), 0o644)
		} else if want != string(content) {
			t.Errorf("%s does not say what packages may import as packages_test.go does; `make generate` rewrites it", file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(folders[0], folders[1]) {
		t.Errorf("the tables have different rows:\n%q\n%q", folders[0], folders[1])
	}
}

// table returns the folders that the table of a page lists, and the page with the last column as it should be.
func table(t *testing.T, page string, chinese bool) (folders []string, want string) {
	t.Helper()
	lines := strings.SplitAfter(page, "\n")
	for i, line := range lines {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 3 {
			continue
		}
		folder := strings.Trim(cells[0], "| `/")
		if _, err := os.Stat(folder); err != nil {
			t.Error(err)
		}
		if folder == "main.go" {
			folder = "."
		}
		folders = append(folders, folder)
		if allowed, ours := packages[folder]; ours {
			lines[i] = cells[0] + " | " + cells[1] + " | " + cell(allowed, chinese) + " |\n"
		}
	}
	return folders, strings.Join(lines, "")
}

// cell names what a package may import. The small libraries count as one.
func cell(allowed []string, chinese bool) string {
	everything, libraries, comma := "everything", "small libraries", ", "
	if chinese {
		everything, libraries, comma = "不限", "小型库", "、"
	}
	var names []string
	all := !slices.ContainsFunc(small, func(one string) bool { return !slices.Contains(allowed, one) })
	for _, pattern := range allowed {
		switch name := strings.TrimPrefix(strings.TrimSuffix(pattern, "/..."), module); {
		case pattern == "...":
			names = append(names, everything)
		case !all || !slices.Contains(small, pattern):
			names = append(names, "`"+name+"`")
		}
	}
	if all {
		names = append(names, libraries)
	}
	if len(names) == 0 {
		return "–"
	}
	return strings.Join(names, comma)
}

func TestForbiddenNames(t *testing.T) {
	for folder := range packages {
		if slices.Contains([]string{"util", "utils", "common", "helpers"}, path.Base(folder)) {
			t.Errorf("%s says nothing about what is in it", folder)
		}
	}
}
