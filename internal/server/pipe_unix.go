//go:build unix

package server

import "syscall"

// duplicate returns another descriptor of the same pipe, which no program that is started inherits.
func duplicate(fd uintptr) (uintptr, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	other, err := syscall.Dup(int(fd))
	if err == nil {
		syscall.CloseOnExec(other)
	}
	return uintptr(other), err
}
