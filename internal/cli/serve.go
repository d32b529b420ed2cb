package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/anchor"
	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/otlp"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// serveCommand serves MCP.
type serveCommand struct {
	demoFlag
	httpFlags
	policyFlags
}

// releaseAfter is when memory is given back: not while the client waits for its first answers.
const releaseAfter = time.Second

const memoryLimit = 384 << 20

// parentPoll is how often the server looks whether the process that started it still lives.
const parentPoll = 2 * time.Second

// Run serves until a signal comes or, over stdio, the client closes stdin or is gone; calls in progress are finished first.
func (c *serveCommand) Run(ctx context.Context, streams Streams, stdout clientPipe, log zerolog.Logger) error {
	if err := c.httpFlags.check(); err != nil {
		return err
	}
	limitMemory()
	release := time.AfterFunc(releaseAfter, releaseStart)
	defer release.Stop()
	if c.Transport == overStdio {
		defer limitProcessors()()
		return c.serveStdio(ctx, streams, stdout.Writer, log)
	}
	return c.serveHTTP(ctx, streams, log)
}

func (c serveCommand) serveStdio(ctx context.Context, streams Streams, out io.Writer, log zerolog.Logger) error {
	service, closeAll, err := c.open(streams, c.policyFlags, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	warnUnconfigured(service, log)
	warnOfAudit(service, log)
	service.watchAnchors(anchor.Watch{}, log)
	service.TrustResults = isTrusted(log)
	described := serverOptions(service, newToolbox(service), c.Demo, log)
	defer sendTraces(&described, nil, log)()
	s := server.New(described)
	ctx, ignore := untilHangup(ctx)
	defer ignore()
	ctx, cancel := context.WithCancel(withLog(ctx, log))
	defer cancel()
	go watchParent(ctx, cancel, log)
	err = s.ServeStdio(ctx, streams.In, out, server.DefaultGrace)
	if errors.Is(err, server.ErrOutputClosed) {
		log.Warn().Msg("the client closed stdout; stopping")
		return nil
	}
	return err
}

// warnOfAudit puts what the audit log notes about itself into the log of the server.
func warnOfAudit(service services, log zerolog.Logger) {
	if audited, ok := service.Audit.(*audit.Log); ok {
		audited.WarnTo(func(note string) { log.Warn().Str("note", note).Msg("the audit log is not as it was left") })
	}
}

// sendTraces makes the server send spans where the OTEL_ variables say, if they do. What is wrong with them stops no server:
// they are often set for all programs of a machine.
func sendTraces(o *server.Options, sent func(n int, ok bool), log zerolog.Logger) (closeTraces func()) {
	settings, wanted, err := config.Traces(os.LookupEnv)
	if err != nil {
		log.Warn().Err(err).Msg("no traces are sent")
	}
	if err != nil || !wanted {
		return func() {}
	}
	settings.Version, settings.Sent, settings.Log = buildVersion(), sent, log
	exporter := otlp.New(settings)
	o.Spans = exporter
	return exporter.Close
}

// untilHangup returns a context that also ends when the terminal is closed or the connection to it drops. Unheard, SIGHUP
// would end the process in the middle of a change. Under nohup it is ignored, and stays so.
func untilHangup(ctx context.Context) (_ context.Context, ignore context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	return untilSignal(ctx, syscall.SIGHUP)
}

// limitMemory lets the garbage collector run before the heap has grown to memoryLimit, which all that the server's limits
// admit at the same time stays below. GOMEMLIMIT says otherwise.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// limitProcessors lets Go code run on one processor at a time; GOMAXPROCS says otherwise. A server over stdio has one user
// and mostly waits. With more, each step of a call wakes a thread on another processor, which costs more than the step: a
// fifth of a call's CPU time. Calls still run at the same time; only their Go code takes turns.
func limitProcessors() (restore func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	runtime.GOMAXPROCS(1)
	return runtime.SetDefaultGOMAXPROCS
}

// warnUnconfigured tells at start what is missing, because many hosts show only the log when a call fails.
func warnUnconfigured(service services, log zerolog.Logger) {
	for _, file := range config.ExposedSecrets(os.LookupEnv) {
		log.Warn().Str("file", file).Msg("everybody on this machine can read a file of secrets; run chmod 600 on it")
	}
	switch {
	case tools.DesktopsAlone(service.Instances, service.Desktops):
		log.Info().Msg("SCNet is not configured; only the tools of the toolset workspace are offered")
	case service.Unconfigured != nil:
		log.Warn().Msgf("%v; tools are listed, calls will fail until this is set", service.Unconfigured)
	}
	if service.WorkspaceUnconfigured != nil {
		log.Warn().Err(service.WorkspaceUnconfigured).Msg("the workspace toolset is not offered")
	}
}

// watchParent stops the server when its parent is gone. Some hosts die without closing stdin, or another process holds
// the other end open.
func watchParent(ctx context.Context, stop context.CancelFunc, log zerolog.Logger) {
	parent := os.Getppid()
	ticker := time.NewTicker(parentPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				log.Warn().Msg("the process that started the server is gone; stopping")
				stop()
				return
			}
		}
	}
}

// isTrusted reports whether results go out unchecked, which they do unless somebody looks for faults.
func isTrusted(log zerolog.Logger) bool { return log.GetLevel() > zerolog.DebugLevel }
