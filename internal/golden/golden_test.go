package golden_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/golden"
)

// failing is a test that may fail.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		"a\nb\n": "", "a\nc\n": "line 2:\n got c\nwant b\n", "a\nb": "line 3:\n got (no such line)\nwant \n",
		"a\nb\n\n": "line 4:\n got \nwant (no such line)\n",
	} {
		f := &failing{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			golden.Check(f, file, got)
		}()
		<-done
		if (want == "") != (f.said == "") || !strings.Contains(f.said, want) {
			t.Errorf("%q: %s", got, f.said)
		}
	}
}
