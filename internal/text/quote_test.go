package text_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// Nothing hides behind blanks, or at the end of a long line.
func TestExcerptHidesNothing(t *testing.T) {
	for name, script := range map[string]string{
		"behind blanks":      "echo ok" + strings.Repeat(" ", 3000) + "; rm -rf /data\n",
		"behind tabs":        "echo ok" + strings.Repeat("\t", 3000) + "; rm -rf /data\n",
		"behind wide blanks": "echo ok" + strings.Repeat("\u3000", 3000) + "; rm -rf /data\n",
		"at the end":         "echo " + strings.Repeat("x", 400) + "; rm -rf /data",
	} {
		if got := text.Excerpt(script).String(); !strings.Contains(got, "; rm -rf /data") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	if got := text.Excerpt(strings.Repeat("date\n", 20)).String(); !strings.HasSuffix(got, "\n(8 more lines)") {
		t.Errorf("%s", got)
	}
}
