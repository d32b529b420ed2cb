package install

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// around is how many lines a diff shows before and after what changes.
const around = 2

// ofOthers are the values of lines that were there: they can be the secrets of other servers.
var ofOthers = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([:=]\s*)"(?:[^"\\]|\\.)*"`)
})

// Diff shows the change as a diff. Texts in lines that were there before are replaced by "…".
func (c Change) Diff(l lang.Lang) string {
	before, after := lines(c.Before), lines(c.After)
	same := 0
	for same < min(len(before), len(after)) && before[same] == after[same] {
		same++
	}
	end := 0
	for end < min(len(before), len(after))-same && before[len(before)-1-end] == after[len(after)-1-end] {
		end++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", nameOf(l, c.File, c.Before), nameOf(l, c.File, c.After))
	first := max(0, same-around)
	tail := before[len(before)-end:][:min(end, around)]
	fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", first+1, len(before)-end-first+len(tail), first+1, len(after)-end-first+len(tail))
	known := map[string]bool{} // a line that only gets a comma is not a new one
	for _, line := range before {
		known[bare(line)] = true
	}
	for _, part := range []struct {
		mark  string
		lines []string
	}{{" ", before[first:same]}, {"-", before[same : len(before)-end]}, {"+", after[same : len(after)-end]}, {" ", tail}} {
		for _, line := range part.lines {
			if part.mark != "+" || known[bare(line)] {
				line = ofOthers().ReplaceAllString(line, `$1"…"`)
			}
			fmt.Fprintf(&b, "%s%s\n", part.mark, strings.TrimRight(line, "\r\n"))
		}
	}
	return b.String()
}

func nameOf(l lang.Lang, file string, content []byte) string {
	if content == nil {
		return l.Word("(no file)")
	}
	return file
}

func lines(content []byte) (all []string) {
	for line := range bytes.Lines(content) {
		all = append(all, string(line))
	}
	return all
}

func bare(line string) string { return strings.TrimRight(line, ",\r\n") }
