package cli

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/golden"
	"github.com/scnet-mcp/scnet-mcp/internal/install"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/prompts"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// page is a page for users, in one language.
type page struct {
	name    string // from the root of the repository
	chinese bool
	text    string
}

// pages returns the pages for users in pairs: English, Chinese.
func pages(t *testing.T) (pairs [][2]page) {
	t.Helper()
	read := func(name string) page {
		content, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return page{name: name, chinese: strings.Contains(name, "zh-CN"), text: string(content)}
	}
	for _, name := range []string{"README", "SECURITY", "CONTRIBUTING"} {
		pairs = append(pairs, [2]page{read(name + ".md"), read(name + ".zh-CN.md")})
	}
	for _, folder := range []string{"docs", "docs/zh-CN"} { // a page may be missing on either side
		files, err := filepath.Glob(filepath.Join("..", "..", folder, "*.md"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no pages: %v", folder, err)
		}
		for _, file := range files {
			english, chinese := path.Join("docs", filepath.Base(file)), path.Join("docs/zh-CN", filepath.Base(file))
			if !slices.ContainsFunc(pairs, func(p [2]page) bool { return p[0].name == english }) {
				pairs = append(pairs, [2]page{read(english), read(chinese)})
			}
		}
	}
	return pairs
}

func everyPage(t *testing.T) (all []page) {
	t.Helper()
	for _, pair := range pages(t) {
		all = append(all, pair[:]...)
	}
	return all
}

// generated are the parts of pages that are derived from the code, by the name in the comments around them.
func generated(t *testing.T) map[string]func(chinese bool) string {
	return map[string]func(chinese bool) string{
		"tools": func(bool) string {
			_, table, _ := run(t, nil, "", "tools", "--demo", "--markdown")
			return table
		},
		"clients":        clientsTable,
		"consents":       consentsTable,
		"asking-clients": askingClientsTable,
		"scnet-codes": func(chinese bool) string {
			rows := [][]string{}
			for _, c := range scnet.Codes() {
				rows = append(rows, codeRow(chinese, "`"+c.Code+"`", c.Meaning, c.Hint))
			}
			return codesTable(chinese, rows)
		},
		"workspace-codes": func(chinese bool) string {
			rows := [][]string{}
			for _, c := range workspace.Codes() {
				rows = append(rows, codeRow(chinese, fmt.Sprintf("`%s` (%d)", c.Code, c.Status), c.Meaning, c.Hint))
			}
			return codesTable(chinese, rows)
		},
	}
}

func codeRow(chinese bool, code string, meaning, hint upstream.Text) []string {
	if chinese {
		return []string{code, meaning.Chinese, text.Dash(hint.Chinese)}
	}
	return []string{code, meaning.English, text.Dash(hint.English)}
}

func codesTable(chinese bool, rows [][]string) string {
	head := []string{"code", "meaning", "what to do"}
	if chinese {
		head = []string{"错误码", "含义", "处理方法"}
	}
	return markdown(append([][]string{head}, rows...))
}

// markdown is a table; its first row is the head.
func markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat(" --- |", len(row)))
		}
	}
	return b.String()
}

// clientsTable shows where each client keeps its configuration.
func clientsTable(chinese bool) string {
	rows := []string{"client", "command", "configuration on Linux", "on macOS", "on Windows", "asks its user"}
	words := map[string]string{"yes": "yes", "no": "no", "": "not documented"}
	none := "– (paste it)"
	if chinese {
		rows = []string{"客户端", "命令", "Linux 上的配置", "macOS", "Windows", "能否询问用户"}
		words = map[string]string{"yes": "能", "no": "不能", "": "文档未说明"}
		none = "–（手工粘贴）"
	}
	systems := []install.System{
		{OS: "linux", Home: "~"}, {OS: "darwin", Home: "~"}, {OS: "windows", Home: "%USERPROFILE%"},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(rows, " | "), strings.Repeat(" --- |", len(rows)))
	for _, c := range install.Clients() {
		fmt.Fprintf(&b, "| %s | `scnet-mcp install %s` |", clientTitle(c, chinese), c.Name)
		for _, system := range systems {
			system.Getenv = func(name string) string {
				return map[string]string{"windows APPDATA": "%APPDATA%"}[system.OS+" "+name]
			}
			if file := c.File(system); file != "" {
				fmt.Fprintf(&b, " `%s` |", file)
			} else {
				fmt.Fprintf(&b, " %s |", none)
			}
		}
		fmt.Fprintf(&b, " %s |\n", words[c.Asks])
	}
	return b.String()
}

func clientTitle(c install.Client, chinese bool) string {
	if chinese {
		return c.Title.In(lang.Chinese)
	}
	return c.Title.String()
}

// TestEveryClientHasASection checks that the page of clients says of each how to begin.
func TestEveryClientHasASection(t *testing.T) {
	for _, p := range everyPage(t) {
		if path.Base(p.name) != "clients.md" {
			continue
		}
		for _, c := range install.Clients() {
			name := strings.TrimSuffix(c.Title.String(), " CN")
			if c.Name == "mcp.json" {
				name = "mcp.json"
			}
			if !strings.Contains(p.text, "\n## "+name) {
				t.Errorf("%s has no section %q", p.name, name)
			}
		}
	}
}

var generatedPart = regexp.MustCompile(`(?s)(<!-- ([a-z-]+): generated by make generate -->\n)(.*?)(<!-- /([a-z-]+) -->)`)

// TestPageTables keeps the generated parts of all pages equal to the code.
func TestPageTables(t *testing.T) {
	parts, used := generated(t), map[string]int{}
	for _, p := range everyPage(t) {
		want := generatedPart.ReplaceAllStringFunc(p.text, func(part string) string {
			match := generatedPart.FindStringSubmatch(part)
			make, known := parts[match[2]]
			if elsewhere := slices.Contains([]string{"imports"}, match[2]); elsewhere { // architecture_test.go
				return part
			}
			if !known || match[5] != match[2] {
				t.Errorf("%s: nothing generates %q up to %q", p.name, match[2], match[5])
				return part
			}
			used[match[2]]++
			return match[1] + make(p.chinese) + match[4]
		})
		golden.Check(t, filepath.Join("..", "..", p.name), want)
	}
	for name := range parts {
		if used[name] != 2 {
			t.Errorf("%q is on %d pages; one in each language has it", name, used[name])
		}
	}
}

// TestPagesAreEqual compares what must not differ between the languages: the order of headings, lists of files and tables, all
// commands, settings and names.
func TestPagesAreEqual(t *testing.T) {
	for _, pair := range pages(t) {
		english, chinese := shape(pair[0].text), shape(pair[1].text)
		for i := range max(len(english), len(chinese)) {
			if i >= len(english) || i >= len(chinese) || english[i] != chinese[i] {
				t.Errorf("%s and %s differ: %q, %q", pair[0].name, pair[1].name, english[min(i, len(english)):], chinese[min(i, len(chinese)):])
				break
			}
		}
		for i, other := range []page{pair[1], pair[0]} {
			for span := range codeSpans(pair[i].text) {
				if !codeSpans(other.text)[span] {
					t.Errorf("%s lacks %q", other.name, span)
				}
			}
		}
	}
}

// shape lists the headings by level, the tables by size and figures, and the blocks of code: the commands as they are, and of
// others only the kind, since examples are translated.
var figure = regexp.MustCompile(`\d[\d.,]* ?(?:ms|KB|MB|%)`)

func shape(content string) (lines []string) {
	rows, figures, fence := 0, []string{}, ""
	for _, line := range append(strings.Split(content, "\n"), "") {
		switch {
		case fence == "```sh" && line != "```":
			lines = append(lines, line)
		case strings.HasPrefix(line, "```"):
			if fence != "" {
				line = ""
			} else {
				lines = append(lines, line)
			}
			fence = line
		case fence != "":
		case strings.HasPrefix(line, "|"):
			rows++
			figures = append(figures, figure.FindAllString(line, -1)...)
		case rows > 0:
			lines = append(lines, strings.Repeat("|", rows)+" "+strings.Join(figures, " "))
			rows, figures = 0, nil
		}
		if level, _, ok := strings.Cut(line, " "); ok && fence == "" && strings.Trim(level, "#") == "" && level != "" {
			lines = append(lines, level)
		}
	}
	return lines
}

func codeSpans(text string) map[string]bool {
	spans := map[string]bool{}
	for i, part := range strings.Split(text, "`") {
		fenced := strings.Contains(part, "\n") && !strings.HasPrefix(part, "sh\n") // examples of files are translated
		if i%2 == 1 && !fenced {
			spans[strings.TrimSpace(part)] = true
		}
	}
	return spans
}

var (
	fencedBlock = regexp.MustCompile("(?s)\n```.*?\n```")
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading     = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// TestPageLinks follows the links to files and to headings of pages. Those to other sites are left alone.
func TestPageLinks(t *testing.T) {
	for _, p := range everyPage(t) {
		for _, match := range link.FindAllStringSubmatch(fencedBlock.ReplaceAllString(p.text, ""), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			file := path.Join(path.Dir(p.name), target)
			if target == "" {
				file = p.name
			}
			content, err := os.ReadFile(filepath.Join("..", "..", file))
			if err != nil && !isFolder(filepath.Join("..", "..", file)) {
				t.Errorf("%s: the link %s leads nowhere", p.name, match[1])
			} else if anchor != "" && !slices.Contains(anchors(string(content)), anchor) {
				t.Errorf("%s: %s has no heading %q", p.name, file, anchor)
			}
		}
	}
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(text string) (all []string) {
	for _, match := range heading.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, match[1]))
	}
	return all
}

var (
	flagName    = regexp.MustCompile("(?m)(?:^|[\\s`(\\[|])--([a-z][a-z-]*[a-z])")
	settingName = regexp.MustCompile(`\b(?:SCNET|HUAWEICLOUD)_[A-Z_]*[A-Z]\b`)
	commandName = regexp.MustCompile("(?m)(?:^|[` /])scnet-mcp ([a-z]+)\\b")
	code        = regexp.MustCompile("(?s)```.*?```|`[^`]+`")
	fieldName   = regexp.MustCompile("^[a-z]+(_[a-z0-9]+)+$")
)

// TestPageNames checks that the commands, flags, variables, tools, arguments and fields that pages name exist.
func TestPageNames(t *testing.T) {
	var commands grammar
	parser, err := kong.New(&commands, kong.Name("scnet-mcp"), kong.DefaultEnvars("SCNET_MCP"), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, other := range []string{
		"--help", "SCNET_MCP_STATE_PASSWORD", "SCNET_MCP_STATE_PASSWORD_FILE",
		"SCNET_MCP_AUDIT_ANCHOR_TOKEN", "SCNET_MCP_AUDIT_ANCHOR_TOKEN_FILE",
		"--now", // of systemctl
	} {
		names[other] = true
	}
	for _, name := range config.Names() {
		names[name] = true
	}
	for _, command := range parser.Model.Children {
		names["scnet-mcp "+command.Name] = true
	}
	for _, command := range parser.Model.Leaves(false) {
		for _, group := range command.AllFlags(false) {
			for _, flag := range group {
				names["--"+flag.Name] = true
				for _, variable := range flag.Envs {
					names[variable] = true
				}
			}
		}
	}
	fields := fieldsOfInterfaces(t)
	for _, p := range everyPage(t) {
		for _, part := range code.FindAllString(p.text, -1) {
			for _, match := range flagName.FindAllStringSubmatch(part, -1) {
				if !names["--"+match[1]] {
					t.Errorf("%s: there is no flag --%s", p.name, match[1])
				}
			}
			for _, match := range commandName.FindAllStringSubmatch(part, -1) {
				if !names["scnet-mcp "+match[1]] {
					t.Errorf("%s: there is no command %s", p.name, match[1])
				}
			}
			if word := strings.Trim(part, "`"); fieldName.MatchString(word) && !strings.Contains(fields, `"`+strings.TrimPrefix(word, "scnet_mcp_")+`"`) {
				t.Errorf("%s: there is no tool, argument or field %s", p.name, word)
			}
		}
		for _, variable := range settingName.FindAllString(p.text, -1) {
			if !names[variable] {
				t.Errorf("%s: there is no variable %s", p.name, variable)
			}
		}
	}
}

// fieldsOfInterfaces is text in which every name of a tool, a prompt, an argument, a field, a value or a metric is quoted.
func fieldsOfInterfaces(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, outcome := range toolbox.Outcomes() {
		fmt.Fprintf(&b, "%q", outcome)
	}
	everything := prompts.Caller{Situation: prompts.Situation{Tools: toolNames(func(toolbox.Tool) bool { return true })}}
	for _, p := range (&prompts.Library{}).Prompts(everything) {
		fmt.Fprintf(&b, "%q", p.Name)
	}
	for name := range loggedFields(t) {
		fmt.Fprintf(&b, "%q", name)
	}
	for _, file := range []string{
		"../../testdata/tools-list.json", "../callers/parse.go", "../callers/file.go", "../callers/oauth.go", "../oauth/token.go", "../server/http_oauth.go",
		"../metrics/metrics.go", "../server/operation.go",
	} {
		content, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(content)
	}
	return b.String() + `"proxy_pass" "list_regions" "list_datasources"`
}
