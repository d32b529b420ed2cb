package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// auditCommand works on audit logs.
type auditCommand struct {
	Verify verifyCommand `cmd:"" help:"Prove the chain of an audit log with its rotated files, or name its first broken record."`
	Keygen keygenCommand `cmd:"" help:"Make a key that signs audit logs, and print the public key that checks them."`
	Show   showCommand   `cmd:"" help:"List what an audit log holds: changes, and attempts that changed nothing."`
}

// verifyCommand checks an audit log. Exit status 1 when it is not intact.
type verifyCommand struct {
	File    string   `arg:"" type:"path" help:"The audit log. Its rotated files and those of attempts belong to it."`
	Strict  bool     `help:"Fail also when the log is not broken but its end cannot be proven."`
	Key     []string `sep:"none" placeholder:"PUBLIC" env:"-" help:"Check that the log is signed with this key, as audit keygen prints it or in a file; after a change of keys, give each of them."`
	Anchors string   `type:"path" placeholder:"FILE" env:"-" help:"Check that the log still says what it said when the checkpoints in this file were sent elsewhere: one in a line. Needs --key."`
}

// Run prints what holds.
func (c verifyCommand) Run(streams Streams) error {
	say := func(format string, args ...any) {
		_, _ = fmt.Fprintln(streams.Out, streams.Lang.Sprintf(format, args...))
	}
	trust, err := c.trust(say)
	if err != nil {
		return err
	}
	verdict, err := audit.VerifyWith(c.File, trust)
	if err != nil {
		return err
	}
	broken, unproven := false, false
	for i, r := range verdict.Reports {
		last := i == len(verdict.Reports)-1 || verdict.Reports[i+1].Attempts != r.Attempts
		sayReport(say, r)
		if len(trust.Keys) > 0 && r.Signing != nil {
			saySigning(say, *r.Signing)
			unproven = unproven || r.Signing.Unsigned > 0
		}
		broken = broken || r.Problem != nil
		unproven = unproven || last && r.Tail != audit.TailComplete
	}
	sayAnchors(say, verdict, len(trust.Anchors))
	switch {
	case broken:
		return status(exitError)
	case unproven && c.Strict:
		say("NOT PROVEN: the chain is intact, but its end may be missing or added")
		return status(exitError)
	case unproven:
		say("the chain is intact as far as it goes; what is said about its end cannot be proven (--strict makes that an error)")
	default:
		say("the chain is intact")
	}
	return nil
}

// trust reads what signatures are checked with.
func (c verifyCommand) trust(say func(format string, args ...any)) (trust audit.Trust, err error) {
	for _, text := range c.Key {
		key, err := audit.ParsePublicKey(text)
		if err != nil {
			return trust, lang.Errorf("--key: %w", err)
		}
		trust.Keys = append(trust.Keys, key)
	}
	if c.Anchors == "" {
		return trust, nil
	}
	if len(trust.Keys) == 0 {
		return trust, lang.Errorf("--anchors: without --key, anybody could have made these checkpoints; give the public key with it")
	}
	anchors, other, err := audit.ReadAnchors(c.Anchors)
	switch {
	case err != nil:
		return trust, lang.Errorf("--anchors: %w", err)
	case len(anchors) == 0:
		return trust, lang.Errorf("--anchors: there is no checkpoint in %s", text.Line(c.Anchors, 200))
	case other > 0:
		say("anchors: %d lines without a checkpoint", other)
	}
	trust.Anchors = anchors
	return trust, nil
}

// saySigning prints what is signed in one chain.
func saySigning(say func(format string, args ...any), s audit.Signing) {
	if s.Checkpoints == 0 {
		say("  signed: nothing")
		return
	}
	say("  signed: up to record %d, at %s, by %d checkpoints, with %s", s.Signed, s.At.Format(time.DateTime), s.Checkpoints,
		text.Line(strings.Join(s.Keys, ", "), 200))
	if s.Unsigned > 0 {
		say("  not signed: %d records since %s; a server at work signs them within a minute", s.Unsigned, s.Since.Format(time.DateTime))
	}
	if s.Anchors+s.Removed > 0 {
		say("  anchors: %d agree, %d are about records that retention has removed", s.Anchors, s.Removed)
	}
}

// sayAnchors prints what anchors are not about this log.
func sayAnchors(say func(format string, args ...any), v audit.Verdict, given int) {
	if v.Invalid > 0 {
		say("anchors: %d of %d are not signed with a key that was given, and do not count", v.Invalid, given)
	}
	if len(v.Others) > 0 {
		say("anchors: others are of the logs %s", text.Line(strings.Join(v.Others, ", "), 500))
	}
}

// keygenCommand makes a key.
type keygenCommand struct {
	File string `arg:"" type:"path" help:"The new file for the private key. Keep it outside the folder of the audit log."`
}

// Run prints the public key to stdout and what to do with it to stderr.
func (c keygenCommand) Run(streams Streams) error {
	key, err := audit.NewKey(c.File)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(streams.Out, key.Public()); err != nil {
		return err
	}
	return streams.say(streams.Err, "The private key is in %s. The server signs with it: --audit-key %[1]s\n"+
		"The line on stdout is the public key, %[2]s. Keep it on another machine, and check the log with it there or here:\n"+
		"scnet-mcp audit verify FILE --key PUBLIC\n", c.File, key.Public().ID())
}

// oneLine makes what is said of a log fit on a line.
func oneLine(s string) string { return text.Line(s, 300) }

// sayReport prints what was found in one file.
func sayReport(say func(format string, args ...any), r audit.Report) {
	kind := lang.T("changes")
	if r.Attempts {
		kind = lang.T("attempts")
	}
	span := lang.Text{}
	if r.Records > 0 {
		span = lang.T(" from %s to %s", r.First.Format(time.DateTime), r.Last.Format(time.DateTime))
	}
	say("%s: %d records%s in %s", kind, r.Records, span, text.Line(r.File, 200))
	if !r.Beginning.IsZero() {
		say("  beginning: %s", r.Beginning.Map(oneLine))
	}
	for _, note := range r.Notes {
		say("  noted in record %d at %s: %s", note.Seq, note.Time.Format(time.DateTime), text.Line(note.Note, 300))
	}
	for _, u := range r.Unfinished {
		say("  unfinished: record %d, %s by %s at %s has no result: the server stopped in the middle of the change, or it is still running",
			u.Seq, text.Line(u.Tool, 60), text.Line(u.Caller, 60), u.Time.Format(time.DateTime))
	}
	if r.UnfinishedMore {
		say("  unfinished: and more")
	}
	if p := r.Problem; p != nil {
		say("  BROKEN at line %d, record %d: %s: %s", p.Line, p.Seq, p.Kind, p.Detail.Map(oneLine))
		return
	}
	say("  end %s: %s", r.Tail, r.TailWhy.Map(oneLine))
}

// showCommand lists records.
type showCommand struct {
	File   string `arg:"" optional:"" type:"path" help:"The audit log. Default: the one in the user's state directory."`
	Tool   string `placeholder:"NAME" help:"Only calls of this tool."`
	Caller string `placeholder:"NAME" help:"Only calls of this caller: its name, or the sub of its access token."`
	ID     string `name:"id" placeholder:"ID" help:"Only calls about this instance, desktop or run."`
	Since  string `placeholder:"WHEN" help:"Only records since then: a duration such as 24h, a date, or a time as in RFC 3339."`
	JSON   bool   `name:"json" help:"Print the records as they are, one JSON object a line."`
}

// Run prints the records that were asked for, oldest first.
func (c showCommand) Run(streams Streams) error {
	since, err := sinceTime(c.Since, time.Now())
	if err != nil {
		return err
	}
	if c.File == "" {
		if c.File, err = audit.DefaultPath(os.LookupEnv); err != nil {
			return err
		}
	}
	show := showTable(streams.Lang)
	if c.JSON {
		show = showJSON
	}
	var faults []error
	err = show(streams.Out, func(yield func(audit.Record) bool) {
		for r, err := range audit.Records(c.File) {
			if err != nil {
				faults = append(faults, err)
			} else if c.wants(r, since) && !yield(r) {
				return
			}
		}
	})
	if len(faults) > 0 {
		faults = append(faults[:1], lang.Errorf("not everything could be read; `scnet-mcp audit verify %s` says more", text.Line(c.File, 200)))
	}
	return errors.Join(append(faults, err)...)
}

func (c showCommand) wants(r audit.Record, since time.Time) bool {
	about := c.ID == "" || slices.ContainsFunc(r.Targets, func(t audit.Target) bool { return t.ID == c.ID }) ||
		slices.ContainsFunc(r.Outcomes, func(o audit.Outcome) bool { return o.ID == c.ID || o.NewID == c.ID })
	return r.Event != audit.Opened && r.Event != audit.Checkpointed && about && !r.Time.Before(since) &&
		(c.Tool == "" || r.Tool == c.Tool) && (c.Caller == "" || isOf(r, c.Caller))
}

// isOf reports whether a record is of a caller: by its name, or, if it came with an access token, by its entry or its sub.
func isOf(r audit.Record, caller string) bool {
	entry, _, _ := strings.Cut(r.Caller, ":")
	return r.Caller == caller || entry == caller || r.Subject == caller
}

// whose is a record's caller for people: instead of what tells one access token's bearer from every other, its sub.
func whose(r audit.Record) string {
	if entry, _, found := strings.Cut(r.Caller, ":"); found && r.Subject != "" {
		return text.Line(entry, 60) + ": " + text.Line(r.Subject, 60)
	}
	return text.Line(r.Caller, 60)
}

// sinceTime reads a duration before now, a date or a time.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, lang.Errorf("--since: %q is not a duration such as 24h, a date such as 2026-11-24, or a time as in RFC 3339", text)
}

func showJSON(out io.Writer, records func(yield func(audit.Record) bool)) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	var err error
	records(func(r audit.Record) bool {
		err = encoder.Encode(r)
		return err == nil
	})
	return err
}

// showTable prints a table in pieces, so that a long log needs little memory.
func showTable(l lang.Lang) func(out io.Writer, records func(yield func(audit.Record) bool)) error {
	return func(out io.Writer, records func(yield func(audit.Record) bool)) error {
		return writeRecords(out, l, records)
	}
}

func writeRecords(out io.Writer, l lang.Lang, records func(yield func(audit.Record) bool)) error {
	const piece = 500
	rows := [][]string{l.Words("TIME", "EVENT", "CALLER", "TOOL", "HOW", "TARGETS")}
	var err error
	flush := func() bool {
		var b strings.Builder
		text.WriteTable(&b, rows, []int{19, 12, 20, 24, 60, 200})
		_, err = io.WriteString(out, b.String())
		rows = nil
		return err == nil
	}
	records(func(r audit.Record) bool {
		rows = append(rows, row(l, r))
		return len(rows) < piece || flush()
	})
	if len(rows) > 0 && err == nil {
		flush()
	}
	return err
}

func row(l lang.Lang, r audit.Record) []string {
	event := string(r.Event)
	how := []string{r.Consent, r.Rule, r.State, r.Error}
	if r.Sum != nil {
		event = string(r.Sum.Event)
		how = []string{l.Sprintf("%d more since %s", r.Sum.Count, r.Sum.First.Local().Format(time.TimeOnly))}
	}
	how = slices.DeleteFunc(how, func(s string) bool { return s == "" })
	var targets []string
	for _, t := range r.Targets {
		target := text.Line(t.ID, 64)
		if t.Name != "" {
			target = text.Line(t.Name, 64) + " " + target
		}
		for _, o := range r.Outcomes {
			if o.ID == t.ID {
				target += ": " + text.Line(o.Outcome, 20)
			}
		}
		targets = append(targets, target)
	}
	return []string{
		r.Time.Local().Format(time.DateTime), event, text.Dash(whose(r)), text.Dash(text.Line(r.Tool, 60)),
		text.Dash(text.Line(strings.Join(how, ", "), 200)), text.Dash(lang.Some(targets).In(l)),
	}
}
