package text

import (
	"fmt"
	"strings"
)

const (
	fieldRunes   = 200
	excerptLines = 12
)

// Field cleans and cuts one field that others wrote: a name, a status, a message.
func Field(s string) string { return Line(s, fieldRunes) }

// Barred puts a bar before every line, so that a text that others wrote cannot pass for ours.
func Barred(s string) string { return "| " + strings.ReplaceAll(s, "\n", "\n| ") }

// Excerpt shows the first lines of a script, cleaned, each behind a bar.
func Excerpt(script string) string {
	lines := strings.Split(strings.TrimSuffix(script, "\n"), "\n")
	var b strings.Builder
	for i, line := range lines {
		if i == excerptLines {
			fmt.Fprintf(&b, "(%d more lines)", len(lines)-i) // no bar: this is ours
			break
		}
		fmt.Fprintf(&b, "| %s\n", Line(line, 160))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
