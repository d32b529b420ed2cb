package audit

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Verify checks the file at path, current or rotated, and says where its chain breaks first. It reads it as a stream. An
// error means that the file could not be read, not that something is wrong with it.
//
// What the first record says about the file before is taken as given; VerifyAll follows it.
func Verify(path string) (Report, error) {
	pending := newIntents()
	v, err := verifyFile(path, pending)
	if err != nil {
		return Report{}, err
	}
	v.report.Unfinished, v.report.UnfinishedMore = pending.in(path), pending.more
	return v.report, nil
}

func verifyFile(path string, pending *intents) (*verifier, error) {
	file, size, h, headErr, err := snapshot(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	v := &verifier{report: Report{File: path}, pending: pending}
	if headErr == nil {
		v.head = &h
	} else {
		v.headErr = headErr
	}
	return v, v.read(bufio.NewReaderSize(io.LimitReader(file, size), maxLine))
}

// snapshot opens the log with the size and the head that belong together while servers append to it. Where the lock
// cannot be had, as for a reader without write permission, it does without.
func snapshot(path string) (file *os.File, size int64, h head, headErr, err error) {
	if _, err := os.Stat(path + lockSuffix); err == nil {
		if unlock, err := lock(context.Background(), path); err == nil {
			defer unlock()
		}
	}
	h, headErr = readHead(path)
	if file, err = os.Open(path); err != nil {
		return nil, 0, head{}, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "verify", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, head{}, nil, err
	}
	return file, info.Size(), h, headErr, nil
}

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
