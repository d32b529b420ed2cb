//go:build unix

package server

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// blocking returns the ends of a pipe as a program inherits them: not in Go's poller.
func blocking(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})
	return r, w
}

// A file that is collected closes its descriptor. The caller's must not be among those: by then the number may be that of an
// audit log.
func TestReopenedPipesLeaveTheDescriptor(t *testing.T) {
	r, w := blocking(t)
	for _, p := range []*pipe{patientReader(r).(*pipe), patientWriter(w).(*pipe)} {
		fd := p.fd
		for range 3 {
			p.reopen(false)
		}
		collected := make(chan struct{})
		for range 2 { // what the first finds unreachable, its cleanups close before the second one's
			runtime.AddCleanup(new([64]byte), func(c chan struct{}) { c <- struct{}{} }, collected)
			runtime.GC()
			<-collected
		}
		var state syscall.Stat_t
		if err := syscall.Fstat(int(fd), &state); err != nil {
			t.Errorf("the descriptor was closed: %v", err)
		}
	}
}

// Another process may set a pipe that it shares to O_NONBLOCK at any time, and the server must not do that to it.
func TestNonblockingPipes(t *testing.T) {
	opened := func(in, out *os.File) (io.Reader, io.Writer) { return in, out }
	asTheyAre := func(in, out *os.File) (io.Reader, io.Writer) { return patientReader(in), patientWriter(out) }
	t.Run("blocking", func(t *testing.T) { serveOverPipes(t, false, opened) })
	t.Run("not blocking", func(t *testing.T) { serveOverPipes(t, true, opened) })
	t.Run("not blocking and not opened anew", func(t *testing.T) { serveOverPipes(t, true, asTheyAre) })
}

func serveOverPipes(t *testing.T, nonblocking bool, as func(in, out *os.File) (io.Reader, io.Writer)) {
	inReader, inWriter := blocking(t)
	outReader, outWriter := blocking(t)
	if nonblocking {
		for _, f := range []*os.File{inReader, outWriter} {
			if err := syscall.SetNonblock(int(f.Fd()), true); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := inReader.Read(make([]byte, 1)); !errors.Is(err, syscall.EAGAIN) {
			t.Fatalf("the pipe is not one that fails: %v", err)
		}
	}
	served := make(chan error, 1)
	in, out := as(inReader, outWriter)
	go func() { served <- newFakes().newServer(io.Discard).ServeStdio(t.Context(), in, out, DefaultGrace) }()
	const n = 300_000 // more than a pipe holds
	if _, err := io.WriteString(inWriter, call("1", "huge", `{"n":300000}`)+ping("2")); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buffer := make([]byte, 64<<10)
	for bytes.Count(got, []byte("\n")) < 2 {
		k, err := outReader.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buffer[:k]...)
	}
	if len(got) < n {
		t.Errorf("%d bytes", len(got))
	}
	for line := range bytes.Lines(got) {
		if r := parse(t, line); r.code() != 0 {
			t.Error(r.line)
		}
	}
	for _, f := range []*os.File{inReader, outWriter} {
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
		if got := flags&syscall.O_NONBLOCK != 0; got != nonblocking {
			t.Errorf("O_NONBLOCK of %s is %v, and was %v", f.Name(), got, nonblocking)
		}
	}
	_ = inWriter.Close()
	if err := receive(t, served); err != nil {
		t.Error(err)
	}
}

// A client that goes away is an error of the write, as it is over a descriptor that blocks.
func TestClosedPipes(t *testing.T) {
	inReader, inWriter := blocking(t)
	outReader, outWriter := blocking(t)
	served := make(chan error, 1)
	go func() {
		served <- newFakes().newServer(io.Discard).ServeStdio(t.Context(), inReader, outWriter, DefaultGrace)
	}()
	if err := outReader.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(inWriter, ping("1")); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, served); !errors.Is(err, ErrOutputClosed) {
		t.Error(err)
	}
}
