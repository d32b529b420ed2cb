package callers_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
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
		".":      "is not a regular file",
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
			t.Errorf("%o: no fix in %v", mode, err)
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

// A named pipe in place of the file must not hold up this reading, nor a later one.
func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	write(t, path, file(entry("a")), 0o600)
	f, err := callers.Open(path, known)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	makePipe(t, path)
	if err := f.Reload(); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("%v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, file(entry("b")), 0o600)
	if err := f.Reload(); err != nil || !finds(f, "b") {
		t.Errorf("after the pipe: %v", err)
	}
}

// The policy of a caller is the one that the file says now, and there is none for a token that is not in it any more.
func TestLive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	write(t, path, file(entry("a"), entry("b")), 0o600)
	f, err := callers.Open(path, known)
	if err != nil {
		t.Fatal(err)
	}
	live := f.Live("a", callers.Digest("token of a"))
	if p, err := live(); err != nil || p.ReadOnly || p.Caller != "a" {
		t.Errorf("%+v, %v", p, err)
	}
	write(t, path, file(entry("a", `"read_only":true`)), 0o600)
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if p, err := live(); err != nil || !p.ReadOnly {
		t.Errorf("after the change: %+v, %v", p, err)
	}
	for text, want := range map[string]string{
		string(file(`{"name":"a","token_sha256":"` + callers.Digest("another") + `"}`)): "the token of caller a has been replaced",
		string(file(entry("b"))): "caller a has been removed",
	} {
		write(t, path, []byte(text), 0o600)
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		var refusal *guard.Refusal
		if _, err := live(); !errors.As(err, &refusal) || refusal.Rule != guard.CallerRule || refusal.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
