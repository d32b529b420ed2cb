package audit

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// VerifyAll checks the log at path: the files of changes, then those of attempts, each with its rotated and broken ones,
// oldest first, and that each continues the one before. A result in a later file finishes an intent in an earlier one.
//
// The first record of all must be there, unless a later one says that retention removed it. Attempts name the change that
// was recorded before them, so that changes which were cut off show although their head was removed too.
func VerifyAll(path string) ([]Report, error) {
	verdict, err := VerifyWith(path, Trust{})
	return verdict.Reports, err
}

// VerifyWith also checks that every checkpoint signs the record behind which it stands; with keys, who signed it, and that
// nothing but the very end is unsigned; with anchors, that the log still says what it said when they were sent.
func VerifyWith(path string, t Trust) (Verdict, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Verdict{}, err
	}
	// Attempts first: what they name must be among the changes, which may meanwhile have grown.
	attempts, err := verifyChain(attemptsPath(path), path, t)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Verdict{}, err
	}
	changes, err := verifyChain(path, path, t)
	if err != nil {
		return Verdict{}, err
	}
	named := uint64(0)
	for _, v := range attempts {
		named, v.report.Attempts = max(named, v.after), true
	}
	if last := changes[len(changes)-1]; last.report.Problem == nil && last.last.Seq < named {
		last.fail(last.last.Seq+1, Missing, lang.T("the changes end at record %d, but an attempt was recorded after record %d",
			last.last.Seq, named))
		last.report.Problem.Line++
		last.tail(TailCut, last.report.Problem.Detail)
	}
	p, invalid := t.proof()
	verdict := Verdict{Invalid: invalid}
	for _, v := range slices.Concat(changes, attempts) {
		verdict.Reports = append(verdict.Reports, v.report)
		if v.report.Signing != nil {
			delete(p.anchors, v.report.Signing.Log)
		}
	}
	verdict.Others = slices.Sorted(maps.Keys(p.anchors))
	return verdict, nil
}

// verifyChain checks the file at path with those that it was rotated to, oldest first.
func verifyChain(path, log string, t Trust) ([]*verifier, error) {
	var all []*verifier
	var p *proof
	var err error
	for range 3 {
		p, _ = t.proof()
		if all, err = verifyFiles(path, log, p); !errors.Is(err, errMoved) {
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
	p.judge(all, path != log)
	return all, nil
}

// errMoved means that a file was removed by a rotation since the folder was listed.
var errMoved = lang.Errorf("the files of the audit log changed while they were read; try again")

func verifyFiles(path, log string, p *proof) ([]*verifier, error) {
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
			v, err = s.verify(pending, p)
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
		v, err := last.verify(pending, p)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	if v := all[len(all)-1]; last == nil && v.report.Problem == nil {
		// A crash in a rotation leaves the head of what was renamed.
		if h, err := readHead(path); err != nil || h != (head{v.last.Seq, v.last.Hash}) {
			v.fail(v.last.Seq+1, Missing, lang.T("the log that follows this file is not there"))
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
		v.begin(end.Seq, Changed, lang.T("this file names another hash for record %d, with which the file before ends", end.Seq))
		return
	case first.Seq <= end.Seq:
		v.begin(end.Seq+1, Missing, lang.T("the file before ends at record %d, this one begins anew at %d", end.Seq, first.Seq))
		return
	}
	for _, mark := range marks {
		if mark.Seq >= first.Seq || mark.Seq == first.Seq-1 && mark.Hash == first.Prev {
			v.report.Beginning = lang.T("records %d to %d were removed by retention, as the log says", end.Seq+1, first.Seq-1)
			return
		}
	}
	detail := lang.T("the file before ends at record %d, this one begins at %d", end.Seq, first.Seq)
	if end.Seq == 0 {
		detail = lang.T("the log begins at record %d, and no record says that retention removed those before", first.Seq)
	}
	v.begin(end.Seq+1, Missing, detail)
}

// begin reports a problem with the beginning, unless there is another one.
func (v *verifier) begin(seq uint64, kind Kind, detail lang.Text) {
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
		v.tail(TailComplete, lang.T("the file ends at record %d, as the next one says", end.Seq))
		return
	case v.head != nil && *v.head == follows && end.Seq > follows.Seq:
		v.fail(follows.Seq+1, Added, lang.T("record %d stands behind record %d, with which the next file continues: it was added later",
			follows.Seq+1, follows.Seq))
		return
	}
	next.beginsAt(end, marks)
}
