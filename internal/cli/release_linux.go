package cli

import (
	"os"
	"syscall"
)

// releaseBinary takes the pages of the binary out of the process. They stay in the page cache, which all servers of a machine
// share, and those that are needed again come back from there, 64 KB at a time. The start touches nearly all of them: package
// variables are everywhere.
func releaseBinary() {
	file, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, each := range unwritable(string(maps), file) {
		// It is advice: without it, the pages stay.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, each.begin, each.end-each.begin, syscall.MADV_DONTNEED)
	}
}
