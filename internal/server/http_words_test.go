package server

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	for name, words := range map[string][]string{"rules": Rules(), "routes": Routes(), "kinds of streams": StreamKinds()} {
		if slices.Sort(words); len(words) == 0 || words[0] == "" || len(slices.Compact(words)) != len(words) {
			t.Errorf("%s: %q", name, words)
		}
	}
}
