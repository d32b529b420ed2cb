package server

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const newEra = "2026-07-28"

// newEraHeaders are those that a request of the era without handshake must have.
func newEraHeaders(method, name string, further ...string) []string {
	return append([]string{"Mcp-Protocol-Version", newEra, "Mcp-Method", method, "Mcp-Name", name}, further...)
}

// inVersion replaces the version in a message of the newer era.
func inVersion(version, message string) string { return strings.Replace(message, newEra, version, 1) }

// Of the newer era's requests headers and body must say the same.
func TestModernRules(t *testing.T) {
	h := newFull(t)
	echo := modern("7", "tools/call", `"name":"echo","arguments":{"text":"a"}`)
	bare := `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	told := `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	for _, c := range []struct {
		name, body   string
		headers      []string
		status, code int
	}{
		{"tools/list", modern("7", "tools/list", ""), newEraHeaders("tools/list", ""), 200, 0},
		{"discovery", modern("7", "server/discover", ""), newEraHeaders("server/discover", ""), 200, 0},
		{"a call", echo, newEraHeaders("tools/call", "echo"), 200, 0},
		{"a name in Base64", echo, newEraHeaders("tools/call", "=?base64?ZWNobw==?="), 200, 0},
		{"a name in bad Base64", echo, newEraHeaders("tools/call", "=?base64?*?="), 400, mcp.HEADER_MISMATCH},
		{"a forged session does not matter", echo, newEraHeaders("tools/call", "echo", "Mcp-Session-Id", "forged"), 200, 0},
		{"another name", echo, newEraHeaders("tools/call", "wait"), 400, mcp.HEADER_MISMATCH},
		{"no name", echo, newEraHeaders("tools/call", ""), 400, mcp.HEADER_MISMATCH},
		{"another method", echo, newEraHeaders("tools/list", "echo"), 400, mcp.HEADER_MISMATCH},
		{"no method", echo, newEraHeaders("", "echo"), 400, mcp.HEADER_MISMATCH},
		{"no version in the header", echo, newEraHeaders("tools/call", "echo", "Mcp-Protocol-Version", ""), 400, mcp.HEADER_MISMATCH},
		{"no version in the body", bare, newEraHeaders("tools/list", ""), 400, mcp.INVALID_PARAMS},
		{"an older version in the body", inVersion("2025-11-25", echo), newEraHeaders("tools/call", "echo"), 400, mcp.HEADER_MISMATCH},
		{"an older version in the header", echo, newEraHeaders("tools/call", "echo", "Mcp-Protocol-Version", "2025-11-25"), 400,
			mcp.HEADER_MISMATCH},
		{"a version to come", inVersion("2099-01-01", echo), newEraHeaders("tools/call", "echo", "Mcp-Protocol-Version",
			"2099-01-01"), 400, mcp.UNSUPPORTED_PROTOCOL_VERSION},
		{"to be resumed", echo, newEraHeaders("tools/call", "echo", "Last-Event-ID", "1"), 400, mcp.HEADER_MISMATCH},
		{"an answer", answered("7", yes), newEraHeaders("", ""), 400, mcp.INVALID_REQUEST},
		{"an unknown method", modern("7", "no/such", ""), newEraHeaders("no/such", ""), 404, mcp.METHOD_NOT_FOUND},
		{"an unknown tool", modern("7", "tools/call", `"name":"none"`), newEraHeaders("tools/call", "none"), 400, mcp.INVALID_PARAMS},
		{"a notification", told, newEraHeaders("notifications/initialized", ""), 202, 0},
		{"a notification without method header", told, newEraHeaders("", ""), 202, 0},
		{"a notification of a version to come", told, newEraHeaders("", "", "Mcp-Protocol-Version", "2099-01-01"), 400,
			mcp.UNSUPPORTED_PROTOCOL_VERSION},
		{"a cancellation", cancelled("7"), newEraHeaders("notifications/cancelled", ""), 202, 0},
	} {
		a := knock(t.Context(), h, http.MethodPost, "/mcp", c.body, c.headers...)
		if a.status != c.status || a.header.Get("Mcp-Session-Id") != "" {
			t.Errorf("%s: %d %v", c.name, a.status, a.header)
		}
		switch {
		case c.status == http.StatusAccepted:
			if len(a.body) != 0 {
				t.Errorf("%s: %s", c.name, a.body)
			}
		case a.message(t).code() != c.code:
			t.Errorf("%s: %s", c.name, a.body)
		case strings.Contains(c.body, `"id":7`) && string(a.message(t).ID) != "7":
			t.Errorf("%s: the id is %s", c.name, a.message(t).ID)
		}
	}
}

func TestLegacyRules(t *testing.T) {
	h := newFull(t)
	hello, told, _ := strings.Cut(initialize("2025-11-25"), "\n")
	shaken := knock(t.Context(), h, http.MethodPost, "/mcp", hello).header.Get("Mcp-Session-Id")
	session := func(id string, further ...string) []string { return append([]string{"Mcp-Session-Id", id}, further...) }
	for _, c := range []struct {
		name, body   string
		headers      []string
		status, code int
	}{
		{"a handshake", hello, nil, 200, 0},
		{"a handshake with an old session", hello, session("forged"), 200, 0},
		{"initialized", told, session(shaken), 202, 0},
		{"a call", call("7", "echo", `{}`), session(shaken), 200, 0},
		{"a call with version", call("7", "echo", `{}`), session(shaken, "Mcp-Protocol-Version", "2025-11-25"), 200, 0},
		{"a call with the oldest version", call("7", "echo", `{}`), session(shaken, "Mcp-Protocol-Version", "2024-11-05"), 200, 0},
		{"a version that is none", call("7", "echo", `{}`), session(shaken, "Mcp-Protocol-Version", "1999-01-01"), 400,
			mcp.INVALID_REQUEST},
		{"without session", call("7", "echo", `{}`), nil, 200, 0},
		{"a forged session", call("7", "echo", `{}`), session("mcp-session-67e55044-10b1-426f-9247-bb680e5fe0c8"), 404,
			mcp.INVALID_REQUEST},
		{"a notification in a forged session", told, session("forged"), 404, mcp.INVALID_REQUEST},
		{"an answer in a forged session", answered("7", yes), session("forged"), 404, mcp.INVALID_REQUEST},
		{"an answer to nothing", answered("7", yes), session(shaken), 202, 0},
		{"an answer without session", answered("7", yes), nil, 400, mcp.INVALID_REQUEST},
		{"a cancellation", cancelled("7"), session(shaken), 202, 0},
		{"a cancellation without session", cancelled("7"), nil, 202, 0},
		{"an unknown method", `{"jsonrpc":"2.0","id":7,"method":"no/such"}`, session(shaken), 200, mcp.METHOD_NOT_FOUND},
		{"no JSON", `{"jsonrpc":`, nil, 400, mcp.PARSE_ERROR},
		{"nothing", ``, nil, 400, mcp.PARSE_ERROR},
		{"spaces", " \n ", nil, 400, mcp.PARSE_ERROR},
		{"no UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"params\":{\"a\":\"\xff\"}}", nil, 400, mcp.PARSE_ERROR},
		{"a batch", "[" + ping("7") + "]", nil, 400, mcp.INVALID_REQUEST},
		{"an empty batch", "[]", nil, 400, mcp.INVALID_REQUEST},
		{"a number", "7", nil, 400, mcp.INVALID_REQUEST},
		{"no method", `{"jsonrpc":"2.0"}`, nil, 400, mcp.INVALID_REQUEST},
		{"id null", ping("null"), nil, 400, mcp.INVALID_REQUEST},
		{"id object", ping("{}"), nil, 400, mcp.INVALID_REQUEST},
	} {
		a := knock(t.Context(), h, http.MethodPost, "/mcp", c.body, c.headers...)
		if a.status != c.status || (a.header.Get("Mcp-Session-Id") != "") != (c.status == 200 && c.body == hello) {
			t.Errorf("%s: %d %v %s", c.name, a.status, a.header, a.body)
			continue
		}
		if c.status == http.StatusAccepted && len(a.body) != 0 || c.status != http.StatusAccepted && a.message(t).code() != c.code {
			t.Errorf("%s: %s", c.name, a.body)
		}
	}
}

// Ids come back as they were written.
func TestHTTPIDs(t *testing.T) {
	h := newFull(t)
	for _, id := range []string{`1`, `0`, `-1`, `1.5`, `1e3`, `9007199254740993`, `18446744073709551616`, `""`, `"a"`,
		`"9007199254740993"`, `"\u00e9<>&"`, `"日本"`} {
		for name, a := range map[string]httpAnswer{
			"legacy": knock(t.Context(), h, http.MethodPost, "/mcp", call(id, "echo", `{}`)),
			"modern": knock(t.Context(), h, http.MethodPost, "/mcp", modern(id, "tools/call", `"name":"echo"`),
				newEraHeaders("tools/call", "echo")...),
			"error":  knock(t.Context(), h, http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":`+id+`,"method":"no/such"}`),
			"reject": knock(t.Context(), h, http.MethodPost, "/mcp", modern(id, "tools/call", `"name":"echo"`)),
		} {
			got := a.message(t)
			if decode[any](t, got.ID) != decode[any](t, []byte(id)) || id[0] != '"' && string(got.ID) != id {
				t.Errorf("%s: %s came back as %s", name, id, got.ID)
			}
		}
	}
}

// A session is good for the caller that it was issued to, until it is ended or too old.
func TestSessions(t *testing.T) {
	now := time.Now().Truncate(time.Second) // as ids say it
	newSessionServer := func(key string) http.Handler {
		_, h := serveHTTP(&world{t: t, server: newFakes().newServer(noLog{})}, callersOnly,
			func(o *HTTPOptions) { o.Key = []byte(key) })
		h.sessions.now = func() time.Time { return now }
		return h.Handler()
	}
	h := newSessionServer("one")
	issue := func(h http.Handler, token string) string {
		hello, _, _ := strings.Cut(initialize("2025-11-25"), "\n")
		return knock(t.Context(), h, http.MethodPost, "/mcp", hello, bearer(token)...).header.Get("Mcp-Session-Id")
	}
	status := func(h http.Handler, method, id, token string) int {
		return knock(t.Context(), h, method, "/mcp", ping("1"), append(bearer(token), "Mcp-Session-Id", id)...).status
	}
	good, bobs := issue(h, annsToken), issue(h, bobsToken)
	if good == "" || good == issue(h, annsToken) || strings.ContainsFunc(good, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		t.Fatalf("%q is no session id", good)
	}
	text, seal, _ := strings.Cut(good, ".")
	bad := map[string]string{
		"made up": "x", "another's": bobs, "without seal": text, "empty seal": text + ".", "another seal": text + "." +
			strings.Split(bobs, ".")[1],
		"only a seal": "." + seal, "another text": strings.Split(bobs, ".")[0] + "." + seal, "longer": good +
			"A", "shorter": good[:len(good)-1],
		"with a dot": good + ".", "other case": strings.ToUpper(good), "of another key": issue(newSessionServer("two"), annsToken),
	}
	for i := range good {
		flipped := []byte(good)
		flipped[i] ^= 1
		bad[fmt.Sprintf("flipped at %d", i)] = string(flipped)
	}
	for name, id := range bad {
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			if got := status(h, method, id, annsToken); got != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, name, got)
			}
		}
	}
	if got := status(h, http.MethodPost, good, annsToken); got != http.StatusOK {
		t.Errorf("the good one: %d", got)
	}
	if got := status(newSessionServer("one"), http.MethodPost, good, annsToken); got != http.StatusOK {
		t.Errorf("after a restart with the same key: %d", got)
	}
	now = now.Add(sessionLifetime)
	if got := status(h, http.MethodPost, good, annsToken); got != http.StatusOK {
		t.Errorf("on its last day: %d", got)
	}
	now = now.Add(2 * time.Second)
	if got := status(h, http.MethodPost, good, annsToken); got != http.StatusNotFound {
		t.Errorf("after its last day: %d", got)
	}
	good = issue(h, annsToken)
	if got := status(h, http.MethodDelete, good, bobsToken); got != http.StatusNotFound {
		t.Errorf("another ends it: %d", got)
	}
	for i, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		if got := status(h, http.MethodDelete, good, annsToken); got != want {
			t.Errorf("end %d: %d", i, got)
		}
		if got := status(h, http.MethodPost, good, annsToken); got != http.StatusNotFound {
			t.Errorf("after the end: %d", got)
		}
	}
}

// What is remembered of sessions is bounded, and the newest is known.
func TestRememberedIsBounded(t *testing.T) {
	var r remembered
	for i := range 3 * maxRemembered {
		r.put(fmt.Sprint(i))
		r.put(fmt.Sprint(i))
	}
	if len(r.keys) != maxRemembered || len(r.ring) != maxRemembered {
		t.Errorf("%d keys, %d in the ring", len(r.keys), len(r.ring))
	}
	for i, want := range map[int]bool{0: false, 2*maxRemembered - 1: false, 2 * maxRemembered: true, 3*maxRemembered - 1: true} {
		if r.has(fmt.Sprint(i)) != want {
			t.Errorf("%d is known: %v", i, !want)
		}
	}
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Sessions take no memory: nobody ends them.
func TestSessionsTakeNoMemory(t *testing.T) {
	h := newFull(t)
	hello, _, _ := strings.Cut(initialize("2025-11-25"), "\n")
	shake := func(n int) {
		for range n {
			if a := knock(t.Context(), h, http.MethodPost, "/mcp", hello); a.header.Get("Mcp-Session-Id") == "" {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
	}
	shake(100)
	before := heap()
	shake(10_000)
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("10,000 sessions take %d KiB", grown>>10)
	}
}

// The form of the answer is the client's choice, and JSON when nothing comes before the result.
func TestFormOfAnswer(t *testing.T) {
	s := newSite(t)
	steps := strings.Replace(call("1", "steps", `{"n":3}`), `"arguments"`, `"_meta":{"progressToken":"p"},"arguments"`, 1)
	for _, c := range []struct {
		body, accept, kind string
		messages           int
	}{
		{call("1", "steps", `{"n":3}`), "application/json, text/event-stream", "application/json", 1},
		{steps, "application/json, text/event-stream", "text/event-stream", 4},
		{steps, "text/event-stream", "text/event-stream", 4},
		{steps, "application/json", "application/json", 1},
		{steps, "*/*", "application/json", 1},
		{steps, "", "application/json", 1},
	} {
		a := s.post(c.body, "Accept", c.accept)
		if all := a.messages(t); a.status != 200 || a.header.Get("Content-Type") != c.kind || len(all) < c.messages ||
			len(all) > max(c.messages, 2) && c.messages == 1 || string(all[len(all)-1].ID) != "1" {
			t.Errorf("%q: %d %s: %s", c.accept, a.status, a.header.Get("Content-Type"), a.body)
		}
	}
}
