package text

import (
	"unicode"
)

// blank are characters that no property marks as invisible, although fonts draw nothing for them.
var blank = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}, // Braille pattern without dots
	R32: []unicode.Range32{
		{Lo: 0x13441, Hi: 0x13442, Stride: 1}, // Egyptian blanks
		{Lo: 0x16FE4, Hi: 0x16FE4, Stride: 1}, // Khitan filler
		{Lo: 0x1D159, Hi: 0x1D159, Stride: 1}, // null notehead
	},
}

// visible are the categories of characters that are drawn: letters, marks, numbers, punctuation and symbols, and the private
// use area, which some fonts draw. Control characters, formats, separators, and everything that is not assigned, are not
// there.
var visible = []*unicode.RangeTable{unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Co}

// Invisible reports whether r shows nothing, moves the cursor or changes the direction of what follows. Such characters can
// carry a text that a model reads and a person does not see. A character that Unicode has not assigned, in the version that
// Go knows, is invisible: it may become anything, and many are to be ignored by whoever does not know them.
func Invisible(r rune) bool {
	switch {
	case r >= ' ' && r <= '~', r == 0x00A0, r == 0x3000: // the last two are the blanks that people type
		return false
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, blank):
		return true
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // formats by category, and drawn: the Arabic number sign
		return false
	}
	return !unicode.In(r, visible...)
}

// joins reports whether r belongs to the spelling of scripts and emoji: joiners, and selectors between text and emoji.
func joins(r rune) bool {
	return r == 0x200C || r == 0x200D || r == 0xFE0E || r == 0xFE0F
}
