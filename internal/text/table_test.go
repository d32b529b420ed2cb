package text_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

func TestWords(t *testing.T) {
	ten := strings.Split("a b c d e f g h i j", " ")
	for got, want := range map[string]string{
		text.Age(-time.Second):                  "0s",
		text.Age(59 * time.Second):              "59s",
		text.Age(90 * time.Minute):              "1h",
		text.Age(47 * time.Hour):                "47h",
		text.Age(48 * time.Hour):                "2d",
		text.Count(1, "desktop"):                "1 desktop",
		text.Count(0, "desktop"):                "0 desktops",
		text.Some(ten):                          "a, b, c, d, e, f, g, h, i, j",
		text.Some(append(ten, "k")):             "a, b, c, d, e, f, g, h, i, j and 1 more",
		text.Barred("one\ntwo"):                 "| one\n| two",
		text.Excerpt("one\x1b\ntwo\n"):          "| one\uFFFD\n| two",
		text.Excerpt(strings.Repeat("a\n", 14)): strings.Repeat("| a\n", 12) + "(2 more lines)",
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	text.WriteTable(&b, [][]string{{"NAME", "STATUS"}, {"训练一号", "ok"}, {"abcdefghij", text.Dash("")}}, []int{8, 6})
	if want := "NAME      STATUS\n训练一号  ok\nabcdefg…  -\n"; b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
