package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// lineStart is how every line of a log begins.
const lineStart = `{"seq":`

// current returns the file to append to, with l.size and l.end describing its end. It creates, repairs and rotates; a
// file that it creates continues the one named, if any. It must be called under the lock, as must everything that it
// calls.
func (l *Log) current(continues string) (*os.File, error) {
	file, err := l.load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case l.size < l.maxBytes:
		return file, nil
	default:
		_ = file.Close() // an open file cannot be renamed everywhere
		if continues, err = l.rotate(); err != nil {
			// A file that grows too long is better than calls that are refused, say because somebody reads the file on
			// Windows.
			l.note = join(l.note, err.Error())
			return l.load()
		}
	}
	if err := l.start(continues); err != nil {
		return nil, fmt.Errorf("the audit log cannot be started: %w", err)
	}
	return l.load()
}

// load opens the file. An absent and an empty file are both fs.ErrNotExist.
func (l *Log) load() (*os.File, error) {
	file, info, err := openLog(l.path)
	if err != nil {
		return nil, err
	}
	if l.seen != nil && os.SameFile(l.seen, info) && l.size == info.Size() {
		return file, nil
	}
	l.seen = nil
	if err := l.inspect(file, info.Size()); err != nil {
		_ = file.Close()
		return nil, err
	}
	l.seen = info
	return file, nil
}

func openLog(path string) (*os.File, os.FileInfo, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, nil, err
	}
	if !named.Mode().IsRegular() {
		// A link would be replaced by the first rotation, and lead elsewhere whenever somebody changes it.
		return nil, nil, fmt.Errorf("%w: %s is a link or a special file", ErrUnsafe, path)
	}
	if runtime.GOOS != "windows" && named.Mode().Perm()&0o022 != 0 {
		return nil, nil, fmt.Errorf("%w: others may write %s (%s)", ErrUnsafe, path, named.Mode().Perm())
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(named, info) {
		err = fmt.Errorf("%w: %s was replaced at the moment it was opened", ErrUnsafe, path)
	}
	if err == nil && info.Size() == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// inspect reads the end of a file that this process has not written last, and completes or drops a line that a crash
// left unfinished there. It never drops a complete record.
func (l *Log) inspect(file *os.File, size int64) error {
	first := make([]byte, len(lineStart))
	if _, err := file.ReadAt(first, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(first) != lineStart {
		return fmt.Errorf("%w: %s does not begin as an audit log does", ErrUnsafe, l.path)
	}
	last, rest, err := readEnd(file, size)
	if err != nil {
		return err
	}
	size -= int64(len(rest))
	whole, problem := parse(append(rest, '\n'))
	unended := problem == nil && whole.Seq == last.Seq+1 && whole.Prev == last.Hash
	if unended {
		last = whole
	}
	note, err := l.compare(last)
	if err != nil {
		return err
	}
	switch {
	case unended:
		if _, err := file.WriteAt([]byte("\n"), size+int64(len(rest))); err != nil {
			return fmt.Errorf("the audit log cannot be repaired: %w", err)
		}
		size += int64(len(rest)) + 1
		note = join(note, "repaired: a line end was missing before this record")
	case len(rest) > 0:
		if err := file.Truncate(size); err != nil {
			return fmt.Errorf("the audit log cannot be repaired: %w", err)
		}
		note = join(note, fmt.Sprintf("repaired: %d bytes of an unfinished line were dropped before this record", len(rest)))
	}
	l.size, l.end, l.note = size, head{last.Seq, last.Hash}, join(l.note, note)
	return nil
}

// compare judges the last record by the head file, and returns what the next record has to note about it.
func (l *Log) compare(last Record) (note string, err error) {
	h, err := readHead(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there was no head file: records may have been cut off before this one", nil
	case err != nil:
		return fmt.Sprintf("records may have been cut off before this one: %v", err), nil
	case h.Seq > last.Seq:
		return "", fmt.Errorf("%w: it ends at record %d, the head says %d", ErrBroken, last.Seq, h.Seq)
	case h.Seq == last.Seq && h.Hash != last.Hash, h.Seq+1 == last.Seq && h.Hash != last.Prev:
		return "", fmt.Errorf("%w: record %d is not the one that the head names", ErrBroken, h.Seq)
	case h.Seq+1 < last.Seq:
		// A crash explains one record; the power failure that explains more is rare enough to be told.
		return fmt.Sprintf("the head file was old: it named record %d, the log ended at %d", h.Seq, last.Seq), nil
	}
	return "", nil
}

// readEnd returns the last complete record of a log and the bytes behind it.
func readEnd(file io.ReaderAt, size int64) (last Record, rest []byte, err error) {
	const longest = 2 * maxLine // a complete line, and one that was not finished
	for window := int64(8 << 10); ; window *= 8 {
		begin := max(0, size-min(window, longest))
		text := make([]byte, size-begin)
		if _, err := file.ReadAt(text, begin); err != nil {
			return Record{}, nil, err
		}
		end := bytes.LastIndexByte(text, '\n') + 1
		start := bytes.LastIndexByte(text[:max(end-1, 0)], '\n') + 1
		switch {
		case end > 0 && (start > 0 || begin == 0):
			last, problem := parse(text[start:end])
			if problem != nil {
				return Record{}, nil, fmt.Errorf("%w: at its end: %s", ErrBroken, problem.Detail)
			}
			return last, text[end:], nil
		case begin == 0 || window >= longest:
			return Record{}, nil, fmt.Errorf("%w: there is no complete record in its last %d bytes", ErrBroken, len(text))
		}
	}
}
