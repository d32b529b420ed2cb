package guard_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

func keyFile(t testing.TB, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadKey(t *testing.T) {
	good := strings.Repeat("k", 32)
	key, err := guard.ReadKey(keyFile(t, good, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, ending := range []string{"\n", "\r\n"} {
		if same, err := guard.ReadKey(keyFile(t, good+ending, 0o400)); err != nil || !bytes.Equal(key, same) {
			t.Errorf("with %q at its end: %v", ending, err)
		}
	}
	if other, err := guard.ReadKey(keyFile(t, good+"k", 0o600)); err != nil || bytes.Equal(key, other) {
		t.Errorf("another content: %v", err)
	}
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"missing":       {filepath.Join(t.TempDir(), "key"), "no such file"},
		"empty":         {keyFile(t, "", 0o600), "head -c 32 /dev/urandom | base64 > FILE"},
		"short":         {keyFile(t, good[1:]+"\n", 0o600), "at least 32 random bytes"},
		"large":         {keyFile(t, strings.Repeat("k", 4<<10+1), 0o600), "at most 4096 bytes"},
		"a folder":      {t.TempDir(), "not a regular file of at most"},
		"for the group": {keyFile(t, good, 0o640), "chmod 600"},
		"for others":    {keyFile(t, good, 0o604), "chmod 600"},
	} {
		if runtime.GOOS == "windows" && (strings.HasPrefix(name, "for ") || name == "missing") {
			continue
		}
		key, err := guard.ReadKey(c.path)
		if err == nil || key != nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "kkk") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := guard.NewTokens([]byte(good[1:]), guard.NewMemory(time.Now), time.Now); err == nil {
		t.Error("a key of 31 bytes is accepted")
	}
}

func FuzzReadKey(f *testing.F) {
	for _, seed := range []string{"", "\n", strings.Repeat("k", 32), strings.Repeat("\r\n", 40), strings.Repeat("k", 31) + "\n\n"} {
		f.Add([]byte(seed))
	}
	path := keyFile(f, "", 0o600)
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := guard.ReadKey(path)
		fits := len(bytes.TrimRight(content, "\r\n")) >= 32 && len(content) <= 4<<10
		if fits != (err == nil) || fits != (len(key) == 32) {
			t.Errorf("%q: %v", content, err)
		}
	})
}
