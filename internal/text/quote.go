package text

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

const (
	fieldRunes   = 200
	excerptLines = 12
	excerptRunes = 160
)

// Field cleans and cuts one field that others wrote: a name, a status, a message.
func Field(s string) string { return Line(s, fieldRunes) }

// Barred puts a bar before every line, so that a text that others wrote cannot pass for ours.
func Barred(s string) string { return "| " + strings.ReplaceAll(s, "\n", "\n| ") }

// blanks are more than anybody needs in a line: enough of them move what follows out of sight.
var blanks = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[ \t\x{00A0}\x{3000}]{9,}`)
})

// Excerpt shows the beginning of a script, cleaned, each line behind a bar. A long line goes on in the next ones, a run of
// blanks is counted, and what is left out is said, so that nothing is hidden behind what is shown.
func Excerpt(script string) lang.Text {
	var rows []string
	lines := strings.Split(strings.TrimSuffix(script, "\n"), "\n")
	for _, line := range lines {
		line = blanks().ReplaceAllStringFunc(strings.TrimSpace(line), func(run string) string {
			return fmt.Sprintf(" [%d blanks] ", utf8.RuneCountInString(run)) // not said to people
		})
		rest := []rune(Line(line, 0))
		for len(rest) > excerptRunes {
			rows, rest = append(rows, string(rest[:excerptRunes])), rest[excerptRunes:]
		}
		rows = append(rows, string(rest))
	}
	shown := rows[:min(len(rows), excerptLines)]
	text := Barred(strings.Join(shown, "\n"))
	if left := len(rows) - len(shown); left > 0 {
		return lang.T("%s\n(%d more lines)", text, left) // no bar: this is ours
	}
	return lang.Verbatim(text)
}
