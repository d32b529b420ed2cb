package callers

import (
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// othersMayWrite are the permission bits that let others than the owner put themselves into the file.
const othersMayWrite = 0o022

// File is a file of callers that can be read again while it is in use. It is safe for concurrent use.
type File struct {
	path  string
	known Known
	table atomic.Pointer[Table]

	reloading sync.Mutex // an older reading must not replace a newer one
}

// Open reads the file of callers at path. The error names everything that is wrong with it, as that of Parse does. On Unix a
// file that others than its owner may write is refused.
func Open(path string, known Known) (*File, error) {
	f := &File{path: path, known: known}
	table, err := f.read()
	if err != nil {
		return nil, err
	}
	f.table.Store(table)
	return f, nil
}

// Table returns the callers of the last reading that was in order.
func (f *File) Table() *Table { return f.table.Load() }

// Reload reads the file again. When anything is wrong with it, the callers of the last good reading stay, and the error
// says so.
func (f *File) Reload() error {
	f.reloading.Lock()
	defer f.reloading.Unlock()
	table, err := f.read()
	if err != nil {
		return lang.Errorf("the callers stay as they were: %w", err)
	}
	f.table.Store(table)
	return nil
}

func (f *File) read() (*Table, error) {
	data, err := readFile(f.path)
	if err != nil {
		return nil, lang.Errorf("the callers file cannot be used: %w", err)
	}
	table, err := Parse(data, f.known)
	if err != nil {
		return nil, lang.Errorf("%s:\n%w", f.path, err)
	}
	return table, nil
}

// readFile reads at most one byte more than Parse takes. Others may read the file, because it holds digests only. It does not
// wait for a writer when path is a named pipe: every later reload would wait behind it.
func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, lang.Errorf("%s is not a regular file; name a file", path)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&othersMayWrite != 0 {
		return nil, lang.Errorf("others may write %s (%s) and so add themselves; chmod go-w %s", path, mode, path)
	}
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}
