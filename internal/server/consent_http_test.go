package server

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// A session that no answer can find is not asked, whatever was declared: the call would hang until the time is up.
func TestStatelessHTTPIsNotAsked(t *testing.T) {
	for _, version := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		w := newWorld(t, guard.Policy{Consent: map[string]guard.Level{"execute_script": guard.Human}})
		client := stateless(version)(w, answers("accept", typed("delete 1")))
		defer client.hangUp()
		token := w.preview("delete_instances", client.must("delete_instances", deletion(running, confirmed)), "needs the preview_token")
		refused(t, client.must("execute_script", scripted), "cannot ask")
		w.untouched()
		w.outcome("delete_instances", client.must("delete_instances", deletion(running, with(token))))
		w.recorded(audit.Result, "preview_token")
	}
}

// A client that gives up on its call while the human thinks leaves nothing behind.
func TestHTTPClientGivesUpWhileAsking(t *testing.T) {
	for _, r := range routes() {
		if !strings.Contains(r.name, "HTTP") {
			continue
		}
		w := newWorld(t, guard.Policy{})
		asked := make(chan struct{}, 1)
		client := r.connect(w, func(ctx context.Context, _ mcp.ElicitationParams) (*mcp.ElicitationResult, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return answers("accept", typed("delete 1"))(ctx, mcp.ElicitationParams{})
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		var request mcp.CallToolRequest
		request.Params.Name, request.Params.Arguments = "delete_instances", json.RawMessage(deletion(running, confirmed))
		if result, err := client.client.CallTool(ctx, request); err == nil {
			t.Errorf("%s: %+v", r.name, result)
		}
		client.hangUp()
		w.untouched()
	}
}

// visitor speaks Streamable HTTP by hand.
type visitor struct {
	t       *testing.T
	client  *http.Client
	url     string
	session string
}

func (v *visitor) post(message, session string) *http.Response {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.url, strings.NewReader(message))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		request.Header.Set("Mcp-Session-Id", session)
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	return response
}

// status posts a message and returns the status of the answer.
func (v *visitor) status(message, session string) int {
	v.t.Helper()
	response := v.post(message, session)
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

// shakeHands opens a session.
func (v *visitor) shakeHands(capabilities string) {
	v.t.Helper()
	hello, initialized, _ := strings.Cut(declares("2025-11-25", capabilities), "\n")
	response := v.post(hello, "")
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if v.session = response.Header.Get("Mcp-Session-Id"); v.session == "" {
		v.t.Fatal("there is no session")
	}
	if status := v.status(initialized, v.session); status != http.StatusAccepted {
		v.t.Fatal(status)
	}
}

// next reads one message of a stream.
func (v *visitor) next(stream *bufio.Reader) reply {
	v.t.Helper()
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			v.t.Fatal(err)
		}
		if data, found := strings.CutPrefix(line, "data:"); found {
			return parse(v.t, []byte(strings.TrimSpace(data)))
		}
	}
}

// The answer to a question over HTTP comes from the session that was asked, once.
func TestHTTPAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers func(v, stranger *visitor, question string) // the last one counts
		acts    bool
	}{
		{"yes", func(v, _ *visitor, question string) { v.status(answered(question, yes), v.session) }, true},
		{"no, then yes", func(v, _ *visitor, question string) {
			v.status(answered(question, `{"action":"decline"}`), v.session)
			v.status(answered(question, yes), v.session)
		}, false},
		{"another error", func(v, _ *visitor, question string) { v.status(failedWith(question, -32603), v.session) }, false},
		{"a stranger's yes", func(v, stranger *visitor, question string) {
			for session, want := range map[string]int{"": 400, stranger.session: 202, v.session + "x": 404} {
				if status := v.status(answered(question, yes), session); status != want {
					v.t.Errorf("%q: %d", session, status)
				}
			}
			v.status(answered(question, `{"action":"cancel"}`), v.session)
		}, false},
		{"another id", func(v, _ *visitor, question string) {
			v.status(answered(`"ask-1"`, yes), v.session)
			v.status(answered(question, `{"action":"accept"}`), v.session)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, guard.Policy{})
			listener, _ := serveHTTP(w)
			v := &visitor{t: t, client: listener.Client(), url: listener.URL + "/mcp"}
			v.shakeHands(asks)
			stranger := &visitor{t: t, client: listener.Client(), url: listener.URL + "/mcp"}
			stranger.shakeHands(asks)
			response := v.post(call(`1`, "delete_instances", deletion(running, confirmed)), v.session)
			defer response.Body.Close()
			stream := bufio.NewReader(response.Body)
			asked := v.next(stream)
			if asked.Method != "elicitation/create" {
				t.Fatal(asked.line)
			}
			w.untouched()
			c.answers(v, stranger, string(asked.ID))
			r := v.next(stream)
			if string(r.ID) != "1" {
				t.Fatal(r.line)
			}
			if c.acts {
				w.outcome("delete_instances", r.tool(t))
				w.recorded(audit.Result, "elicited")
				if w.sent(simulator.EndpointDelete) != 1 {
					t.Errorf("%d deletions", w.sent(simulator.EndpointDelete))
				}
			} else {
				refused(t, r.tool(t), "Do not repeat")
				w.untouched()
			}
		})
	}
}

// A client that declared that it can ask, and cannot, is asked once in a session. Then tokens do.
func TestHTTPCannotAsk(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	listener, _ := serveHTTP(w)
	v := &visitor{t: t, client: listener.Client(), url: listener.URL + "/mcp"}
	v.shakeHands(asks)
	response := v.post(call(`1`, "delete_instances", deletion(running, confirmed)), v.session)
	defer response.Body.Close()
	stream := bufio.NewReader(response.Body)
	v.status(failedWith(string(v.next(stream).ID), -32601), v.session)
	w.preview("delete_instances", v.next(stream).tool(t), "could not")

	again := v.post(call(`2`, "delete_instances", deletion(running, confirmed)), v.session)
	defer again.Body.Close()
	body, err := io.ReadAll(again.Body)
	if err != nil {
		t.Fatal(err)
	}
	token := w.preview("delete_instances", parse(t, body).tool(t), "needs the preview_token")
	done := v.post(call(`3`, "delete_instances", deletion(running, with(token))), v.session)
	defer done.Body.Close()
	if body, err = io.ReadAll(done.Body); err != nil {
		t.Fatal(err)
	}
	w.outcome("delete_instances", parse(t, body).tool(t))
	w.recorded(audit.Result, "preview_token")
}
