package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestIDsAreEchoed(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for _, id := range []string{`1`, `0`, `-7`, `1.5`, `1.0`, `1e3`, `9007199254740993`, `-9223372036854775809`, `12345678901234567890123`,
		`"a"`, `""`, `"1"`, `"编号"`, `"a\"b\\\u0041"`} {
		for _, line := range []string{ping(id), call(id, "echo", `{}`), call(id, "nothing", `{}`), `{"jsonrpc":"2.0","method":"no/such","id":` + id + `}`,
			`{"jsonrpc":"2.0","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}},"id":` + id + `}`} {
			if r := runOne(t, s, line); string(r.ID) != id {
				t.Errorf("%s was answered with the id %s", line, r.ID)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for _, c := range []struct {
		line, id string
		code     int
	}{
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, `null`, -32600},
		{`{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}`, `null`, -32600},
		{`{"jsonrpc":"2.0","id":[1],"method":"ping"}`, `null`, -32600},
		{`{"jsonrpc":"2.0","id":true,"method":"ping"}`, `null`, -32600},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"`, `null`, -32700},
		{`hello`, `null`, -32700},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}`, `null`, -32700},
		{`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `null`, -32600},
		{`[]`, `null`, -32600},
		{`"ping"`, `null`, -32600},
		{`5`, `null`, -32600},
		{`null`, `null`, -32600},
		{`{}`, `null`, -32600},
		{`{"jsonrpc":"2.0","method":5}`, `null`, -32600},
		{`{"jsonrpc":"2.0","id":1,"method":5}`, `1`, -32700},
		{`{"jsonrpc":"1.0","id":1,"method":"ping"}`, `1`, -32600},
		{`{"id":1,"method":"ping"}`, `1`, -32600},
		{`{"jsonrpc":"2.0","id":1}`, `1`, -32601},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, `1`, -32600},
		{`{"jsonrpc":"2.0","id":1,"method":"no/such"}`, `1`, -32601},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, `1`, -32601},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nothing"}}`, `1`, -32602},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, `1`, -32602},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}`, `1`, -32600},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, `1`, -32600},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":\"\xc1\xaa\"}}}", `1`, -32700},
		{"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", `null`, -32700},
	} {
		if r := runOne(t, s, c.line+"\n"); string(r.ID) != c.id || r.code() != c.code {
			t.Errorf("%q: %s", c.line, r.line)
		}
	}
}

func TestNotAnswered(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for _, line := range []string{
		"", " ", "\r",
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","method":"notifications/no-such"}`,
		`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}`,
		strings.TrimSpace(cancelled(`99`)),
	} {
		if replies := run(t, s, line+"\n"); len(replies) != 0 {
			t.Errorf("%q was answered: %s", line, replies[0].line)
		}
	}
}

// Clients whose serialisers write every member of a message are understood.
func TestNullMembers(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	if r := runOne(t, s, `{"jsonrpc":"2.0","id":1,"method":"ping","params":null,"result":null,"error":null}`); r.code() != 0 {
		t.Error(r.line)
	}
}

func TestLineEnds(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	replies := run(t, s, "\n\r\n"+strings.TrimSuffix(ping("1"), "\n")+"\r\n  \n\t"+ping("2")+strings.TrimSuffix(ping("3"), "\n"))
	if len(replies) != 3 {
		t.Errorf("%d answers", len(replies))
	}
	for _, r := range replies {
		if r.code() != 0 {
			t.Error(r.line)
		}
	}
}

func TestOverlongLines(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	pad := strings.Repeat("x", maxLine)
	for _, c := range []struct{ name, line, id string }{
		{"first", `{"jsonrpc":"2.0","id":"first","method":"tools/call","params":{"name":"echo","arguments":{"text":"` + pad + `"}}}`, `"first"`},
		{"last", `{"method":"tools/call","params":{"name":"echo","arguments":{"text":"` + pad + `"}},"jsonrpc":"2.0","id":5}`, `5`},
		{"unknowable", `{"params":{"arguments":{"text":"` + pad + `"}},"id":5,"method":"` + pad + `"}`, `null`},
		{"not JSON", pad + "x", `null`},
	} {
		replies := run(t, s, c.line+"\n"+ping("1"))
		if len(replies) != 2 || string(replies[0].ID) != c.id || replies[0].code() != -32600 || string(replies[1].ID) != "1" || replies[1].code() != 0 {
			t.Errorf("%s: %+v", c.name, replies)
		}
	}
	fits := strings.Replace(ping("1"), `"ping"`, `"ping","params":{"pad":"`+pad[:maxLine-200]+`"}`, 1)
	if r := runOne(t, s, fits); r.code() != 0 {
		t.Error(r.line)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	var input strings.Builder
	const n = 1000
	for i := range n {
		input.WriteString(call(fmt.Sprint(i), "echo", fmt.Sprintf(`{"n":%d}`, i)))
	}
	seen := map[string]bool{}
	for _, r := range run(t, s, input.String()) {
		if got := r.tool(t); string(got.Structured) != fmt.Sprintf(`{"echo":"","n":%s}`, r.ID) || seen[string(r.ID)] {
			t.Errorf("the answer to %s: %s", r.ID, r.line)
		}
		seen[string(r.ID)] = true
	}
	if len(seen) != n {
		t.Errorf("%d answers", len(seen))
	}
}

// More requests than may be pending make reading wait, and none is lost.
func TestMoreThanPending(t *testing.T) {
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	const n = maxPending + 100
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := range n {
			p.send(call(fmt.Sprint(i), "wait", `{}`))
		}
	})
	for range maxRunning {
		receive(t, f.started)
	}
	close(f.release)
	seen := map[string]bool{}
	for range n {
		seen[string(p.next().ID)] = true
	}
	sender.Wait()
	if len(seen) != n {
		t.Errorf("%d answers", len(seen))
	}
}

func TestSlowCallsDoNotBlock(t *testing.T) {
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	const n = maxRunning + 10
	for i := range n {
		p.send(call(fmt.Sprint(i), "wait", `{}`))
	}
	for range maxRunning {
		receive(t, f.started)
	}
	p.send(ping(`"ping"`), `{"jsonrpc":"2.0","id":"list","method":"tools/list"}`+"\n")
	got := map[string]bool{string(p.next().ID): true, string(p.next().ID): true}
	if !got[`"ping"`] || !got[`"list"`] {
		t.Error(got)
	}
	close(f.release)
	for range n {
		p.next()
	}
}

func TestCancelRunning(t *testing.T) {
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	for _, id := range []string{`1`, `"one"`, `9007199254740993`} {
		p.send(call(id, "wait", `{}`))
		receive(t, f.started)
		p.send(cancelled(`"another"`), cancelled(id), cancelled(id))
		if err := receive(t, f.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("the call ended with %v", err)
		}
		p.send(ping(`"after"`))
		p.answerTo(`"after"`)
	}
	// An id that was cancelled may be used again.
	p.send(ping(`1`))
	p.answerTo(`1`)
	_ = p.in.Close()
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	p.silent()
}

// Numbers that float64 cannot tell apart are two calls.
func TestCancelHitsTheRightCall(t *testing.T) {
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	p.send(call(`9007199254740992`, "wait", `{}`), call(`9007199254740993`, "wait", `{}`), call(`"9007199254740993"`, "wait", `{}`))
	for range 3 {
		receive(t, f.started)
	}
	p.send(cancelled(`9007199254740993`))
	if err := receive(t, f.ended); err == nil {
		t.Error("the call was not cancelled")
	}
	close(f.release)
	got := map[string]bool{string(p.next().ID): true, string(p.next().ID): true}
	if !got[`9007199254740992`] || !got[`"9007199254740993"`] {
		t.Error(got)
	}
}

func TestCancelBeforeStart(t *testing.T) {
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	for i := range maxRunning {
		p.send(call(fmt.Sprint(i), "wait", `{"text":"runs"}`))
		receive(t, f.started)
	}
	p.send(call(`"late"`, "wait", `{"text":"late"}`), cancelled(`"late"`), ping(`"after"`))
	p.answerTo(`"after"`)
	close(f.release)
	for range maxRunning {
		p.next()
	}
	_ = p.in.Close()
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	p.silent()
	if len(f.started) > 0 {
		t.Error("the tool was called")
	}
}

func TestCancelAfterAnswer(t *testing.T) {
	p := connect(t, newFakes().newServer(io.Discard), DefaultGrace)
	p.send(ping(`1`))
	p.answerTo(`1`)
	p.send(cancelled(`1`), ping(`1`))
	p.answerTo(`1`)
}

func TestEOFWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, newFakes().newServer(io.Discard), DefaultGrace)
		begun := time.Now()
		for i := range 20 {
			p.send(call(fmt.Sprint(i), "sleep", `{"n":7}`))
		}
		_ = p.in.Close()
		if err := p.wait(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 7*time.Second {
			t.Errorf("it took %s", took)
		}
		for range 20 {
			if r := p.next().tool(t); r.IsError {
				t.Error(r)
			}
		}
		p.silent()
	})
}

func TestEOFEndsCallsAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, newFakes().newServer(io.Discard), 3*time.Second)
		begun := time.Now()
		const n = maxRunning + 5 // some have not even started
		for i := range n {
			p.send(call(fmt.Sprint(i), "sleep", `{"n":30}`))
		}
		_ = p.in.Close()
		if err := p.wait(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("it took %s", took)
		}
		for range n {
			if r := p.next().tool(t); !r.IsError || !strings.Contains(r.Content[0].Text, "cancelled") {
				t.Error(r)
			}
		}
		p.silent()
	})
}

func TestEndDoesNotWaitForStubbornCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		defer close(f.release)
		p := connect(t, f.newServer(io.Discard), 3*time.Second)
		begun := time.Now()
		p.send(call(`1`, "stubborn", `{}`))
		_ = p.in.Close()
		if err := p.wait(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 3*time.Second+settle+wrapUp {
			t.Errorf("it took %s", took)
		}
		p.silent()
	})
}

// A call that waits for its turn behind stubborn ones is answered at the end as well.
func TestEndAnswersCallsBehindStubbornOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		defer close(f.release)
		p := connect(t, f.newServer(io.Discard), 3*time.Second)
		for i := range maxRunning {
			p.send(call(fmt.Sprint(i), "stubborn", `{}`))
			<-f.started
		}
		p.send(call(`"last"`, "sleep", `{"n":1}`))
		_ = p.in.Close()
		if err := p.wait(); err != nil {
			t.Error(err)
		}
		if r := p.answerTo(`"last"`).tool(t); !r.IsError {
			t.Error(r)
		}
		p.silent()
	})
}

func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, newFakes().newServer(io.Discard), DefaultGrace)
		begun := time.Now()
		p.send(call(`1`, "sleep", `{"n":4}`))
		synctest.Wait()
		p.cancel()
		if err := p.wait(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 4*time.Second {
			t.Errorf("it took %s", took)
		}
		if r := p.answerTo(`1`).tool(t); r.IsError {
			t.Error(r)
		}
	})
}

// A request that waits for room when the server is told to stop has been read, and is answered.
func TestStopAnswersWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, newFakes().newServer(io.Discard), DefaultGrace)
		for i := range maxPending + 1 {
			p.send(call(fmt.Sprint(i), "sleep", `{"n":1000}`))
		}
		synctest.Wait()
		p.cancel()
		if r := p.next(); string(r.ID) != fmt.Sprint(maxPending) || r.code() != -32603 {
			t.Error(r.line)
		}
		if err := p.wait(); err != nil {
			t.Error(err)
		}
		for range maxPending {
			p.next()
		}
		p.silent()
	})
}

// What was read when the server is told to stop is answered, also by those lines that nobody has looked at yet.
func TestStopAnswersEveryLineThatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, newFakes().newServer(io.Discard), DefaultGrace)
		var burst strings.Builder
		for i := range maxPending + 50 {
			burst.WriteString(call(fmt.Sprint(i), "sleep", `{"n":1000}`))
		}
		p.send(burst.String())
		synctest.Wait() // reading waits for room; the rest is in its buffer
		p.cancel()
		answered, stopping := map[string]bool{}, 0
		if err := p.wait(); err != nil {
			t.Error(err)
		}
		for len(p.lines) > 0 {
			r := p.next()
			answered[string(r.ID)] = true
			if r.code() == -32603 && strings.Contains(r.Error.Message, "stopping; nothing was done") {
				stopping++
			}
		}
		if len(answered) < maxPending+2 || stopping != len(answered)-maxPending {
			t.Errorf("%d requests were answered, %d as not done", len(answered), stopping)
		}
	})
}

// What a call did is recorded before the end, also when it takes its time after the cancellation and the client does not
// read.
func TestEndWaitsForRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		inReader, inWriter := io.Pipe()
		outReader, outWriter := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.newServer(io.Discard).ServeStdio(ctx, inReader, outWriter, 2*time.Second) }()
		_, _ = io.WriteString(inWriter, withMeta(call("1", "change", `{"n":20}`), `"progressToken":1`))
		<-f.started
		begun := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 22*time.Second+wrapUp {
			t.Errorf("it took %s", took)
		}
		select {
		case <-f.ended:
		default:
			t.Error("the end came before the record")
		}
		_ = outReader.Close()
		_ = inWriter.Close()
	})
}

// Two calls may have one id, of a client that is careless. A cancellation is for both.
func TestSameIDTwice(t *testing.T) {
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	p.send(call(`1`, "wait", `{}`), call(`1`, "wait", `{}`))
	receive(t, f.started)
	receive(t, f.started)
	p.send(cancelled(`1`))
	for range 2 {
		if err := receive(t, f.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	}
}

// A client that takes no answers cannot keep the server from stopping.
func TestStopWhileNothingIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakes().newServer(io.Discard)
		inReader, inWriter := io.Pipe()
		outReader, outWriter := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.ServeStdio(ctx, inReader, outWriter, 2*time.Second) }()
		_, _ = io.WriteString(inWriter, "not JSON\n")
		synctest.Wait()
		begun := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 2*time.Second+wrapUp {
			t.Errorf("it took %s", took)
		}
		_ = outReader.Close()
		_ = inWriter.Close()
	})
}

func TestOutputCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, newFakes().newServer(io.Discard), DefaultGrace)
		_ = p.out.Close()
		p.send(ping(`1`))
		if err := p.wait(); !errors.Is(err, ErrOutputClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOutputClosesDuringCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		p := connect(t, f.newServer(io.Discard), DefaultGrace)
		p.send(call(`1`, "wait", `{}`))
		<-f.started
		_ = p.out.Close()
		_ = p.in.Close()
		synctest.Wait()
		close(f.release)
		if err := p.wait(); !errors.Is(err, ErrOutputClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestInputFails(t *testing.T) {
	failure := errors.New("the device is gone")
	p := connect(t, newFakes().newServer(io.Discard), DefaultGrace)
	p.send(ping(`1`))
	_ = p.in.CloseWithError(failure)
	if err := p.wait(); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	p.answerTo(`1`)
}

// smallWriter takes a few bytes at a time from concurrent writers, to show when they are not kept apart.
type smallWriter struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (w *smallWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), 7)
		w.mu.Lock()
		w.out.Write(rest[:n])
		w.mu.Unlock()
		rest = rest[n:]
		runtime.Gosched()
	}
	return len(p), nil
}

func TestWritesDoNotInterleave(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	var input strings.Builder
	for i := range 50 {
		fmt.Fprintf(&input, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"steps","arguments":{"n":50},"_meta":{"progressToken":%d}}}`+"\n", i, i)
		input.WriteString("garbage\n" + ping(fmt.Sprint(1000+i)))
	}
	var out smallWriter
	if err := s.ServeStdio(t.Context(), strings.NewReader(input.String()), &out, DefaultGrace); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range bytes.Lines(out.out.Bytes()) {
		parse(t, line)
		lines++
	}
	if lines < 50*(50+3) {
		t.Errorf("%d lines", lines)
	}
}

func TestTwoServersShareNothing(t *testing.T) {
	one, two := newFakes(), newFakes()
	first, second := connect(t, one.newServer(io.Discard), DefaultGrace), connect(t, two.newServer(io.Discard), DefaultGrace)
	first.send(call(`1`, "wait", `{"text":"first"}`))
	second.send(call(`1`, "wait", `{"text":"second"}`))
	receive(t, one.started)
	receive(t, two.started)
	second.send(cancelled(`1`))
	if err := receive(t, two.ended); err == nil {
		t.Error("the second server's call was not cancelled")
	}
	_ = second.in.Close()
	if err := second.wait(); err != nil {
		t.Error(err)
	}
	second.silent()
	close(one.release)
	if r := first.answerTo(`1`).tool(t); r.IsError || r.Content[0].Text != "first 0" {
		t.Error(r)
	}
}

// A Server can be used again after a run.
func TestServeTwice(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for range 2 {
		if r := runOne(t, s, ping(`1`)); r.code() != 0 {
			t.Error(r.line)
		}
	}
}
