package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},` +
		`"clientInfo":{"name":"bench","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
)

func callMessage(id int, tool, arguments string) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`,
		id, tool, arguments)
}

// failure says what is wrong with an answer to a call; nil if nothing is.
func failure(answer []byte) error {
	if !bytes.Contains(answer, []byte(`"result":`)) || bytes.Contains(answer, []byte(`"isError":true`)) {
		return fmt.Errorf("it answers %.500s", answer)
	}
	return nil
}

// overStdio is a client of a process, for any number of callers.
type overStdio struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex
	last    int
	waiting map[int]chan []byte
}

func startStdio(ctx context.Context, command []string, environment []string) (*overStdio, error) {
	c := &overStdio{cmd: commandOf(ctx, command), last: 1, waiting: map[int]chan []byte{}}
	c.cmd.Env = append(os.Environ(), environment...)
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	first := c.expect(1)
	go c.read(out)
	_, err = c.in.Write([]byte(initialize + "\n"))
	if err != nil || <-first == nil {
		return nil, errors.Join(errors.New("there is no answer to initialize"), err)
	}
	_, err = c.in.Write([]byte(initialized + "\n"))
	return c, err
}

func (c *overStdio) expect(id int) chan []byte {
	answer := make(chan []byte, 1)
	c.waiting[id] = answer
	return answer
}

func (c *overStdio) read(out io.Reader) {
	reader := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		id, known := idOf(line)
		c.mu.Lock()
		if answer := c.waiting[id]; known && answer != nil {
			answer <- line
			delete(c.waiting, id)
		}
		if err != nil {
			for _, answer := range c.waiting {
				close(answer)
			}
			c.waiting = nil
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
}

// idOf finds the id where most servers write it, and else reads all of the message.
func idOf(line []byte) (id int, known bool) {
	if rest, ok := bytes.CutPrefix(line, []byte(`{"jsonrpc":"2.0","id":`)); ok {
		end := bytes.IndexByte(rest, ',')
		id, err := strconv.Atoi(string(rest[:max(end, 0)]))
		return id, err == nil
	}
	var message struct {
		ID *int `json:"id"`
	}
	if json.Unmarshal(line, &message) != nil || message.ID == nil {
		return 0, false
	}
	return *message.ID, true
}

func (c *overStdio) call(tool, arguments string) error {
	answer, err := c.ask(func(id int) []byte { return callMessage(id, tool, arguments) })
	if err != nil {
		return err
	}
	return failure(answer)
}

// ask sends a request and waits for the answer; nil if the server ends without one.
func (c *overStdio) ask(message func(id int) []byte) ([]byte, error) {
	c.mu.Lock()
	if c.waiting == nil {
		c.mu.Unlock()
		return nil, errors.New("the server has ended")
	}
	c.last++
	answer := c.expect(c.last)
	_, err := c.in.Write(append(message(c.last), '\n'))
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return <-answer, nil
}

func (c *overStdio) close() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}

// commandOf is the command that whoever runs this asked for.
func commandOf(ctx context.Context, words []string) *exec.Cmd {
	return exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // it is what the program is for
}

// overHTTP is a client of a process that serves Streamable HTTP.
type overHTTP struct {
	cmd     *exec.Cmd
	url     string
	session string
	http    http.Client
}

// startHTTP starts the command with an address that is free.
func startHTTP(ctx context.Context, command []string, environment []string) (*overHTTP, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	_ = listener.Close()
	command = append(command, address)
	c := &overHTTP{
		cmd:  commandOf(ctx, command),
		url:  "http://" + address + "/mcp",
		http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}},
	}
	c.cmd.Env = append(os.Environ(), environment...)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if err := c.await(ctx); err != nil {
		c.close()
		return nil, err
	}
	_, err = c.post(ctx, []byte(initialized))
	return c, err
}

// await asks again and again until the server listens.
func (c *overHTTP) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := c.post(ctx, []byte(initialize))
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

func (c *overHTTP) post(ctx context.Context, message []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("HTTP status %d: %.300s", resp.StatusCode, answer)
	}
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" && c.session == "" {
		c.session = id
	}
	return answer, err
}

func (c *overHTTP) call(ctx context.Context, tool, arguments string) error {
	answer, err := c.post(ctx, callMessage(1, tool, arguments))
	if err != nil {
		return err
	}
	return failure(answer)
}

func (c *overHTTP) close() {
	_ = c.cmd.Process.Signal(os.Interrupt)
	c.http.CloseIdleConnections()
	_ = c.cmd.Wait()
}
