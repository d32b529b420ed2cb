package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// ServeStdio reads requests from in and writes answers to out, one JSON message a line, until in ends, ctx ends or out
// breaks. Every request read by then is answered before it returns, unless it takes longer than grace.
//
// It replaces mcp-go's stdio transport, which loses answers at the end of input and lets results overtake progress.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer, grace time.Duration) error {
	in, out = inputOf(in), outputOf(out)
	c, err := s.connect(ctx, "stdio", func(encoded []byte) error {
		_, err := out.Write(append(encoded, '\n'))
		return err
	})
	if err != nil {
		return err
	}

	// Lines are handled where they are read, not here: a client that does not take its answers can hold that up, and must
	// not hold up the end of the run.
	readEnded := make(chan error, 1)
	source := &source{in: in, connection: c, counted: c.begin()}
	go func() {
		defer source.stopCounting()
		readEnded <- readLines(source, maxLine, func(line input) bool {
			if line.tooLong {
				text := fmt.Sprintf("the message is longer than %d bytes; it was skipped", maxLine)
				_ = c.write((&problem{line.id, mcp.INVALID_REQUEST, text}).reply())
				return true
			}
			c.receive(bytes.TrimSpace(line.text))
			return true
		})
	}()

	select {
	case err = <-readEnded:
	case <-ctx.Done():
	case <-c.broken:
	}
	c.close(grace)
	if err == nil && c.isBroken() {
		err = ErrOutputClosed
	}
	return err
}

// source is the input of a connection. While a line that was read is being handled, it counts as a message: at the end of the
// run, every line that was read is answered. Later lines are not read.
type source struct {
	in         io.Reader
	connection *connection
	counted    bool
}

// Read implements io.Reader.
func (s *source) Read(data []byte) (int, error) {
	s.stopCounting()
	n, err := s.in.Read(data)
	if s.counted = s.connection.begin(); !s.counted {
		return 0, io.EOF
	}
	return n, err
}

func (s *source) stopCounting() {
	if s.counted {
		s.counted = false
		s.connection.handlers.Done()
	}
}
