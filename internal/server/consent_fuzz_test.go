package server

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// FuzzAnswer reads whatever a client may answer. Only the accepted phrase consents.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`"result":` + yes, `"result":{"action":"decline","content":{"confirmation":"delete 1"}}`, `"result":{"action":"accept"}`,
		`"result":{"action":"accept","content":["delete 1"]}`, `"result":{"action":"accept","content":{"confirmation":[1e999]}}`,
		`"result":{"Action":"accept","CONTENT":{"confirmation":"DELETE  1"}}`, `"result":null,"error":null`, `"error":{"code":-32601}`,
		`"error":{"code":1},"result":` + yes, `"result":{"_meta":{"a":[]},"resultType":"complete","action":"accept","content":{"confirmation":"\u0064elete 1"}}`,
	} {
		f.Add([]byte(seed))
	}
	tokens, err := guard.NewTokens(nil, guard.NewMemory(time.Now), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, members []byte) {
		line := append(append([]byte(`{"id":"ask-1",`), members...), '}')
		var m message
		if !json.Valid(line) || bytes.ContainsRune(line, '\n') {
			return
		}
		_ = json.Unmarshal(line, &m)
		result, err := readElicitation(m)
		answer := answerOf(result)
		question := guard.Question{Phrases: []string{"delete 1"}}
		subject := guard.Subject{Tool: "delete_instances"}
		call := guard.Call{Level: guard.Human, Subject: subject, Question: question, Confirm: true, CanAsk: true}
		answer.Token = tokens.Decide(t.Context(), call).Question.Token
		call.Answer = answer
		decision := tokens.Decide(t.Context(), call)
		if decision.Verdict != guard.Proceed {
			return
		}
		var plain struct {
			Result struct {
				Action  string
				Content map[string]any
			}
		}
		if unmarshalErr := json.Unmarshal(line, &plain); unmarshalErr != nil && plain.Result.Content == nil {
			t.Fatalf("%s: %v", line, unmarshalErr)
		}
		text, _ := plain.Result.Content["confirmation"].(string)
		if err != nil || plain.Result.Action != "accept" || strings.ToLower(strings.Join(strings.Fields(text), " ")) != "delete 1" {
			t.Fatalf("%s consents (%v)", line, err)
		}
	})
}
