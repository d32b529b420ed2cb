package callers_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// bookEntry is one caller of a file.
type bookEntry struct {
	Name       string `json:"name"`
	Digest     string `json:"token_sha256"`
	ReadOnly   bool   `json:"read_only,omitempty"`
	MaxTargets int    `json:"max_targets,omitempty"`
}

func writeBook(t *testing.T, path string, entries ...bookEntry) {
	t.Helper()
	content, err := json.Marshal(map[string][]bookEntry{"callers": entries})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	annToken, ann := callers.NewToken()
	benToken, ben := callers.NewToken()
	writeBook(t, path, bookEntry{Name: "ann", Digest: ann}, bookEntry{Name: "ben", Digest: ben, ReadOnly: true})
	made := map[string]int{}
	book, err := callers.OpenBook(path, callers.Known{}, func(c callers.Caller, _ guard.Live) *string {
		made[c.Name]++
		return &c.Name
	})
	if err != nil {
		t.Fatal(err)
	}
	find := func(token string) *string {
		t.Helper()
		_, kept, ok := book.Find(token)
		if ok != (kept != nil) {
			t.Errorf("found %v, %v", kept, ok)
		}
		return kept
	}
	first, second := find(annToken), find(benToken)
	if first == nil || *first != "ann" || second == nil || *second != "ben" {
		t.Fatal(first, second)
	}
	if find("") != nil || find(annToken+"x") != nil || book.Holds(nil) {
		t.Error("a token of nobody finds somebody")
	}

	if writeBook(t, path, bookEntry{Name: "ann", Digest: "short"}); book.Reload() == nil {
		t.Error("a wrong file is read")
	}
	if !book.Holds(first) || find(annToken) != first {
		t.Error("a wrong file has changed something")
	}

	writeBook(t, path, bookEntry{Name: "ann", Digest: ann}, bookEntry{Name: "ben", Digest: ben, MaxTargets: 2})
	if err := book.Reload(); err != nil {
		t.Fatal(err)
	}
	if !book.Holds(first) || find(annToken) != first || made["ann"] != 1 {
		t.Error("a caller of whom nothing has changed is made anew")
	}
	if book.Holds(second) || find(benToken) == second || made["ben"] != 2 {
		t.Error("a caller who has changed is as before")
	}

	writeBook(t, path, bookEntry{Name: "ben", Digest: ann})
	if err := book.Reload(); err != nil {
		t.Fatal(err)
	}
	if moved := find(annToken); book.Holds(first) || moved == nil || *moved != "ben" {
		t.Error("after a removal the caller is still there")
	}
}

func TestBookReadAndSearchedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	token, digest := callers.NewToken()
	writeBook(t, path, bookEntry{Name: "ann", Digest: digest})
	book, err := callers.OpenBook(path, callers.Known{}, func(c callers.Caller, _ guard.Live) *string { return &c.Name })
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 50 {
				if err := book.Reload(); err != nil {
					t.Error(err)
				}
				if _, kept, ok := book.Find(token); !ok || *kept != "ann" {
					t.Errorf("%v, %v", kept, ok)
				}
			}
		})
	}
	work.Wait()
}
