package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// leaver is a client that leaves when a stream begins, which for subscriptions would never end.
type leaver struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
}

func (l leaver) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("notifications/subscriptions")) {
		l.leave()
	}
	return l.ResponseRecorder.Write(p)
}

// FuzzPost posts whatever there is. The answer is always JSON-RPC, and never a failure of the server.
func FuzzPost(f *testing.F) {
	for _, seed := range []struct{ body, version, method, name, session, accept, further string }{
		{initialize("2025-11-25"), "", "", "", "", "application/json", ""},
		{modern("1", "tools/call", `"name":"echo","arguments":{}`), newEra, "tools/call", "echo", "", "text/event-stream",
			"Last-Event-ID: 1"},
		{modern("1", "subscriptions/listen", `"notifications":{}`), newEra, "subscriptions/listen", "", "",
			"application/json, text/event-stream", ""},
		{modern("1", "subscriptions/listen", `"notifications":{}`), newEra, "subscriptions/listen", "", "", "application/json", ""},
		{call("1", "panic", `{}`), "2025-11-25", "", "", "x.y", "*/*", "Origin: null"},
		{answered("1", yes), "", "", "", "", "", ""}, {"[]", "", "", "", "", "", "Host: evil"}, {cancelled("1"), newEra, "", "", "",
			"", ""},
	} {
		f.Add([]byte(seed.body), seed.version, seed.method, seed.name, seed.session, seed.accept, seed.further)
	}
	s := quickServer()
	h := s.NewHTTP(HTTPOptions{Key: []byte("k"), SSE: true, RequestsPerSecond: 1 << 30}).Handler()
	f.Fuzz(func(t *testing.T, body []byte, version, method, name, session, accept, further string) {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/mcp", bytes.NewReader(body))
		r.Host = "localhost"
		key, value, _ := strings.Cut(further, ": ")
		setHeaders(r, []string{"Content-Type", "application/json", "Mcp-Protocol-Version", version, "Mcp-Method", method, "Mcp-Name",
			name,
			"Mcp-Session-Id", session, "Accept", accept, key, value})
		recorder := httptest.NewRecorder()
		h.ServeHTTP(leaver{recorder, leave}, r)
		if recorder.Code < 200 || recorder.Code >= 500 {
			t.Fatalf("%d %s", recorder.Code, recorder.Body)
		}
		a := httpAnswer{recorder.Code, recorder.Result().Header, recorder.Body.Bytes()}
		if len(a.body) == 0 {
			if a.status == http.StatusOK && ctx.Err() == nil && a.header.Get("Content-Type") == "" {
				t.Fatal("an answer without anything")
			}
			return
		}
		for _, r := range a.messages(t) {
			if r.Method == "" && (r.Result == nil) == (r.Error == nil) {
				t.Fatalf("neither result nor error: %s", r.line)
			}
		}
	})
}

// FuzzSessionID opens whatever is sent as a session. Only what was issued opens.
func FuzzSessionID(f *testing.F) {
	made := time.Unix(1_700_000_000, 0)
	now := func() time.Time { return made }
	mine, foreign := newSessions([]byte("one"), now), newSessions([]byte("two"), now)
	// Fuzzing runs in several processes, which must agree on what was issued.
	text := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"c":"ann","t":%d,"r":"nonce"}`, made.Unix()))
	good := text + "." + mine.seal(text)
	for _, seed := range []string{good, foreign.issue("ann", &session{}), "", ".", "x.y", good + "A", "." + good,
		strings.ToLower(good)} {
		f.Add(seed, "ann")
		f.Add(seed, "bob")
	}
	f.Fuzz(func(t *testing.T, id, caller string) {
		if mine.open(id, caller, &session{}) != (id == good && caller == "ann") {
			t.Fatalf("%q of %q", id, caller)
		}
		text, _, _ := strings.Cut(id, ".") // what an id says is read only under the right seal
		own := &session{}
		if mine.open(text+"."+mine.seal(text), caller, own) != (own.id != "") {
			t.Fatalf("%q is half open", text)
		}
	})
}
