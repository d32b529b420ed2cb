// Package audit keeps the log of what was done to paid instances, and of what was refused: one JSON line for each
// attempt, chained to the line before by hash, so that a changed, removed, reordered or cut record shows.
//
// Intents and results are the history, and stay. Previews, refusals and declined questions are kept apart, in a chain of
// files of their own that is bounded: a caller who can only ask cannot push out the record of a change.
//
// Without a key the chain shows tampering by anybody who cannot rewrite all of the log and its head file. With one, it has
// signed checkpoints, which those cannot write anew who do not have the key; and whoever has sent the checkpoints elsewhere
// sees what was done even with the key.
package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/filelock"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Defaults of Options.
const (
	DefaultMaxBytes     = 10 << 20
	DefaultKeepAttempts = 10
)

// Errors that a caller can tell apart.
var (
	// ErrBroken means that the end of the log is not as it was written. Append does not continue such a log; Open moves
	// it aside.
	ErrBroken = lang.Errorf("the audit log has been tampered with or damaged")
	// ErrUnsafe means that the path does not name a file that only this user may write, or that it names a file which is
	// not an audit log.
	ErrUnsafe = lang.Errorf("the file cannot serve as the audit log")
	// ErrBusy means that the log could not be written in time, because another process held its lock or the disk hung.
	ErrBusy = lang.Errorf("the audit log is busy")
)

// Options are the sizes and the clock of a Log.
type Options struct {
	MaxBytes int64 // a file that has reached them is rotated before the next record; 0 means DefaultMaxBytes
	// KeepFor is how long a rotated file of changes stays at least; 0 means for ever. The file that follows says what was
	// removed, so that Verify can tell retention from a theft.
	KeepFor      time.Duration
	KeepAttempts int              // rotated files of attempts that stay; 0 means DefaultKeepAttempts
	Now          func() time.Time // nil means time.Now
	Key          *Key             // signs checkpoints; nil means that there are none
	// Anchor is told of each checkpoint that is on disk, to send it elsewhere. It holds up the log, so it must not wait.
	Anchor func(Checkpoint)

	signAfter time.Duration // for tests
}

// Log is an audit log. It is safe for concurrent use, also by several processes that have the same file open.
//
// Changes are in FILE, attempts in <name>-attempts.jsonl. Beside each stands .head, which names the last record; FILE.lock
// guards both. A rotated file is called <name>-<UTC time>-<last seq>.jsonl and has a head of its own; one that cannot be
// renamed is continued, and its records say so. No file stays open between two records.
//
// Records that wait at the same time are written together, with one sync. A goroutine does that while there are any.
type Log struct {
	locate  func() (path string, err error)
	options Options

	mu      sync.Mutex
	closed  bool
	queue   []*entry
	writing chan struct{} // closed when the goroutine that writes ends; nil when there is none
	stuck   bool          // somebody has waited in vain, and nothing was written since
	used    bool          // there is something to sign at the end
	timer   *time.Timer   // until the next checkpoint; nil when nothing waits for one
	flood   flood
	warn    func(note string)
	notes   []string // that nobody has been warned of yet

	// What follows belongs to the goroutine that writes.
	ready             bool
	lockPath          string
	changes, attempts chain
}

// entry is a record on its way to the disk.
type entry struct {
	record Record // without an event: the log is only looked at
	done   chan error
}

// Lazy returns the log at the path that locate names. Nothing is opened or created before the first record, and a path
// that cannot be had, or a log that cannot be opened, is an error of Append.
func Lazy(locate func() (path string, err error), o Options) *Log {
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.KeepAttempts <= 0 {
		o.KeepAttempts = DefaultKeepAttempts
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.signAfter <= 0 {
		o.signAfter = signAfter
	}
	return &Log{locate: locate, options: o}
}

// Open returns the log at path, creating its folder (0700) and the file (0600) with an opened record. Permissions of
// what exists stay as they are, but a file that others may write, a link or another special file is refused (ErrUnsafe).
//
// A broken log must neither be continued nor block all work for ever. Open renames it to <path>.broken-<UTC time>, where
// Verify still tells what is wrong with it, and starts a new file, whose first record says so and continues from the
// head. Broken files are never removed.
func Open(path string, o Options) (*Log, error) {
	l := Lazy(func() (string, error) { return path, nil }, o)
	if err := l.submit(context.Background(), Record{}); err != nil {
		return nil, err
	}
	return l, nil
}

// WarnTo makes the log tell warn what it notes about itself: that it was repaired, cut, removed or moved. It is called
// from any goroutine.
func (l *Log) WarnTo(warn func(note string)) {
	l.mu.Lock()
	notes := l.notes
	l.warn, l.notes = warn, nil
	l.mu.Unlock()
	for _, note := range notes {
		warn(note)
	}
}

// Append writes r as the next record. It fills Seq, Prev, Hash and, when it is zero, Time; overlong texts and lists are
// cut, which the record's note says. When Append returns nil, the record is on disk, or, if it is an attempt of a caller
// that makes too many, counted for a summed record. When it returns an error, as on a full disk, no complete line of it is
// in the log, which may be appended to again. Only after ErrBusy with a disk that hangs the line may still come.
//
// Append waits no longer than ctx allows, and for some seconds at most. A record of what has happened must be given a
// context that outlives the call.
//
// A log that has been tampered with since the last record gives ErrBroken until somebody opens it anew.
func (l *Log) Append(ctx context.Context, r Record) error {
	switch {
	case r.Event == Intent, r.Event == Result:
		if r.Call == "" {
			return lang.Errorf("an intent and its result need a call that joins them") // not said to people
		}
	case r.Event.isAttempt() && r.Event != Summed:
	default:
		return lang.Errorf("%q is not an event of a call", string(r.Event)) // not said to people
	}
	r.Continues, r.Removed, r.After, r.Sum, r.Log, r.Checkpoint = "", nil, 0, nil, "", nil
	if r.Time.IsZero() {
		r.Time = l.options.Now()
	}
	return l.submit(ctx, r)
}

// How long a record waits.
const (
	lockWait  = 5 * time.Second        // for the lock, so that a stopped process cannot hold up calls for ever
	stuckWait = 250 * time.Millisecond // the same, once somebody has waited in vain
	diskWait  = 5 * time.Second        // for the disk
)

func (l *Log) submit(ctx context.Context, r Record) error {
	if ctx.Err() != nil {
		return lang.Errorf("the audit log was not written: %w", context.Cause(ctx))
	}
	e := &entry{record: r, done: make(chan error, 1)}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return lang.Errorf("audit log: %w", os.ErrClosed)
	}
	for _, sum := range l.flood.due(r.Time) {
		l.enqueue(&entry{record: sum, done: make(chan error, 1)})
	}
	if r.Event.isAttempt() && !l.flood.admit(r) {
		l.mu.Unlock()
		return nil
	}
	l.enqueue(e)
	wait := lockWait
	if l.stuck {
		wait = stuckWait
	}
	l.mu.Unlock()

	ctx, cancel := context.WithTimeoutCause(ctx, wait, lang.Errorf("%w: another process has held its lock for %s", ErrBusy, wait))
	defer cancel()
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
	}
	if l.withdraw(e, context.Cause(ctx)) {
		return lang.Errorf("the audit log was not written: %w", context.Cause(ctx))
	}
	disk := time.NewTimer(diskWait)
	defer disk.Stop()
	select {
	case err := <-e.done:
		return err
	case <-disk.C:
		return lang.Errorf("%w: the disk has not taken the record for %s", ErrBusy, diskWait)
	}
}

// enqueue starts the goroutine that writes, unless there is one. It must be called with the mutex held.
func (l *Log) enqueue(e *entry) {
	l.queue, l.used = append(l.queue, e), true
	if l.writing == nil {
		l.writing = make(chan struct{})
		go l.writeAll()
	}
}

// withdraw takes e back. It reports whether that was in time.
func (l *Log) withdraw(e *entry, cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, e)
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	l.stuck = l.stuck || errors.Is(cause, ErrBusy)
	return true
}

// Close writes what has been counted, signs what has not been signed, and ends the use of the log: Append fails from then on.
func (l *Log) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	for _, sum := range l.flood.all() {
		l.enqueue(&entry{record: sum, done: make(chan error, 1)})
	}
	if first && l.used && l.options.Key != nil {
		l.enqueue(&entry{record: Record{Event: Checkpointed}, done: make(chan error, 1)})
	}
	writing := l.writing
	l.mu.Unlock()
	if writing == nil {
		return nil
	}
	patience := time.NewTimer(lockWait)
	defer patience.Stop()
	select {
	case <-writing:
		return nil
	case <-patience.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = nil
	return lang.Errorf("%w: its last records were not written", ErrBusy)
}

// maxBatch bounds what is written with one sync.
const maxBatch = 256

// next returns records to write. Without any, the goroutine that writes has to end.
func (l *Log) next(take bool) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), maxBatch)
	if n == 0 {
		close(l.writing)
		l.writing = nil
		return nil
	}
	batch := l.queue[:n:n]
	if take {
		l.queue, l.stuck = slices.Clone(l.queue[n:]), false
	}
	return batch
}

// writeAll writes until no record waits. No single caller's deadline bounds the wait for the lock: it ends when the last
// record has been taken back.
func (l *Log) writeAll() {
	for wait := time.Millisecond; l.next(false) != nil; {
		release, busy, err := l.lock()
		switch {
		case busy:
			<-time.After(wait)
			wait = min(2*wait, 16*time.Millisecond)
			continue
		case err != nil:
			batch := l.next(true)
			if batch == nil {
				return
			}
			answer(batch, err)
			continue
		}
		wait = time.Millisecond
		batch := l.next(true)
		if batch != nil {
			l.write(batch)
			if l.changes.unsigned+l.attempts.unsigned > 0 {
				l.checkpointSoon()
			}
		}
		release()
		if batch == nil {
			return
		}
	}
}

func answer(batch []*entry, err error) {
	for _, e := range batch {
		e.done <- err
	}
}

// lock finds the log and tries to lock it.
func (l *Log) lock() (release func(), busy bool, err error) {
	if l.lockPath == "" {
		path, err := l.locate()
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err != nil {
			return nil, false, err
		}
		both := chain{maxBytes: l.options.MaxBytes, now: l.options.Now, key: l.options.Key, anchor: l.options.Anchor}
		l.changes, l.attempts = both, both
		l.changes.path, l.changes.keepFor = path, l.options.KeepFor
		l.attempts.path, l.attempts.keep = attemptsPath(path), l.options.KeepAttempts
		l.lockPath = path + filelock.Suffix
	}
	release, busy, err = filelock.Try(l.lockPath)
	if err != nil {
		err = lang.Errorf("the audit log cannot be locked: %w", err)
	}
	return release, busy, err
}

// write writes a batch, changes first: an attempt names the last change before it.
func (l *Log) write(batch []*entry) {
	var changes, attempts, sign []*entry
	for _, e := range batch {
		switch {
		case e.record.Event == Checkpointed:
			sign = append(sign, e)
		case e.record.Event.isAttempt():
			attempts = append(attempts, e)
		default:
			changes = append(changes, e)
		}
	}
	if len(changes) > 0 || !l.ready {
		l.changes.write(changes, 0, !l.ready)
		l.ready = l.ready || l.changes.end.Seq > 0
	} else if file, err := l.changes.load(); err == nil { // others may have written
		_ = file.Close()
	}
	if len(attempts) > 0 {
		l.attempts.write(attempts, l.changes.end.Seq, l.attempts.end.Seq == 0)
	}
	if len(sign) > 0 {
		answer(sign, errors.Join(l.changes.checkpoint(), l.attempts.checkpoint()))
	}
	l.tell(slices.Concat(l.changes.takeNotes(), l.attempts.takeNotes()))
}

// tell passes notes on.
func (l *Log) tell(notes []string) {
	const most = 16
	l.mu.Lock()
	warn := l.warn
	if warn == nil {
		l.notes = append(l.notes, notes[:min(len(notes), max(0, most-len(l.notes)))]...)
	}
	l.mu.Unlock()
	if warn == nil {
		return
	}
	for _, note := range notes {
		warn(note)
	}
}
