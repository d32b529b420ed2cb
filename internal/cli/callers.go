package cli

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/sanitize"
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
}

// Run prints the entry to stdout and the token to stderr, so that the one can be piped into a file without the other.
func (c newCallerCommand) Run(streams Streams) error {
	if err := callers.CheckName(c.Name); err != nil {
		return fmt.Errorf("the name %w", err)
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
	if _, err := fmt.Fprintf(streams.Out, "%s\n", entry); err != nil {
		return err
	}
	_, err = fmt.Fprintf(streams.Err, `The token of %s, which is shown only now and stands in no file:

%s

A client sends it with every request as the header
Authorization: Bearer TOKEN

The entry on stdout goes into the list "callers" of the callers file. It lets %s only read until read_only is taken out.
`, c.Name, token, c.Name)
	return err
}

// checkCallersCommand checks a callers file. Exit status 1 when anything is wrong with it.
type checkCallersCommand struct {
	File string `arg:"" type:"path" help:"The callers file."`
}

// Run prints each caller with what it may do.
func (c checkCallersCommand) Run(streams Streams) error {
	file, err := callers.Open(c.File, knownNames())
	if err != nil {
		return err
	}
	for _, caller := range file.Table().Callers() {
		if _, err := fmt.Fprintln(streams.Out, sanitize.Line(caller.String(), 0)); err != nil {
			return err
		}
	}
	return nil
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
