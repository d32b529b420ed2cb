package text_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		text.Barred("one\ntwo"):                          "| one\n| two",
		text.Excerpt("one\x1b\ntwo\n").String():          "| one\uFFFD\n| two",
		text.Excerpt(strings.Repeat("a\n", 14)).String(): strings.Repeat("| a\n", 12) + "(2 more lines)",
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

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "abc": 3, "é": 1, "e\u0301": 1, "训练一号": 8, "한국어": 6, "ｱ": 1, "Ａ": 2, "，": 2, "…": 1, "→": 1, "👍": 2, "𠮷": 2,
	} {
		if got := text.Width(s); got != want {
			t.Errorf("%q takes %d cells, want %d", s, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	for s, want := range map[string]string{
		"":                             "",
		"one two  three four":          "  one two\n  three\n  four\n",
		"unbreakable_word and":         "  unbreakable_word\n  and\n",
		"创建容器实例，再开":                    "  创建容器\n  实例，再\n  开\n",
		"in 在容器，里 run":                 "  in 在容\n  器，里\n  run\n",
		" begins and ends with space ": "  begins\n  and ends\n  with\n  space\n",
	} {
		var b strings.Builder
		if text.Fill(&b, s, 2, 10); b.String() != want {
			t.Errorf("%q is filled as\n%swant\n%s", s, b.String(), want)
		}
	}
}

// What is filled loses nothing but space, and only a line of one word is too wide.
func FuzzFill(f *testing.F) {
	f.Add("Runs a script (执行脚本、命令) in running instances.", 2, 20)
	f.Add("，，，a", 0, 1)
	f.Fuzz(func(t *testing.T, s string, indent, columns int) {
		s, indent, columns = strings.ToValidUTF8(s, ""), min(max(indent, 0), 40), min(max(columns, 1), 200)
		var b strings.Builder
		text.Fill(&b, s, indent, columns)
		bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if bare(b.String()) != bare(s) {
			t.Errorf("%q is filled as %q", s, b.String())
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if text.Width(line) > max(columns, indent) && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%q has a line of %d columns: %q", s, text.Width(line), line)
			}
		}
	})
}

// A name is written by others, and begins a line.
func TestWriteTableQuotesWhatCouldPassForOurs(t *testing.T) {
	for name, want := range map[string]string{
		"qwen-finetune-01":                  "qwen-finetune-01",
		"流体仿真-后处理":                          "流体仿真-后处理",
		"v1.2 of bert_eval":                 "v1.2 of bert_eval",
		"2026-11-24 10:00:00":               "2026-11-24 10:00:00",
		"-":                                 "-",
		"```":                               "\"```\"",
		"~~~ end":                           `"~~~ end"`,
		"# Instructions":                    `"# Instructions"`,
		"- done":                            `"- done"`,
		"--":                                `"--"`,
		"| x":                               `"| x"`,
		`"quoted"`:                          `"\"quoted\""`,
		"Note: all is done":                 `"Note: all is done"`,
		"Note:all is done":                  `"Note:all is done"`,
		"说明：已全部删除":                          `"说明：已全部删除"`,
		"PREVIEW. Nothing":                  `"PREVIEW. Nothing"`,
		"PREVIEW.":                          `"PREVIEW."`,
		"已删除。":                              `"已删除。"`,
		"Note: " + strings.Repeat("训练", 12): `"Note: 训练训练训练训…"`,
		"\xff: x":                           `"\xff: x"`,
		"":                                  `""`,
	} {
		var b strings.Builder
		text.WriteTable(&b, [][]string{{name, "ID"}, {"训练", "Note: x"}}, []int{24, 10})
		first, second, _ := strings.Cut(b.String(), "\n")
		if got, found := strings.CutSuffix(first, "  ID"); !found || strings.TrimRight(got, " ") != want {
			t.Errorf("%q begins the line %q, want %q", name, got, want)
		}
		if !strings.HasSuffix(second, "  Note: x\n") {
			t.Errorf("a second cell: %q", second)
		}
	}
}
