package cli

import (
	"context"
	"embed"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/install"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

//go:embed completion
var completionScripts embed.FS

// completionCommand prints a script for a shell. The script asks this program, by completeWord, for every completion.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Run prints the script.
func (c completionCommand) Run(streams Streams) error {
	script, err := completionScripts.ReadFile("completion/" + c.Shell + ".sh")
	if err != nil {
		return err
	}
	_, err = streams.Out.Write(script)
	return err
}

// completeWord is the command that the scripts call: it is followed by the words after the program's name, of which the last
// is to be completed. What it prints is a line for each candidate, with a tab before what people are told of it.
const completeWord = "__complete"

// candidate is what a word may become.
type candidate struct{ value, help string }

// plain is what a shell takes as it is typed, quoted or not. Names are written by others, and nobody looks closely at what
// a completion has put there: anything else is not offered.
var plain = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[\p{L}\p{N}_.,:/@%+=-]*$`)
})

// line is a command line whose last word is being completed.
type line struct {
	ctx     context.Context
	lang    lang.Lang
	node    *kong.Node // the command so far
	flag    *kong.Flag // whose value the last word is
	given   []string   // the positional words before the last
	flags   []string   // the words that are flags
	current string
}

// complete prints the candidates for the last of words. It never fails: a shell has nowhere to show why.
func complete(ctx context.Context, said lang.Lang, commands *kong.Application, words []string, out io.Writer) {
	if len(words) == 0 {
		words = []string{""}
	}
	l := parseLine(commands.Node, words[:len(words)-1])
	l.ctx, l.lang, l.current = ctx, said, words[len(words)-1]
	var b strings.Builder
	for _, c := range l.candidates() {
		if !strings.HasPrefix(c.value, l.current) || !plain().MatchString(c.value) {
			continue
		}
		b.WriteString(c.value)
		if c.help != "" {
			b.WriteString("\t" + text.Cut(text.Line(c.help, 0), 72))
		}
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(out, b.String())
}

// parseLine reads the words before the one that is completed.
func parseLine(node *kong.Node, words []string) line {
	l := line{node: node}
	onlyWords := false
	for _, word := range words {
		switch {
		case l.flag != nil:
			l.flag = nil
			l.flags = append(l.flags, word)
		case word == "--" && !onlyWords:
			onlyWords = true
		case strings.HasPrefix(word, "-") && word != "-" && !onlyWords:
			l.flags = append(l.flags, word)
			if flag := l.named(word); flag != nil && !flag.IsBool() {
				l.flag = flag
			}
		default:
			l.positional(word)
		}
	}
	return l
}

func (l *line) positional(word string) {
	if len(l.given) == 0 {
		for _, child := range l.node.Children {
			if child.Name == word {
				l.node = child
				return
			}
		}
	}
	l.given = append(l.given, word)
}

// named returns the flag of that name, unless its value follows within the word.
func (l *line) named(word string) *kong.Flag {
	for _, group := range l.node.AllFlags(true) {
		for _, flag := range group {
			if "--"+flag.Name == word {
				return flag
			}
		}
	}
	return nil
}

func (l *line) candidates() []candidate {
	name, _, assigned := strings.Cut(l.current, "=")
	switch {
	case l.flag != nil:
		return l.valuesOf(l.flag, "")
	case strings.HasPrefix(l.current, "--") && assigned:
		if flag := l.named(name); flag != nil {
			return l.valuesOf(flag, name+"=")
		}
		return nil
	case strings.HasPrefix(l.current, "-"):
		return l.allFlags()
	case len(l.node.Children) > 0 && len(l.given) == 0:
		return l.commandsOf(l.node)
	}
	switch command := l.node.Name; {
	case command == "call" && len(l.given) > 0:
		return l.arguments(l.given[0], l.given[1:])
	case command == "call", command == "tools" && len(l.given) == 0:
		return l.toolsByName("")
	case command == "help" && len(l.given) == 0:
		return append(l.commandsOf(l.node.Parent), l.toolsByName("")...)
	case (command == "install" || command == "uninstall") && len(l.given) == 0:
		return l.clients()
	case len(l.given) < len(l.node.Positional):
		p := l.node.Positional[len(l.given)]
		if p.Tag.Type == "path" {
			return files("", l.current)
		}
		return choices("", p.EnumSlice()...)
	}
	return nil
}

func (l *line) allFlags() (all []candidate) {
	for _, group := range l.node.AllFlags(true) {
		for _, flag := range group {
			all = append(all, candidate{"--" + flag.Name, helpOf(l.lang, flag.Value)})
		}
	}
	return all
}

// valuesOf returns the values of a flag, behind before.
func (l *line) valuesOf(flag *kong.Flag, before string) []candidate {
	switch flag.Name {
	case "toolsets":
		return choices(before, knownNames().Toolsets...)
	case "disable-tools":
		return l.toolsByName(before)
	}
	switch {
	case flag.PlaceHolder == "FILE":
		return files(before, strings.TrimPrefix(l.current, before))
	case flag.IsBool():
		return choices(before, "true", "false")
	}
	return choices(before, flag.EnumSlice()...)
}

func choices(before string, values ...string) (all []candidate) {
	for _, value := range values {
		if value != "" {
			all = append(all, candidate{before + value, ""})
		}
	}
	return all
}

func (l *line) commandsOf(node *kong.Node) (all []candidate) {
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(all, candidate{child.Name, l.lang.Word(child.Help)})
		}
	}
	return all
}

func (l *line) toolsByName(before string) (all []candidate) {
	for _, t := range tools.Catalogue() {
		all = append(all, candidate{before + t.Name, forPeople(l.lang.Word(t.Description))})
	}
	return all
}

func (l *line) clients() (all []candidate) {
	for _, client := range install.Clients() {
		all = append(all, candidate{client.Name, client.Title.In(l.lang)})
	}
	return all
}

// maxFiles is how many files of a folder are looked at.
const maxFiles = 1000

// files returns the files whose paths begin with start, behind before. A folder ends with a slash, to go on from.
func files(before, start string) (all []candidate) {
	folder, name := filepath.Split(start)
	opened, err := os.Open(orElse(folder, "."))
	if err != nil {
		return nil
	}
	defer func() { _ = opened.Close() }()
	entries, _ := opened.ReadDir(maxFiles)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), name) || name == "" && strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		path := folder + entry.Name()
		if entry.IsDir() {
			path += "/"
		}
		all = append(all, candidate{before + path, ""})
	}
	slices.SortFunc(all, func(a, b candidate) int { return strings.Compare(a.value, b.value) })
	return all
}

// arguments returns what can follow `call TOOL`, given the arguments that are there.
func (l *line) arguments(tool string, given []string) (all []candidate) {
	t, err := findTool(tool, tools.Catalogue())
	if err != nil {
		return nil
	}
	arguments, err := argumentsOf(t)
	if err != nil {
		return nil
	}
	if start, reads := strings.CutPrefix(l.current, "@"); reads {
		return files("@", start)
	}
	name, value, assigned := strings.Cut(l.current, "=")
	for _, a := range arguments {
		before := a.name + "="
		switch source, reads := strings.CutPrefix(value, "@"); {
		case !assigned:
			isThere := slices.ContainsFunc(given, func(word string) bool { return strings.HasPrefix(word, before) })
			if !isThere || a.Items != nil {
				all = append(all, candidate{before, l.lang.Sprintf("%s: %s", a.kind(l.lang), l.lang.Word(a.Description))})
			}
		case a.name != name:
		case reads:
			return files(before+"@", source)
		case (name == "status" || name == "wait_for") && t.Toolset != tools.WorkspaceToolset:
			for _, status := range scnet.Statuses() {
				all = append(all, candidate{before + string(status), ""})
			}
			return all
		default:
			return append(choices(before, a.words()...), l.live(t, a.name, given)...)
		}
	}
	return all
}
