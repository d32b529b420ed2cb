package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	nameTime     = "20060102T150405Z"
	brokenSuffix = ".broken-"
)

// start puts a file with an opened record in place. It continues from the head: also after a crash between the rename
// and the new file, and after somebody removed the log.
func (l *Log) start(continues string) error {
	said := l.note
	h, err := readHead(l.path)
	if err != nil {
		h = head{0, firstPrev}
		if !errors.Is(err, fs.ErrNotExist) {
			l.note = join(l.note, fmt.Sprintf("what came before this record is unknown: %v", err))
		}
	} else if continues == "" {
		if continues = l.endingAt(h.Seq); continues == "" {
			l.note = join(l.note, fmt.Sprintf("the file that ended with record %d was removed, emptied or moved", h.Seq))
		}
	}
	l.seen, l.end = nil, h
	line, end, err := l.next(Record{Event: Opened, Continues: continues})
	if err == nil {
		err = replace(l.path, line, true)
	}
	if err != nil {
		l.note = said
		return err
	}
	l.note = ""
	syncFolder(filepath.Dir(l.path))
	return writeHead(l.path, end)
}

// rotate renames the full log and returns its new name without the folder.
func (l *Log) rotate() (string, error) {
	stem, ext := l.stem()
	name := fmt.Sprintf("%s-%s-%d%s", stem, l.now().UTC().Format(nameTime), l.end.Seq, ext)
	err := writeHead(l.path, l.end) // the new file continues from it; a crash may have left it one record behind
	if err == nil {
		err = l.rename(name)
	}
	if err != nil {
		return "", fmt.Errorf("the log could not be rotated: %w", err)
	}
	old := l.rotated()
	for _, file := range old[:max(0, len(old)-l.keep)] {
		path := filepath.Join(filepath.Dir(l.path), file.name)
		if err := os.Remove(path); err != nil {
			l.note = join(l.note, fmt.Sprintf("an old file was not removed: %v", err))
			continue
		}
		_ = os.Remove(path + headSuffix)
	}
	return name, nil
}

// moveAside renames a broken log and returns its new name without the folder.
func (l *Log) moveAside(cause error) (string, error) {
	name := filepath.Base(l.path) + brokenSuffix + l.now().UTC().Format(nameTime)
	if err := l.rename(name); err != nil {
		return "", fmt.Errorf("%w, and it cannot be moved aside: %w", cause, err)
	}
	l.note = fmt.Sprintf("the log before this record was moved to %s: %v", name, cause)
	return name, nil
}

// rename gives the log another name in its folder, and the same head under that name. It overwrites no log.
func (l *Log) rename(name string) error {
	path := filepath.Join(filepath.Dir(l.path), name)
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "rename", Path: path, Err: fs.ErrExist}
	}
	if h, err := readHead(l.path); err == nil {
		if err := writeHead(path, h); err != nil {
			return err
		}
	}
	l.seen = nil
	return os.Rename(l.path, path)
}

// oldFile is a file that was once the log.
type oldFile struct {
	name string // without the folder
	time string // of the renaming, sortable
	seq  uint64 // of its last record; 0 in a broken one
}

func (l *Log) stem() (stem, ext string) {
	base := filepath.Base(l.path)
	ext = filepath.Ext(base)
	return strings.TrimSuffix(base, ext), ext
}

// rotated returns the rotated files, oldest first.
func (l *Log) rotated() []oldFile {
	return slices.DeleteFunc(l.oldFiles(), func(f oldFile) bool { return f.seq == 0 })
}

// oldFiles returns the rotated and the broken files, oldest first. Only names that hold a complete time and a seq count:
// rotation removes what is listed here.
func (l *Log) oldFiles() []oldFile {
	entries, _ := os.ReadDir(filepath.Dir(l.path)) // what cannot be listed cannot be counted either
	stem, ext := l.stem()
	var files []oldFile
	for _, entry := range entries {
		name := entry.Name()
		if stamp, found := strings.CutPrefix(name, filepath.Base(l.path)+brokenSuffix); found && isTime(stamp) {
			files = append(files, oldFile{name, stamp, 0})
			continue
		}
		middle, found := strings.CutPrefix(name, stem+"-")
		middle, ended := strings.CutSuffix(middle, ext)
		stamp, number, _ := strings.Cut(middle, "-")
		seq, err := strconv.ParseUint(number, 10, 64)
		if found && ended && isTime(stamp) && err == nil && seq > 0 {
			files = append(files, oldFile{name, stamp, seq})
		}
	}
	slices.SortFunc(files, func(a, b oldFile) int {
		return cmp.Or(strings.Compare(a.time, b.time), cmp.Compare(a.seq, b.seq))
	})
	return files
}

// endingAt returns the rotated file whose last record is seq, or "".
func (l *Log) endingAt(seq uint64) string {
	files := l.rotated()
	slices.Reverse(files)
	if i := slices.IndexFunc(files, func(f oldFile) bool { return f.seq == seq }); i >= 0 {
		return files[i].name
	}
	return ""
}

func isTime(text string) bool {
	_, err := time.Parse(nameTime, text)
	return err == nil
}

// syncFolder makes a renaming durable where folders can be synced.
func syncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}
