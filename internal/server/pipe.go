package server

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// pipe is stdin or stdout where another process has the other end, or the same one: whoever sets it to O_NONBLOCK sets it
// for all. Then a read without data, or a write without room, fails with EAGAIN, which is not the end.
type pipe struct {
	file *os.File
	fd   uintptr
	own  bool // file is one of reopen, and not the caller's
}

// retry is how long a pipe that cannot be waited for is left alone.
const retry = 10 * time.Millisecond

// inputOf returns in so that waiting for it costs as little as possible.
func inputOf(in io.Reader) io.Reader {
	if file, ok := in.(*os.File); ok {
		if opened := pollable(file, os.O_RDONLY); opened != nil {
			return opened
		}
	}
	return patientReader(in)
}

// outputOf returns out likewise.
func outputOf(out io.Writer) io.Writer {
	if file, ok := out.(*os.File); ok {
		if opened := pollable(file, os.O_WRONLY); opened != nil {
			return opened
		}
	}
	return patientWriter(out)
}

func patientReader(in io.Reader) io.Reader {
	if file, ok := in.(*os.File); ok {
		return &pipe{file: file, fd: file.Fd()}
	}
	return in
}

func patientWriter(out io.Writer) io.Writer {
	if file, ok := out.(*os.File); ok {
		return &pipe{file: file, fd: file.Fd()}
	}
	return out
}

// Read implements io.Reader.
func (p *pipe) Read(data []byte) (int, error) {
	for again := false; ; again = true {
		n, err := p.file.Read(data)
		if n > 0 || !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		p.reopen(again)
	}
}

// Write implements io.Writer.
func (p *pipe) Write(data []byte) (int, error) {
	written := 0
	for again := false; ; again = true {
		n, err := p.file.Write(data[written:])
		written += n
		if !errors.Is(err, syscall.EAGAIN) {
			return written, err
		}
		p.reopen(again && n == 0)
	}
}

// reopen makes a file that waits in Go's poller, as os.NewFile does for a descriptor that does not block. It has a descriptor
// of its own: a file closes its descriptor when it is collected, and by then the number may be that of another file. If no
// other descriptor is available, the file stays, and the next try comes after a while.
func (p *pipe) reopen(again bool) {
	if again { // the flag may have been taken back meanwhile
		<-time.After(retry)
	}
	fd, err := duplicate(p.fd)
	if err != nil {
		<-time.After(retry)
		return
	}
	before, own := p.file, p.own
	p.file, p.own = os.NewFile(fd, before.Name()), true
	if own {
		_ = before.Close()
	}
}
