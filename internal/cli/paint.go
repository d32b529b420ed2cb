package cli

import (
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// terminalOf returns the terminal that out writes to, or nil.
func terminalOf(out io.Writer) *os.File {
	if r, ok := out.(reader); ok {
		out = r.out
	}
	if file, ok := out.(*os.File); ok && isTerminal(file) {
		return file
	}
	return nil
}

// paint colours what a person reads at a terminal. Elsewhere, and where NO_COLOR is set, it leaves everything as it is.
type paint bool

func paintFor(out io.Writer) paint {
	able := terminalOf(out) != nil && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows"
	return paint(able && os.Getenv("NO_COLOR") == "")
}

// The colours, as a terminal is told them.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p paint) as(colour, words string) string {
	if !p || colour == "" {
		return words
	}
	return "\x1b[" + colour + "m" + words + "\x1b[0m"
}

// colours are those of the words that say how something stands: of results, of targets, of instances and desktops, of checks.
var colours = map[string]string{
	"done": green, "accepted": green, "deleted": green, "created": green, "resized": green, "stopped": green, "succeeded": green,
	"Running": green, "Completed": green, "ACTIVE": green, "ok": green,
	"failed": red, "unknown": red, "refused": red, "rejected": red, "Failed": red, "ERROR": red, "FAIL": red,
	"partial": yellow, "waiting": yellow, "PREVIEW": yellow, "still_listed": yellow, "still_active": yellow,
	"not_attempted": yellow,
	"Waiting":       yellow, "Deploying": yellow, "Stopping": yellow, "note": yellow,
}

// tableHead is the first line of a table.
var tableHead = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Z]+( [A-Z]+)?(  +[A-Z]+( [A-Z]+)?)+ *$`)
})

// result colours the text of a result: the word that it begins with, the heads of tables, and the column that says how each
// row stands. What others wrote has a bar before it, and no colour.
func (p paint) result(all string) string {
	if !p {
		return all
	}
	lines := strings.Split(all, "\n")
	column := -1 // in cells; of the table that the line is in
	for i, line := range lines {
		switch {
		case tableHead().MatchString(line):
			column = slices.Max([]int{strings.Index(line, "  STATUS"), strings.Index(line, "  OUTCOME")})
			lines[i] = p.as(bold, line)
		case strings.HasPrefix(line, "|"):
			column = -1
		case column >= 0:
			lines[i], column = p.cell(line, column)
		case i == 0:
			word, rest, found := strings.Cut(line, ":")
			if strings.HasPrefix(line, "PREVIEW.") {
				word, rest, found = "PREVIEW", strings.TrimPrefix(line, "PREVIEW"), false
			}
			lines[i] = p.as(colours[word], word)
			if found {
				lines[i] += ":"
			}
			lines[i] += rest
		}
	}
	return strings.Join(lines, "\n")
}

// cell colours the cell that stands two cells behind column, or says by -1 that the line is not of the table.
func (p paint) cell(line string, column int) (painted string, goesOn int) {
	for at := range line {
		if text.Width(line[:at]) != column {
			continue
		}
		if !strings.HasPrefix(line[at:], "  ") {
			break
		}
		word, _, _ := strings.Cut(line[at+2:], " ")
		return line[:at+2] + p.as(colours[word], word) + line[at+2+len(word):], column
	}
	return line, -1
}
