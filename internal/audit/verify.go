package audit

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/filelock"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Verify checks the file at path, current or rotated, and says where its chain breaks first. It reads it as a stream. An
// error means that the file could not be read, not that something is wrong with it.
//
// What the first record says about the file before is taken as given; VerifyAll follows it.
func Verify(path string) (Report, error) {
	file, err := takeSnapshot(path)
	if err != nil {
		return Report{}, err
	}
	pending := newIntents()
	v, err := file.verify(pending, nil)
	if err != nil {
		return Report{}, err
	}
	v.report.Unfinished, v.report.UnfinishedMore = pending.in(path), pending.more
	return v.report, nil
}

// snapshot is a file with the size and the head that belong together while servers append to it.
type snapshot struct {
	path    string
	file    *os.File
	size    int64
	head    head
	headErr error
}

// takeSnapshot opens the log at path. Where the lock cannot be had, as for a reader without write permission, it does
// without.
func takeSnapshot(path string) (*snapshot, error) {
	defer lockForReading(path)()
	return openSnapshot(path)
}

// lockForReading locks the log at path if there is a lock.
func lockForReading(path string) (release func()) {
	if _, err := os.Stat(path + filelock.Suffix); err == nil {
		if release, err := filelock.Lock(context.Background(), path+filelock.Suffix, lockWait); err == nil {
			return release
		}
	}
	return func() {}
}

func openSnapshot(path string) (*snapshot, error) {
	s := &snapshot{path: path}
	s.head, s.headErr = readHead(path)
	var err error
	if s.file, err = os.Open(path); err != nil {
		return nil, err
	}
	info, err := s.file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "verify", Path: path, Err: lang.Errorf("not a regular file")}
	}
	if err != nil {
		_ = s.file.Close()
		return nil, err
	}
	s.size = info.Size()
	return s, nil
}

// verify reads the snapshot and closes it.
func (s *snapshot) verify(pending *intents, p *proof) (*verifier, error) {
	defer func() { _ = s.file.Close() }()
	v := &verifier{report: Report{File: s.path}, pending: pending, proof: p}
	if s.headErr == nil {
		v.head = &s.head
	} else {
		v.headErr = s.headErr
	}
	return v, v.read(bufio.NewReaderSize(io.LimitReader(s.file, s.size), maxLine))
}

// maxNotes bounds the memory for records with a note.
const maxNotes = 20

// maxUnfinished bounds the memory for intents without a result.
const maxUnfinished = 256

// intents are those that no result has been seen for.
type intents struct {
	open map[string]pendingIntent // by call
	more bool
}

type pendingIntent struct {
	file   string
	record Record
}

func newIntents() *intents { return &intents{open: map[string]pendingIntent{}} }

func (p *intents) note(file string, r Record) {
	switch r.Event {
	case Result:
		delete(p.open, r.Call)
	case Intent:
		if len(p.open) < maxUnfinished {
			p.open[r.Call] = pendingIntent{file, r}
		} else {
			p.more = true
		}
	default:
	}
}

// in returns those that stand in file, oldest first.
func (p *intents) in(file string) []Record {
	var found []Record
	for _, intent := range p.open {
		if intent.file == file {
			found = append(found, intent.record)
		}
	}
	slices.SortFunc(found, func(a, b Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return found
}
