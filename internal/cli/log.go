package cli

import (
	"io"
	stdlog "log"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"
)

// quietStandardLog makes the process-wide logger of the standard library speak through log, at debug and without its words:
// net/http prints there the beginning of what a server sends unasked, which may hold anything.
func quietStandardLog(log zerolog.Logger) {
	stdlog.SetFlags(0)
	stdlog.SetOutput(logLines(func(line []byte) {
		log.Debug().Int("bytes", len(line)).Msg("a library logged something, which is not shown: it may hold what a server sent")
	}))
}

// logLines is a Writer that gets one line at a time.
type logLines func(line []byte)

func (w logLines) Write(line []byte) (int, error) {
	w(line)
	return len(line), nil
}

// newLog returns a logger that never waits for its reader: a host that does not drain stderr would otherwise stop the
// server after 64 KiB. Lines that find no room are dropped. flush waits a moment for the rest.
func newLog(stderr io.Writer, level, format string) (log zerolog.Logger, flush func()) {
	const lines = 1000
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		parsed = zerolog.WarnLevel
	}
	file, isFile := stderr.(*os.File)
	atTerminal := isFile && isTerminal(file)
	sink := stderr
	if format == "console" || format == "auto" && atTerminal {
		sink = zerolog.ConsoleWriter{Out: stderr, TimeFormat: time.TimeOnly, NoColor: !atTerminal}
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
