package cli

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"
)

// newLog returns a logger that never waits for its reader: a host that does not drain stderr would otherwise stop the
// server after 64 KiB. Lines that find no room are dropped. flush waits a moment for the rest.
func newLog(stderr io.Writer, level string) (log zerolog.Logger, flush func()) {
	const lines = 1000
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		parsed = zerolog.WarnLevel
	}
	sink := stderr
	if file, ok := stderr.(*os.File); ok && isTerminal(file) {
		sink = zerolog.ConsoleWriter{Out: stderr, TimeFormat: time.TimeOnly}
	}
	writer := diode.NewWriter(sink, lines, 0, func(int) {})
	return zerolog.New(writer).Level(parsed).With().Timestamp().Logger(), func() {
		done := make(chan struct{})
		go func() {
			_ = writer.Close()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func isTerminal(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) // /dev/null is a character device too, but nobody sits there
}
