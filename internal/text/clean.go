// Package text makes text for people and models: what others wrote (service messages, instance names, script output)
// becomes safe to show, and rows become a table.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// removed stands where a character was taken out, so that a removal shows.
const removed = '\uFFFD'

// Line returns text as a single line of at most maxRunes characters. Control characters, terminal escapes, invisible and
// direction-changing characters and invalid UTF-8 become U+FFFD (a run of them becomes one); line breaks and tabs become
// a space; a cut is marked with "…". A joiner or an emoji's selector after a character that may take one is left out without
// a trace, which keeps such text legible. maxRunes <= 0 means no limit.
func Line(text string, maxRunes int) string {
	text = strings.TrimSpace(text)
	if isPlain(text) && (maxRunes <= 0 || len(text) <= maxRunes) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	count, last := 0, rune(-1)
	write := func(r rune) bool {
		if maxRunes > 0 && count == maxRunes {
			return false
		}
		b.WriteRune(r)
		count++
		last = r
		return true
	}
	for i, r := range text {
		switch {
		case r == '\n', r == '\r', r == '\t':
			if last == ' ' {
				continue
			}
			r = ' '
		case joins(r) && last > unicode.MaxASCII && last != removed:
			continue
		case hidden(r, text[i:]):
			if last == removed {
				continue
			}
			r = removed
		}
		if !write(r) {
			cut := []rune(b.String())
			cut[len(cut)-1] = '…'
			return string(cut)
		}
	}
	return b.String()
}

// Lines returns text of several lines, each cleaned as by Line, in at most maxBytes. What is longer loses its middle, and
// says how much: beginnings tell what was done, ends how it came out.
func Lines(text string, maxBytes int) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i, line := range lines {
		lines[i] = indented(line)
	}
	clean := strings.Join(lines, "\n")
	if len(clean) <= maxBytes {
		return clean
	}
	head, tail := maxBytes/3, maxBytes-maxBytes/3
	for head > 0 && !utf8.RuneStart(clean[head]) {
		head--
	}
	start := len(clean) - tail
	for start < len(clean) && !utf8.RuneStart(clean[start]) {
		start++
	}
	cutOut := fmt.Sprintf("\n[… %d bytes cut …]\n", start-head) // not said to people
	return clean[:head] + cutOut + clean[start:]
}

// indented is Line with the spaces in front, tabs as four.
func indented(line string) string {
	body := strings.TrimLeft(line, " \t")
	front := strings.ReplaceAll(line[:len(line)-len(body)], "\t", "    ")
	if body = Line(body, 0); body == "" {
		return ""
	}
	return front + body
}

// isPlain reports whether text is printable ASCII: the common case, returned as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// hidden reports whether r at the beginning of rest is to be removed. U+FFFD itself is only where it stands for invalid
// UTF-8; the visible character passes.
func hidden(r rune, rest string) bool {
	if r == utf8.RuneError {
		_, size := utf8.DecodeRuneInString(rest)
		return size <= 1
	}
	return Invisible(r)
}
