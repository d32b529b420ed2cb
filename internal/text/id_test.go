package text_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

var idForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func FuzzIsID(f *testing.F) {
	for _, seed := range []string{
		"", "a", "Z9_-", strings.Repeat("a", 128), strings.Repeat("a", 129), "a b", "a.b", "a\n", "é", "a字b", "\xff", "a/..", "`", "[", "@", "{", ":",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if got := text.IsID(in); got != idForm.MatchString(in) {
			t.Errorf("%q: %v", in, got)
		}
	})
}
