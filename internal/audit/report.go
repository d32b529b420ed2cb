package audit

import (
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

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
	Beginning lang.Text
	// Signing is what the checkpoints of the chain prove: VerifyWith, in the last report of each chain.
	Signing *Signing
	// Notes are the last records in which the log says what happened to it.
	Notes []Record

	Problem *Problem // the first one; nil when there is none
	Tail    Tail
	TailWhy lang.Text // what Tail means here, in words

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
	Detail lang.Text
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
	Misplaced  Kind = "misplaced"  // a checkpoint stands where it was not written
	Forged     Kind = "forged"     // a checkpoint is not signed with a key that was given
	Unsigned   Kind = "unsigned"   // there should be a checkpoint, and there is none
	Torn       Kind = "torn"       // the last line is incomplete: a write was interrupted, or the end was cut off
)

// In says it in a language.
func (k Kind) In(l lang.Lang) string {
	switch k {
	case Changed:
		return l.Word("changed")
	case Missing:
		return l.Word("missing")
	case Reordered:
		return l.Word("reordered")
	case Repeated:
		return l.Word("repeated")
	case Unreadable:
		return l.Word("unreadable")
	case Added:
		return l.Word("added")
	case Misplaced:
		return l.Word("misplaced")
	case Forged:
		return l.Word("forged")
	case Unsigned:
		return l.Word("unsigned")
	case Torn:
		return l.Word("torn")
	}
	return string(k)
}

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

// In says it in a language.
func (t Tail) In(l lang.Lang) string {
	switch t {
	case TailComplete:
		return l.Word("complete")
	case TailCut:
		return l.Word("cut")
	case TailAhead:
		return l.Word("ahead")
	case TailTorn:
		return l.Word("torn")
	case TailUnknown:
		return l.Word("unknown")
	}
	return string(t)
}
