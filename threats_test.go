package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The threat model claims nothing that no test shows: every row of its tables names tests, which exist, and both languages name
// the same.
func TestThreatModel(t *testing.T) {
	var named [][]string
	for _, page := range []string{"docs/threat-model.md", "docs/zh-CN/threat-model.md"} {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var tests []string
		for row := range strings.Lines(string(content)) {
			cells := strings.Split(row, "|")
			if len(cells) != 5 || strings.Contains(cells[1], "---") || slices.Contains([]string{" Shown by ", " 由此证明 "}, cells[3]) {
				continue
			}
			found := regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(cells[3], -1)
			if len(found) == 0 {
				t.Errorf("%s: no test shows %s", page, strings.TrimSpace(cells[2]))
			}
			for _, each := range found {
				tests = append(tests, each[0])
				if !declares(t, each[1], each[2]) {
					t.Errorf("%s: %s is not there", page, each[0])
				}
			}
		}
		named = append(named, tests)
	}
	if len(named[0]) < 50 || !slices.Equal(named[0], named[1]) {
		t.Errorf("the pages name different tests:\n%q\n%q", named[0], named[1])
	}
}

// declares reports whether a test file of a folder declares a function.
func declares(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		content, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(content), "\nfunc "+name+"(")
	})
}
