package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// lineStart is how every line of a log begins.
const lineStart = `{"seq":`

// chain is one of the two files of a log with what it was rotated to. All of it must be called under the lock.
type chain struct {
	path     string
	maxBytes int64
	keep     int           // rotated files that stay; 0: see keepFor
	keepFor  time.Duration // how long they stay; 0: for ever
	now      func() time.Time

	key      *Key             // signs checkpoints; nil: there are none
	anchor   func(Checkpoint) // is told of each; may be nil
	unsigned int              // records of this process since the last checkpoint
	log      string           // names the chain in checkpoints, see logID; "" before the first look

	seen os.FileInfo // the file that size, born and end describe; nil before the first look
	size int64
	born time.Time // time of its first record
	end  head      // the last record; Seq 0 before the first look
	note string    // goes with the next record
	told []string  // notes that have been written
}

// takeNotes returns the notes that were written since the last time.
func (c *chain) takeNotes() []string {
	notes := c.told
	c.told = nil
	return notes
}

// errShrunk means that the file did not hold what had just been written to it.
var errShrunk = lang.Errorf("the audit log was cut by another program while it was written (a log rotator that truncates?)")

// write appends the records of entries with one sync, and answers each. aside lets it move a broken file aside.
func (c *chain) write(entries []*entry, after uint64, aside bool) {
	for again := false; ; again = true {
		file, err := c.open(aside || again)
		if err != nil {
			answer(entries, err)
			return
		}
		var lines []byte
		var end head
		entries, lines, end = c.encode(entries, after)
		var made *Checkpoint
		written := int(end.Seq - c.end.Seq)
		if len(lines) > 0 && c.due(written) {
			var line []byte
			if line, end, made, err = c.signedLine(end, ""); err == nil {
				lines = append(lines, line...)
			}
		}
		if len(lines) > 0 && err == nil {
			err = c.put(file, lines, end)
		}
		_ = file.Close()
		if errors.Is(err, errShrunk) && !again {
			c.seen, c.note = nil, join(c.note, err.Error())
			continue
		}
		if err == nil {
			c.unsigned += written
		}
		if made != nil && err == nil {
			c.signed(made)
		}
		answer(entries, err)
		return
	}
}

// open is current, but moves a broken file aside if it may.
func (c *chain) open(aside bool) (*os.File, error) {
	file, err := c.current("")
	if !aside || !errors.Is(err, ErrBroken) {
		return file, err
	}
	continues, err := c.moveAside(err)
	if err != nil {
		return nil, err
	}
	return c.current(continues)
}

// encode returns the lines that follow the last record, with the head that goes with them. Whatever cannot be encoded is
// answered and left out.
func (c *chain) encode(entries []*entry, after uint64) (rest []*entry, lines []byte, end head) {
	end, note := c.end, c.note
	for _, e := range entries {
		if e.record.Event == "" {
			rest = append(rest, e)
			continue
		}
		r := e.record
		r.Note, r.After = note, after
		line, next, err := c.next(r, end)
		if err != nil {
			e.done <- err
			continue
		}
		rest, lines, end, note = append(rest, e), append(lines, line...), next, ""
	}
	return rest, lines, end
}

// next returns r as the line that follows end, and the head that goes with it.
func (c *chain) next(r Record, end head) (line []byte, next head, err error) {
	r.Seq, r.Prev, r.Time = end.Seq+1, end.Hash, r.Time.UTC()
	line, hash, err := encode(r)
	return line, head{r.Seq, hash}, err
}

// put writes lines at the end of file, or leaves file as it was.
func (c *chain) put(file *os.File, lines []byte, end head) error {
	_, err := file.WriteAt(lines, c.size)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = c.whole(file, c.size+int64(len(lines)))
	}
	if err == nil {
		err = writeHead(c.path, end)
	}
	if errors.Is(err, errShrunk) {
		return err
	}
	if err != nil {
		if undo := file.Truncate(c.size); undo != nil {
			c.seen = nil // what is left of the lines has to be looked at again
			err = errors.Join(err, undo)
		}
		return lang.Errorf("the audit log cannot be written: %w", err)
	}
	if c.note != "" {
		c.told = append(c.told, c.note)
	}
	c.size += int64(len(lines))
	c.end, c.note = end, ""
	return nil
}

// whole returns errShrunk unless file is as long as it should be and still has the line end before what was added: who
// truncates a file under a writer leaves a hole.
func (c *chain) whole(file *os.File, size int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	before := make([]byte, 1)
	if c.size > 0 {
		if _, err := file.ReadAt(before, c.size-1); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if info.Size() < size || c.size > 0 && before[0] != '\n' {
		return errShrunk
	}
	return nil
}

// current returns the file to append to, with c.size and c.end describing its end. It creates, repairs and rotates; a
// file that it creates continues the one named, if any.
func (c *chain) current(continues string) (*os.File, error) {
	file, err := c.load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case c.size < c.maxBytes && (c.keepFor <= 0 || c.now().Sub(c.born) < c.keepFor):
		return file, nil
	default:
		if err := c.checkpointIn(file); err != nil {
			c.note = join(c.note, fmt.Sprintf("the file before could not be signed: %v", err)) // not said to people
		}
		_ = file.Close() // an open file cannot be renamed everywhere
		if continues, err = c.rotate(); err != nil {
			// A file that grows too long is better than calls that are refused, say because somebody reads the file on
			// Windows.
			c.note = join(c.note, err.Error())
			return c.load()
		}
	}
	if err := c.start(continues); err != nil {
		return nil, lang.Errorf("the audit log cannot be started: %w", err)
	}
	return c.load()
}

// load opens the file. An absent and an empty file are both fs.ErrNotExist.
func (c *chain) load() (*os.File, error) {
	file, info, err := openLog(c.path)
	if err != nil {
		return nil, err
	}
	if c.seen != nil && os.SameFile(c.seen, info) && c.size == info.Size() {
		return file, nil
	}
	c.seen = nil
	if err := c.inspect(file, info.Size()); err != nil {
		_ = file.Close()
		return nil, err
	}
	c.seen = info
	return file, nil
}

func openLog(path string) (*os.File, os.FileInfo, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, nil, err
	}
	if !named.Mode().IsRegular() {
		// A link would be replaced by the first rotation, and lead elsewhere whenever somebody changes it.
		return nil, nil, lang.Errorf("%w: %s is a link or a special file", ErrUnsafe, path)
	}
	if runtime.GOOS != "windows" && named.Mode().Perm()&0o022 != 0 {
		return nil, nil, lang.Errorf("%w: others may write %s (%s)", ErrUnsafe, path, named.Mode().Perm())
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(named, info) {
		err = lang.Errorf("%w: %s was replaced at the moment it was opened", ErrUnsafe, path)
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
func (c *chain) inspect(file *os.File, size int64) error {
	start := make([]byte, len(lineStart))
	if _, err := file.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(start) != lineStart {
		if c.end.Seq > 0 {
			return lang.Errorf("%w: it no longer begins as an audit log does", ErrBroken)
		}
		return lang.Errorf("%w: %s does not begin as an audit log does", ErrUnsafe, c.path)
	}
	isFirstLook := c.end.Seq == 0
	first, _ := readFirst(file)
	c.log = logID(first) // also for what follows a broken file
	last, rest, err := readEnd(file, size)
	if err != nil {
		return err
	}
	size -= int64(len(rest))
	whole, problem := parse(slices.Concat(rest, []byte("\n")))
	unended := problem == nil && whole.Seq == last.Seq+1 && whole.Prev == last.Hash
	if unended {
		last = whole
	}
	note, err := c.compare(last)
	if err != nil {
		return err
	}
	switch {
	case unended:
		if _, err := file.WriteAt([]byte("\n"), size+int64(len(rest))); err != nil {
			return lang.Errorf("the audit log cannot be repaired: %w", err)
		}
		size += int64(len(rest)) + 1
		note = join(note, "repaired: a line end was missing before this record") // not said to people
	case len(rest) > 0:
		if err := file.Truncate(size); err != nil {
			return lang.Errorf("the audit log cannot be repaired: %w", err)
		}
		note = join(note, fmt.Sprintf("repaired: %d bytes of an unfinished line were dropped before this record", len(rest))) // not said to people
	}
	c.size, c.born, c.end, c.note = size, first.Time, head{last.Seq, last.Hash}, join(c.note, note)
	switch {
	case last.Event == Checkpointed:
		c.unsigned = 0
	case isFirstLook: // a process that is gone has left something unsigned
		c.unsigned = signEvery
	}
	return nil
}

// compare judges the last record by the head file and by what this process has written, and returns what the next record
// has to note about it.
func (c *chain) compare(last Record) (note string, err error) {
	h, err := readHead(c.path)
	switch {
	case last.Seq < c.end.Seq:
		return "", lang.Errorf("%w: it ends at record %d, this server has seen record %d", ErrBroken, last.Seq, c.end.Seq)
	case last.Seq == c.end.Seq && last.Hash != c.end.Hash:
		return "", lang.Errorf("%w: record %d is not the one that this server has seen", ErrBroken, last.Seq)
	case errors.Is(err, fs.ErrNotExist):
		return "there was no head file: records may have been cut off before this one", nil // not said to people
	case err != nil:
		return fmt.Sprintf("records may have been cut off before this one: %v", err), nil // not said to people
	case h.Seq > last.Seq:
		return "", lang.Errorf("%w: it ends at record %d, the head says %d", ErrBroken, last.Seq, h.Seq)
	case h.Seq == last.Seq && h.Hash != last.Hash, h.Seq+1 == last.Seq && h.Hash != last.Prev:
		return "", lang.Errorf("%w: record %d is not the one that the head names", ErrBroken, h.Seq)
	case h.Seq < last.Seq:
		// A crash between record and head explains it. So does a record that somebody else has put there.
		return fmt.Sprintf("the head file was old: it named record %d, the log ended at %d", h.Seq, last.Seq), nil // not said to people
	}
	return "", nil
}

// readFirst returns the first record of a log.
func readFirst(file io.ReaderAt) (Record, error) {
	line, err := bufio.NewReaderSize(io.NewSectionReader(file, 0, maxLine), 4<<10).ReadBytes('\n')
	if err != nil {
		return Record{}, err
	}
	r, problem := parse(line)
	if problem != nil {
		return Record{}, lang.Errorf("%w: at its beginning: %s", ErrBroken, problem.Detail)
	}
	return r, nil
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
				return Record{}, nil, lang.Errorf("%w: at its end: %s", ErrBroken, problem.Detail)
			}
			return last, text[end:], nil
		case begin == 0 || window >= longest:
			return Record{}, nil, lang.Errorf("%w: there is no complete record in its last %d bytes", ErrBroken, len(text))
		}
	}
}
