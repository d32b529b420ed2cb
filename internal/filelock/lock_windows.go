package filelock

import (
	"errors"
	"syscall"
)

// errSharingViolation is what opening a file gives that another process holds open without sharing it.
const errSharingViolation = syscall.Errno(32)

// try opens the lock file without sharing it, which one process at a time can do.
func try(path string) (release func(), busy bool, err error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, false, err
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS,
		syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharingViolation) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	return func() { _ = syscall.CloseHandle(handle) }, false, nil
}
