package cli

import (
	"fmt"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/sanitize"
)

// auditCommand works on audit logs.
type auditCommand struct {
	Verify verifyCommand `cmd:"" help:"Prove the chain of an audit log, or name its first broken record."`
}

// verifyCommand checks an audit log. Exit status 1 when it is not intact.
type verifyCommand struct {
	File string `arg:"" type:"existingfile" help:"The audit log."`
}

// Run prints what holds.
func (c verifyCommand) Run(streams Streams) error {
	report, err := audit.Verify(c.File)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(streams.Out, format+"\n", args...) }
	if report.Records > 0 {
		say("%d records from %s to %s", report.Records, report.First.Format(time.DateTime), report.Last.Format(time.DateTime))
	}
	if report.Continues != "" {
		say("continues %s", sanitize.Line(report.Continues, 200))
	}
	for _, r := range report.Unfinished {
		say("unfinished: record %d, %s by %s at %s has no result: the server ended in between, or is still at it",
			r.Seq, sanitize.Line(r.Tool, 60), sanitize.Line(r.Caller, 60), r.Time.Format(time.DateTime))
	}
	if report.UnfinishedMore {
		say("unfinished: and more")
	}
	if p := report.Problem; p != nil {
		say("BROKEN at line %d, record %d: %s: %s", p.Line, p.Seq, p.Kind, sanitize.Line(p.Detail, 300))
		return status(exitError)
	}
	say("the chain is intact; end %s: %s", report.Tail, sanitize.Line(report.TailWhy, 300))
	return nil
}
