package text_test

import (
	"testing"
	"unicode"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// isInvisible is the definition in words of Unicode: what is ignorable by default (as DerivedCoreProperties derives it), not
// assigned, a noncharacter, a surrogate, a control, a line or paragraph separator, or another space than those people type.
func isInvisible(r rune) bool {
	prepended := unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	ignorable := unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		unicode.Is(unicode.Cf, r) && !prepended
	space := unicode.In(r, unicode.Z) && r != ' ' && r != '\u00A0' && r != '\u3000'
	return ignorable || space || unicode.In(r, unicode.Cn, unicode.Cc, unicode.Cs, unicode.Noncharacter_Code_Point)
}

func TestInvisible(t *testing.T) {
	blank := map[rune]bool{0x2800: true, 0x13441: true, 0x13442: true, 0x16FE4: true, 0x1D159: true}
	count := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := isInvisible(r) || blank[r]
		if got := text.Invisible(r); got != want {
			if count++; count < 20 {
				t.Errorf("%U: %v", r, got)
			}
		}
	}
	for _, r := range []rune{
		0xE0000, 0xE0001, 0xE0002, 0xE001F, 0xE0020, 0xE007F, 0xE0080, 0xE00FF, 0xE0100, 0xE01EF, 0xE01F0, 0xE0FFF, 0xFFF0, 0xFFF8, 0x2065,
		0x17B4, 0x17B5, 0x2800, 0xFDD0, 0xFFFE, 0x1FFFF, 0x10FFFF, 0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x180B, 0x180E, 0x200B, 0x2060,
		0x3164, 0xFE00, 0xFEFF, 0xFFA0, 0x1BCA0, 0x1D173, 0xD800, '\n', 0x7F, 0x85, 0x2028, 0x2003, 0x0378,
	} {
		if !text.Invisible(r) {
			t.Errorf("%U is visible", r)
		}
	}
}

// What people write stays legible.
func TestLegible(t *testing.T) {
	for in, want := range map[string]string{
		"训练 一号，〇":             "训练 一号，〇",
		"한국어":                 "한국어",
		"हिन्दी":              "हिन्दी",
		"క్\u200Cష":           "క్ష",
		"می\u200Cخواهم":       "میخواهم",
		"❤\uFE0F":             "❤",
		"👨\u200D👩\u200D👧!":    "👨👩👧!",
		"👍🏽":                  "👍🏽",
		"🇨🇳":                  "🇨🇳",
		"cafe\u0301":          "cafe\u0301",
		"a\u200Db":            "a\uFFFDb",
		"一\u200D\u200B\u200D": "一\uFFFD",
	} {
		if got := text.Line(in, 0); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
