package cli

import (
	"fmt"
	"html"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/text/width"

	"github.com/scnet-mcp/scnet-mcp/internal/golden"
)

// passing are the parts of an output that differ each time, and what stands for them.
var passing = map[*regexp.Regexp]string{
	regexp.MustCompile(`\bpn[a-z0-9]{12,}`):                  "pnc5gavivn4x",
	regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`):     "2026-11-24 12:00:00",
	regexp.MustCompile(`(?m)^scnet-mcp (devel|v?[0-9]\S*)$`): "scnet-mcp",
}

// TestPictures keeps the pictures of the pages equal to what the program prints and sends.
func TestPictures(t *testing.T) {
	for language, ending := range map[string]string{"en": "", "zh": ".zh-CN"} {
		t.Setenv("SCNET_MCP_LANG", language)
		deletion := []string{"call", "delete_instances", "--demo", "instance_ids=d3e0702e9389426cbc9cb86cdc548a54"}
		code, preview, notice := run(t, nil, "", deletion...)
		if code != 3 {
			t.Fatalf("exit status %d: %s", code, notice)
		}
		asked, answered := firstUse(t, program(t), language)
		for name, shown := range map[string]struct{ first, output string }{
			"preview":   {"$ scnet-mcp " + strings.Join(deletion, " "), preview + notice},
			"demo":      {"$ scnet-mcp demo", execute(t, program(t), "demo")},
			"first-use": {asked, answered},
		} {
			output := strings.TrimRight(shown.output, "\n")
			for pattern, constant := range passing {
				output = pattern.ReplaceAllString(output, constant)
			}
			golden.Check(t, filepath.Join("..", "..", "docs", "images", name+ending+".svg"), picture(shown.first, output))
		}
	}
}

const (
	pictureColumns = 128
	cellWidth      = 8
	lineHeight     = 18
	margin         = 16
)

// picture draws a terminal. Each run of narrow and of wide characters is stretched to its cells, so that columns stand below
// one another in any font.
func picture(first, output string) string {
	lines := []string{first}
	for line := range strings.SplitSeq(output, "\n") {
		lines = append(lines, wrapped(line)...)
	}
	var b strings.Builder
	wide, high := pictureColumns*cellWidth+2*margin, len(lines)*lineHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", wide, high, wide, high)
	b.WriteString(`<rect width="100%" height="100%" rx="8" fill="#161b22"/>` + "\n" +
		`<g fill="#e6edf3" font-size="13" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'Noto Sans Mono CJK SC','PingFang SC','Microsoft YaHei',monospace">` + "\n")
	for i, line := range lines {
		style := ""
		if i == 0 || strings.HasPrefix(line, speaker) {
			style = ` fill="#7ee787" font-weight="bold"`
		}
		column := 0
		for _, part := range runsOfWidth(line) {
			cells := columns(part)
			if strings.TrimSpace(part) != "" {
				fmt.Fprintf(&b, `<text x="%d" y="%d" textLength="%d" lengthAdjust="spacingAndGlyphs" xml:space="preserve"%s>%s</text>`+"\n",
					margin+column*cellWidth, margin+i*lineHeight+13, cells*cellWidth, style, html.EscapeString(part))
			}
			column += cells
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

func isWide(r rune) bool {
	kind := width.LookupRune(r).Kind()
	return kind == width.EastAsianWide || kind == width.EastAsianFullwidth
}

func columns(s string) (n int) {
	for _, r := range s {
		if n++; isWide(r) {
			n++
		}
	}
	return n
}

// runsOfWidth splits a line where narrow characters meet wide ones, and at wider gaps.
func runsOfWidth(line string) (runs []string) {
	begin, last := 0, ' '
	for i, r := range line {
		if i > begin && (isWide(r) != isWide(last) || (r == ' ') != (last == ' ') && strings.TrimSpace(line[begin:i]) == "") {
			runs = append(runs, line[begin:i])
			begin = i
		}
		last = r
	}
	return append(runs, line[begin:])
}

// wrapped breaks a line as a terminal does.
func wrapped(line string) (lines []string) {
	var b strings.Builder
	at := 0
	for _, r := range line {
		cells := columns(string(r))
		if at+cells > pictureColumns {
			lines = append(lines, b.String())
			b.Reset()
			at = 0
		}
		b.WriteRune(r)
		at += cells
	}
	return append(lines, b.String())
}
