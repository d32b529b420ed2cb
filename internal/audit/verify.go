package audit

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/filelock"
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
	v, err := file.verify(pending)
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
		err = &fs.PathError{Op: "verify", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		_ = s.file.Close()
		return nil, err
	}
	s.size = info.Size()
	return s, nil
}

// verify reads the snapshot and closes it.
func (s *snapshot) verify(pending *intents) (*verifier, error) {
	defer func() { _ = s.file.Close() }()
	v := &verifier{report: Report{File: s.path}, pending: pending}
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

// Report is what Verify found in one file.
type Report struct {
	File      string    // as it was given or found
	Records   int       // that hold: all of the file, or those before the problem
	Seq       uint64    // of the last of them
	First     time.Time // of the first and the last of them
	Last      time.Time
	Continues string // the file before, as the first record names it; its own records are not looked at
	Attempts  bool   // VerifyAll: the file is one of attempts, not of changes

	// Beginning says why the records before the first are not there, as far as VerifyAll can tell: retention removed them.
	Beginning string
	// Notes are the last records in which the log says what happened to it.
	Notes []Record

	Problem *Problem // the first one; nil when there is none
	Tail    Tail
	TailWhy string // what Tail means here, in words

	// Unfinished are intents without a result, oldest first: the process died between the two, or is at work, or wrote
	// the result into a later file or behind the problem.
	Unfinished []Record
	// UnfinishedMore is set when there were too many of them to hold; a few may then be missing from Unfinished.
	UnfinishedMore bool
}

// Problem is the first place where a log is not as it was written.
type Problem struct {
	Line   int    // from 1; where the problem shows
	Seq    uint64 // of the record that is changed, missing, out of order or there twice; 0 when that is unknown
	Kind   Kind
	Detail string
}

// Kind says what is wrong.
type Kind string

// The kinds of problems.
const (
	Changed    Kind = "changed"    // a record does not have its hash, or not the one that its neighbour names
	Missing    Kind = "missing"    // one or more records are not there
	Reordered  Kind = "reordered"  // a record stands further down than it should
	Repeated   Kind = "repeated"   // a record is there twice
	Unreadable Kind = "unreadable" // a line is not a record
	Added      Kind = "added"      // a record stands behind the one that the next file follows
	Torn       Kind = "torn"       // the last line is incomplete: a write was interrupted, or the end was cut off
)

// Tail says what is known about the end of a log.
type Tail string

// What the head file tells about the end.
const (
	TailComplete Tail = "complete" // the log ends where the head says
	TailCut      Tail = "cut"      // the head knows later records
	TailAhead    Tail = "ahead"    // the head is older: a crash explains it, and so do records that somebody added
	TailTorn     Tail = "torn"     // the last line is incomplete, and the head knows nothing later
	TailUnknown  Tail = "unknown"  // there is no head, or the problem comes before the end
)

// verifier follows the chain through one file. It remembers one record at a time.
type verifier struct {
	report  Report
	head    *head // nil when it could not be read
	headErr error
	pending *intents

	lines int
	first Record // the opened record
	last  Record // the last one that holds; Seq 0 before the first
	after uint64 // the last change that an attempt names
	marks []Mark // of what retention removed
}

func (v *verifier) read(lines *bufio.Reader) error {
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			if v.report.Problem == nil {
				v.finish(line)
			} else {
				v.tail(TailUnknown, "the chain does not hold up to the end")
			}
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			v.lines++
			if v.report.Problem == nil {
				v.fail(v.next(), Unreadable, "the line is longer than records are")
			}
			v.tail(TailUnknown, "the chain does not hold up to the end")
			return nil
		case err != nil:
			return err
		}
		if v.line(line) {
			v.tail(TailUnknown, "the chain does not hold up to the end")
			return nil
		}
	}
}

// line takes the next line and reports whether the rest cannot tell anything new. After a gap it does: the missing
// record may stand further down.
func (v *verifier) line(line []byte) (done bool) {
	v.lines++
	r, problem := parse(line)
	if gap := v.report.Problem; gap != nil {
		if problem == nil && (r.Seq == gap.Seq || gap.Seq == 0 && r.Event == Opened) {
			gap.Kind = Reordered
			gap.Detail = fmt.Sprintf("record %d stands in line %d", r.Seq, v.lines)
			return true
		}
		return false
	}
	if problem != nil {
		v.fail(v.next(), problem.Kind, problem.Detail)
		return true
	}
	if problem := v.link(r); problem != nil {
		v.fail(problem.Seq, problem.Kind, problem.Detail)
		return problem.Kind != Missing
	}
	v.accept(r)
	return false
}

// link says what is wrong with r as the record after the last one.
func (v *verifier) link(r Record) *Problem {
	next := v.last.Seq + 1
	switch {
	case v.last.Seq == 0 && r.Event != Opened:
		return &Problem{Kind: Missing, Detail: fmt.Sprintf("the opened record is not there; the first one is record %d", r.Seq)}
	case v.last.Seq == 0 && (r.Seq == 0 || r.Seq == 1 && r.Prev != firstPrev):
		return &Problem{Kind: Changed, Seq: r.Seq, Detail: "no log begins with this record"}
	case v.last.Seq == 0:
	case r.Seq > next:
		return &Problem{Kind: Missing, Seq: next, Detail: fmt.Sprintf("record %d follows record %d", r.Seq, v.last.Seq)}
	case r.Seq < next:
		return &Problem{Kind: Repeated, Seq: r.Seq, Detail: fmt.Sprintf("record %d follows record %d", r.Seq, v.last.Seq)}
	case r.Prev != v.last.Hash:
		return &Problem{Kind: Changed, Seq: v.last.Seq, Detail: fmt.Sprintf(
			"record %d names another hash for record %d: one of the two was written anew", r.Seq, v.last.Seq)}
	}
	if v.head != nil && (v.head.Seq == r.Seq && v.head.Hash != r.Hash || v.head.Seq+1 == r.Seq && v.head.Hash != r.Prev) {
		return &Problem{Kind: Changed, Seq: v.head.Seq, Detail: fmt.Sprintf("the head names another hash for record %d", v.head.Seq)}
	}
	return nil
}

func (v *verifier) accept(r Record) {
	if v.last.Seq == 0 {
		v.first = r
		v.report.First, v.report.Continues = r.Time, r.Continues
	}
	v.last = r
	v.after = max(v.after, r.After)
	if r.Removed != nil {
		v.marks = append(v.marks, *r.Removed)
	}
	if r.Note != "" && !strings.HasPrefix(r.Note, "cut: ") {
		v.report.Notes = append(v.report.Notes[max(0, len(v.report.Notes)-maxNotes+1):], r)
	}
	v.report.Records++
	v.report.Seq, v.report.Last = r.Seq, r.Time
	v.pending.note(v.report.File, r)
}

// finish judges the end of a chain that held so far. rest is what follows the last line end.
func (v *verifier) finish(rest []byte) {
	known := v.last.Seq
	if len(rest) > 0 {
		v.lines++
		v.fail(v.next(), Torn, fmt.Sprintf("the last line is incomplete, %d bytes", len(rest)))
		whole, problem := parse(append(rest[:len(rest):len(rest)], '\n'))
		if problem == nil && v.link(whole) == nil {
			known = whole.Seq // the next record completes the line
		}
	}
	switch {
	case v.head == nil && len(rest) == 0 && errors.Is(v.headErr, fs.ErrNotExist):
		v.tail(TailUnknown, "there is no head file to compare with: whether records were cut off at the end cannot be seen")
	case v.head == nil && len(rest) == 0:
		v.tail(TailUnknown, fmt.Sprintf("there is nothing to compare with: %v", v.headErr))
	case v.head != nil && v.head.Seq > known:
		cut, line := v.head.Seq-known, v.lines
		if len(rest) == 0 {
			line++
		}
		v.tail(TailCut, fmt.Sprintf("the log ends at record %d, the head says %d: %d records were cut off", known, v.head.Seq, cut))
		v.report.Problem = &Problem{Line: line, Seq: known + 1, Kind: Missing, Detail: v.report.TailWhy}
	case len(rest) > 0:
		v.tail(TailTorn, "the last line is incomplete: a write was interrupted, or the end was cut off")
	case v.head.Seq < known:
		v.tail(TailAhead, fmt.Sprintf("the log ends at record %d, the head says %d: a server was stopped between the two, or "+
			"records were added by another program; that cannot be told apart", known, v.head.Seq))
	default:
		v.tail(TailComplete, fmt.Sprintf("the log ends at record %d", known))
	}
}

// next is the seq that the next record should have; 0 before the first, which may have any.
func (v *verifier) next() uint64 {
	if v.last.Seq == 0 {
		return 0
	}
	return v.last.Seq + 1
}

func (v *verifier) fail(seq uint64, kind Kind, detail string) {
	v.report.Problem = &Problem{Line: v.lines, Seq: seq, Kind: kind, Detail: detail}
}

func (v *verifier) tail(t Tail, why string) { v.report.Tail, v.report.TailWhy = t, why }

// VerifyAll checks the log at path: the files of changes, then those of attempts, each with its rotated and broken ones,
// oldest first, and that each continues the one before. A result in a later file finishes an intent in an earlier one.
//
// The first record of all must be there, unless a later one says that retention removed it. Attempts name the change that
// was recorded before them, so that changes which were cut off show although their head was removed too.
func VerifyAll(path string) ([]Report, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Attempts first: what they name must be among the changes, which may meanwhile have grown.
	attempts, err := verifyChain(attemptsPath(path), path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	changes, err := verifyChain(path, path)
	if err != nil {
		return nil, err
	}
	named := uint64(0)
	for _, v := range attempts {
		named, v.report.Attempts = max(named, v.after), true
	}
	if last := changes[len(changes)-1]; last.report.Problem == nil && last.last.Seq < named {
		last.fail(last.last.Seq+1, Missing, fmt.Sprintf("the changes end at record %d, but an attempt was recorded after record %d",
			last.last.Seq, named))
		last.report.Problem.Line++
		last.tail(TailCut, last.report.Problem.Detail)
	}
	var reports []Report
	for _, v := range slices.Concat(changes, attempts) {
		reports = append(reports, v.report)
	}
	return reports, nil
}

// verifyChain checks the file at path with those that it was rotated to, oldest first.
func verifyChain(path, log string) ([]*verifier, error) {
	var all []*verifier
	var err error
	for range 3 {
		if all, err = verifyFiles(path, log); !errors.Is(err, errMoved) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	var marks []Mark
	for _, v := range all {
		marks = append(marks, v.marks...)
	}
	all[0].beginsAt(head{0, firstPrev}, marks)
	for i, v := range all[1:] {
		all[i].followedBy(v, marks)
	}
	return all, nil
}

// errMoved means that a file was removed by a rotation since the folder was listed.
var errMoved = errors.New("the files of the audit log changed while they were read; try again")

func verifyFiles(path, log string) ([]*verifier, error) {
	release := lockForReading(log)
	old := (&chain{path: path}).oldFiles()
	last, err := openSnapshot(path)
	release()
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || len(old) == 0) {
		return nil, err
	}
	pending := newIntents()
	var all []*verifier
	for _, file := range old {
		s, err := openSnapshot(filepath.Join(filepath.Dir(path), file.name))
		var v *verifier
		if err == nil {
			v, err = s.verify(pending)
		}
		if err != nil {
			if last != nil {
				_ = last.file.Close()
			}
			if errors.Is(err, fs.ErrNotExist) {
				err = errMoved
			}
			return nil, err
		}
		all = append(all, v)
	}
	if last != nil {
		v, err := last.verify(pending)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	if v := all[len(all)-1]; last == nil && v.report.Problem == nil {
		// A crash in a rotation leaves the head of what was renamed.
		if h, err := readHead(path); err != nil || h != (head{v.last.Seq, v.last.Hash}) {
			v.fail(v.last.Seq+1, Missing, "the log that follows this file is not there")
			v.report.Problem.Line++
		}
	}
	for _, v := range all {
		v.report.Unfinished, v.report.UnfinishedMore = pending.in(v.report.File), pending.more
	}
	return all, nil
}

// beginsAt checks that the first record follows end, or that one of marks says that retention removed what was between.
func (v *verifier) beginsAt(end head, marks []Mark) {
	first := v.first
	switch {
	case first.Seq == 0 || first.Seq == end.Seq+1 && first.Prev == end.Hash:
		return
	case first.Seq == end.Seq+1:
		v.begin(end.Seq, Changed, fmt.Sprintf("this file names another hash for record %d, with which the file before ends", end.Seq))
		return
	case first.Seq <= end.Seq:
		v.begin(end.Seq+1, Missing, fmt.Sprintf("the file before ends at record %d, this one begins anew at %d", end.Seq, first.Seq))
		return
	}
	for _, mark := range marks {
		if mark.Seq >= first.Seq || mark.Seq == first.Seq-1 && mark.Hash == first.Prev {
			v.report.Beginning = fmt.Sprintf("records %d to %d were removed by retention, as the log says", end.Seq+1, first.Seq-1)
			return
		}
	}
	detail := fmt.Sprintf("the file before ends at record %d, this one begins at %d", end.Seq, first.Seq)
	if end.Seq == 0 {
		detail = fmt.Sprintf("the log begins at record %d, and no record says that retention removed those before", first.Seq)
	}
	v.begin(end.Seq+1, Missing, detail)
}

// begin reports a problem with the beginning, unless there is another one.
func (v *verifier) begin(seq uint64, kind Kind, detail string) {
	if v.report.Problem != nil {
		return
	}
	v.report.Problem = &Problem{Line: 1, Seq: seq, Kind: kind, Detail: detail}
}

// followedBy checks that next continues v, and that v ends with the record that next continues.
func (v *verifier) followedBy(next *verifier, marks []Mark) {
	end := head{v.last.Seq, v.last.Hash}
	if v.report.Problem != nil {
		if v.head != nil {
			next.beginsAt(*v.head, marks) // a broken file is continued from its head
		}
		return
	}
	follows := head{next.first.Seq - 1, next.first.Prev}
	switch {
	case next.first.Seq == 0:
		return
	case follows == end:
		v.tail(TailComplete, fmt.Sprintf("the file ends at record %d, as the next one says", end.Seq))
		return
	case v.head != nil && *v.head == follows && end.Seq > follows.Seq:
		v.fail(follows.Seq+1, Added, fmt.Sprintf("record %d stands behind record %d, with which the next file continues: it was added later",
			follows.Seq+1, follows.Seq))
		return
	}
	next.beginsAt(end, marks)
}
