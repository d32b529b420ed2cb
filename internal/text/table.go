package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Dash returns s, or a dash for nothing, so that a cell of a table is never empty.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// WriteTable writes rows in columns that line up in a terminal. A cell wider than its column's maximum is cut with "…". A
// first cell is quoted where the line could otherwise pass for one of our own: it is a name, which others write.
func WriteTable(b *strings.Builder, rows [][]string, maxima []int) {
	widths := make([]int, len(maxima))
	for _, row := range rows {
		for i, cell := range row {
			if i == 0 && !isBare(cell) {
				row[i] = strconv.Quote(Cut(cell, maxima[i]-len(`""`)))
			} else {
				row[i] = Cut(cell, maxima[i])
			}
			widths[i] = max(widths[i], Width(row[i]))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-Width(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
}

// isBare reports whether a line that begins with cell looks like a row of a table: it does not begin with a mark, as a fence
// or a list does, and holds no end of a sentence or of a label, as "Note:" does. A point within a word and a time of day are
// neither.
func isBare(cell string) bool {
	first, _ := utf8.DecodeRuneInString(cell)
	if !isWord(first) {
		return cell == Dash("")
	}
	before := first
	for i, r := range cell {
		next, _ := utf8.DecodeRuneInString(cell[i+utf8.RuneLen(r):])
		switch r {
		case '.', '!', '?':
			if !isWord(next) {
				return false
			}
		case ':':
			if !unicode.IsDigit(before) || !unicode.IsDigit(next) {
				return false
			}
		case '：', '。', '！', '？':
			return false
		}
		before = r
	}
	return true
}

func isWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// Pad adds spaces behind s until it takes so many cells.
func Pad(s string, cells int) string { return s + strings.Repeat(" ", max(0, cells-Width(s))) }

// Width counts the cells that s takes in a terminal: a Chinese character or an emoji takes two, an accent that is put on the
// character before it none.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += cells(r)
	}
	return n
}

func cells(r rune) int {
	switch {
	case r < 0x300: // no character before it is wide or combines
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// Cut cuts s to so many cells of a terminal, and says so with "…".
func Cut(s string, limit int) string {
	if len(s) <= limit || Width(s) <= limit {
		return s
	}
	used := 1 // the ellipsis
	for i, r := range s {
		if used+cells(r) > limit {
			return s[:i] + "…"
		}
		used += cells(r)
	}
	return s
}
