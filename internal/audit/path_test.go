package audit

import (
	"path/filepath"
	"testing"
)

func TestDefaultPath(t *testing.T) {
	for name, test := range map[string]struct {
		system string
		env    map[string]string
		want   string // "" for an error
	}{
		"linux":        {"linux", map[string]string{"HOME": "/home/a"}, "/home/a/.local/state/scnet-mcp/audit.jsonl"},
		"xdg":          {"linux", map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, "/s/scnet-mcp/audit.jsonl"},
		"relative xdg": {"linux", map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "s"}, "/home/a/.local/state/scnet-mcp/audit.jsonl"},
		"macOS":        {"darwin", map[string]string{"HOME": "/Users/a"}, "/Users/a/Library/Application Support/scnet-mcp/audit.jsonl"},
		"windows":      {"windows", map[string]string{"LocalAppData": "/c/a"}, "/c/a/scnet-mcp/audit.jsonl"},
		"no home":      {"linux", nil, ""},
		"no app data":  {"windows", map[string]string{"HOME": "/home/a"}, ""},
	} {
		got, err := defaultPath(test.system, func(key string) (string, bool) { value, found := test.env[key]; return value, found })
		if filepath.ToSlash(got) != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
