package tools

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/scnet"
)

func TestStatusWords(t *testing.T) {
	seen := map[string]bool{}
	for status, words := range statusWords {
		for _, word := range append(words, string(status), strings.ToUpper(string(status))) {
			if got, err := parseStatus(" " + word + " "); err != nil || got != status {
				t.Errorf("%q is %q, %v; want %s", word, got, err, status)
			}
			if seen[word] {
				t.Errorf("%q has two meanings", word)
			}
			seen[word] = true
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("已停止")
	f.Add("idle")
	f.Fuzz(func(t *testing.T, word string) {
		status, err := parseStatus(word)
		if _, documented := scnet.ParseStatus(string(status)); err == nil && !documented || err != nil && len(err.Error()) > 600 {
			t.Errorf("%q is %q, %v", word, status, err)
		}
	})
}
