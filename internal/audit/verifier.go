package audit

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// verifier follows the chain through one file. It remembers one record at a time.
type verifier struct {
	report  Report
	head    *head // nil when it could not be read
	headErr error
	pending *intents
	proof   *proof // nil: checkpoints are records like others

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
				v.tail(TailUnknown, lang.T("the chain does not hold up to the end"))
			}
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			v.lines++
			if v.report.Problem == nil {
				v.fail(v.next(), Unreadable, lang.T("the line is longer than records are"))
			}
			v.tail(TailUnknown, lang.T("the chain does not hold up to the end"))
			return nil
		case err != nil:
			return err
		}
		if v.line(line) {
			v.tail(TailUnknown, lang.T("the chain does not hold up to the end"))
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
			gap.Detail = lang.T("record %d stands in line %d", r.Seq, v.lines)
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
		return &Problem{Kind: Missing, Detail: lang.T("the opened record is not there; the first one is record %d", r.Seq)}
	case v.last.Seq == 0 && (r.Seq == 0 || r.Seq == 1 && r.Prev != firstPrev):
		return &Problem{Kind: Changed, Seq: r.Seq, Detail: lang.T("no log begins with this record")}
	case v.last.Seq == 0:
	case r.Seq > next:
		return &Problem{Kind: Missing, Seq: next, Detail: lang.T("record %d follows record %d", r.Seq, v.last.Seq)}
	case r.Seq < next:
		return &Problem{Kind: Repeated, Seq: r.Seq, Detail: lang.T("record %d follows record %d", r.Seq, v.last.Seq)}
	case r.Prev != v.last.Hash:
		return &Problem{Kind: Changed, Seq: v.last.Seq, Detail: lang.T(
			"record %d names another hash for record %d: one of the two was written anew", r.Seq, v.last.Seq)}
	}
	if v.head != nil && (v.head.Seq == r.Seq && v.head.Hash != r.Hash || v.head.Seq+1 == r.Seq && v.head.Hash != r.Prev) {
		return &Problem{Kind: Changed, Seq: v.head.Seq, Detail: lang.T("the head names another hash for record %d", v.head.Seq)}
	}
	return v.proof.check(v.firstOr(r), r)
}

// firstOr returns the first record of the file, which r is when there was none before.
func (v *verifier) firstOr(r Record) Record {
	if v.last.Seq == 0 {
		return r
	}
	return v.first
}

func (v *verifier) accept(r Record) {
	if v.last.Seq == 0 {
		v.first = r
		v.report.First, v.report.Continues = r.Time, r.Continues
	}
	v.proof.accept(v.first, r)
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
		v.fail(v.next(), Torn, lang.T("the last line is incomplete, %d bytes", len(rest)))
		whole, problem := parse(append(rest[:len(rest):len(rest)], '\n'))
		if problem == nil && v.link(whole) == nil {
			known = whole.Seq // the next record completes the line
		}
	}
	switch {
	case v.head == nil && len(rest) == 0 && errors.Is(v.headErr, fs.ErrNotExist):
		v.tail(TailUnknown, lang.T("there is no head file to compare with: whether records were cut off at the end cannot be seen"))
	case v.head == nil && len(rest) == 0:
		v.tail(TailUnknown, lang.T("there is nothing to compare with: %v", v.headErr))
	case v.head != nil && v.head.Seq > known:
		cut, line := v.head.Seq-known, v.lines
		if len(rest) == 0 {
			line++
		}
		v.tail(TailCut, lang.T("the log ends at record %d, the head says %d: %d records were cut off", known, v.head.Seq, cut))
		v.report.Problem = &Problem{Line: line, Seq: known + 1, Kind: Missing, Detail: v.report.TailWhy}
	case len(rest) > 0:
		v.tail(TailTorn, lang.T("the last line is incomplete: a write was interrupted, or the end was cut off"))
	case v.head.Seq < known:
		v.tail(TailAhead, lang.T("the log ends at record %d, the head says %d: a server was stopped between the two, or "+
			"records were added by another program; that cannot be told apart", known, v.head.Seq))
	default:
		v.tail(TailComplete, lang.T("the log ends at record %d", known))
	}
}

// next is the seq that the next record should have; 0 before the first, which may have any.
func (v *verifier) next() uint64 {
	if v.last.Seq == 0 {
		return 0
	}
	return v.last.Seq + 1
}

func (v *verifier) fail(seq uint64, kind Kind, detail lang.Text) {
	v.report.Problem = &Problem{Line: v.lines, Seq: seq, Kind: kind, Detail: detail}
}

func (v *verifier) tail(t Tail, why lang.Text) { v.report.Tail, v.report.TailWhy = t, why }
