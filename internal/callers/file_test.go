package callers_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
)

func write(t *testing.T, path string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func finds(f *callers.File, name string) bool {
	_, found := f.Table().Find("token of " + name)
	return found
}

func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	write(t, path, file(entry("old")), 0o644)
	f, err := callers.Open(path, known)
	if err != nil {
		t.Fatal(err)
	}
	before := f.Table()
	if !finds(f, "old") {
		t.Fatal("old is not found")
	}

	for name, spoil := range map[string]func(){
		"half a file": func() { write(t, path, file(entry("new"))[:40], 0o644) },
		"wrong":       func() { write(t, path, file(entry("new"), entry("new")), 0o644) },
		"gone":        func() { _ = os.Remove(path) },
	} {
		spoil()
		err := f.Reload()
		if err == nil || !strings.Contains(err.Error(), "the callers stay as they were: ") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if f.Table() != before {
			t.Errorf("%s: the table has changed", name)
		}
	}

	write(t, path, file(entry("new")), 0o644)
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if finds(f, "old") || !finds(f, "new") {
		t.Error("the new file is not in force")
	}
	if _, found := before.Find("token of old"); !found {
		t.Error("a table that is in use has changed")
	}
}

func TestReloadWhileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	write(t, path, file(entry("a"), entry("b")), 0o600)
	f, err := callers.Open(path, known)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if err := f.Reload(); err != nil {
					t.Error(err)
				}
				if !finds(f, "b") {
					t.Error("b is not found")
				}
			}
		})
	}
	all.Wait()
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("wrong"), file(entry("a", `"colour":"red"`)), 0o600)
	write(t, at("large"), append(file(entry("a")), make([]byte, 2<<20)...), 0o600)
	for name, want := range map[string]string{
		"absent": "the callers file cannot be used: open ",
		"wrong":  at("wrong") + ":\ncallers[0]: there is no field \"colour\"",
		"large":  "larger than 1048576 bytes",
		".":      "is no regular file",
	} {
		f, err := callers.Open(at(name), known)
		if f != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	path := filepath.Join(t.TempDir(), "callers.json")
	for mode, safe := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o644: true, 0o640: true, 0o444: true,
		0o660: false, 0o664: false, 0o602: false, 0o620: false, 0o666: false,
	} {
		_ = os.Remove(path)
		write(t, path, file(entry("a")), mode)
		_, err := callers.Open(path, known)
		if (err == nil) != safe {
			t.Errorf("%o: %v", mode, err)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod go-w "+path) {
			t.Errorf("%o: no mend in %v", mode, err)
		}
	}
}

// TestLinkedFile reads through a link, as Kubernetes mounts a secret.
func TestLinkedFile(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "callers.json")
	write(t, real, file(entry("a")), 0o644)
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	f, err := callers.Open(link, known)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(real, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); (err == nil) != (runtime.GOOS == "windows") {
		t.Errorf("a file behind a link that others may write: %v", err)
	}
}
