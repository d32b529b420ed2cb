package audit

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Records yields the records of the log at path and of the files that it was rotated to: changes and attempts in the order
// in which they were written. Nothing is verified but the form of each line. An error stands for a line or a file that
// cannot be read; what follows is yielded all the same.
func Records(path string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		attempt, stop := iter.Pull2(recordsOf(attemptsPath(path)))
		defer stop()
		next, err, more := attempt()
		for r, problem := range recordsOf(path) {
			for more && (err != nil || problem == nil && next.After < r.Seq) {
				if !errors.Is(err, fs.ErrNotExist) && !yield(next, err) { // a log without attempts has no file for them
					return
				}
				next, err, more = attempt()
			}
			if !yield(r, problem) {
				return
			}
		}
		for more {
			if !errors.Is(err, fs.ErrNotExist) && !yield(next, err) {
				return
			}
			next, err, more = attempt()
		}
	}
}

// recordsOf yields the records of one chain, oldest first.
func recordsOf(path string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		release := lockForReading(path)
		old := (&chain{path: path}).oldFiles()
		current, err := openSnapshot(path)
		release()
		if current != nil {
			defer func() { _ = current.file.Close() }()
		}
		for _, file := range old {
			if !recordsIn(filepath.Join(filepath.Dir(path), file.name), yield) {
				return
			}
		}
		switch {
		case current != nil:
			lines(io.LimitReader(current.file, current.size), yield)
		case len(old) == 0 || !errors.Is(err, fs.ErrNotExist):
			yield(Record{}, err)
		}
	}
}

func recordsIn(path string, yield func(Record, error) bool) (more bool) {
	file, err := os.Open(path)
	if err != nil {
		return yield(Record{}, err)
	}
	defer func() { _ = file.Close() }()
	return lines(file, yield)
}

func lines(file io.Reader, yield func(Record, error) bool) (more bool) {
	reader := bufio.NewReaderSize(file, maxLine)
	for {
		line, err := reader.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return true
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
				return yield(Record{}, err)
			}
			if !yield(Record{}, lang.Errorf("a line is not a record")) {
				return false
			}
			if errors.Is(err, io.EOF) {
				return true
			}
			continue
		}
		r, problem := parse(line)
		if problem != nil {
			err = problem.Detail.Error()
		}
		if !yield(r, err) {
			return false
		}
	}
}
