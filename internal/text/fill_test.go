package text_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

func TestFillMarks(t *testing.T) {
	for name, c := range map[string]struct {
		in      string
		columns int
		want    string
	}{
		"words":              {"one two three", 7, "one two\nthree\n"},
		"wide characters":    {"一二三四", 5, "一二\n三四\n"},
		"no mark at a start": {"一二，三", 5, "一\n二，\n三\n"},
		"no mark at an end":  {"一二（LANG）三", 6, "一二\n（LANG）\n三\n"},
		"a long word":        {"a verylongword b", 6, "a\nverylongword\nb\n"},
		"empty":              {"", 6, ""},
	} {
		var b strings.Builder
		if text.Fill(&b, c.in, 0, c.columns); b.String() != c.want {
			t.Errorf("%s: %q, want %q", name, b.String(), c.want)
		}
	}
}

func TestPad(t *testing.T) {
	if got := text.Pad("区域", 6) + text.Pad("region", 3) + "|"; got != "区域  region|" {
		t.Errorf("%q", got)
	}
}
