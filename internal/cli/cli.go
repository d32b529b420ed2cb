// Package cli is the command line: it reads flags and environment, assembles the parts and runs them.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// The exit statuses of every command but call, which has those of toolbox.ExitStatus.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Lang     lang.Lang // of what is written for people
}

// commonFlags belong to all commands.
type commonFlags struct {
	Lang     string `name:"lang" enum:"zh,en,auto" default:"auto" placeholder:"LANG" help:"Language of what people read: zh, en or auto, which is that of the locale (LC_ALL, LC_MESSAGES, LANG)."`
	LogLevel string `enum:"debug,info,warn,error" default:"warn" placeholder:"LEVEL" help:"What goes to stderr: debug, info, warn or error."`

	LogFormat string `enum:"auto,json,console" default:"auto" placeholder:"FORMAT" help:"How it looks: json, one object a line; console, for people; or auto, console at a terminal and json elsewhere."`
}

// say writes a sentence in the language.
func (s Streams) say(out io.Writer, format string, args ...any) error {
	_, err := io.WriteString(out, s.Lang.Sprintf(format, args...))
	return err
}

// grammar is the whole command line. Every flag can also be set as SCNET_MCP_ and its name in capitals.
type grammar struct {
	ShowVersion kong.VersionFlag `name:"version" env:"-" help:"Print version, commit and Go version."`

	commonFlags

	Serve      serveCommand      `cmd:"" default:"withargs" help:"Serve MCP over stdio (the default command) or HTTP."`
	Install    installCommand    `cmd:"" help:"Write the server into the configuration of an MCP client, after showing the change."`
	Uninstall  uninstallCommand  `cmd:"" help:"Take the server out of the configuration of an MCP client."`
	Demo       demoCommand       `cmd:"" help:"Start the server on simulated instances, drive it with an MCP client, print what was asked and answered."`
	Call       callCommand       `cmd:"" help:"Call one tool from the shell."`
	Tools      toolsCommand      `cmd:"" help:"Show what a client would be offered, and how long the list is."`
	Doctor     doctorCommand     `cmd:"" help:"Check configuration, credentials, clock, regions and reachability."`
	Audit      auditCommand      `cmd:"" help:"Work on audit logs."`
	Callers    callersCommand    `cmd:"" help:"Work on files of callers."`
	Simulator  simulatorCommand  `cmd:"" help:"Run an in-memory SCNet or Huawei Cloud Workspace as an HTTP server on this machine."`
	Version    versionCommand    `cmd:"" help:"Print version, commit and Go version."`
	Completion completionCommand `cmd:"" help:"Print the script that completes commands, tools, arguments and instances in a shell."`
	Help       helpCommand       `cmd:"" help:"Show the help of a command, or of a tool."`
}

// serveGrammar is the part of the grammar that a start of the server needs. Kong describes every flag of every command before
// it reads the first argument, which took an eighth of the start.
type serveGrammar struct {
	commonFlags
	Serve serveCommand `cmd:"" default:"withargs"`
}

// status ends a command with an exit code without printing anything more.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) } // not said to people

// Run runs one command line and returns the exit code.
func Run(args []string, streams Streams) (code int) {
	// A closed stdout must come back as a write error, so that running calls are finished properly.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := untilSignal(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	streams.Lang = languageOf(args)
	l := commandLine{ctx: ctx, args: args, streams: streams}
	var serve serveGrammar
	if command := l.serve(&serve); command != nil {
		return l.run(command, serve.commonFlags)
	}
	var commands grammar
	command, code := l.parse(&commands)
	if command == nil {
		return code
	}
	return l.run(command, commands.commonFlags)
}

// commandLine is what is to be understood and run.
type commandLine struct {
	ctx     context.Context
	args    []string
	streams Streams
}

// parser returns the parser of a grammar.
func (l commandLine) parser(grammar any, more ...kong.Option) (*kong.Kong, error) {
	return kong.New(grammar, append(more,
		kong.Name("scnet-mcp"),
		kong.DefaultEnvars("SCNET_MCP"),
		kong.Writers(reader{l.streams.Out}, l.streams.Err),
		kong.Bind(clientPipe{l.streams.Out}),
		kong.Bind(Streams{In: l.streams.In, Out: reader{l.streams.Out}, Err: l.streams.Err, Lang: l.streams.Lang}),
		kong.BindTo(l.ctx, (*context.Context)(nil)),
	)...)
}

// serve returns the command if the line starts a server, and nil if it does anything else or is wrong.
func (l commandLine) serve(commands *serveGrammar) *kong.Context {
	if len(l.args) > 0 && l.args[0] != "serve" && !strings.HasPrefix(l.args[0], "-") {
		return nil
	}
	parser, err := l.parser(commands, kong.NoDefaultHelp())
	if err != nil || forgetEmptySettings(parser.Model) != nil {
		return nil
	}
	command, err := parser.Parse(l.args)
	if err != nil {
		return nil
	}
	return command
}

// parse returns the command of the line; nil, with the exit status, if there is nothing left to run.
func (l commandLine) parse(commands *grammar) (*kong.Context, int) {
	exited := -1
	parser, err := l.parser(commands,
		kong.Description(textAbout),
		kong.Vars{"version": versionText()},
		kong.Exit(func(code int) { exited = max(exited, code) }),
		kong.Help(printHelp(l.streams.Lang)),
	)
	if err != nil {
		_, _ = fmt.Fprintln(l.streams.Err, "scnet-mcp:", l.streams.Lang.Say(err))
		return nil, exitError
	}
	if err := forgetEmptySettings(parser.Model); err != nil {
		_, _ = fmt.Fprintln(l.streams.Err, "scnet-mcp:", l.streams.Lang.Say(err))
		return nil, exitUsage
	}
	if len(l.args) > 0 && l.args[0] == completeWord {
		complete(l.ctx, l.streams.Lang, parser.Model, l.args[1:], l.streams.Out)
		return nil, exitOK
	}
	command, err := parser.Parse(l.args)
	if exited >= 0 { // --help has been printed
		return nil, exited
	}
	if err != nil {
		_ = wrong(l.streams, wantsJSON(nil, l.args), lang.Errorf("%w\nTry: scnet-mcp --help", inOurWords(err)))
		return nil, exitUsage
	}
	return command, exitOK
}

// run runs the command of the line and returns the exit status.
func (l commandLine) run(command *kong.Context, flags commonFlags) int {
	log, flush := newLog(l.streams.Err, flags.LogLevel, flags.LogFormat)
	defer flush()
	quietStandardLog(log)
	return exitStatus(l.ctx, l.streams, command, command.Run(log))
}

// exitStatus prints the error that a command ended with, unless the command has done so itself, and returns the exit status.
func exitStatus(ctx context.Context, streams Streams, command *kong.Context, err error) int {
	code := exitError
	signalled, cut := interrupted(ctx)
	if cut && !isServer(command) { // what a server does at a signal is not an interruption
		code = signalled.exitStatus()
	}
	var ended status
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &ended) && ended == exitError:
		return code
	case errors.As(err, &ended):
		return int(ended)
	}
	said := problem{Message: "scnet-mcp: " + streams.Lang.Say(err), ExitStatus: code}.of(err)
	_ = fail(streams, wantsJSON(command, nil), said)
	return code
}

// isServer reports whether a command runs until a signal ends it.
func isServer(command *kong.Context) bool {
	return slices.Contains([]string{"serve", "simulator"}, strings.Fields(command.Command())[0])
}

// languageOf returns the language of a command line. It is needed before the line is understood: help and mistakes are told
// in it too. A setting that is wrong is refused later.
func languageOf(args []string) lang.Lang {
	setting := os.Getenv("SCNET_MCP_LANG")
	for i, arg := range args {
		value, found := strings.CutPrefix(arg, "--lang")
		switch {
		case found && value == "" && i+1 < len(args):
			setting = args[i+1]
		case found && strings.HasPrefix(value, "="):
			setting = value[1:]
		}
	}
	l, _ := lang.Parse(setting, os.Getenv)
	return l
}

// forgetEmptySettings treats an empty variable as one that is not set, which is what compose files and unit files mean by it;
// kong would take an empty path as the current folder. An empty limit is an error: the operator wanted a limit and would get
// none.
func forgetEmptySettings(commands *kong.Application) error {
	limits := map[string]bool{}
	for _, command := range commands.Leaves(false) {
		for _, flag := range command.Flags {
			if flag.Group != nil && flag.Group.Key == "policy" {
				for _, name := range flag.Envs {
					limits[name] = true
				}
			}
		}
	}
	for _, setting := range os.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		switch {
		case strings.TrimSpace(value) != "" || !strings.HasPrefix(name, "SCNET_MCP_"):
		case limits[name]:
			return lang.Errorf("%s is set and empty, which does not mean that there is no limit: unset it, or give it a value", name)
		default:
			_ = os.Unsetenv(name)
		}
	}
	return nil
}

// withLog gives a context the logger that everything below it uses.
func withLog(ctx context.Context, log zerolog.Logger) context.Context { return log.WithContext(ctx) }
