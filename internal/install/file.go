package install

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// maxFile is the largest configuration that is changed, in bytes; Claude Code keeps its history in the same file.
const maxFile = 64 << 20

// backupSuffix ends the name of the copy of a configuration as it was before the server was put into it.
const backupSuffix = ".before-scnet-mcp"

var bom = []byte("\xef\xbb\xbf")

// Change is what would be written, and where.
type Change struct {
	// File is the configuration, with symbolic links followed. Before is nil where there is no file; After is nil where
	// none is to be left.
	File          string
	Before, After []byte
	// Updates reports whether the server was there before.
	Updates bool

	removes bool
}

// Add returns the change that puts the server into the client's configuration at path. Variables of its environment that
// are not wanted any more, which stale names, are taken out; everything else of an entry that is there stays.
func (c Client) Add(path string, server Server, stale func(variable string) bool) (Change, error) {
	change, mark, text, err := read(path)
	if err != nil {
		return Change{}, err
	}
	if c.format == tomlFormat {
		change.Updates = tomlFile(text).holds(c.list, server.Name)
		after, err := tomlFile(text).set(c.list, server, stale)
		return change.to(slices.Concat(mark, after), err)
	}
	doc := jsonFile(text)
	if change.Updates = doc.holds(c.list, server.Name); !change.Updates {
		after, err := doc.set([]string{c.list, server.Name}, server.entry(c.extra))
		return change.to(slices.Concat(mark, after), err)
	}
	after, err := doc.update(c, server, stale)
	return change.to(slices.Concat(mark, after), err)
}

// update changes the entry that is there.
func (doc jsonFile) update(c Client, server Server, stale func(string) bool) (jsonFile, error) {
	for _, name := range doc.names(c.list, server.Name, "env") {
		if without, err := doc.without([]string{c.list, server.Name, "env", name}); err == nil && len(without) > 0 && stale(name) {
			doc = without[0]
		}
	}
	var err error
	for _, m := range server.entry(c.extra) {
		if env, ok := m.value.(object); ok && doc.holds(c.list, server.Name, m.name) {
			for _, setting := range env {
				if doc, err = doc.set([]string{c.list, server.Name, m.name, setting.name}, setting.value); err != nil {
					return nil, err
				}
			}
			continue
		}
		if doc, err = doc.set([]string{c.list, server.Name, m.name}, m.value); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// Remove returns the change that takes the server of a name out again. Where everything else is as it was when the server was
// put in, the file is what it was then, byte for byte. The change is empty when the server is not there.
func (c Client) Remove(path, name string) (Change, error) {
	change, mark, text, err := read(path)
	if err != nil {
		return Change{}, err
	}
	change.removes = true
	var candidates [][]byte
	if c.format == tomlFormat {
		candidates, err = tomlFile(text).without(c.list, name)
	} else if len(bytes.TrimSpace(text)) > 0 {
		candidates, err = jsonFile(text).without([]string{c.list, name})
	}
	if err != nil || len(candidates) == 0 {
		return change.to(change.Before, err)
	}
	change.Updates = true
	backup, err := os.ReadFile(change.File + backupSuffix)
	switch {
	case err == nil:
		for _, candidate := range append(candidates, nil) { // an empty file became one with the server
			if candidate = slices.Concat(mark, candidate); bytes.Equal(candidate, backup) ||
				len(candidate) == len(mark) && len(bytes.TrimSpace(backup)) == 0 {
				return change.to(backup, nil)
			}
		}
	case errors.Is(err, fs.ErrNotExist) && len(mark) == 0 && slices.ContainsFunc(candidates, isEmpty):
		return change.to(nil, nil) // there was no file
	case !errors.Is(err, fs.ErrNotExist):
		return Change{}, err
	}
	return change.to(slices.Concat(mark, candidates[0]), nil)
}

func isEmpty(text []byte) bool {
	text = bytes.TrimSpace(text)
	return len(text) == 0 || string(text) == "{}"
}

func (c Change) to(after []byte, err error) (Change, error) {
	if err != nil {
		return Change{}, lang.Errorf("%s was not changed: %w", c.File, err)
	}
	c.After = after
	return c, nil
}

// read returns a configuration without the mark that some editors put in front of it.
func read(path string) (change Change, mark, text []byte, err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	} else if _, err := os.Lstat(path); err == nil {
		return Change{}, nil, nil, lang.Errorf("%s is a symbolic link that leads nowhere", path)
	}
	change.File = path
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return change, nil, nil, nil
	case err != nil:
		return change, nil, nil, err
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return change, nil, nil, lang.Errorf("%s is not a file of at most %d MB", path, maxFile>>20)
	}
	if change.Before, err = os.ReadFile(path); err != nil {
		return change, nil, nil, err
	}
	if rest, found := bytes.CutPrefix(change.Before, bom); found {
		return change, bom, rest, nil
	}
	return change, nil, change.Before, nil
}

// IsEmpty reports whether there is nothing to write.
func (c Change) IsEmpty() bool {
	return (c.Before == nil) == (c.After == nil) && bytes.Equal(c.Before, c.After)
}

// Apply writes the change, whole or not at all, and returns the path of the copy of what was there before, or "". It fails
// when the file is not any more what the change was made of.
func (c Change) Apply() (backup string, err error) {
	now, err := os.ReadFile(c.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if !bytes.Equal(now, c.Before) {
		return "", lang.Errorf("%s was changed by another program in the meantime; nothing was written", c.File)
	}
	copied := c.File + backupSuffix
	switch {
	case c.After == nil:
		return "", os.Remove(c.File)
	case c.removes:
		if err := write(c.File, c.After); err != nil {
			return "", err
		}
		if old, err := os.ReadFile(copied); err == nil && bytes.Equal(old, c.After) {
			return "", os.Remove(copied) // what it kept is there again
		}
		return "", nil
	case c.Before != nil && !c.Updates:
		if err := write(copied, c.Before); err != nil {
			return "", lang.Errorf("the copy of what is there cannot be written, so nothing was changed: %w", err)
		}
		backup = copied
	}
	return backup, write(c.File, c.After)
}

// write replaces a file in one step. A new file is its owner's alone, because a configuration may hold secrets of others.
func write(path string, content []byte) error {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		if mode = info.Mode().Perm(); mode&0o200 == 0 {
			return &fs.PathError{Op: "write", Path: path, Err: fs.ErrPermission}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// WriteSecret puts a secret into a file that only its owner can read, in place of what is there.
func WriteSecret(path, secret string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // its mode may be another
		return err
	}
	return write(path, []byte(secret+"\n"))
}
