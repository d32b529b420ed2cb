package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// serveVariable makes the test program a server of the fakes.
const serveVariable = "SERVE_FAKES_OVER_STDIO"

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		if err := newFakes().newServer(os.Stderr).ServeStdio(context.Background(), os.Stdin, os.Stdout, DefaultGrace); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

type textInput struct {
	Text string `json:"text,omitempty" jsonschema_description:"Any text"`
	N    int64  `json:"n,omitempty" jsonschema_description:"Any number"`
}

type textOutput struct {
	Echo string `json:"echo" jsonschema_description:"The text"`
	N    int64  `json:"n" jsonschema_description:"The number"`
}

func (o textOutput) Text(lang.Lang) string { return fmt.Sprintf("%s %d", o.Echo, o.N) }

type brokenOutput struct {
	List []string `json:"list" jsonschema_description:"Never nil by rights"`
}

func (brokenOutput) Text(lang.Lang) string { return "broken" }

// panicText must never reach a client.
const panicText = "panicked with token-5f2b"

// errTool is an ordinary failure of a tool.
var errTool = errors.New("the tool failed for a reason")

// fakes are tools that do what a test needs of them. Channels are made by newFakes.
type fakes struct {
	started chan string   // gets the text of every call of wait and stubborn
	release chan struct{} // ends them when closed
	ended   chan error    // gets what ended a call of wait
}

func newFakes() *fakes {
	return &fakes{started: make(chan string, 4096), release: make(chan struct{}), ended: make(chan error, 4096)}
}

func declareFake(name string, risk guard.Risk, run func(context.Context, textInput) (textOutput, error)) toolbox.Tool {
	return toolbox.Read(toolbox.Tool{Name: name, Title: name, Description: "A tool of the tests.", Toolset: "fakes", Risk: risk}, run)
}

// service answers every request at once.
type service struct{}

func (service) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func (f *fakes) tools() []toolbox.Tool {
	return []toolbox.Tool{
		declareFake("wait", guard.Disruptive, func(ctx context.Context, in textInput) (textOutput, error) {
			f.started <- in.Text
			select {
			case <-f.release:
				f.ended <- nil
				return textOutput{Echo: in.Text}, nil
			case <-ctx.Done():
				f.ended <- ctx.Err()
				return textOutput{}, ctx.Err()
			}
		}),
		declareFake("stubborn", guard.Destructive, func(_ context.Context, in textInput) (textOutput, error) {
			f.started <- in.Text
			<-f.release
			return textOutput{Echo: in.Text}, nil
		}),
		declareFake("change", guard.Destructive, func(ctx context.Context, in textInput) (textOutput, error) {
			f.started <- in.Text
			toolbox.ReportProgress(ctx, 1, 2, lang.T("step"))
			<-ctx.Done()
			<-time.After(time.Duration(in.N) * time.Second) // the answer to what was sent
			f.ended <- ctx.Err()
			return textOutput{}, ctx.Err()
		}),
		declareFake("fetch", guard.Read, func(ctx context.Context, in textInput) (textOutput, error) {
			client := upstream.New(service{}, time.Now)
			for range in.N {
				if _, err := client.Do(ctx, upstream.Request{Method: http.MethodGet, URL: "https://service.test"}); err != nil {
					return textOutput{}, err
				}
			}
			return textOutput{N: in.N}, nil
		}),
		declareFake("sleep", guard.Read, func(ctx context.Context, in textInput) (textOutput, error) {
			select {
			case <-time.After(time.Duration(in.N) * time.Second):
				return textOutput{Echo: in.Text, N: in.N}, nil
			case <-ctx.Done():
				return textOutput{}, ctx.Err()
			}
		}),
		declareFake("echo", guard.Read, func(_ context.Context, in textInput) (textOutput, error) {
			return textOutput{Echo: in.Text, N: in.N}, nil
		}),
		declareFake("steps", guard.Read, func(ctx context.Context, in textInput) (textOutput, error) {
			for i := range in.N {
				toolbox.ReportProgress(ctx, int(i+1), int(in.N), lang.T("step"))
			}
			go toolbox.ReportProgress(ctx, int(in.N+1), 0, lang.T("too late, or just in time"))
			select {
			case f.ended <- nil:
			default:
			}
			return textOutput{N: in.N}, nil
		}),
		declareFake("panic", guard.Read, func(context.Context, textInput) (textOutput, error) { panic(panicText) }),
		declareFake("fail", guard.Read, func(context.Context, textInput) (textOutput, error) { return textOutput{}, errTool }),
		declareFake("huge", guard.Read, func(_ context.Context, in textInput) (textOutput, error) {
			return textOutput{Echo: strings.Repeat("x", int(in.N))}, nil
		}),
		toolbox.Read(toolbox.Tool{Name: "broken", Title: "broken", Description: "A tool of the tests.", Toolset: "fakes", Risk: guard.Read},
			func(context.Context, textInput) (brokenOutput, error) { return brokenOutput{}, nil }),
	}
}

// fakeInstructions are the beginning of the instructions of the fakes.
const fakeInstructions = "Tools: wait, "

// newServer returns a server of the fakes that logs to log.
func (f *fakes) newServer(log io.Writer) *Server {
	return New(Options{
		Name: "fake", Title: "Fake", Version: "1.2.3", Website: "https://example.com",
		Toolbox: toolbox.New(toolbox.Rules{}, f.tools()),
		Log:     zerolog.New(zerolog.SyncWriter(log)),
	})
}

// reply is one line that a server wrote.
type reply struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  struct {
		ProgressToken any     `json:"progressToken"`
		Progress      float64 `json:"progress"`
		Total         float64 `json:"total"`
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`

	line string
}

// code is the error code, 0 for a result.
func (r reply) code() int {
	if r.Error == nil {
		return 0
	}
	return r.Error.Code
}

// toolResult is the result of tools/call.
type toolResult struct {
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	Structured json.RawMessage `json:"structuredContent"`
	IsError    bool            `json:"isError"`
	Meta       map[string]any  `json:"_meta"`
}

func (r reply) tool(t testing.TB) toolResult {
	t.Helper()
	var result toolResult
	if err := json.Unmarshal(r.Result, &result); err != nil || len(result.Content) != 1 || result.Content[0].Type != "text" {
		t.Fatalf("not the result of a tool: %s", r.line)
	}
	return result
}

func parse(t testing.TB, line []byte) reply {
	t.Helper()
	var r reply
	if err := json.Unmarshal(line, &r); err != nil || r.JSONRPC != "2.0" {
		t.Fatalf("not a message: %.200q (%v)", line, err)
	}
	r.line = string(line)
	return r
}

// run serves input to its end and returns what was written.
func run(t testing.TB, s *Server, input string) []reply {
	t.Helper()
	var out bytes.Buffer
	if err := s.ServeStdio(context.Background(), strings.NewReader(input), &out, DefaultGrace); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		t.Fatalf("the last line does not end: %.200q", out.Bytes())
	}
	var replies []reply
	for line := range bytes.Lines(out.Bytes()) {
		replies = append(replies, parse(t, bytes.TrimSuffix(line, []byte("\n"))))
	}
	return replies
}

// runOne serves input and returns the only message written.
func runOne(t testing.TB, s *Server, input string) reply {
	t.Helper()
	replies := run(t, s, input)
	if len(replies) != 1 {
		t.Fatalf("%.200q: %d messages: %+v", input, len(replies), replies)
	}
	return replies[0]
}

// call is a tools/call line; arguments are JSON.
func call(id, tool, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,"arguments":%s}}`+"\n", id, tool, arguments)
}

func ping(id string) string { return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"ping"}`+"\n", id) }

func cancelled(id string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s,"reason":"changed my mind"}}`+"\n", id)
}

// peer is a client at the other end of a running server.
type peer struct {
	t      *testing.T
	in     *io.PipeWriter
	out    *io.PipeReader
	lines  chan []byte
	ended  chan error
	cancel context.CancelFunc
}

// connect starts s and stops it at the end of the test. It works inside and outside of a synctest bubble.
func connect(t *testing.T, s *Server, grace time.Duration) *peer {
	t.Helper()
	inReader, inWriter := io.Pipe()
	outReader, outWriter := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	p := &peer{t: t, in: inWriter, out: outReader, lines: make(chan []byte, 10000), ended: make(chan error, 1), cancel: cancel}
	var background sync.WaitGroup
	background.Go(func() {
		p.ended <- s.ServeStdio(ctx, inReader, outWriter, grace)
		_ = outWriter.Close()
		_ = inReader.Close()
	})
	background.Go(func() {
		defer close(p.lines)
		for in := bufio.NewReader(outReader); ; {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			p.lines <- line[:len(line)-1]
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = inWriter.Close()
		_ = outReader.Close()
		background.Wait()
	})
	return p
}

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

func (p *peer) send(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(p.in, line); err != nil {
			p.t.Fatal(err)
		}
	}
}

// next returns the next message.
func (p *peer) next() reply {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.t.Fatal("the output ended")
		}
		return parse(p.t, line)
	case <-time.After(patience):
		p.t.Fatal("no message came")
	}
	return reply{}
}

// answerTo returns the next message, which must answer id.
func (p *peer) answerTo(id string) reply {
	p.t.Helper()
	r := p.next()
	if string(r.ID) != id {
		p.t.Fatalf("expected the answer to %s: %.300s", id, r.line)
	}
	return r
}

// wait returns what ServeStdio returned.
func (p *peer) wait() error {
	p.t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(patience):
		p.t.Fatal("the server did not stop")
	}
	return nil
}

// silent checks that nothing more was written. The server must have ended.
func (p *peer) silent() {
	p.t.Helper()
	for line := range p.lines {
		p.t.Errorf("unexpected: %.300s", line)
	}
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("it did not happen")
	}
	panic("unreachable")
}
