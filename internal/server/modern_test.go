package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// inputRequired returns the state of a result that asks for input, and "" for any other.
func inputRequired(t testing.TB, r reply) (state string) {
	t.Helper()
	result := decode[struct {
		ResultType    string
		RequestState  string
		IsError       bool
		Structured    any `json:"structuredContent"`
		InputRequests map[string]struct {
			Method string
			Params struct{ Message string }
		}
	}](t, r.Result)
	if result.ResultType != "input_required" {
		return ""
	}
	asked, ok := result.InputRequests["consent"]
	if !ok || len(result.InputRequests) != 1 || asked.Method != "elicitation/create" || asked.Params.Message == "" || result.RequestState == "" ||
		result.IsError || result.Structured != nil {
		t.Fatalf("not a question: %s", r.line)
	}
	return result.RequestState
}

const runIt = `{"action":"accept","content":{"confirmation":"run it in 1 instance"}}`

func responses(state, answer string) string {
	return fmt.Sprintf(`"requestState":%q,"inputResponses":{"consent":%s}`, state, answer)
}

// modernQuestion makes a world, asks whether to run a script there, and returns how to answer.
func modernQuestion(t *testing.T, policy guard.Policy) (w *world, state string, answer func(capabilities, arguments, further string) reply) {
	t.Helper()
	w = newWorld(t, policy)
	answer = func(capabilities, arguments, further string) reply {
		return w.once(modernCall(`1`, capabilities, "execute_script", arguments, further))
	}
	if state = inputRequired(t, answer(asks, scripted, "")); state == "" {
		t.Fatal("it was not asked")
	}
	w.recorded(audit.Previewed, "asked")
	return w, state, answer
}

// scripted are arguments that run a script.
const scripted = `{"instance_ids":["` + running + `"],"script":"date","confirm":true}`

var ownWill = guard.Policy{Consent: map[string]guard.Level{"execute_script": guard.Human}}

// A sealed question holds for what was asked, once.
func TestModernAnswers(t *testing.T) {
	for _, policy := range []guard.Policy{{}, ownWill} {
		w, state, answer := modernQuestion(t, policy)
		if out := w.outcome("execute_script", answer(asks, scripted, responses(state, runIt)).tool(t)); out.State != "done" {
			t.Errorf("%+v", out)
		}
		w.recorded(audit.Result, "elicited")
		w.preview("execute_script", answer(asks, scripted, responses(state, runIt)).tool(t), "has been used")
		if len(w.sim.Scripts()) != 1 {
			t.Errorf("%d scripts ran", len(w.sim.Scripts()))
		}
	}
}

func TestModernAnswersThatDoNotHold(t *testing.T) {
	tampered := func(state string) string {
		flipped := "a"
		if strings.HasPrefix(state, "a") {
			flipped = "b"
		}
		return flipped + state[1:]
	}
	for _, policy := range []guard.Policy{{}, ownWill} {
		for _, c := range []struct {
			name, arguments string
			state           func(string) string
			says            string
		}{
			{"tampered", scripted, tampered, "not one of this server's"},
			{"made up", scripted, func(string) string { return `{"target":"` + running + `"}` }, "not one of this server's"},
			{"cut", scripted, func(state string) string { return state[:10] }, "not one of this server's"},
			{"another script", strings.Replace(scripted, "date", "reboot", 1), strings.Clone, "belongs to another call"},
			{"another instance", strings.Replace(scripted, running, other, 1), strings.Clone, "belongs to another call"},
			{"another scope", strings.Replace(scripted, `"confirm"`, `"scope":"header","confirm"`, 1), strings.Clone, "belongs to another call"},
		} {
			w, state, answer := modernQuestion(t, policy)
			w.preview("execute_script", answer(asks, c.arguments, responses(c.state(state), runIt)).tool(t), c.says)
			w.untouched()
			if c.name == "tampered" { // which did no harm to the real one
				w.outcome("execute_script", answer(asks, scripted, responses(state, runIt)).tool(t))
				if w.changes() != 1 {
					t.Errorf("%d changes", w.changes())
				}
			}
		}
	}
}

// A yes to what has changed since is none.
func TestModernAnswerAboutAnotherState(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	state := inputRequired(t, w.once(modernCall(`1`, asks, "delete_instances", deletion(stopped, confirmed), "")))
	w.once(call(`1`, "restart_instance", `{"instance_id":"`+stopped+`","confirm":true}`))
	w.preview("delete_instances", w.once(modernCall(`1`, asks, "delete_instances", deletion(stopped, confirmed), responses(state, yes))).tool(t), "has changed since")
	if w.sent(simulator.EndpointDelete) != 0 {
		t.Error("it was deleted")
	}
}

// Every request declares anew what the client can do; who cannot ask cannot bring an answer.
func TestModernAnswerOfWhoCannotAsk(t *testing.T) {
	for _, capabilities := range []string{`{}`, `{"elicitation":{"url":{}}}`} {
		w, state, answer := modernQuestion(t, guard.Policy{})
		w.preview("execute_script", answer(capabilities, scripted, responses(state, runIt)).tool(t), "needs the preview_token")
		w.untouched()
		w, state, answer = modernQuestion(t, ownWill)
		refused(t, answer(capabilities, scripted, responses(state, runIt)).tool(t), "cannot ask")
		refused(t, answer(capabilities, strings.Replace(scripted, `"confirm":true`, strings.TrimPrefix(with(state), ","), 1), responses(state, runIt)).tool(t), "cannot ask")
		w.untouched()
	}
}

// An answer without the question that it is for is none: the human is asked anew.
func TestModernAnswerWithoutState(t *testing.T) {
	for _, further := range []string{`"inputResponses":{"consent":` + runIt + `}`, `"requestState":"","inputResponses":{"consent":` + runIt + `}`} {
		w, state, answer := modernQuestion(t, guard.Policy{})
		next := inputRequired(t, answer(asks, scripted, further))
		if next == "" || next == state {
			t.Errorf("the state was %s and is %s", state, next)
		}
		w.untouched()
	}
}

// What comes back with the state and is not the yes is a no, which burns it.
func TestModernAnswersThatAreNone(t *testing.T) {
	for _, further := range []string{
		``, `,"inputResponses":{}`, `,"inputResponses":null`, `,"inputResponses":{"other":` + runIt + `}`, `,"inputResponses":{"Consent":` + runIt + `}`,
		`,"inputResponses":{"consent":null}`, `,"inputResponses":{"consent":5}`, `,"inputResponses":{"consent":[]}`, `,"inputResponses":{"consent":{}}`,
		`,"inputResponses":{"consent":{"result":` + runIt + `}}`, `,"inputResponses":{"consent":{"action":["accept"]}}`,
		`,"inputResponses":{"consent":{"action":"accept","content":"run it in 1 instance"}}`,
		`,"inputResponses":{"consent":{"action":"accept","content":{"confirmation":"do not run it"}}}`,
		`,"inputResponses":{"consent":{"action":"accept","content":{"confirmation":"RUN IT IN 1 INSTANCE"}}}`,
		`,"inputResponses":{"consent":{"action":"decline","content":{"confirmation":"run it in 1 instance"}}}`,
	} {
		w, state, answer := modernQuestion(t, guard.Policy{})
		refused(t, answer(asks, scripted, fmt.Sprintf(`"requestState":%q`, state)+further).tool(t), "Do not repeat the call")
		w.recorded(audit.Declined, w.records()[len(w.records())-1].Consent)
		w.preview("execute_script", answer(asks, scripted, responses(state, runIt)).tool(t), "has been used")
		w.untouched()
	}
	for _, further := range []string{`"inputResponses":[]`, `"inputResponses":5`, `"inputResponses":"consent"`} {
		w, state, answer := modernQuestion(t, guard.Policy{})
		if r := answer(asks, scripted, fmt.Sprintf(`"requestState":%q,`, state)+further); r.code() == 0 {
			t.Errorf("%s: %s", further, r.line)
		}
		w.untouched()
	}
}

// Of two answers to the same question one counts.
func TestModernAnswerTwiceAtOnce(t *testing.T) {
	w, state, _ := modernQuestion(t, guard.Policy{})
	line := modernCall(`1`, asks, "execute_script", scripted, responses(state, runIt))
	for _, r := range run(t, w.server, strings.Repeat(line, 8)) {
		if out := w.outcome("execute_script", r.tool(t)); out.State != "done" {
			w.preview("execute_script", r.tool(t), "has been used")
		}
	}
	if len(w.sim.Scripts()) != 1 {
		t.Errorf("%d scripts ran", len(w.sim.Scripts()))
	}
}

// A wrong token is not worth a human's time.
func TestModernTokenIsCheckedBeforeAsking(t *testing.T) {
	w := newWorld(t, guard.Policy{})
	w.preview("delete_instances", w.once(modernCall(`1`, asks, "delete_instances", deletion(running, with("nonsense")), "")).tool(t), "not one of this server's")
	w.preview("delete_instances", w.once(modernCall(`1`, asks, "delete_instances", deletion(running, ""), "")).tool(t), "delete 1")
	w.untouched()
}
