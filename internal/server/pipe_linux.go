package server

import (
	"os"
	"strconv"
	"syscall"
)

// pollable returns the pipe of file as a file that waits in Go's poller; nil if it is not a pipe or cannot be opened. It is
// opened anew: O_NONBLOCK on the descriptor itself would hold for every process that has it. A read that blocks takes its
// thread out of the scheduler for each message instead, which costs a sixth of a call.
func pollable(file *os.File, flag int) *os.File {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil
	}
	opened, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(file.Fd())), flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	return opened
}
