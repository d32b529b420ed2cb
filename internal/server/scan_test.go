package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// What two readers may read differently is read by nobody.
func TestAmbiguousMessages(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	const version = `"io.modelcontextprotocol/protocolVersion"`
	request := func(members string) string { return `{"jsonrpc":"2.0","id":1,` + members + `}` }
	echo := func(params string) string {
		return request(`"method":"tools/call","params":{"name":"echo",` + params + `}`)
	}
	for _, c := range []struct{ line, id, want string }{
		{echo(`"arguments":{"text":"a"},"Arguments":{"text":"b"}`), `1`, `"arguments"`},
		{echo(`"arguments":{"text":"a"},"arguments":{"text":"b"}`), `1`, "twice"},
		{echo(`"Arguments":{"text":"b"}`), `1`, `"arguments"`},
		{echo(`"argument\u017f":{"text":"b"}`), `1`, `"arguments"`}, // encoding/json takes ſ for s
		{echo(`"\u0061rguments":{},"arguments":{"text":"b"}`), `1`, "twice"},
		{echo(`"Name":"fail"`), `1`, `"name"`},
		{request(`"method":"tools/call","params":{"name":"echo"},"params":{"name":"fail"}`), `1`, "twice"},
		{request(`"method":"ping","Method":"tools/list"`), `1`, `"method"`},
		{`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, `null`, "twice"},
		{`{"jsonrpc":"2.0","method":"ping","ID":2}`, `null`, `"id"`},
		{echo(`"_meta":{` + version + `:"2025-11-25","io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}`), `1`, version},
		{echo(`"_meta":{` + version + `:"2025-11-25",` + version + `:"2026-07-28"}`), `1`, "twice"},
		{echo(`"_meta":{},"_Meta":{}`), `1`, `"_meta"`},
		{`{"jsonrpc":"2.0","method":"ping","Method":"a","id":7}`, `7`, `"method"`},
		{echo(`"inputResponses":{"consent":{"action":"decline","action":"accept"}}`), `1`, "twice"},
		{echo(`"inputResponses":{"consent":{"Action":"accept"}}`), `1`, `"action"`},
		{echo(`"inputResponses":{"consent":{"action":"accept","content":{"confirmation":"no","Confirmation":"yes"}}}`), `1`, "twice"},
		{echo(`"_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"Elicitation":{}}}`), `1`, "twice"},
	} {
		if r := runOne(t, s, c.line+"\n"); string(r.ID) != c.id || r.code() != -32600 || !strings.Contains(r.Error.Message, c.want) {
			t.Errorf("%s: %s", c.line, r.line)
		}
	}
	for _, line := range []string{
		request(`"method":"ping","vendor":{"ID":1,"Method":2}`),
		echo(`"arguments":{"text":"a"},"_meta":{"Name":1,"example.com/progressToken":2}`),
		echo(`"arguments":{"text":"a"},"vendor":{"arguments":1}`),
	} {
		if r := runOne(t, s, line+"\n"); r.code() != 0 {
			t.Errorf("%s: %s", line, r.line)
		}
	}
	// Arguments are checked with their schema, which names the one that is given twice.
	if r := runOne(t, s, echo(`"arguments":{"text":"a","text":"b"}`)+"\n").tool(t); !r.IsError || !strings.Contains(r.Content[0].Text, "text") {
		t.Errorf("%+v", r)
	}
	// An error's data is the client's own.
	if replies := run(t, s, `{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"m","data":{"Code":1,"code":2}}}`+"\n"); len(replies) != 0 {
		t.Error(replies[0].line)
	}
}

// A message may hold only so many values, and only so deep, because each costs more memory than it takes on the wire.
func TestCostlyMessages(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	lists := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("[],", n), ",") + "]" }
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		name, line string
		fits       bool
	}{
		{"many arguments", call("1", "echo", lists(maxBody/4)), false},
		{"many members", call("1", "echo", `{"a":`+lists(maxValues)+`}`), false},
		{"many values elsewhere", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":` + lists(maxValues) + `}}`, false},
		{"as many as may be", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":` + lists(maxValues-6) + `}}`, true},
		{"deep", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":` + nested(maxDepth-1) + `}}`, false},
		{"as deep as may be", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":` + nested(maxDepth-2) + `}}`, true},
	} {
		r := runOne(t, s, strings.TrimSpace(c.line)+"\n")
		if fits := r.code() == 0; fits != c.fits || string(r.ID) != "1" || !fits && r.code() != -32600 {
			t.Errorf("%s: %.200s", c.name, r.line)
		}
	}
}

// An id comes back with every message about its request.
func TestLongIDs(t *testing.T) {
	s := newFakes().newServer(io.Discard)
	long := `"` + strings.Repeat("x", maxID) + `"`
	if r := runOne(t, s, ping(long)); r.code() != -32600 || string(r.ID) != "null" {
		t.Errorf("%.200s", r.line)
	}
	if replies := run(t, s, steps(`1`, long, 3)); len(replies) != 1 {
		t.Errorf("%d messages", len(replies))
	}
}

// The error for a tool that does not exist says which do.
func TestUnknownTool(t *testing.T) {
	var log bytes.Buffer
	f := newFakes()
	s := f.newServer(&log)
	long := strings.Repeat("x", 100_000)
	for _, line := range []string{call("1", long, `{}`), modern("1", "tools/call", `"name":"`+long+`"`)} {
		r := runOne(t, s, line)
		if r.code() != -32602 || len(r.Error.Message) > 1000 {
			t.Fatalf("%.2000s", r.line)
		}
		for _, tool := range f.tools() {
			if !strings.Contains(r.Error.Message, tool.Name) {
				t.Errorf("%s does not name %s", r.Error.Message, tool.Name)
			}
		}
	}
	if log.Len() > 2000 {
		t.Errorf("%d bytes were logged", log.Len())
	}
}

// What strangers name things does not fill the log, and a session's id does not stand in it.
func TestLogOfRequests(t *testing.T) {
	var log bytes.Buffer
	s := newFakes().newServer(&log)
	listener, _ := serveHTTP(&world{t: t, server: s})
	site := &site{t: t, url: listener.URL, client: listener.Client()}
	session := site.shakeHands()
	site.post(`{"jsonrpc":"2.0","id":1,"method":"`+strings.Repeat("m", 10_000)+`"}`, session...)
	site.post(`{"jsonrpc":"2.0","id":1,"method":"a\u001b[31m\u202eb"}`, session...)
	site.post(call("1", "echo", `{"text":"a"}`), session...)
	if strings.Contains(log.String(), session[1]) || log.Len() > 4000 || strings.ContainsAny(log.String(), "\u202e\x1b") ||
		strings.Contains(log.String(), `\u202e`) || strings.Contains(log.String(), `\u001b`) {
		t.Errorf("%.5000s", log.String())
	}
	var loud int
	for line := range strings.Lines(log.String()) {
		var fields struct{ Level string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields.Level != "debug" {
			loud++
		}
	}
	if loud != 1 {
		t.Errorf("%d lines at info or above for one call: %s", loud, log.String())
	}
}

func FuzzScanMessage(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"},"_meta":{"progressToken":1}}}`,
		`{"id":1,"ID":2}`, `{"params":{"arguments":1 , "Arguments":[]}}`, `{"a":"\"}","b":[1,-1.5e3,true,null,{}]}`, `{"params" : { "arguments" : "x" } }`,
		`{"\u0069d":7}`, `{"result":{"action":"accept","content":{"a":1,"A":2}}}`, "{\"\xff\":1,\"\xfe\":2}", `{"params":{"\u0130":1,"\u0131":2}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.TrimSpace(text)
		if !json.Valid(text) || text[0] != '{' {
			return
		}
		s, err := scanMessage(text)
		if err != nil {
			return
		}
		var m struct {
			ID     json.RawMessage
			Params json.RawMessage
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.id, m.ID) {
			t.Fatalf("id %s, encoding/json reads %s", s.id, m.ID)
		}
		var params struct{ Arguments json.RawMessage }
		if json.Unmarshal(m.Params, &params) != nil { // not an object
			return
		}
		if arguments := text[s.arguments.from:s.arguments.to]; !bytes.Equal(arguments, params.Arguments) {
			t.Fatalf("arguments %s, encoding/json reads %s", arguments, params.Arguments)
		}
		if s.arguments != (span{}) {
			if rest, _ := withoutArguments(text, s.arguments); !json.Valid(rest) {
				t.Fatalf("without arguments: %s", rest)
			}
		}
	})
}

func BenchmarkReadMessage(b *testing.B) {
	text := []byte(strings.TrimSpace(modern("1", "tools/call", fmt.Sprintf(`"name":"echo","arguments":{"text":%q}`, strings.Repeat("x", 1000)))))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, problem := readMessage(text); problem != nil {
			b.Fatal(problem)
		}
	}
}
