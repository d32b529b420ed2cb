package audit

import (
	"path/filepath"
	"runtime"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// DefaultPath returns where the log of this user belongs: $XDG_STATE_HOME/scnet-mcp/audit.jsonl, by default under
// ~/.local/state or, on macOS, ~/Library/Application Support; on Windows under %LocalAppData%. A relative
// XDG_STATE_HOME is ignored, as its specification demands.
func DefaultPath(env func(string) (string, bool)) (string, error) {
	return defaultPath(runtime.GOOS, env)
}

func defaultPath(system string, env func(string) (string, bool)) (string, error) {
	folder, err := stateFolder(system, env)
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, "scnet-mcp", "audit.jsonl"), nil
}

func stateFolder(system string, env func(string) (string, bool)) (string, error) {
	if system == "windows" {
		if folder, _ := env("LocalAppData"); folder != "" {
			return folder, nil
		}
		return "", lang.Errorf("there is no place for the audit log: %%LocalAppData%% is not set")
	}
	if folder, _ := env("XDG_STATE_HOME"); filepath.IsAbs(folder) {
		return folder, nil
	}
	home, _ := env("HOME")
	switch {
	case !filepath.IsAbs(home):
		return "", lang.Errorf("there is no place for the audit log: neither XDG_STATE_HOME nor HOME is an absolute path")
	case system == "darwin":
		return filepath.Join(home, "Library", "Application Support"), nil // not said to people
	default:
		return filepath.Join(home, ".local", "state"), nil
	}
}

// attemptsPath is where the attempts of the log at path are.
func attemptsPath(path string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-attempts" + ext
}
