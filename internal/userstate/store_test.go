package userstate_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/userstate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var subject = guard.Subject{Tool: "delete_instances", Caller: "local"}

// process is one process of the user's.
type process struct {
	tokens *guard.Tokens
	budget *guard.Budget
	store  *userstate.Store
}

func start(t *testing.T, folder string, now func() time.Time) process {
	t.Helper()
	store := userstate.New(func() (string, error) { return folder, nil }, now)
	tokens, err := guard.NewTokens(nil, store, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return process{tokens, guard.NewLedger(store, now).Budget("local", 10), store}
}

func (p process) issue(t *testing.T) string {
	t.Helper()
	token, _, err := p.tokens.Issue(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func place(t *testing.T) string { return filepath.Join(t.TempDir(), "state", "scnet-mcp") }

// What one process issues another one redeems, once, and a no to one is a no to all.
func TestTokensHoldAcrossProcesses(t *testing.T) {
	folder := place(t)
	token := start(t, folder, time.Now).issue(t)
	if err := start(t, folder, time.Now).tokens.Redeem(t.Context(), token, subject); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := start(t, folder, time.Now).tokens.Redeem(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUsed) {
			t.Errorf("used twice: %v", err)
		}
	}
	declined := start(t, folder, time.Now).issue(t)
	if err := start(t, folder, time.Now).tokens.Burn(t.Context(), declined); err != nil {
		t.Error(err)
	}
	if err := start(t, folder, time.Now).tokens.Check(t.Context(), declined, subject); !errors.Is(err, guard.ErrTokenUsed) {
		t.Errorf("declined: %v", err)
	}
}

func TestTheBudgetIsOne(t *testing.T) {
	folder := place(t)
	for range 5 {
		if _, err := start(t, folder, time.Now).budget.Take(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	}
	var refusal *guard.Refusal
	if _, err := start(t, folder, time.Now).budget.Take(t.Context(), 1); !errors.As(err, &refusal) {
		t.Errorf("%v", err)
	}
}

func TestOnlyTheOwnerCanReadIt(t *testing.T) {
	folder := place(t)
	_ = start(t, folder, time.Now).issue(t)
	for path, want := range map[string]fs.FileMode{folder: 0o700 | fs.ModeDir, filepath.Join(folder, "consent.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// A file that cannot be used is not replaced: what it remembers would be lost.
func TestAFileThatCannotBeUsed(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"cut":      func(path string) error { return os.Truncate(path, 20) },
		"empty":    func(path string) error { return os.Truncate(path, 0) },
		"open":     func(path string) error { return os.Chmod(path, 0o644) },
		"too long": func(path string) error { return os.Truncate(path, 5<<20) },
		"a link": func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := place(t)
			token := start(t, folder, time.Now).issue(t)
			path := filepath.Join(folder, "consent.json")
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			p := start(t, folder, time.Now)
			if err := p.tokens.Redeem(t.Context(), token, subject); !errors.Is(err, guard.ErrTokenUnchecked) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
			var refusal *guard.Refusal
			if _, err := p.budget.Take(t.Context(), 1); !errors.As(err, &refusal) || !refusal.Temporary {
				t.Errorf("%v", err)
			}
		})
	}
}

// Without a place to write to a process remembers for itself, and says so once.
func TestAFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	ctx := zerolog.New(&log).WithContext(t.Context())
	p := start(t, filepath.Join(file, "scnet-mcp"), time.Now)
	token, _, err := p.tokens.Issue(ctx, subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.tokens.Redeem(ctx, token, subject); err != nil {
		t.Error(err)
	}
	if err := p.tokens.Redeem(ctx, token, subject); !errors.Is(err, guard.ErrTokenUsed) {
		t.Errorf("%v", err)
	}
	receipt, err := p.budget.Take(ctx, 10)
	if err != nil || p.budget.Return(ctx, receipt, 1) != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "hold for this process only"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
}

// A removed file, or a clock that went back behind what was forgotten, ends every token.
func TestTokensDoNotOutliveTheMemoryOfThem(t *testing.T) {
	folder, now := place(t), time.Now()
	clock := func() time.Time { return now }
	token := start(t, folder, clock).issue(t)
	if err := start(t, folder, clock).tokens.Redeem(t.Context(), token, subject); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	later := start(t, folder, clock).issue(t)
	if err := start(t, folder, clock).tokens.Burn(t.Context(), later); err != nil { // writes, and forgets what is over
		t.Error(err)
	}
	now = now.Add(-time.Hour)
	if err := start(t, folder, clock).tokens.Redeem(t.Context(), token, subject); err == nil {
		t.Error("a used token holds again after a jump")
	}
	token = start(t, folder, clock).issue(t)
	if err := os.Remove(filepath.Join(folder, "consent.json")); err != nil {
		t.Fatal(err)
	}
	if err := start(t, folder, clock).tokens.Redeem(t.Context(), token, subject); err == nil {
		t.Error("a token holds although its memory was removed")
	}
}

// The file stays small: what is over is dropped.
func TestWhatIsOverIsForgotten(t *testing.T) {
	folder, now := place(t), time.Now()
	p := start(t, folder, func() time.Time { return now })
	for i := range 40 {
		if err := p.tokens.Burn(t.Context(), p.issue(t)); err != nil {
			t.Fatal(err)
		}
		if now = now.Add(time.Minute); i < 20 {
			continue
		}
		if info, err := os.Stat(filepath.Join(folder, "consent.json")); err != nil || info.Size() > 1000 {
			t.Fatalf("after %d: %d bytes, %v", i, info.Size(), err)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 { // and the lock
		t.Errorf("%v, %v", entries, err)
	}
}

func TestFull(t *testing.T) {
	p := start(t, place(t), time.Now)
	huge := func([]byte) ([]byte, error) { return make([]byte, 5<<20), nil }
	if err := p.store.Update(t.Context(), "a", time.Hour, huge); err == nil {
		t.Error("more is written than can be read again")
	}
	if _, err := p.budget.Take(t.Context(), 1); err != nil {
		t.Errorf("what there was is lost: %v", err)
	}
}
