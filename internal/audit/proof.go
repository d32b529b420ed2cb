package audit

import (
	"slices"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Trust is what the signatures of a log are checked with.
type Trust struct {
	Keys []PublicKey // any of them may have signed; none: signatures are not checked
	// Anchors are checkpoints that were sent elsewhere. What they say must be so in the log. They count only if one of Keys has
	// signed them.
	Anchors []Checkpoint
}

// Verdict is what VerifyWith found.
type Verdict struct {
	Reports []Report
	Others  []string // logs, as checkpoints name them, that anchors are about and that are not this one
	Invalid int      // anchors that none of the keys has signed
}

// Signing is what the checkpoints of a chain prove.
type Signing struct {
	Log         string // the name of the chain
	Checkpoints int
	Signed      uint64    // the last record that is signed
	At          time.Time // of its checkpoint
	Keys        []string  // that have signed, in the order of their first use
	Unsigned    int       // records after the last checkpoint
	Since       time.Time // of the first of them

	Anchors int // that say what the log says
	Removed int // anchors about records that retention has removed
}

// How much may come after the last checkpoint. A server at work signs within signAfter; one that has crashed has left
// something.
const (
	maxUnsigned    = 1000
	maxUnsignedFor = 10 * signAfter
)

// proof follows the checkpoints of one chain through its files.
type proof struct {
	keys    map[string]PublicKey
	anchors map[string]map[uint64][]Checkpoint // by log and record
	wanted  bool                               // there should be anchors about the changes
	signing Signing
}

// proof returns what a chain is checked with, and how many anchors do not count.
func (t Trust) proof() (p *proof, invalid int) {
	p = &proof{keys: map[string]PublicKey{}, anchors: map[string]map[uint64][]Checkpoint{}, wanted: len(t.Anchors) > 0}
	for _, key := range t.Keys {
		p.keys[key.ID()] = key
	}
	for _, c := range t.Anchors {
		key, known := p.keys[c.Key]
		if !known || !c.holds(key) {
			invalid++
			continue
		}
		if p.anchors[c.Log] == nil {
			p.anchors[c.Log] = map[uint64][]Checkpoint{}
		}
		p.anchors[c.Log][c.Seq] = append(p.anchors[c.Log][c.Seq], c)
	}
	return p, invalid
}

// check says what is wrong with r by the signatures. first is the first record of its file.
func (p *proof) check(first, r Record) *Problem {
	if p == nil {
		return nil
	}
	log := logID(first)
	for _, c := range p.anchors[log][r.Seq] {
		if c.Hash != r.Hash {
			return &Problem{Kind: Changed, Seq: r.Seq, Detail: lang.T("record %d is not the one that was sent elsewhere at %s: "+
				"the log was written anew", r.Seq, c.Time.Format(time.DateTime))}
		}
	}
	if r.Event != Checkpointed {
		return nil
	}
	c := r.Checkpoint
	problem := func(kind Kind, format string, args ...any) *Problem {
		return &Problem{Kind: kind, Seq: r.Seq, Detail: lang.T(format, args...)}
	}
	switch {
	case c == nil || !c.isWhole():
		return problem(Unreadable, "the checkpoint is not complete")
	case c.Log != log:
		return problem(Misplaced, "the checkpoint is one of the log %s, this is the log %s", c.Log, log)
	case c.Seq != r.Seq-1 || c.Hash != r.Prev:
		return problem(Misplaced, "the checkpoint signs record %d with another hash or number than record %d, behind which it stands", c.Seq, r.Seq-1)
	case len(p.keys) == 0:
		return nil
	}
	key, known := p.keys[c.Key]
	if !known {
		return problem(Forged, "the checkpoint was signed with the key %s, which was not given", c.Key)
	}
	if !c.holds(key) {
		return problem(Forged, "the key %s has not signed this checkpoint", c.Key)
	}
	return nil
}

// accept notes a record that holds.
func (p *proof) accept(first, r Record) {
	if p == nil {
		return
	}
	s := &p.signing
	s.Log = logID(first)
	s.Anchors += len(p.anchors[s.Log][r.Seq])
	if r.Event != Checkpointed {
		if s.Unsigned == 0 {
			s.Since = r.Time
		}
		s.Unsigned++
		return
	}
	s.Checkpoints, s.Signed, s.At, s.Unsigned = s.Checkpoints+1, r.Checkpoint.Seq, r.Checkpoint.Time, 0
	if !slices.Contains(s.Keys, r.Checkpoint.Key) {
		s.Keys = append(s.Keys, r.Checkpoint.Key)
	}
}

// judge looks at what is not there: signatures behind the last checkpoint, and records that anchors tell of.
func (p *proof) judge(all []*verifier, attempts bool) {
	last := all[len(all)-1]
	s := &p.signing
	last.report.Signing = s
	if slices.ContainsFunc(all, func(v *verifier) bool { return v.report.Problem != nil }) {
		return
	}
	fail := func(seq uint64, kind Kind, format string, args ...any) {
		last.lines++
		last.fail(seq, kind, lang.T(format, args...))
		last.lines--
	}
	oldest := all[0].first.Seq
	var newest Checkpoint
	for seq, anchored := range p.anchors[s.Log] {
		if seq > newest.Seq {
			newest = anchored[0]
		}
		if seq < oldest {
			s.Removed += len(anchored)
		}
	}
	end := last.last
	switch {
	case newest.Seq > end.Seq:
		fail(end.Seq+1, Missing, "the log ends at record %d, but record %d was sent elsewhere at %s", end.Seq, newest.Seq,
			newest.Time.Format(time.DateTime))
	case p.wanted && newest.Seq == 0 && !attempts:
		fail(0, Missing, "none of the checkpoints that were sent elsewhere is one of this log, %s: another log may have been put in its place",
			s.Log)
	case len(p.keys) == 0:
	case s.Checkpoints == 0:
		fail(0, Unsigned, "there is no checkpoint: the log was written without a key, or written anew by somebody who does not have it")
	case s.Unsigned > maxUnsigned || s.Unsigned > 0 && end.Time.Sub(s.Since) > maxUnsignedFor:
		fail(s.Signed+2, Unsigned, "%d records since %s are not signed: they were written without the key", s.Unsigned,
			s.Since.Format(time.DateTime))
	}
}
