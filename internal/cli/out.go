package cli

import (
	"errors"
	"io"
	"syscall"
)

// clientPipe is stdout as it is: a server has to hear that its client has gone.
type clientPipe struct{ io.Writer }

// reader is stdout for every other command: its reader may stop early, as head does. The command still runs to its end,
// because its exit status tells what it did.
type reader struct{ out io.Writer }

func (r reader) Write(p []byte) (int, error) {
	n, err := r.out.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		return len(p), nil
	}
	return n, err
}
