package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// withMeta adds members to a call's _meta.
func withMeta(call, meta string) string {
	if strings.Contains(call, `"_meta":{`) {
		return strings.Replace(call, `"_meta":{`, `"_meta":{`+meta+`,`, 1)
	}
	return strings.Replace(call, `"arguments"`, `"_meta":{`+meta+`},"arguments"`, 1)
}

// rises checks that messages are want steps of progress that rise, and then the answer to id, which is the last.
func rises(t testing.TB, all []reply, id string, want int) {
	t.Helper()
	if len(all) == 0 || string(all[len(all)-1].ID) != id || all[len(all)-1].code() != 0 {
		t.Errorf("%s: the answer is not the last of %d messages", id, len(all))
		return
	}
	progress := all[:len(all)-1]
	last, token := 0.0, strings.Trim(id, `"`)
	for _, r := range progress {
		if r.Method != "notifications/progress" || fmt.Sprint(r.Params.ProgressToken) != token || r.Params.Progress <= last {
			t.Errorf("%s: not the next step after %v: %s", id, last, r.line)
		}
		last = r.Params.Progress
	}
	if len(progress) < want || len(progress) > want+1 { // the tool reports one more while it ends
		t.Errorf("%s: %d of %d steps", id, len(progress), want)
	}
}

// Of 200 calls at once everyone gets all of its progress, in order, before its result.
func TestHTTPProgress(t *testing.T) {
	s := newSite(t)
	session := s.shakeHands()
	var calls sync.WaitGroup
	turns := make(chan struct{}, 16)
	for i := range 200 {
		calls.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			id, headers := fmt.Sprint(i), session
			line := call(id, "steps", `{"n":20}`)
			switch i % 3 {
			case 0:
				line, headers = modern(id, "tools/call", `"name":"steps","arguments":{"n":20}`), newEraHeaders("tools/call", "steps")
			case 1:
				headers = nil
			}
			a, err := s.try(t.Context(), http.MethodPost, "/mcp", withMeta(line, `"progressToken":`+id), headers...)
			if err != nil {
				t.Error(err)
				return
			}
			rises(t, a.messages(t), id, 20)
		})
	}
	calls.Wait()
}

// Without a wish there is no progress.
func TestHTTPProgressUnasked(t *testing.T) {
	s := newSite(t)
	for _, meta := range []string{`"progressToken":null`, `"progressToken":{}`, `"progressToken":true`, `"other":1`} {
		if all := s.post(withMeta(call("1", "steps", `{"n":3}`), meta)).messages(t); len(all) != 1 {
			t.Errorf("%s: %d messages", meta, len(all))
		}
	}
}

// A call is cancelled by its own session, and then not answered.
func TestHTTPCancel(t *testing.T) {
	s := newSite(t)
	session := s.shakeHands()
	for _, id := range []string{`7`, `"a"`} {
		running := s.launch(call(id, "wait", `{}`), session...)
		receive(t, s.fakes.started)
		if a := s.post(cancelled(id), session...); a.status != http.StatusAccepted {
			t.Fatal(a.status)
		}
		if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: it ended with %v", id, err)
		}
		if a := receive(t, running.answer); a.status != http.StatusOK || len(a.body) != 0 ||
			a.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: a cancelled call was answered: %d %s", id, a.status, a.body)
		}
	}
}

// Nobody else cancels it.
func TestHTTPCancelByOthers(t *testing.T) {
	s := newSite(t, callersOnly)
	anns, bobs := bearer(annsToken), bearer(bobsToken)
	session, second, bobsSession := s.shakeHands(anns...), s.shakeHands(anns...), s.shakeHands(bobs...)
	stolen := append([]string{"Mcp-Session-Id", session[1]}, bobs...)
	newEra := append(newEraHeaders("tools/call", "wait"), anns...)
	running := []*flight{
		s.launch(call("7", "wait", `{}`), session...),
		s.launch(call("7", "wait", `{}`), anns...),
		s.launch(modern("7", "tools/call", `"name":"wait"`), newEra...),
	}
	for range running {
		receive(t, s.fakes.started)
	}
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"another session": {second, 202}, "another caller": {bobsSession, 202}, "no session": {anns,
			202}, "another caller without session": {bobs, 202},
		"the session, stolen": {stolen, 404}, "a made-up session": {append([]string{"Mcp-Session-Id", "x"}, anns...), 404},
		"the newer era": {append(newEraHeaders("notifications/cancelled", ""), anns...), 202},
	} {
		if a := s.post(cancelled("7"), c.headers...); a.status != c.want {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if a := s.post(cancelled("8"), session...); a.status != http.StatusAccepted {
		t.Errorf("another id: %d", a.status)
	}
	s.release()
	for i, r := range running {
		if a := receive(t, r.answer).message(t); string(a.ID) != "7" || a.code() != 0 {
			t.Errorf("call %d: %s", i, a.line)
		}
		if err := receive(t, s.fakes.ended); err != nil {
			t.Errorf("a call ended with %v", err)
		}
	}
}

// A session that ends takes its calls along, and no others.
func TestHTTPEndOfSessionEndsCalls(t *testing.T) {
	s := newSite(t)
	session, second := s.shakeHands(), s.shakeHands()
	mine, others := s.launch(call("7", "wait", `{"text":"mine"}`), session...), s.launch(call("7", "wait", `{"text":"another's"}`),
		second...)
	receive(t, s.fakes.started)
	receive(t, s.fakes.started)
	if a := s.do(http.MethodDelete, "/mcp", "", session...); a.status != http.StatusNoContent {
		t.Fatal(a.status)
	}
	if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if a := receive(t, mine.answer); !a.message(t).tool(t).IsError {
		t.Errorf("%s", a.body)
	}
	s.release()
	if a := receive(t, others.answer); !strings.Contains(string(a.body), "another's") {
		t.Errorf("%s", a.body)
	}
}

// Calls with the same id all end with their session.
func TestHTTPEndOfSessionEndsTwins(t *testing.T) {
	s := newSite(t)
	session := s.shakeHands()
	twins := []*flight{s.launch(call("7", "wait", `{}`), session...), s.launch(call("7", "wait", `{}`), session...)}
	receive(t, s.fakes.started)
	receive(t, s.fakes.started)
	if a := s.do(http.MethodDelete, "/mcp", "", session...); a.status != http.StatusNoContent {
		t.Fatal(a.status)
	}
	for _, twin := range twins {
		if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		receive(t, twin.answer)
	}
}

// Who hangs up ends the call.
func TestHTTPHangUp(t *testing.T) {
	s := newSite(t)
	session := s.shakeHands()
	for name, c := range map[string]struct {
		line    string
		headers []string
	}{
		"legacy":          {call("7", "wait", `{}`), session},
		"without session": {call("7", "wait", `{}`), nil},
		"modern":          {modern("7", "tools/call", `"name":"wait"`), newEraHeaders("tools/call", "wait")},
	} {
		running := s.launch(c.line, c.headers...)
		receive(t, s.fakes.started)
		running.hangUp()
		if err := receive(t, s.fakes.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: it ended with %v", name, err)
		}
		if err := receive(t, running.err); err == nil {
			t.Errorf("%s: there was an answer", name)
		}
	}
}

// Clients that cannot be told apart do not disturb each other.
func TestHTTPSameIDs(t *testing.T) {
	s := newSite(t, callersOnly)
	s.release()
	session := s.shakeHands(bearer(annsToken)...)
	var calls sync.WaitGroup
	for i := range 60 {
		calls.Go(func() {
			text := fmt.Sprintf("of %d", i)
			line, headers := call("7", "wait", `{"text":"`+text+`"}`), bearer([]string{annsToken, bobsToken}[i%2])
			switch i % 6 {
			case 2:
				headers = session
			case 3:
				line = modern("7", "tools/call", `"name":"wait","arguments":{"text":"`+text+`"}`)
				headers = append(newEraHeaders("tools/call", "wait"), headers...)
			}
			a, err := s.try(t.Context(), http.MethodPost, "/mcp", line, headers...)
			if err != nil || !strings.Contains(string(a.body), text) {
				t.Errorf("%d: %s %v", i, a.body, err)
			}
		})
	}
	calls.Wait()
}

// One caller's calls leave room for the others'.
func TestHTTPRunningCallsPerCaller(t *testing.T) {
	s := newSite(t, callersOnly)
	var anns []*flight
	for i := range maxRunning + 3 {
		anns = append(anns, s.launch(call(fmt.Sprint(i), "wait", `{"text":"ann"}`), bearer(annsToken)...))
	}
	for range maxRunning {
		receive(t, s.fakes.started)
	}
	bobs := s.launch(call("1", "wait", `{"text":"bob"}`), bearer(bobsToken)...)
	if who := receive(t, s.fakes.started); who != "bob" {
		t.Errorf("%s came first", who)
	}
	if a := s.post(ping("1"), bearer(annsToken)...); a.status != http.StatusOK {
		t.Errorf("a ping: %d", a.status)
	}
	s.release()
	for _, f := range append(anns, bobs) {
		if a := receive(t, f.answer); a.message(t).code() != 0 {
			t.Errorf("%s", a.body)
		}
	}
}

const parentOfTest = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// The caller's trace reaches tools.
func TestHTTPTrace(t *testing.T) {
	server := New(Options{Name: "traced", Version: "1", Log: zerolog.New(io.Discard), Toolbox: toolbox.New(toolbox.Rules{},
		[]toolbox.Tool{
			declareFake("trace", guard.Read, func(ctx context.Context, _ textInput) (textOutput, error) {
				return textOutput{Echo: "parent:" + string(trace.From(ctx))}, nil
			}),
		})})
	listener, h := serveHTTP(&world{t: t, server: server}, withSSE)
	s := &site{t: t, http: h, url: listener.URL, client: listener.Client()}
	events := s.openSSE()
	for parent, want := range map[string]string{parentOfTest: "parent:" + parentOfTest, "": `"parent:"`, "00-0-0-00": `"parent:"`} {
		meta := fmt.Sprintf(`"traceparent":%q`, parent)
		legacy, newer := withMeta(call("1", "trace", `{}`), meta), withMeta(modern("1", "tools/call", `"name":"trace"`), meta)
		events.send(legacy)
		for name, r := range map[string]reply{
			"legacy": s.post(legacy).message(t), "modern": s.post(newer, newEraHeaders("tools/call",
				"trace")...).message(t), "SSE": events.next(),
		} {
			if !strings.Contains(string(r.tool(t).Structured), want) {
				t.Errorf("%s: %s", name, r.line)
			}
		}
	}
}

// The audit log says who called, on which way, and in which trace.
func TestHTTPAudit(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	listener, h := serveHTTP(w, withSSE, callersOnly)
	s := &site{t: t, http: h, url: listener.URL, client: listener.Client()}
	line := withMeta(call("1", "restart_instance", `{"instance_id":"`+stopped+`","confirm":true}`),
		`"traceparent":"`+parentOfTest+`"`)
	check := func(caller, transport string) {
		t.Helper()
		records := w.records()
		last := records[len(records)-1]
		if last.Caller != caller || last.Transport != transport || last.Trace != parentOfTest {
			t.Errorf("want %s over %s: %s %s %s %q", caller, transport, last.Event, last.Caller, last.Transport, last.Trace)
		}
	}
	s.post(line, bearer(annsToken)...)
	check("ann", "http")
	newer := withMeta(modern("1", "tools/call", `"name":"restart_instance","arguments":{"instance_id":"`+other+`","confirm":true}`),
		`"traceparent":"`+parentOfTest+`"`)
	s.post(newer, append(newEraHeaders("tools/call", "restart_instance"), bearer(bobsToken)...)...)
	check("bob", "http")
	events := s.openSSE(bearer(bobsToken)...)
	events.send(strings.Replace(line, stopped, running, 1))
	events.next()
	check("bob", "sse")
}
