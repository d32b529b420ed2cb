// Package audit keeps the log of what was done to paid instances, and of what was refused: one JSON line for each
// attempt, chained to the line before by hash, so that a changed, removed, reordered or cut record shows.
//
// The chain has no key. It shows tampering by whoever cannot rewrite all of the log and its head file; against somebody
// who can, copy the hash of the last record to where they cannot write.
package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Defaults of Options.
const (
	DefaultMaxBytes = 10 << 20
	DefaultKeep     = 10
)

// Errors that a caller can tell apart.
var (
	// ErrBroken means that the end of the log is not as it was written. Append does not continue such a log; Open moves
	// it aside.
	ErrBroken = errors.New("the audit log has been tampered with or damaged")
	// ErrUnsafe means that the path does not name a file that only this user may write, or that it names a file which is
	// no audit log.
	ErrUnsafe = errors.New("the file cannot serve as the audit log")
)

// Options are the sizes and the clock of a Log.
type Options struct {
	MaxBytes int64            // a file that has reached them is rotated before the next record; 0 means DefaultMaxBytes
	Keep     int              // rotated files that stay; 0 means DefaultKeep
	Now      func() time.Time // nil means time.Now
}

// Log is an audit log. It is safe for concurrent use, also by several processes that have the same file open.
//
// Beside FILE stand FILE.head, which names the last record, and FILE.lock. A rotated file is called
// <name>-<UTC time>-<last seq>.jsonl and has a head of its own; one that cannot be renamed is continued, and its records
// say so. No file stays open between two records.
type Log struct {
	path     string
	maxBytes int64
	keep     int
	now      func() time.Time

	mu     sync.Mutex
	closed bool
	seen   os.FileInfo // the file that size and end describe; nil before the first look
	size   int64
	end    head   // the last record
	note   string // goes with the next record
}

// Open returns the log at path, creating its folder (0700) and the file (0600) with an opened record. Permissions of
// what exists stay as they are, but a file that others may write, a link or another special file is refused (ErrUnsafe).
//
// A broken log must neither be continued nor block all work for ever. Open renames it to <path>.broken-<UTC time>, where
// Verify still tells what is wrong with it, and starts a new file, whose first record says so and continues from the
// head. Broken files are never removed.
func Open(path string, o Options) (*Log, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l := &Log{path: path, maxBytes: o.MaxBytes, keep: o.Keep, now: o.Now}
	if l.maxBytes <= 0 {
		l.maxBytes = DefaultMaxBytes
	}
	if l.keep <= 0 {
		l.keep = DefaultKeep
	}
	if l.now == nil {
		l.now = time.Now
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(context.Background(), path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	file, err := l.current("")
	if errors.Is(err, ErrBroken) {
		var aside string
		if aside, err = l.moveAside(err); err == nil {
			file, err = l.current(aside)
		}
	}
	if err != nil {
		return nil, err
	}
	return l, file.Close()
}

// Append writes r as the next record. It fills Seq, Prev, Hash and, when it is zero, Time; overlong texts and lists are
// cut, which the record's note says. When Append returns nil, the record is on disk; when it returns an error, as on a
// full disk, no complete line of it is in the log, which may be appended to again.
//
// Append waits for other processes no longer than ctx allows.
//
// A log that has been tampered with since the last record gives ErrBroken until somebody opens it anew.
func (l *Log) Append(ctx context.Context, r Record) error {
	switch r.Event {
	case Intent, Result:
		if r.Call == "" {
			return errors.New("an intent and its result need a call that joins them")
		}
	case Refused, Previewed, Declined:
	default:
		return fmt.Errorf("%q is not an event of a call", string(r.Event))
	}
	r.Continues = ""

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("audit log: %w", os.ErrClosed)
	}
	unlock, err := lock(ctx, l.path)
	if err != nil {
		return err
	}
	defer unlock()
	file, err := l.current("")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	line, end, err := l.next(r)
	if err != nil {
		return err
	}
	return l.write(file, line, end)
}

// Close ends the use of the log: Append fails from then on.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// next returns r as the line that follows the last record, and the head that goes with it.
func (l *Log) next(r Record) (line []byte, end head, err error) {
	r.Seq, r.Prev, r.Note = l.end.Seq+1, l.end.Hash, l.note
	if r.Time.IsZero() {
		r.Time = l.now()
	}
	r.Time = r.Time.UTC()
	line, hash, err := encode(r)
	return line, head{r.Seq, hash}, err
}

// write puts line at the end of file, or leaves file as it was.
func (l *Log) write(file *os.File, line []byte, end head) error {
	_, err := file.WriteAt(line, l.size)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = writeHead(l.path, end)
	}
	if err != nil {
		if undo := file.Truncate(l.size); undo != nil {
			l.seen = nil // what is left of the line has to be looked at again
			err = errors.Join(err, undo)
		}
		return fmt.Errorf("the audit log cannot be written: %w", err)
	}
	l.size += int64(len(line))
	l.end, l.note = end, ""
	return nil
}
