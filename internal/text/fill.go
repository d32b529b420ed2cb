package text

import (
	"strings"
	"unicode"
)

// Fill writes s in lines of so many columns at most, each behind an indent. A line ends between two words, or beside a wide
// character: Chinese has no spaces. A word that is longer than a line is not broken.
func Fill(b *strings.Builder, s string, indent, columns int) {
	margin := strings.Repeat(" ", indent)
	line, used, space := "", 0, false
	end := func() {
		if line != "" {
			b.WriteString(margin + line + "\n")
		}
		line, used = "", 0
	}
	for _, piece := range pieces(s) {
		if piece == " " {
			space = true
			continue
		}
		gap := ""
		if space && line != "" {
			gap = " "
		}
		if space = false; used+len(gap)+Width(piece) > columns-indent {
			end()
			gap = ""
		}
		line += gap + piece
		used += len(gap) + Width(piece)
	}
	end()
}

// closing are the marks that do not begin a line.
const closing = "，。；：、！？）】》”’,.;:!?)"

// opening are the marks that do not end a line.
const opening = "（【《“‘(["

// pieces takes s apart where a line may end: a run of space comes back as one space, and a wide character on its own with the
// marks that follow it.
func pieces(s string) (all []string) {
	word := ""
	flush := func() {
		if word != "" {
			all = append(all, word)
		}
		word = ""
	}
	wide := false // the word is a wide character with marks
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			flush()
			if len(all) > 0 && all[len(all)-1] != " " {
				all = append(all, " ")
			}
			continue
		case strings.ContainsRune(closing, r):
		case cells(r) == 2:
			if strings.TrimRight(word, opening) == word {
				flush()
			}
			wide = true
			word += string(r)
			continue
		case wide:
			if strings.TrimRight(word, opening) == word {
				flush()
			}
			wide = false
		}
		if word == "" {
			wide = false
		}
		word += string(r)
	}
	flush()
	return all
}
