package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// helpPage is the help of a command in the making. kong's own printer knows one language, and counts letters where a terminal
// has cells.
type helpPage struct {
	out   strings.Builder
	lang  lang.Lang
	width int
}

// Its columns.
const (
	helpMargin = 2
	helpGap    = 4
	helpLeft   = 30 // longer words stand on a line of their own
)

// printHelp returns what prints the help of a command or, for `call TOOL --help`, of the tool.
func printHelp(l lang.Lang) kong.HelpPrinter {
	return func(_ kong.HelpOptions, ctx *kong.Context) error {
		if name := toolOfCall(ctx); name != "" {
			return printToolHelp(l, name, ctx)
		}
		page := &helpPage{lang: l, width: helpColumns(ctx.Stdout)}
		node := ctx.Selected()
		if node == nil {
			node = ctx.Model.Node
		}
		page.command(ctx.Model, node)
		_, err := io.WriteString(ctx.Stdout, page.out.String())
		return err
	}
}

func (p *helpPage) command(app *kong.Application, node *kong.Node) {
	p.out.WriteString(p.lang.Sprintf("Usage: %s", app.Name+" "+p.usage(node)) + "\n")
	for _, paragraph := range []string{node.Help, node.Detail} {
		if paragraph != "" {
			p.out.WriteByte('\n')
			text.Fill(&p.out, p.lang.Word(paragraph), 0, p.width)
		}
	}
	var arguments [][2]string
	for _, argument := range node.Positional {
		arguments = append(arguments, [2]string{argument.Summary(), helpOf(p.lang, argument)})
	}
	p.rows(textArguments, arguments)
	p.flags(node)
	var commands [][2]string
	for _, command := range node.Leaves(true) {
		commands = append(commands, [2]string{command.Path(), p.lang.Word(command.Help)})
	}
	p.rows(textCommands, commands)
	if len(commands) > 0 {
		p.out.WriteByte('\n')
		text.Fill(&p.out, p.lang.Sprintf(textHelpOfCommand, app.Name), 0, p.width)
	}
}

// usage is how a command is written. What a user puts in is in the language, names are not.
func (p *helpPage) usage(node *kong.Node) string {
	summary, _, _ := strings.Cut(node.Summary(), " [flags]")
	summary = strings.Replace(summary, "<command>", "<"+p.lang.Word("command")+">", 1)
	return strings.TrimSpace(summary) + " [" + p.lang.Word("flags") + "]"
}

// flags writes those of a command, by group, and behind them those that every command has.
func (p *helpPage) flags(node *kong.Node) {
	rows, every := map[string][][2]string{}, [][2]string(nil)
	var groups []string
	for depth, level := range node.AllFlags(true) {
		for _, flag := range level {
			form := flagForm(flag)
			if depth > 0 { // short names are in the outermost level alone
				form = strings.TrimLeft(form, " ")
			}
			row, group := [2]string{form, helpOf(p.lang, flag.Value)}, ""
			if flag.Group != nil {
				group = flag.Group.Key
			}
			if node.Parent != nil && !slices.Contains(node.Flags, flag) {
				every = append(every, row)
				continue
			}
			if rows[group] = append(rows[group], row); len(rows[group]) == 1 && group != "" {
				groups = append(groups, group)
			}
		}
	}
	p.rows(textFlags, rows[""])
	for _, group := range groups {
		p.rows(textFlagGroups[group], rows[group])
	}
	p.rows(textFlagsOfAll, every)
}

// flagForm is how a flag is written.
func flagForm(flag *kong.Flag) string {
	form := "    --" + flag.Name
	if flag.Short != 0 {
		form = fmt.Sprintf("-%c, --%s", flag.Short, flag.Name)
	}
	if !flag.IsBool() {
		form += "=" + flag.FormatPlaceHolder()
	}
	return form
}

// helpOf says what a flag or an argument is for, with the variables that set it too.
func helpOf(l lang.Lang, value *kong.Value) string {
	help := strings.NewReplacer("${default}", value.Default, "${enum}", value.Enum).Replace(l.Word(value.OrigHelp))
	if len(value.Tag.Envs) == 0 {
		return help
	}
	end := l.Word(".")
	return strings.TrimSuffix(help, end) + l.Sprintf(" (%s)", "$"+strings.Join(value.Tag.Envs, ", $")) + end
}

// rows writes words on the left and what they mean beside them, under a title.
func (p *helpPage) rows(title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	left := 0
	for _, row := range rows {
		if n := text.Width(row[0]); n <= helpLeft {
			left = max(left, n)
		}
	}
	p.out.WriteByte('\n')
	p.out.WriteString(p.lang.Word(title) + "\n")
	indent := helpMargin + left + helpGap
	for _, row := range rows {
		var meaning strings.Builder
		text.Fill(&meaning, row[1], indent, p.width)
		begin := strings.Repeat(" ", helpMargin) + row[0]
		if text.Width(row[0]) > left {
			p.out.WriteString(begin + "\n" + meaning.String())
			continue
		}
		p.out.WriteString(begin + strings.TrimPrefix(meaning.String(), strings.Repeat(" ", text.Width(begin))))
	}
}
