package cli

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/golden"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/prompts"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// Prompts, skills and resources are in the language of the server.
func TestLibraryFollowsTheLanguage(t *testing.T) {
	for l, want := range map[lang.Lang]prompts.Language{lang.English: prompts.English, lang.Chinese: prompts.Chinese} {
		var service services
		service.Lang = l
		if got := serverOptions(service, nil, false, zerolog.Nop()).Library.Language; got != want {
			t.Errorf("%s: %q", l, got)
		}
	}
}

// fleeting are the parts of an output that differ each time, and what stands for them.
var fleeting = map[*regexp.Regexp]string{
	regexp.MustCompile(`http://127\.0\.0\.1:\d+`):        "http://127.0.0.1:PORT",
	regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`): "2026-11-24 12:00:00",
	regexp.MustCompile(`列表共 \d+ 字节`):                     "列表共 N 字节",
	regexp.MustCompile(`提供 \d+ 个`):                       "提供 N 个",
}

// What people read of the command line, in Chinese.
func TestChinese(t *testing.T) {
	file, _ := callersFile(t, entry{Name: "ci", Allow: []string{"name:bert-*"}, Protect: []string{"id:" + completedID, "name:prod-*"}},
		entry{Name: "all"})
	log := aLog(t)
	for name, args := range map[string][]string{
		"help":          {"--help"},
		"help-install":  {"install", "--help"},
		"help-verify":   {"help", "audit", "verify"},
		"help-serve":    {"serve", "--help"},
		"help-tool":     {"call", "restart_instance", "--help"},
		"doctor":        {"doctor", "--demo", "--protect=name:nothing-*"},
		"callers-check": {"callers", "check", "--demo", file},
		"audit-verify":  {"audit", "verify", log},
		"audit-show":    {"audit", "show", log},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(t, map[string]string{"SCNET_MCP_LANG": "zh"}, "", args...)
			if code != exitOK || errs != "" {
				t.Errorf("exit %d, %s", code, errs)
			}
			out = strings.ReplaceAll(out, filepath.Dir(log)+string(filepath.Separator), "")
			for pattern, constant := range fleeting {
				out = pattern.ReplaceAllString(out, constant)
			}
			golden.Check(t, filepath.Join("testdata", "zh", name+".txt"), out)
		})
	}
}

// The help of every tool is in Chinese.
func TestToolHelpInChinese(t *testing.T) {
	for _, tool := range tools.Catalogue() {
		arguments, err := argumentsOf(tool)
		if err != nil {
			t.Fatal(err)
		}
		texts := []string{tool.Description}
		for _, a := range arguments {
			texts = append(texts, a.Description)
		}
		for _, told := range texts {
			if told != "" && lang.Chinese.Word(told) == told {
				t.Errorf("%s: internal/lang/chinese_toolhelp.go lacks %q", tool.Name, told)
			}
		}
	}
}

// englishWords are words of English that stand beside each other.
var englishWords = regexp.MustCompile(`\b[a-z]{2,} [a-z]{2,}\b`)

// commands are not: what a person may type.
var commands = regexp.MustCompile("`[^`]*`|--transport [a-z]+")

// What is wrong with a command line, or with the settings, is said in Chinese whoever finds it.
func TestMistakesInChinese(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown flag":     {"--bogus"},
		"similar flag":     {"version", "--lag=zh"},
		"unknown command":  {"lst"},
		"similar command":  {"audit", "verifi"},
		"no command":       {"audit"},
		"no argument":      {"call"},
		"no value":         {"serve", "--listen"},
		"a flag as value":  {"serve", "--listen", "--demo"},
		"two of one":       {"install", "cursor", "--print", "--link"},
		"not one of":       {"serve", "--log-level=loud"},
		"not a number":     {"serve", "--max-targets=x"},
		"not a duration":   {"serve", "--shutdown-grace=5"},
		"not a bool":       {"serve", "--demo=maybe"},
		"an empty list":    {"serve", "--toolsets="},
		"Chinese commas":   {"serve", "--toolsets=instances，workspace"},
		"a pattern":        {"serve", "--allow=nam:x"},
		"no level":         {"serve", "--consent=delete_instances"},
		"unknown level":    {"serve", "--consent=delete_instances=maybe"},
		"unknown toolset":  {"serve", "--toolsets=desktops"},
		"no limit":         {"serve", "--max-targets=0"},
		"stdio and HTTP":   {"serve", "--listen=127.0.0.1:1"},
		"open to others":   {"serve", "--transport=http", "--listen=0.0.0.0:1"},
		"unknown tool":     {"call", "launch"},
		"not a pair":       {"call", "list_instances", "limit"},
		"no credentials":   {"call", "list_instances"},
		"doctor":           {"doctor"},
		"no client":        {"install", "emacs"},
		"no one to ask":    {"install", "cursor", "--file", filepath.Join(t.TempDir(), "mcp.json")},
		"since when":       {"audit", "show", "--since=yesterday"},
		"help of a flag":   {"help", "--", "--lang"},
		"name of a caller": {"callers", "new", "Local"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(t, map[string]string{"SCNET_MCP_LANG": "zh"}, "", args...)
			said := commands.ReplaceAllString(out+errs, "")
			if code == exitOK || said == "" || englishWords.MatchString(said) {
				t.Errorf("exit %d, %s", code, said)
			}
		})
	}
	for name, value := range map[string]string{"SCNET_MCP_MAX_TARGETS": "x", "SCNET_MCP_TOOLSETS": "instances,,", "SCNET_MCP_PROTECT": " "} {
		code, out, errs := run(t, map[string]string{name: value, "SCNET_MCP_LANG": "zh"}, "", "serve")
		if code != exitUsage || out != "" || englishWords.MatchString(errs) {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
	}
}
