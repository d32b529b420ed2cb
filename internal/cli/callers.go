package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// callersCommand works on files of callers.
type callersCommand struct {
	New   newCallerCommand    `cmd:"" help:"Make a token for a caller, and the entry of the callers file that holds its digest."`
	Check checkCallersCommand `cmd:"" help:"Say what each caller of a file may do, or everything that is wrong with the file."`
}

// newCallerCommand makes a token.
type newCallerCommand struct {
	Name string `arg:"" help:"The name of the caller, for the audit log: lower-case letters, digits, dots, underscores and hyphens."`
	Out  string `type:"path" placeholder:"FILE" env:"-" help:"Write the token to this new file, which only its owner can read, instead of stderr."`
}

// Run prints the entry to stdout and the token to stderr, so that the one can be piped into a file without the other.
func (c newCallerCommand) Run(streams Streams) error {
	if err := callers.CheckName(c.Name); err != nil {
		return lang.Errorf("the name %w", err)
	}
	token, digest := callers.NewToken()
	// It begins with little, because it is often pasted as it is.
	entry, err := json.Marshal(struct {
		Name     string `json:"name"`
		Digest   string `json:"token_sha256"`
		ReadOnly bool   `json:"read_only"`
	}{c.Name, digest, true})
	if err != nil {
		return err
	}
	where := lang.T("The token of %s, which is shown only now and stands in no file:\n\n%s", c.Name, token)
	if c.Out != "" {
		if err := writeToken(c.Out, token); err != nil {
			return lang.Errorf("--out: %w", err)
		}
		where = lang.T("The token of %s is in %s, and nowhere else.", c.Name, c.Out)
	}
	if _, err := fmt.Fprintf(streams.Out, "%s\n", entry); err != nil {
		return err
	}
	return streams.say(streams.Err, "%s\n\n"+
		"A client sends it with every request as the header\nAuthorization: Bearer TOKEN\n\n"+
		"The entry on stdout goes into the list \"callers\" of the callers file. It lets %s only read until read_only is taken out.\n",
		where, c.Name)
}

// writeToken writes a token to a file that must not exist yet: who reads an old file, or another's, must not get the token.
func writeToken(path, token string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, token)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path) // ours, with half a token
	}
	return err
}

// checkCallersCommand checks a callers file. Exit status 1 when anything is wrong with it.
type checkCallersCommand struct {
	demoFlag
	File string `arg:"" type:"path" help:"The callers file."`
}

// Run prints each caller with what it may do, and what each of its rules matches today.
func (c checkCallersCommand) Run(ctx context.Context, streams Streams) error {
	file, err := callers.Open(c.File, knownNames())
	if err != nil {
		return err
	}
	targets, err := c.targets(ctx, streams, file.Table())
	for _, caller := range file.Table().Callers() {
		if _, err := fmt.Fprintln(streams.Out, text.Line(caller.In(streams.Lang), 0)); err != nil {
			return err
		}
		if err == nil {
			if err := writeCoverage(streams, caller.Policy, targets); err != nil {
				return err
			}
		}
	}
	if err != nil {
		streams.Lang.Fprintf(streams.Err, "What the rules match today is not shown: %v\n", err)
	}
	return nil
}

// targets lists what there is, when a caller has a rule about it.
func (c checkCallersCommand) targets(ctx context.Context, streams Streams, table *callers.Table) ([]guard.Target, error) {
	if !slices.ContainsFunc(table.Callers(), func(one callers.Caller) bool { return len(one.Policy.Explain(nil)) > 0 }) {
		return nil, nil
	}
	policy := policyFlags{MaxTargets: 1, MaxMutationsPerHour: 1, auditFlags: auditFlags{AuditLog: "off"}}
	service, closeAll, err := c.open(streams, policy, nil)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	if service.SCNet == nil && service.Workspace == nil {
		return nil, service.Unconfigured
	}
	return within(ctx, func(ctx context.Context) ([]guard.Target, error) { return targetsOf(ctx, service) })
}

// knownNames returns the names that flags and callers files may speak of, those of tools that are not configured included: a
// file can serve several servers.
func knownNames() callers.Known {
	var known callers.Known
	for _, t := range tools.Catalogue() {
		known.Tools = append(known.Tools, t.Name)
		if !slices.Contains(known.Toolsets, t.Toolset) {
			known.Toolsets = append(known.Toolsets, t.Toolset)
		}
	}
	return known
}
