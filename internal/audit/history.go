package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// VerifyAll checks the log at path together with its rotated and broken files, oldest first, and that each continues the
// one before. A result in a later file finishes an intent in an earlier one. Files that rotation has removed are not
// missed: the oldest one may continue a file that is not there.
func VerifyAll(path string) ([]Report, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, old := range (&Log{path: path}).oldFiles() {
		files = append(files, filepath.Join(filepath.Dir(path), old.name))
	}
	if _, err := os.Lstat(path); err == nil || len(files) == 0 {
		files = append(files, path)
	}
	pending := newIntents()
	var reports []Report
	var before *verifier
	for _, file := range files {
		v, err := verifyFile(file, pending)
		if errors.Is(err, fs.ErrNotExist) && len(files) > 1 {
			continue // removed by a rotation since the folder was listed
		}
		if err != nil {
			return nil, err
		}
		if before != nil && v.report.Problem == nil {
			v.report.Problem = before.followedBy(v.first)
		}
		reports, before = append(reports, v.report), v
	}
	for i := range reports {
		reports[i].Unfinished, reports[i].UnfinishedMore = pending.in(reports[i].File), pending.more
	}
	return reports, nil
}

// followedBy says what is wrong with first as the opened record of the file after this one.
func (v *verifier) followedBy(first Record) *Problem {
	end := head{v.last.Seq, v.last.Hash}
	switch {
	case v.head != nil:
		end = *v.head // a broken file is continued from its head
	case v.report.Problem != nil:
		return nil
	}
	switch {
	case first.Seq > end.Seq+1:
		return &Problem{Line: 1, Seq: end.Seq + 1, Kind: Missing,
			Detail: fmt.Sprintf("the file before ends at record %d, this one begins at %d", end.Seq, first.Seq)}
	case first.Seq <= end.Seq:
		return &Problem{Line: 1, Seq: end.Seq + 1, Kind: Missing,
			Detail: fmt.Sprintf("the file before ends at record %d, this one begins anew at %d", end.Seq, first.Seq)}
	case first.Prev != end.Hash:
		return &Problem{Line: 1, Seq: end.Seq, Kind: Changed,
			Detail: fmt.Sprintf("this file names another hash for record %d, with which the file before ends", end.Seq)}
	}
	return nil
}
