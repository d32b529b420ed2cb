package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

func TestLine(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		max  int
		want string
	}{
		"plain":                 {"train-7b", 0, "train-7b"},
		"chinese":               {"训练 一号", 0, "训练 一号"},
		"terminal escape":       {"a\x1b[31mred", 0, "a\uFFFD[31mred"},
		"zero width and bidi":   {"a\u200b\u202eb", 0, "a\uFFFDb"},
		"tag characters":        {"x\U000E0049\U000E0067y", 0, "x\uFFFDy"},
		"variation selectors":   {"x\uFE0F\U000E0100y", 0, "x\uFFFDy"},
		"hangul filler":         {"x\u3164y", 0, "x\uFFFDy"},
		"line breaks":           {"one\r\ntwo\tthree", 0, "one two three"},
		"line separator":        {"one\u2028two", 0, "one\uFFFDtwo"},
		"invalid utf-8":         {"a\xff\xfeb", 0, "a\uFFFDb"},
		"a visible replacement": {"a\uFFFDb", 0, "a\uFFFDb"},
		"cut":                   {"abcdef", 4, "abc…"},
		"cut chinese":           {"一二三四五", 3, "一二…"},
		"exactly the limit":     {"一二三", 3, "一二三"},
		"spaces around":         {"  a  ", 0, "a"},
		"empty":                 {"", 5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := text.Line(c.in, c.max); got != c.want {
				t.Errorf("Line(%q, %d) = %q, want %q", c.in, c.max, got, c.want)
			}
		})
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[31m\u202e", 3)
	f.Add("一二三", 2)
	f.Fuzz(func(t *testing.T, in string, limit int) {
		got := text.Line(in, limit)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\t\x1b\x00\u200b\u202e\u2028") {
			t.Errorf("Line(%q, %d) = %q", in, limit, got)
		}
		if limit > 0 && utf8.RuneCountInString(got) > limit {
			t.Errorf("Line(%q, %d) has %d characters", in, limit, utf8.RuneCountInString(got))
		}
		if again := text.Line(got, limit); again != got {
			t.Errorf("not idempotent: %q then %q", got, again)
		}
	})
}

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		max  int
		want string
	}{
		"lines":       {"one\r\n  two\x1b[0m\n\tthree\n\n", 100, "one\n  two\uFFFD[0m\n    three"},
		"empty":       {"\n\n", 100, ""},
		"cut":         {strings.Repeat("a", 30) + strings.Repeat("b", 60), 30, strings.Repeat("a", 10) + "\n[… 60 bytes cut …]\n" + strings.Repeat("b", 20)},
		"cut chinese": {strings.Repeat("一", 30), 10, "一\n[… 81 bytes cut …]\n一一"},
	} {
		if got := text.Lines(c.in, c.max); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("one\n\ttwo\x1b", 5)
	f.Fuzz(func(t *testing.T, in string, limit int) {
		limit = max(limit, 0) % 1000
		got := text.Lines(in, limit)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\t\x1b\x00\u200b\u202e") || len(got) > limit+60 {
			t.Errorf("Text(%q, %d) = %q", in, limit, got)
		}
	})
}
