package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/install"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// entryFlags say which entry of which configuration is meant.
type entryFlags struct {
	Client string `arg:"" optional:"" help:"The client; without one, all are listed with their configuration files."`
	Name   string `default:"scnet" env:"-" placeholder:"NAME" help:"The server's name in the client."`
	File   string `type:"path" env:"-" placeholder:"FILE" help:"The configuration, where it is not in its usual place, such as one of a project."`
	Yes    bool   `env:"-" help:"Write without asking. For scripts."`
}

// installCommand writes the server into the configuration of an MCP client. Exit status 3 when it would write and nobody
// could be asked, otherwise that of doctor.
type installCommand struct {
	entryFlags
	Demo    bool     `env:"-" help:"Install the server with simulated instances; needs no account."`
	Command string   `env:"-" placeholder:"PATH" help:"What the client shall start. Default: this program, where it is now."`
	Print   bool     `env:"-" xor:"what" help:"Print the configuration to paste, and write nothing."`
	Link    bool     `env:"-" xor:"what" help:"Print a link that makes the client offer the installation, and write nothing."`
	Remove  bool     `env:"-" xor:"what" help:"Take the server out again, as uninstall does."`
	Serve   []string `arg:"" optional:"" passthrough:"" help:"Flags of serve, after --: scnet-mcp install cursor -- --read-only"`
}

// uninstallCommand takes the server out of the configuration of an MCP client.
type uninstallCommand struct{ entryFlags }

var entryName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
})

// Run shows the change, asks, writes, and examines what the client will start.
func (c installCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	if c.Remove {
		return uninstallCommand{c.entryFlags}.Run(ctx, streams)
	}
	client, listed, err := c.client(streams)
	if err != nil || listed {
		return err
	}
	served, flags, err := serveFlags(c.Serve)
	if err != nil {
		return err
	}
	served.Demo = served.Demo || c.Demo
	server := install.Server{Name: c.Name, Args: append([]string{"serve"}, flags...)}
	if c.Demo {
		server.Args = append(server.Args, "--demo")
	}
	if server.Command, err = c.command(); err != nil {
		return err
	}
	keep := keeper{folder: secretsFolder(c.Name), env: os.LookupEnv}
	if c.Print || c.Link {
		return c.show(streams, client, server, keep, served.Demo)
	}
	if !served.Demo {
		if err := keep.credentials(ctx, streams); err != nil {
			return err
		}
	}
	server.Env = keep.settings
	if done, err := c.write(ctx, streams, client, server, keep); !done {
		return err
	}
	streams.Lang.Fprintf(streams.Out, "%s\n\nscnet-mcp doctor says:\n", client.Next)
	if err := keep.putInto(os.Unsetenv, os.Setenv); err != nil {
		return err
	}
	return doctorCommand{demoFlag: demoFlag{served.Demo}, policyFlags: served.policyFlags}.Run(ctx, streams, log)
}

// write stores the secrets and changes the configuration. It reports false when there is nothing to go on with.
func (c installCommand) write(
	ctx context.Context, streams Streams, client install.Client, server install.Server, keep keeper,
) (done bool, err error) {
	path := c.path(client)
	var change install.Change
	if path != "" {
		if change, err = client.Add(path, server, keep.isOurs); err != nil {
			return false, err
		}
	}
	if !change.IsEmpty() {
		_, _ = fmt.Fprint(streams.Out, change.Diff(streams.Lang))
	}
	for _, file := range keep.files() {
		streams.Lang.Fprintf(streams.Out, "A secret goes into %s, which only you can read.\n", file)
	}
	if !change.IsEmpty() || len(keep.secrets) > 0 {
		if err := c.consent(ctx, streams); err != nil {
			return false, err
		}
	}
	for file, secret := range keep.secrets {
		if err := install.WriteSecret(file, secret); err != nil {
			return false, lang.Errorf("nothing was changed in %s: %w", client.Title, err)
		}
	}
	switch {
	case path == "":
		return true, c.show(streams, client, server, keep, true)
	case change.IsEmpty():
		streams.Lang.Fprintf(streams.Out, "%s has it already, in %s.\n", client.Title, change.File)
		return true, nil
	}
	backup, err := change.Apply()
	if err != nil {
		return false, err
	}
	if backup == "" {
		streams.Lang.Fprintf(streams.Out, "%s was written.\n", change.File)
	} else {
		streams.Lang.Fprintf(streams.Out, "%s was written. What it was before is in %s.\n", change.File, backup)
	}
	return true, nil
}

// Run shows the change, asks and writes.
func (c uninstallCommand) Run(ctx context.Context, streams Streams) error {
	client, listed, err := c.client(streams)
	if err != nil || listed {
		return err
	}
	path := c.path(client)
	if path == "" {
		return streams.say(streams.Out, "%s keeps its configuration where only it can write: remove %s there.\n", client.Title, c.Name)
	}
	change, err := client.Remove(path, c.Name)
	if err != nil {
		return err
	}
	if change.IsEmpty() {
		return streams.say(streams.Out, "%s has no server %q in %s. Nothing was changed.\n", client.Title, c.Name, change.File)
	}
	_, _ = fmt.Fprint(streams.Out, change.Diff(streams.Lang))
	if err := c.consent(ctx, streams); err != nil {
		return err
	}
	if _, err := change.Apply(); err != nil {
		return err
	}
	streams.Lang.Fprintf(streams.Out, "%s was removed from %s.\n", c.Name, change.File)
	if folder := secretsFolder(c.Name); exists(folder) {
		streams.Lang.Fprintf(streams.Out, "Secrets are still in %s; delete it if no other client uses them.\n", folder)
	}
	return nil
}

// client returns the client that is meant. Without one it lists all.
func (f entryFlags) client(streams Streams) (_ install.Client, listed bool, err error) {
	if !entryName().MatchString(f.Name) {
		return install.Client{}, false, lang.Errorf("--name: %q is not a name of letters, digits, dots, underscores and hyphens", f.Name)
	}
	if f.Client == "" {
		return install.Client{}, true, f.list(streams)
	}
	client, found := install.Find(f.Client)
	if !found {
		var names []string
		for _, c := range install.Clients() {
			names = append(names, c.Name)
		}
		return client, false, lang.Errorf("%q is not a client that is known: %s. For another client that reads an mcpServers object, use mcp.json with --file, or --print",
			f.Client, lang.Names(names))
	}
	return client, false, nil
}

func (f entryFlags) list(streams Streams) error {
	rows := [][]string{streams.Lang.Words("CLIENT", "NAME", "STATUS", "CONFIGURATION")}
	for _, c := range install.Clients() {
		path, state := c.File(system()), lang.T("not installed")
		if path == "" {
			path, state = "-", lang.T("asks for --print or --link")
		} else if change, err := c.Remove(path, f.Name); err != nil {
			state = lang.T("cannot be read")
		} else if !change.IsEmpty() {
			state = lang.T("installed")
		} else if change.Before == nil {
			state = lang.T("no file")
		}
		rows = append(rows, []string{c.Name, c.Title.In(streams.Lang), state.In(streams.Lang), path})
	}
	var b strings.Builder
	text.WriteTable(&b, rows, []int{16, 28, 28, 200})
	return streams.say(streams.Out, "%sscnet-mcp install CLIENT shows the change and asks before it writes.\n", b.String())
}

func (f entryFlags) path(client install.Client) string {
	if f.File != "" {
		return f.File
	}
	return client.File(system())
}

// consent asks whether to write. Where nobody can be asked, it wants --yes.
func (f entryFlags) consent(ctx context.Context, streams Streams) error {
	if f.Yes {
		return nil
	}
	if !isPerson(streams) {
		streams.Lang.Fprintf(streams.Err, "Nothing was written. Add --yes to write this.\n")
		return status(toolbox.ExitConsent)
	}
	streams.Lang.Fprintf(streams.Err, "Write this? [y/N] ")
	answer, err := readLine(ctx, streams.In)
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
		streams.Lang.Fprintf(streams.Err, "Nothing was written.\n")
		return status(toolbox.ExitConsent)
	}
	return nil
}

// show prints what a user can paste or click.
func (c installCommand) show(
	streams Streams, client install.Client, server install.Server, keep keeper, complete bool,
) error {
	if !complete {
		keep.carry()
		if len(keep.settings) == 0 {
			keep.placeholders(streams.Lang)
		}
		for _, file := range keep.files() {
			streams.Lang.Fprintf(streams.Err, "Put the secret into %s, which only you should be able to read.\n", file)
		}
		server.Env = keep.settings
	}
	if c.Link {
		link := client.Link(server)
		if link == "" {
			return lang.Errorf("%s has no links that install a server; use --print", client.Title)
		}
		_, err := fmt.Fprintln(streams.Out, link)
		return err
	}
	snippet, err := client.Snippet(server)
	if err != nil {
		return err
	}
	if path := c.path(client); path != "" {
		streams.Lang.Fprintf(streams.Err, "For %s:\n", path)
	}
	_, err = fmt.Fprint(streams.Out, snippet)
	return err
}

// command is what the client shall start.
func (c installCommand) command() (string, error) {
	if c.Command != "" {
		return c.Command, nil
	}
	path, err := os.Executable()
	if err != nil {
		return "", lang.Errorf("%w; say --command", err)
	}
	if temporary(path) {
		return "", lang.Errorf("%s will be gone soon: install a binary first, or say with --command what the client shall start", path)
	}
	// The name by which it was found outlives an upgrade; what a link leads to may not.
	if found, err := exec.LookPath(filepath.Base(path)); err == nil {
		if target, err := filepath.EvalSymlinks(found); err == nil && target == path && filepath.IsAbs(found) {
			return found, nil
		}
	}
	return path, nil
}

// temporary reports whether a program is where `go run` or npx keep theirs, which a client would soon look for in vain.
func temporary(path string) bool {
	path = filepath.ToSlash(path)
	return strings.Contains(path, "/go-build") || strings.Contains(path, "/_npx/")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func system() install.System {
	home, _ := os.UserHomeDir() // without one, paths begin in this folder, and the diff shows it
	return install.System{OS: runtime.GOOS, Home: home, Getenv: os.Getenv}
}

// serveFlags reads what the client shall say to serve, so that a mistake shows now and not in the client's log.
func serveFlags(args []string) (serveCommand, []string, error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	var serve serveCommand
	parser, err := kong.New(&serve, kong.Name("serve"), kong.DefaultEnvars("SCNET_MCP_INSTALLED"), kong.NoDefaultHelp())
	if err != nil {
		return serve, nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return serve, nil, lang.Errorf("serve: %w", err)
	}
	if serve.Transport != overStdio {
		return serve, nil, lang.Errorf("a client that starts the server speaks with it over stdio; --transport has no place here")
	}
	return serve, args, serve.policyFlags.check()
}
