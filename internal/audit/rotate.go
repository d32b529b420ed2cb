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

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

const (
	nameTime     = "20060102T150405Z"
	brokenSuffix = ".broken-"
)

// start puts a file with an opened record in place. It continues from the last record that is known: also after a crash
// between the rename and the new file, and after somebody removed the log.
func (c *chain) start(continues string) error {
	said := c.note
	h, err := readHead(c.path)
	switch {
	case c.end.Seq > 0 && (err != nil || h.Seq < c.end.Seq):
		h = c.end
		c.note = join(c.note, fmt.Sprintf("the log and its head, with records up to %d, were removed while this server ran", h.Seq)) // not said to people
	case err == nil && continues == "":
		if continues = c.endingAt(h.Seq); continues == "" {
			c.note = join(c.note, fmt.Sprintf("the file that ended with record %d was removed, emptied or moved by another program "+ // not said to people
				"(this log rotates itself; a rotator that copies and truncates loses records)", h.Seq))
		}
	case errors.Is(err, fs.ErrNotExist):
		h = head{0, firstPrev}
		if old := c.oldFiles(); len(old) > 0 && continues == "" {
			c.note = join(c.note, fmt.Sprintf("what came before this record is unknown: the log that followed %s was removed with its head", // not said to people
				old[len(old)-1].name))
		}
	case err != nil:
		h = head{0, firstPrev}
		c.note = join(c.note, fmt.Sprintf("what came before this record is unknown: %v", err)) // not said to people
	}
	expired, removed := c.expired(h)
	if c.log == "" && continues != "" {
		c.log = c.logOf(continues)
	}
	c.seen = nil
	opened := Record{Event: Opened, Time: c.now(), Continues: continues, Removed: removed, Note: c.note, Log: c.log}
	line, end, err := c.next(opened, h)
	if err == nil {
		err = replace(c.path, line, true)
	}
	if err != nil {
		c.note = said
		return err
	}
	if c.note != "" {
		c.told = append(c.told, c.note)
	}
	c.note, c.end, c.unsigned = "", end, c.unsigned+1
	syncFolder(filepath.Dir(c.path))
	if err := writeHead(c.path, end); err != nil {
		return err
	}
	c.remove(expired)
	return nil
}

// logOf returns the name of the chain that one of its files belongs to, or "".
func (c *chain) logOf(name string) string {
	file, err := os.Open(filepath.Join(filepath.Dir(c.path), name))
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	first, _ := readFirst(file)
	return logID(first)
}

// expired returns the rotated files that retention lets go, and the last record in them. That mark goes into the file that
// follows h, before they are removed: the log itself then says why its beginning is not there.
func (c *chain) expired(h head) (files []oldFile, removed *Mark) {
	old := c.rotated()
	stay := len(old)
	switch {
	case c.keep > 0:
		stay = min(stay, c.keep)
	case c.keepFor > 0:
		limit := c.now().Add(-c.keepFor).UTC().Format(nameTime)
		expired, _ := slices.BinarySearchFunc(old, limit, func(f oldFile, limit string) int {
			return strings.Compare(f.time, limit)
		})
		stay -= expired
	}
	files = old[:len(old)-stay]
	if len(files) == 0 {
		return nil, nil
	}
	if stay == 0 {
		return files, &Mark{h.Seq, h.Hash}
	}
	file, err := os.Open(filepath.Join(filepath.Dir(c.path), old[len(files)].name))
	if err == nil {
		defer func() { _ = file.Close() }()
		var first Record
		if first, err = readFirst(file); err == nil {
			return files, &Mark{first.Seq - 1, first.Prev}
		}
	}
	c.note = join(c.note, fmt.Sprintf("old files were not removed: the oldest that stays cannot be read: %v", err)) // not said to people
	return nil, nil
}

// remove removes rotated files, oldest first, so that what stays has no gap if it is interrupted.
func (c *chain) remove(files []oldFile) {
	for _, file := range files {
		path := filepath.Join(filepath.Dir(c.path), file.name)
		if err := os.Remove(path); err != nil {
			c.note = join(c.note, fmt.Sprintf("an old file was not removed: %v", err)) // not said to people
			return
		}
		_ = os.Remove(path + headSuffix)
	}
}

// rotate renames the full log and returns its new name without the folder.
func (c *chain) rotate() (string, error) {
	stem, ext := c.stem()
	name := fmt.Sprintf("%s-%s-%d%s", stem, c.now().UTC().Format(nameTime), c.end.Seq, ext)
	err := writeHead(c.path, c.end) // the new file continues from it; a crash may have left it behind
	if err == nil {
		err = c.rename(name)
	}
	if err != nil {
		return "", lang.Errorf("the log could not be rotated: %w", err)
	}
	return name, nil
}

// moveAside renames a broken log and returns its new name without the folder.
func (c *chain) moveAside(cause error) (string, error) {
	name := filepath.Base(c.path) + brokenSuffix + c.now().UTC().Format(nameTime)
	if err := c.rename(name); err != nil {
		return "", lang.Errorf("%w, and it cannot be moved aside: %w", cause, err)
	}
	c.note = join(c.note, fmt.Sprintf("the log before this record was moved to %s: %v", name, cause)) // not said to people
	return name, nil
}

// rename gives the log another name in its folder, and the same head under that name. It overwrites no log.
func (c *chain) rename(name string) error {
	path := filepath.Join(filepath.Dir(c.path), name)
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "rename", Path: path, Err: fs.ErrExist}
	}
	if h, err := readHead(c.path); err == nil {
		if err := writeHead(path, h); err != nil {
			return err
		}
	}
	c.seen = nil
	return os.Rename(c.path, path)
}

// oldFile is a file that was once the log.
type oldFile struct {
	name string // without the folder
	time string // of the renaming, sortable
	seq  uint64 // of its last record; 0 in a broken one
}

func (c *chain) stem() (stem, ext string) {
	base := filepath.Base(c.path)
	ext = filepath.Ext(base)
	return strings.TrimSuffix(base, ext), ext
}

// rotated returns the rotated files, oldest first.
func (c *chain) rotated() []oldFile {
	return slices.DeleteFunc(c.oldFiles(), func(f oldFile) bool { return f.seq == 0 })
}

// oldFiles returns the rotated and the broken files, oldest first. Only names that hold a complete time and a seq count:
// rotation removes what is listed here.
func (c *chain) oldFiles() []oldFile {
	entries, _ := os.ReadDir(filepath.Dir(c.path)) // what cannot be listed cannot be counted either
	stem, ext := c.stem()
	var files []oldFile
	for _, entry := range entries {
		name := entry.Name()
		if stamp, found := strings.CutPrefix(name, filepath.Base(c.path)+brokenSuffix); found && isTime(stamp) {
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
func (c *chain) endingAt(seq uint64) string {
	files := c.rotated()
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
