package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// everyRoute are the routes that a server with all options has, and what is none.
var everyRoute = []string{
	"/mcp", "/sse", "/message", "/healthz", "/readyz", "/metrics", "/unknown", "/", "//mcp", "/mcp/",
	"/x/../mcp"}

var everyMethod = []string{
	http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch, http.MethodHead,
	http.MethodOptions, "BREW",
}

// full switches every route on.
func full(o *HTTPOptions) {
	o.SSE = true
	o.Hosts, o.Origins = []string{"mcp.example.org", "named.example.org:8443"}, []string{"https://chat.example.org"}
	o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metrics")) })
}

// newFull returns the handler of a server with every route.
func newFull(t testing.TB, changes ...func(*HTTPOptions)) http.Handler {
	t.Helper()
	_, h := serveHTTP(&world{t: t, server: newFakes().newServer(noLog{})}, append([]func(*HTTPOptions){full}, changes...)...)
	return h.Handler()
}

type noLog struct{}

func (noLog) Write(p []byte) (int, error) { return len(p), nil }

// gone is a request whose client is gone, so that no stream stays open.
func gone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// everywhere knocks with the same headers at every route with every method.
func everywhere(h http.Handler, visit func(name string, a httpAnswer), headers ...string) {
	for _, route := range everyRoute {
		for _, method := range everyMethod {
			visit(method+" "+route, knock(gone(), h, method, route, ping("1"), headers...))
		}
	}
}

// Only the server's own names open a route, whatever DNS says.
func TestHostGuard(t *testing.T) {
	h := newFull(t)
	for host, ours := range map[string]bool{
		"localhost": true, "localhost:8765": true, "LocalHost:1": true, "127.0.0.1": true, "127.0.0.1:8765": true, "127.8.8.8": true,
		"[::1]": true, "[::1]:8765": true, "192.0.2.7": true, "192.0.2.7:8765": true, "192.0.2.7:1": true,
		"mcp.example.org": true, "MCP.Example.ORG:443": true, "named.example.org:8443": true,
		"": false, "evil.example": false, "evil.example:8765": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"192.0.2.8": false, "0.0.0.0": false, "[::]": false, "[fe80::1]:8765": false, "xmcp.example.org": false,
		"named.example.org": false, "named.example.org:8444": false, "localhost@evil.example": false,
		"[localhost": true, ":8765": false,
	} {
		everywhere(h, func(name string, a httpAnswer) {
			if (a.status == http.StatusForbidden) == ours {
				t.Errorf("%q: %s: %d", host, name, a.status)
			}
			if !ours && (!strings.Contains(string(a.body), "--allowed-hosts") || strings.Contains(string(a.body), "evil")) {
				t.Errorf("%q: %s: %s", host, name, a.body)
			}
		}, "Host", host)
	}
}

// Pages of other sites may not call.
func TestOriginGuard(t *testing.T) {
	h := newFull(t)
	for _, c := range []struct {
		origin, fetchSite string
		may               bool
	}{
		{"", "", true}, {"", "none", true}, {"", "same-origin", true}, {"", "cross-site", false}, {"", "same-site", false},
		{"http://localhost:8765", "same-origin", true}, {"https://LOCALHOST:8765", "", true}, {"https://chat.example.org",
			"cross-site", true},
		{"HTTPS://Chat.example.org", "", true}, {"http://localhost:8766", "same-site", false}, {"http://localhost", "", false},
		{"http://127.0.0.1:8765", "", false}, {"null", "cross-site", false}, {"null", "", false}, {"http://evil.example", "", false},
		{"https://chat.example.org.evil.example", "", false}, {"https://chat.example.org/", "", false}, {"http://chat.example.org",
			"", false},
		{"http://evil.example/localhost:8765", "", false}, {"http://evil.example#localhost:8765", "", false}, {"localhost:8765", "",
			false},
		{"%zz", "", false}, {"http://", "", false}, {"*", "", false}, {"file://", "", false},
	} {
		everywhere(h, func(name string, a httpAnswer) {
			if (a.status == http.StatusForbidden) == c.may {
				t.Errorf("%+v: %s: %d", c, name, a.status)
			}
			if !c.may && !strings.Contains(string(a.body), "--allowed-origins") {
				t.Errorf("%+v: %s: %s", c, name, a.body)
			}
			shared := a.header.Get("Access-Control-Allow-Origin")
			if want := strings.EqualFold(c.origin, "https://chat.example.org"); want != (shared == c.origin && shared != "") || !want &&
				shared != "" {
				t.Errorf("%+v: %s: shared with %q", c, name, shared)
			}
		}, "Origin", c.origin, "Sec-Fetch-Site", c.fetchSite)
	}
}

// Every answer forbids to be stored, framed, guessed at or held back, and none is for every origin.
func TestSecurityHeaders(t *testing.T) {
	h := newFull(t, callersOnly)
	for _, headers := range [][]string{
		nil, bearer(annsToken), bearer("wrong"), {"Host", "evil.example"}, {"Origin", "https://evil.example"}, {"Origin",
			"https://chat.example.org"},
		append(bearer(annsToken), "Content-Type", "text/plain"), append(bearer(annsToken), "Accept", "image/png"),
		append(bearer(annsToken), "Mcp-Session-Id", "forged"),
	} {
		everywhere(h, func(name string, a httpAnswer) {
			for header, want := range map[string]string{
				"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Vary": "Origin",
				"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no",
			} {
				if got := a.header.Get(header); got != want && (header != "Vary" || a.status != http.StatusForbidden) {
					t.Errorf("%v: %s: %s is %q", headers, name, header, got)
				}
			}
			for header, values := range a.header {
				if strings.Contains(header, "Access-Control") && strings.Contains(strings.Join(values, ""), "*") {
					t.Errorf("%v: %s: %s: %s", headers, name, header, values)
				}
			}
			if a.header.Get("Access-Control-Allow-Credentials") != "" || a.status >= 500 || a.status == http.StatusMovedPermanently {
				t.Errorf("%v: %s: %d %v", headers, name, a.status, a.header)
			}
		}, headers...)
	}
}

func TestPreflight(t *testing.T) {
	h := newFull(t, callersOnly)
	for _, route := range everyRoute {
		a := knock(t.Context(), h, http.MethodOptions, route, "", "Origin", "https://chat.example.org",
			"Access-Control-Request-Method", "POST")
		if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Methods") != "GET, POST, DELETE" ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Authorization, Content-Type") ||
			a.header.Get("Access-Control-Max-Age") == "" {
			t.Errorf("%s: %d %v", route, a.status, a.header)
		}
		a = knock(t.Context(), h, http.MethodOptions, route, "", "Origin", "http://localhost:8765")
		if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Methods") != "" ||
			a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", route, a.status, a.header)
		}
	}
	a := knock(t.Context(), h, http.MethodPost, "/mcp", ping("1"), append(bearer(annsToken), "Origin",
		"https://chat.example.org")...)
	if a.status != http.StatusOK || a.header.Get("Access-Control-Expose-Headers") != "Mcp-Session-Id, WWW-Authenticate" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

func TestTokens(t *testing.T) {
	h := newFull(t, callersOnly)
	for _, c := range []struct {
		authorization string
		in, wrong     bool
	}{
		{"Bearer " + annsToken, true, false}, {"bearer " + bobsToken, true, false}, {"BEARER   " + annsToken + " ", true, false},
		{"", false, false}, {"Bearer", false, false}, {annsToken, false, false}, {"Basic " + annsToken, false, false},
		{"Bearer\t" + annsToken, false, false}, {"Bearer ", false, true}, {"Bearer wrong", false, true}, {"Bearer " + annsToken + "x",
			false, true},
		{"Bearer " + annsToken + " " + bobsToken, false, true}, {"Bearer " + strings.ToUpper(annsToken), false, true},
	} {
		for _, route := range everyRoute {
			a := knock(gone(), h, http.MethodPost, route, ping("1"), "Authorization", c.authorization)
			free := route != "/mcp" && route != "/sse" && route != "/message" && route != "/metrics"
			if (a.status == http.StatusUnauthorized) != (!free && !c.in) {
				t.Errorf("%q: %s: %d", c.authorization, route, a.status)
			}
			challenge := a.header.Get("WWW-Authenticate")
			if a.status == http.StatusUnauthorized && (!strings.HasPrefix(challenge, `Bearer realm="scnet-mcp"`) ||
				strings.HasSuffix(challenge, `, error="invalid_token"`) != c.wrong) {
				t.Errorf("%q: %s: %q", c.authorization, route, challenge)
			}
			if strings.Contains(string(a.body), "token-of") || strings.Contains(challenge, "token-of") {
				t.Errorf("%q: %s: the token came back", c.authorization, route)
			}
		}
	}
}

// What a method may be is said where it may not.
func TestMethods(t *testing.T) {
	h := newFull(t)
	for route, allowed := range map[string]string{"/mcp": "POST, DELETE", "/sse": "GET", "/message": "POST"} {
		for _, method := range everyMethod {
			a := knock(gone(), h, method, route, "")
			served := strings.Contains(allowed, method) || method == http.MethodOptions
			switch {
			case route == "/mcp" && method == http.MethodDelete: // without a session there is nothing to delete
				if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
					t.Errorf("%s %s: %d %v", method, route, a.status, a.header)
				}
			case served == (a.status == http.StatusMethodNotAllowed) || !served && a.header.Get("Allow") != allowed:
				t.Errorf("%s %s: %d %v", method, route, a.status, a.header)
			}
		}
	}
	for route, want := range map[string]int{"/sse": 404, "/message": 404, "/metrics": 404, "/mcp": 405, "/healthz": 200,
		"/readyz": 200} {
		_, bare := serveHTTP(&world{t: t, server: newFakes().newServer(noLog{})})
		if a := knock(t.Context(), bare.Handler(), http.MethodGet, route, ""); a.status != want {
			t.Errorf("%s without options: %d", route, a.status)
		}
	}
}

func TestContentTypesAndAccept(t *testing.T) {
	h := newFull(t)
	for kind, want := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "Application/JSON": 200, "": 415,
		"text/plain": 415, "text/json": 415,
		"application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "application/jsonx": 415,
		"application/json, text/plain": 415, ";": 415,
	} {
		if a := knock(t.Context(), h, http.MethodPost, "/mcp", ping("1"), "Content-Type", kind); a.status != want {
			t.Errorf("/mcp: %q: %d", kind, a.status)
		}
		if want == http.StatusOK {
			want = http.StatusNotFound // there is no such stream
		}
		if a := knock(t.Context(), h, http.MethodPost, "/message?sessionId=x", ping("1"), "Content-Type", kind); a.status != want {
			t.Errorf("/message: %q: %d", kind, a.status)
		}
	}
	for accept, want := range map[string]int{
		"": 200, "*/*": 200, "application/json": 200, "text/event-stream": 200, "application/*": 200,
		"text/html, application/json;q=0.9": 200,
		"TEXT/event-stream ; q=1":           200, "text/html": 406, "image/*": 406, "json": 406,
	} {
		if a := knock(t.Context(), h, http.MethodPost, "/mcp", ping("1"), "Accept", accept); a.status != want {
			t.Errorf("Accept %q: %d", accept, a.status)
		}
	}
}

// padded is a call of wait that is exactly size bytes long.
func padded(size int) string {
	line := strings.TrimSuffix(call("1", "wait", `{}`), "\n")
	return "{" + strings.Repeat(" ", size-len(line)) + line[1:]
}

// A message may have 4 MiB, and of a longer one nothing is done.
func TestBodyLimit(t *testing.T) {
	for name, chunked := range map[string]bool{"with length": false, "in chunks": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, withSSE)
			s.release()
			events := s.openSSE()
			post := func(path string, size int) httpAnswer {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(padded(size)))
				if err != nil {
					t.Fatal(err)
				}
				setHeaders(r, []string{"Content-Type", "application/json"})
				if chunked {
					r.ContentLength = -1
				}
				response, err := s.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				return httpAnswer{status: response.StatusCode}
			}
			for path, taken := range map[string]int{"/mcp": 200, events.path: 202} {
				if a := post(path, maxBody+1); a.status != http.StatusRequestEntityTooLarge || len(s.fakes.started) != 0 {
					t.Errorf("%s: %d, and %d calls", path, a.status, len(s.fakes.started))
				}
				if a := post(path, maxBody); a.status != taken {
					t.Errorf("%s: %d", path, a.status)
				}
				receive(t, s.fakes.started)
			}
		})
	}
}

// A body that does not come is not waited for, also where nobody wants it.
func TestBodyThatNeverArrives(t *testing.T) {
	typed, ann := "Content-Type: application/json", "Authorization: Bearer "+annsToken
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"a message", "POST /mcp HTTP/1.1\r\nHost: localhost\r\n" + typed + "\r\n" + ann, 408},
		{"in SSE mode", "POST /message?sessionId=x HTTP/1.1\r\nHost: localhost\r\n" + typed + "\r\n" + ann, 408},
		{"of a stranger", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json", 401},
		{"at another host", "POST /mcp HTTP/1.1\r\nHost: evil.example", 403},
		{"of another type", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + annsToken, 415},
		{"at no route", "POST / HTTP/1.1\r\nHost: localhost", 404},
		{"of a stream", "GET /sse HTTP/1.1\r\nHost: localhost", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *site, l *pipes, _ func() error) {
				conn, err := l.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				begun := time.Now()
				if _, err := fmt.Fprintf(conn, "%s\r\nContent-Length: 100\r\n\r\n{", c.request); err != nil {
					t.Fatal(err)
				}
				if err := conn.SetReadDeadline(begun.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				r := bufio.NewReader(conn)
				response, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if _, err := r.Peek(1); err == nil {
					t.Error("the connection is still open")
				}
				if took := time.Since(begun); response.StatusCode != c.want || took > bodyTimeout+time.Second {
					t.Errorf("%d after %s", response.StatusCode, took)
				}
			}, withSSE, callersOnly)
		})
	}
}

// Who calls too often waits, and only he.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refusals atomic.Int64
		options := HTTPOptions{Key: []byte("k"), RequestsPerSecond: 2, SSE: true, Watch: Watch{Refused: func(rule string) {
			if rule == ruleNames[ruleRate] {
				refusals.Add(1)
			}
		}}}
		callersOnly(&options)
		h := newFakes().newServer(noLog{}).NewHTTP(options).Handler()
		for i := range 4 {
			if a := knock(t.Context(), h, http.MethodPost, "/mcp", ping("1"), bearer(annsToken)...); a.status != http.StatusOK {
				t.Errorf("request %d: %d", i, a.status)
			}
		}
		for _, route := range []string{"/mcp", "/sse", "/message"} {
			a := knock(t.Context(), h, http.MethodPost, route, ping("1"), bearer(annsToken)...)
			if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "1" {
				t.Errorf("%s: %d %q", route, a.status, a.header.Get("Retry-After"))
			}
		}
		if refusals.Load() != 3 {
			t.Errorf("%d refusals were counted", refusals.Load())
		}
		for _, route := range []string{"/healthz", "/readyz"} {
			if a := knock(t.Context(), h, http.MethodGet, route, ""); a.status != http.StatusOK {
				t.Errorf("%s: %d", route, a.status)
			}
		}
		if a := knock(t.Context(), h, http.MethodPost, "/mcp", ping("1"), bearer(bobsToken)...); a.status != http.StatusOK {
			t.Errorf("another caller: %d", a.status)
		}
		<-time.After(time.Second)
		if a := knock(t.Context(), h, http.MethodPost, "/mcp", ping("1"), bearer(annsToken)...); a.status != http.StatusOK {
			t.Errorf("after Retry-After: %d", a.status)
		}
	})
}

// net/http would answer OPTIONS * before any check.
func TestOptionsForAll(t *testing.T) {
	h := newFakes().newServer(noLog{}).NewHTTP(HTTPOptions{Key: []byte("k")})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 403") {
		t.Errorf("%s, %v", answer, err)
	}
	_ = c.Close()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
