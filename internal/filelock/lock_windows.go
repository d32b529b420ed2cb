package filelock

import (
	"errors"
	"syscall"
)

// errSharingViolation is what opening a file gives that another process holds open without sharing it.
const errSharingViolation = syscall.Errno(32)

// Try locks the file at path, which it makes, or says that another process holds the lock. The file is opened without being
// shared, which one process at a time can do.
func Try(path string) (release func(), busy bool, err error) {
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
