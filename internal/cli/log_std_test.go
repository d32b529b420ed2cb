package cli

import (
	"bytes"
	stdlog "log"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// net/http prints the beginning of what a server sends unasked with the logger of the process, past level and redaction.
func TestStandardLogShowsNoBytes(t *testing.T) {
	flags, out := stdlog.Flags(), stdlog.Writer()
	defer func() {
		stdlog.SetFlags(flags)
		stdlog.SetOutput(out)
	}()
	for level, want := range map[zerolog.Level]int{zerolog.DebugLevel: 1, zerolog.InfoLevel: 0} {
		var lines bytes.Buffer
		quietStandardLog(zerolog.New(&lines).Level(level))
		stdlog.Printf("Unsolicited response received on idle HTTP channel starting with %q", "a-secret-of-the-service")
		if n := strings.Count(lines.String(), "\n"); n != want || strings.Contains(lines.String(), "a-secret") {
			t.Errorf("%s: %s", level, lines.String())
		}
	}
}
