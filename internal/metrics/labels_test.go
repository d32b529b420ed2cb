package metrics

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// text returns the Go files of a folder, without tests.
func text(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

// The words of other rooms are no exported lists, so they are read from the text of those rooms: one that were missing here
// would be counted as other.
func TestWordsOfOtherRooms(t *testing.T) {
	const server = "../server"
	for name, c := range map[string]struct {
		folder, pattern string
		known           closed
		least           int // matches; fewer mean that the pattern no longer fits
	}{
		"HTTP rules": {server, `\.refused\([^,]+, "([^"]+)"`, rules, 5},
		"routes":     {server, `\.handle\("(/[^"]+)"`, routes, 3},
		"streams":    {server, `\.openStream\(.+, "([^"]+)"\)`, kinds, 1},
	} {
		found := regexp.MustCompile(c.pattern).FindAllStringSubmatch(text(t, c.folder), -1)
		if len(found) < c.least {
			t.Errorf("%s: found only %q; the pattern no longer fits the text", name, found)
		}
		for _, match := range found {
			if !c.known[match[1]] {
				t.Errorf("%s: %q is not in the list", name, match[1])
			}
		}
	}
}

func TestClosed(t *testing.T) {
	set := newClosed("a", "b")
	for value, want := range map[string]string{"a": "a", "b": "b", "A": other, "": other, "a ": other, other: other} {
		if got := set.label(value); got != want {
			t.Errorf("label(%q) = %q, want %q", value, got, want)
		}
	}
}
