package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/server"
)

// serveCommand serves MCP over stdio.
type serveCommand struct {
	demoFlag
}

// parentPoll is how often the server looks whether the process that started it still lives.
const parentPoll = 2 * time.Second

// Run serves until the client closes stdin, a signal comes, or the client is gone; calls in progress are finished first.
func (c serveCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	service, closeAll, err := c.open()
	if err != nil {
		return err
	}
	defer closeAll()
	if service.Unconfigured != nil {
		log.Warn().Msg(unconfiguredNotice(service))
	}
	s := newServer(service, newToolbox(service), c.Demo, log)
	ctx, cancel := context.WithCancel(withLog(ctx, log))
	defer cancel()
	go watchParent(ctx, cancel, log)
	err = s.ServeStdio(ctx, streams.In, streams.Out, server.DefaultGrace)
	if errors.Is(err, server.ErrOutputClosed) {
		log.Warn().Msg("the client closed stdout; stopping")
		return nil
	}
	return err
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
