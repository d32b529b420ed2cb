package server

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// steps is a call of the tool that reports n steps.
func steps(id, token string, n int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"steps","arguments":{"n":%d},"_meta":{"progressToken":%s}}}`+"\n", id, n, token)
}

func TestProgressComesBeforeTheResult(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for range 10 {
		for _, n := range []int{maxProgress - 1, 1000} {
			replies := run(t, s, steps(`1`, `"token"`, n))
			last := 0.0
			for i, r := range replies[:len(replies)-1] {
				// What comes faster than it is written loses its oldest, nothing else.
				if r.Method != "notifications/progress" || r.ID != nil || r.Params.ProgressToken != "token" || r.Params.Progress <= last ||
					n < maxProgress && r.Params.Progress != float64(i+1) ||
					r.Params.Progress <= float64(n) && r.Params.Total != float64(n) || r.Params.Progress > float64(n) && r.Params.Total != 0 {
					t.Fatalf("message %d: %s", i, r.line)
				}
				last = r.Params.Progress
			}
			// The report that a tool makes while it returns may still come, but not after the result.
			if r := replies[len(replies)-1]; string(r.ID) != `1` || last < float64(n) {
				t.Fatalf("%d messages, the last one is %s after the progress %v", len(replies), r.line, last)
			}
		}
	}
}

// A client that does not read holds no tool up.
func TestProgressDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		inReader, inWriter := io.Pipe()
		outReader, outWriter := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- f.newServer(io.Discard).ServeStdio(t.Context(), inReader, outWriter, time.Second)
		}()
		_, _ = io.WriteString(inWriter, steps(`1`, `1`, 1_000_000))
		synctest.Wait() // the client reads nothing
		if err := receive(t, f.ended); err != nil {
			t.Error(err)
		}
		_ = outReader.Close()
		_ = inWriter.Close()
		<-ended
	})
}

func TestProgressKeepsCallsApart(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	var input strings.Builder
	for i := range 20 {
		input.WriteString(steps(fmt.Sprint(i), fmt.Sprint(100+i), 100))
	}
	last, answered := map[float64]float64{}, map[string]bool{}
	for _, r := range run(t, s, input.String()) {
		if r.Method == "" {
			answered[string(r.ID)] = true
			continue
		}
		token, _ := r.Params.ProgressToken.(float64)
		if answered[fmt.Sprint(token-100)] {
			t.Fatalf("progress after the result: %s", r.line)
		}
		if r.Params.Progress <= last[token] {
			t.Fatalf("after %v: %s", last[token], r.line)
		}
		last[token] = r.Params.Progress
	}
	if len(last) != 20 || len(answered) != 20 {
		t.Errorf("%d calls had progress, %d an answer", len(last), len(answered))
	}
}

func TestNoProgressWithoutToken(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	runOne(t, s, call(`1`, "steps", `{"n":10}`))
	runOne(t, s, strings.Replace(steps(`1`, `1`, 10), `"progressToken":1`, `"other":1`, 1))
	runOne(t, s, steps(`1`, `null`, 10))
	runOne(t, s, steps(`1`, `{}`, 10))
}

func TestProgressInModernEra(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	line := strings.Replace(modern(`1`, "tools/call", `"name":"steps","arguments":{"n":10}`), `"_meta":{`, `"_meta":{"progressToken":"t",`, 1)
	if replies := run(t, s, line); len(replies) < 11 || string(replies[len(replies)-1].ID) != `1` {
		t.Errorf("%d messages", len(replies))
	}
}

// A token comes back as it was sent; requests are matched by it.
func TestProgressTokenIsEchoed(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	for _, token := range []string{`"a"`, `0`, `7`, `9007199254740993`} {
		replies := run(t, s, steps(`1`, token, 1))
		if !strings.Contains(replies[0].line, `"progressToken":`+token+`,`) {
			t.Errorf("%s: %s", token, replies[0].line)
		}
	}
}

func TestNoProgressAfterCancel(t *testing.T) {
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	p.send(steps(`1`, `1`, 100000))
	p.next()
	p.send(cancelled(`1`), ping(`"after"`))
	for p.next().Method != "" {
	}
	_ = p.in.Close()
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	late := 0
	for range p.lines {
		late++
	}
	if late > 1 { // one was on its way
		t.Errorf("%d messages after the cancellation", late)
	}
}
