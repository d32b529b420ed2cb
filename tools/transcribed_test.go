package tools_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// transcribed is one answer in the golden files, which TestTranscripts and the server's TestConversations keep equal to what
// the tools answer.
type transcribed struct {
	file, call string
	kind       string // result, error or question
	text       string
	data       map[string]any // of most results
}

// transcripts are all answers in the golden files.
func transcripts(t *testing.T) (answers []transcribed) {
	t.Helper()
	for _, pattern := range []string{transcriptFolder + "/*.txt", "../internal/server/testdata/conversations/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range strings.Split("\n"+string(content), "\n=== ")[1:] {
				if a, ok := transcribedCall(t, call); ok {
					a.file = filepath.Base(file)
					answers = append(answers, a)
				}
			}
		}
	}
	return answers
}

// transcribedCall reads one call of a golden file. What users and models say is not one.
func transcribedCall(t *testing.T, call string) (a transcribed, ok bool) {
	t.Helper()
	parts := strings.Split(call, "\n--- ")
	if len(parts) == 1 {
		return a, false
	}
	a.call = parts[0]
	a.kind, a.text, _ = strings.Cut(parts[1], "\n")
	a.kind, _, _ = strings.Cut(a.kind, " ") // a question says more there
	for _, part := range parts[2:] {
		if encoded, found := strings.CutPrefix(part, "structured\n"); found {
			if err := json.Unmarshal([]byte(encoded), &a.data); err != nil {
				t.Fatalf("%s: %v", a.call, err)
			}
		}
	}
	return a, true
}

// walkData calls visit for every value in data that is not an object or a list, with the path to it and the object that it
// is in.
func walkData(data map[string]any, path string, visit func(path, field string, value any, in map[string]any)) {
	for field, value := range data {
		var walk func(path string, value any)
		walk = func(path string, value any) {
			switch v := value.(type) {
			case map[string]any:
				walkData(v, path, visit)
			case []any:
				for _, element := range v {
					walk(path+"[]", element)
				}
			default:
				visit(path, field, v, data)
			}
		}
		walk(path+"."+field, value)
	}
}
