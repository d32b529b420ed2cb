package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// yes is the answer to the deletion of one instance.
const yes = `{"action":"accept","content":{"confirmation":"delete 1"}}`

func answered(id, result string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", id, result)
}

func failedWith(id string, code int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"m"}}`+"\n", id, code)
}

// question reads the server's next message, which must be a question, and returns its id and text.
func (p *peer) question() (id, text string) {
	p.t.Helper()
	r := p.next()
	params := decode[struct {
		Params struct{ Message string }
	}](p.t, json.RawMessage(r.line)).Params
	if r.Method != "elicitation/create" || !isID(r.ID) || params.Message == "" {
		p.t.Fatalf("not a question: %s", r.line)
	}
	return string(r.ID), params.Message
}

// withdrawn reads the server's next message, which must take a question back.
func (p *peer) withdrawn(id string) {
	p.t.Helper()
	r := p.next()
	params := decode[struct {
		Params struct {
			RequestID json.RawMessage `json:"requestId"`
		}
	}](p.t, json.RawMessage(r.line)).Params
	if r.Method != "notifications/cancelled" || string(params.RequestID) != id {
		p.t.Errorf("the question was not taken back: %s", r.line)
	}
}

// asking runs test in a bubble, at the point where a client was asked whether to delete one instance.
func asking(t *testing.T, policy guard.Policy, test func(t *testing.T, w *world, p *peer, question string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldInside(t, policy)
		p := connect(t, w.server, DefaultGrace)
		p.send(declares("2025-11-25", asks))
		p.answerTo(`"init"`)
		p.send(call(`1`, "delete_instances", deletion(running, confirmed)))
		id, text := p.question()
		if !strings.Contains(text, running) {
			t.Errorf("%s: %s", id, text)
		}
		test(t, w, p, id)
	})
}

// deletedOnce checks that the question led to the one deletion.
func (w *world) deletedOnce() {
	w.t.Helper()
	if w.sent(simulator.EndpointDelete) != 1 || w.changes() != 1 {
		w.t.Errorf("%d changes", w.changes())
	}
	w.recorded(audit.Result, "elicited")
}

// Silence is a no, after a bounded time, and the client is told to close the form.
func TestSilence(t *testing.T) {
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		<-time.After(askTimeout - time.Second)
		synctest.Wait()
		if len(p.lines) != 0 {
			t.Fatal("it was decided too early")
		}
		p.withdrawn(question)
		refused(t, p.answerTo(`1`).tool(t), "did not answer in time")
		w.recorded(audit.Declined, "no_answer")
		p.send(answered(question, yes)) // too late
		p.send(ping(`2`))
		p.answerTo(`2`)
		synctest.Wait()
		w.untouched()
		p.send(call(`3`, "delete_instances", deletion(running, confirmed))) // the next call is asked about anew
		next, _ := p.question()
		if next == question {
			t.Error("two questions have the same id")
		}
		p.send(answered(next, yes))
		p.answerTo(`3`)
		w.deletedOnce()
	})
}

// A client that does not know the request although it declared it is not asked again: the preview token does instead.
func TestDeclaredButUnknown(t *testing.T) {
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		p.send(failedWith(question, -32601))
		token := w.preview("delete_instances", p.answerTo(`1`).tool(t), "declared that it can ask")
		w.recorded(audit.Previewed, "impossible")
		p.send(call(`2`, "delete_instances", deletion(running, confirmed)))
		w.preview("delete_instances", p.answerTo(`2`).tool(t), "needs the preview_token")
		w.untouched()
		p.send(call(`3`, "delete_instances", deletion(running, with(token))))
		if out := w.outcome("delete_instances", p.answerTo(`3`).tool(t)); out.State != "done" {
			t.Errorf("%+v", out)
		}
		w.recorded(audit.Result, "preview_token")
	})
	asking(t, guard.Policy{Consent: map[string]guard.Level{"delete_instances": guard.Human}}, func(t *testing.T, w *world, p *peer, question string) {
		p.send(failedWith(question, -32601))
		refused(t, p.answerTo(`1`).tool(t), "could not")
		w.recorded(audit.Refused, "impossible")
		p.send(call(`2`, "delete_instances", deletion(running, confirmed)))
		refused(t, p.answerTo(`2`).tool(t), "cannot ask")
		w.untouched()
	})
}

// Whatever else a client answers is a no, and it is asked again for the next call.
func TestAnswersThatAreNone(t *testing.T) {
	for _, answer := range []string{
		`"error":{"code":-32603,"message":"m"}`, `"error":{"code":-32602,"message":"m"}`, `"error":{}`, `"error":5`, `"error":"-32601"`, `"error":{"code":"-32601"}`,
		`"error":{"code":1,"message":"m"},"result":` + yes, `"error":[],"result":` + yes,
		`"result":null`, `"result":[]`, `"result":5`, `"result":"accept"`, `"result":{}`, `"result":{"action":5}`, `"result":{"action":null}`,
		`"result":{"action":"accept"}`, `"result":{"action":"accept","content":null}`, `"result":{"action":"accept","content":[]}`,
		`"result":{"action":"accept","content":{"confirmation":null}}`, `"result":{"action":"accept","content":{"confirmation":{"delete 1":true}}}`,
		`"result":{"action":"accept","confirmation":"delete 1"}`, `"result":{"content":{"confirmation":"delete 1"}}`,
		`"result":{"action":"accept","content":{"confirmation":"delete 1 "}},"error":{"code":0}`,
		"\"result\":{\"action\":\"accept\",\"content\":{\"confirmation\":\"delete 1\xff\"}}",
	} {
		asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
			p.send(`{"jsonrpc":"2.0","id":` + question + `,` + answer + "}\n")
			refused(t, p.answerTo(`1`).tool(t), "counts as no")
			if records := w.records(); records[len(records)-1].Event != audit.Declined {
				t.Errorf("%s: %+v", answer, records)
			}
			p.send(call(`2`, "delete_instances", deletion(running, confirmed)))
			next, _ := p.question()
			p.send(answered(next, `{"action":"decline"}`))
			refused(t, p.answerTo(`2`).tool(t), "said no")
			w.untouched()
		})
	}
}

// Clients whose serialisers write every member of a message are understood.
func TestAnswerWithNullMembers(t *testing.T) {
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		p.send(`{"jsonrpc":"2.0","id":` + question + `,"method":null,"params":null,"error":null,"result":` + yes + "}\n")
		w.outcome("delete_instances", p.answerTo(`1`).tool(t))
		w.deletedOnce()
	})
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		p.send(`{"jsonrpc":"2.0","id":` + question + `,"result":null,"error":{"code":-32601,"message":"m","data":null}}` + "\n")
		w.preview("delete_instances", p.answerTo(`1`).tool(t), "declared that it can ask")
		w.untouched()
	})
}

// The first answer to a question counts, and only one that names it.
func TestWhichAnswerCounts(t *testing.T) {
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		p.send(answered(`1`, yes), answered(`"1"`, yes), answered(`"ask-2"`, yes), answered(`"ask-0"`, yes), answered(`null`, yes), answered(`["ask-1"]`, yes),
			`{"jsonrpc":"2.0","result":`+yes+"}\n", ping(`2`))
		p.answerTo(`2`)
		synctest.Wait()
		w.untouched()
		p.send(answered(question, `{"action":"decline"}`), answered(question, yes))
		refused(t, p.answerTo(`1`).tool(t), "said no")
		w.untouched()
	})
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		p.send(answered(question, yes), answered(question, yes), answered(question, `{"action":"decline"}`), failedWith(question, -32601))
		w.outcome("delete_instances", p.answerTo(`1`).tool(t))
		w.deletedOnce()
		p.send(call(`2`, "delete_instances", deletion(other, confirmed)))
		p.question() // it still can ask
	})
}

func TestTwoQuestionsAtOnce(t *testing.T) {
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, first string) {
		p.send(call(`2`, "delete_instances", deletion(other, confirmed)))
		second, text := p.question()
		if second == first || !strings.Contains(text, other) {
			t.Errorf("%s: %s", second, text)
		}
		p.send(answered(second, yes))
		if out := w.outcome("delete_instances", p.answerTo(`2`).tool(t)); len(out.Targets) != 1 || out.Targets[0].ID != other {
			t.Errorf("%+v", out)
		}
		w.deletedOnce()
		p.send(answered(first, `{"action":"cancel"}`))
		refused(t, p.answerTo(`1`).tool(t), "closed the question")
		if w.changes() != 1 {
			t.Error("the other was deleted too")
		}
	})
}

// Two questions about the same preview give one consent.
func TestTwoQuestionsWithOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldInside(t, guard.Policy{})
		script := func(further string) string {
			return `{"instance_ids":["` + running + `"],"script":"date"` + further + `}`
		}
		unable := w.once(initialize("2025-06-18"), call(`0`, "execute_script", script(""))) // who can ask gets no token
		token := w.preview("execute_script", unable.tool(t), "run a script")
		p := connect(t, w.server, DefaultGrace)
		p.send(declares("2025-06-18", asks))
		p.answerTo(`"init"`)
		p.send(call(`1`, "execute_script", script(with(token))), call(`2`, "execute_script", script(with(token))))
		first, _ := p.question()
		second, _ := p.question()
		const run = `{"action":"accept","content":{"confirmation":"run it in 1 instance"}}`
		p.send(answered(second, run), answered(first, run))
		states := map[string]int{}
		for range 2 {
			states[w.outcome("execute_script", p.next().tool(t)).State]++
		}
		if states["done"] != 1 || states["confirmation_required"] != 1 || len(w.sim.Scripts()) != 1 {
			t.Errorf("%v, %d scripts", states, len(w.sim.Scripts()))
		}
	})
}

// The client that cancels its call is not answered, the form is closed, and a late yes changes nothing.
func TestCallIsCancelledWhileAsking(t *testing.T) {
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		p.send(cancelled(`1`))
		p.withdrawn(question)
		p.send(answered(question, yes), ping(`2`))
		p.answerTo(`2`)
		synctest.Wait()
		w.untouched()
		if len(p.lines) != 0 {
			t.Errorf("unexpected: %s", <-p.lines)
		}
	})
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) { // all at once
		p.send(cancelled(`1`) + answered(question, yes))
		synctest.Wait()
		w.untouched()
	})
}

// Without anybody who could answer there is nothing to wait for.
func TestEndWhileAsking(t *testing.T) {
	for name, end := range map[string]func(*peer){
		"the input ends":       func(p *peer) { _ = p.in.Close() },
		"the server is killed": func(p *peer) { p.cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, _ string) {
				started := time.Now()
				end(p)
				if err := p.wait(); err != nil {
					t.Error(err)
				}
				if took := time.Since(started); took > 0 {
					t.Errorf("it took %s", took)
				}
				refused(t, p.answerTo(`1`).tool(t), "counts as no")
				p.silent()
				w.untouched()
				w.recorded(audit.Declined, "not_asked")
			})
		})
	}
	asking(t, guard.Policy{}, func(t *testing.T, w *world, p *peer, question string) {
		_ = p.out.Close() // the client is gone
		p.send(ping(`2`))
		if err := p.wait(); !errors.Is(err, ErrOutputClosed) {
			t.Error(err)
		}
		w.untouched()
	})
}

// A call whose input has ended already is not asked about for long either.
func TestAskedAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldInside(t, guard.Policy{})
		started := time.Now()
		refused(t, w.once(declares("2025-11-25", asks), call(`1`, "delete_instances", deletion(running, confirmed))).tool(t), "counts as no")
		if took := time.Since(started); took > 0 {
			t.Errorf("it took %s", took)
		}
		w.untouched()
	})
}

// An answer that was read before the end of the input counts.
func TestAnswerBeforeTheEnd(t *testing.T) {
	for range 50 {
		var c *connection
		var err error
		c, err = newFakes().newServer(io.Discard).connect(t.Context(), "test", func(line []byte) error {
			id := string(parse(t, line).ID)
			c.receive([]byte(answered(id, yes)))
			close(c.inputEnded)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		request := mcp.ElicitationRequest{Params: form(lang.English, guard.Question{Phrases: []string{"delete 1"}})}
		request.Method = "elicitation/create"
		result, err := c.session.RequestElicitation(t.Context(), request)
		if err != nil || result.Action != "accept" {
			t.Fatalf("%+v, %v", result, err)
		}
	}
}

// Which declarations count: those of the handshake, with forms.
func TestDeclarations(t *testing.T) {
	for capabilities, can := range map[string]bool{
		`{"elicitation":{}}`: true, `{"elicitation":{"form":{}}}`: true, `{"elicitation":{"form":{},"url":{}}}`: true,
		`{"elicitation":{"url":{}}}`: false, `{"elicitation":null}`: false, `{}`: false, `{"sampling":{},"roots":{}}`: false,
	} {
		for _, version := range append([]string{"2026-07-28"}, legacyVersions...) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldInside(t, guard.Policy{})
				p := connect(t, w.server, DefaultGrace)
				var asked bool
				if version == "2026-07-28" {
					p.send(modernCall(`1`, capabilities, "delete_instances", deletion(running, confirmed), ""))
					asked = inputRequired(t, p.answerTo(`1`)) != ""
				} else {
					p.send(declares(version, capabilities), call(`1`, "delete_instances", deletion(running, confirmed)))
					p.answerTo(`"init"`)
					asked = p.next().Method == "elicitation/create"
				}
				if asked != can {
					t.Errorf("%s, %s: asked is %v", version, capabilities, asked)
				}
				w.untouched()
			})
		}
	}
}

// What a request of the newer era declares is not taken for what the handshake declared, and the other way round.
func TestDeclarationsOfErasMixed(t *testing.T) {
	discover := func(capabilities string) string {
		return strings.Replace(modern(`"d"`, "server/discover", ""), `/clientCapabilities":{}`, `/clientCapabilities":`+capabilities, 1)
	}
	for _, c := range []struct {
		before []string
		asked  bool
	}{
		{[]string{initialize("2025-11-25"), discover(asks)}, false},
		{[]string{discover(asks), initialize("2025-11-25")}, false},
		{[]string{discover(asks)}, false},
		{[]string{declares("2025-11-25", asks), discover(`{}`)}, true},
		{[]string{discover(`{}`), declares("2025-11-25", asks)}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldInside(t, guard.Policy{})
			p := connect(t, w.server, DefaultGrace)
			for _, line := range c.before {
				p.send(line)
				p.next()
			}
			p.send(call(`1`, "delete_instances", deletion(running, confirmed)))
			if r := p.next(); (r.Method == "elicitation/create") != c.asked {
				t.Errorf("%v: %s", c.before, r.line)
			}
			p.send(modernCall(`2`, `{}`, "delete_instances", deletion(running, confirmed), ""))
			w.preview("delete_instances", p.answerTo(`2`).tool(t), "needs the preview_token")
			if records := w.records(); records[len(records)-1].Client != "t" {
				t.Errorf("%+v", records)
			}
		})
	}
}

// An answer in the manner of the newer era is none in the older, where the server asks.
func TestSmuggledAnswers(t *testing.T) {
	for _, capabilities := range []string{asks, `{}`} {
		for _, version := range append([]string{""}, legacyVersions...) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldInside(t, guard.Policy{})
				token := w.preview("delete_instances", w.once(call(`1`, "delete_instances", deletion(running, ""))).tool(t), "delete 1")
				p := connect(t, w.server, DefaultGrace)
				if version != "" { // else there is no handshake at all
					p.send(declares(version, capabilities))
					p.answerTo(`"init"`)
				}
				smuggled := fmt.Sprintf(`,"requestState":%q,"inputResponses":{"consent":%s}}}`, token, yes)
				p.send(strings.Replace(call(`1`, "delete_instances", deletion(running, confirmed)), "}}\n", smuggled+"\n", 1))
				if version != "" && capabilities == asks {
					question, _ := p.question()
					p.send(answered(question, `{"action":"decline"}`))
					refused(t, p.answerTo(`1`).tool(t), "said no")
				} else {
					w.preview("delete_instances", p.answerTo(`1`).tool(t), "needs the preview_token")
				}
				w.untouched()
			})
		}
	}
}

// A session that no request can be sent to is not asked, whatever its client declared.
func TestSessionOutOfReach(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	shared := &session{}
	shared.introduce(mcp.Implementation{}, mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapability{}})
	if w.server.caller(w.server.mcp.WithContext(t.Context(), shared)).CanAsk {
		t.Error("it would be asked")
	}
}

// Nobody can make up the id of a question: answers to those would fill what replicas share.
func TestQuestionIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other, foreign := newAsked([]byte("of both")), newAsked([]byte("of both")), newAsked([]byte("of others"))
		id := one.newID("ann")
		if !one.isOurs("ann", id) || !other.isOurs("ann", id) {
			t.Error("a question is not known")
		}
		if other.isOurs("bob", id) || foreign.isOurs("ann", id) {
			t.Error("a question of somebody else is")
		}
		text, _ := strconv.Unquote(id)
		for _, made := range []string{"", "1", `"ask-1"`, `"` + text[1:] + `"`, `"` + text + `0"`, text, strings.Replace(id, "ask-9", "ask-99", 1)} {
			if one.isOurs("ann", made) {
				t.Errorf("%s is known", made)
			}
		}
		<-time.After(questionLifetime)
		if one.isOurs("ann", id) {
			t.Error("it is known for ever")
		}
	})
}
