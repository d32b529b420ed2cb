package server

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// heavy is a call of a tool with n bytes of text.
func heavy(id, tool string, n int) string {
	return call(id, tool, `{"text":"`+strings.Repeat("x", n)+`"}`)
}

// One caller's messages take only so much memory while they wait, and leave room for another caller's.
func TestHTTPBytesOfCaller(t *testing.T) {
	s := newSite(t, callersOnly)
	const size = 4_000_000 // four of them fit
	var running []*flight
	refused := 0
	for i := range 12 {
		f := s.launch(heavy(fmt.Sprint(i), "wait", size), bearer(annsToken)...)
		select {
		case <-s.fakes.started:
			running = append(running, f)
		case a := <-f.answer:
			if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "nothing was done") {
				t.Fatalf("%d %v %s", a.status, a.header, a.body)
			}
			refused++
		case err := <-f.err:
			t.Fatal(err)
		}
	}
	if len(running) != 4 || refused != 8 {
		t.Errorf("%d ran, %d were refused", len(running), refused)
	}
	bobs := s.launch(heavy("1", "wait", size), bearer(bobsToken)...)
	receive(t, s.fakes.started)
	s.release()
	for _, f := range append(running, bobs) {
		if a := receive(t, f.answer); a.status != http.StatusOK {
			t.Errorf("%d %.200s", a.status, a.body)
		}
	}
	// What was answered, refused or wrong takes no room any more.
	for range 8 {
		s.post(heavy("1", "echo", size)[1:], bearer(annsToken)...)
		if a := s.post(heavy("1", "echo", size), bearer(annsToken)...); a.status != http.StatusOK {
			t.Fatalf("%d %.200s", a.status, a.body)
		}
	}
	if used := s.http.bytes.used; used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}

// All callers together have a limit too.
func TestHTTPBytesOfAll(t *testing.T) {
	s := newSite(t, func(o *HTTPOptions) {
		o.Authenticate = func(token string) (Caller, bool) { return Caller{Name: token}, true }
	})
	refused := 0
	for i := range 24 {
		f := s.launch(heavy("1", "wait", 4_000_000), bearer(fmt.Sprint("caller", i/4))...)
		select {
		case <-s.fakes.started:
		case a := <-f.answer:
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Fatalf("%d %v %s", a.status, a.header, a.body)
			}
			refused++
		case err := <-f.err:
			t.Fatal(err)
		}
	}
	if refused != 8 {
		t.Errorf("%d of 24 were refused", refused)
	}
}

// A body whose length is not announced is counted by what came.
func TestHTTPBytesOfUnknownLength(t *testing.T) {
	s := newSite(t)
	for i := range 20 {
		ctx := t.Context()
		go func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/mcp", io.MultiReader(strings.NewReader(call(fmt.Sprint(i), "wait", `{}`))))
			if err != nil {
				t.Error(err)
				return
			}
			setHeaders(r, []string{"Content-Type", "application/json", "Accept", "application/json"})
			response, err := s.client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			s.fakes.ended <- nil
			if response.StatusCode != http.StatusOK {
				t.Errorf("%d", response.StatusCode)
			}
		}()
		receive(t, s.fakes.started)
	}
	s.release()
	for range 40 { // the tool's end, and the answer
		receive(t, s.fakes.ended)
	}
}

// Over stdio reading waits until there is room, and nothing is lost.
func TestStdioBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		p := connect(t, f.newServer(io.Discard), DefaultGrace)
		const n = 20
		go func() {
			for i := range n {
				p.send(heavy(fmt.Sprint(i), "wait", 3_000_000))
			}
		}()
		synctest.Wait()
		if read := len(f.started); read != 5 {
			t.Errorf("%d calls of 3 MB run at once", read)
		}
		close(f.release)
		for range n {
			p.next()
		}
	})
}

// A call that waits holds its message once: what was read for it is let go.
func TestWaitingCallsAreSmall(t *testing.T) {
	const size, n = 3_500_000, 4
	f := newFakes()
	p := connect(t, f.newServer(io.Discard), DefaultGrace)
	before := heap()
	for i := range n {
		p.send(heavy(fmt.Sprint(i), "wait", size))
		receive(t, f.started)
	}
	if grown := heap() - before; grown > 3*n*size/2 { // the tool has the text
		t.Errorf("%d bytes for %d", grown, n*size)
	}
	close(f.release)
	for range n {
		p.next()
	}
}
