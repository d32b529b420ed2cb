package server

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

func FuzzReadLines(f *testing.F) {
	for _, seed := range []string{"", "a\nb", "\n\r\n \n", "0123456789\n01234567890\r\n", `{"id":1}` + "\n" + `{"jsonrpc":"2.0","method":"m","id":2}`, "\r\r\n\xff\xc2\x85\n"} {
		f.Add([]byte(seed), uint8(10))
	}
	f.Fuzz(func(t *testing.T, data []byte, limit uint8) {
		var want [][]byte // nil stands for an over-long line
		rest := data
		for len(rest) > 0 {
			line, after, ended := bytes.Cut(rest, []byte("\n"))
			if rest = after; ended {
				line = bytes.TrimRight(line, "\r")
			}
			switch {
			case len(line) > int(limit):
				want = append(want, nil)
			case len(bytes.TrimSpace(line)) > 0:
				want = append(want, line)
			}
		}
		i := 0
		err := readLines(bytes.NewReader(data), int(limit), func(line input) bool {
			if i >= len(want) || line.tooLong != (want[i] == nil) || !line.tooLong && !bytes.Equal(line.text, want[i]) {
				t.Fatalf("line %d: %+v, of %q", i, line, want)
			}
			i++
			return true
		})
		if err != nil || i != len(want) {
			t.Fatalf("%d lines of %d, %v", i, len(want), err)
		}
	})
}

func FuzzFindID(f *testing.F) {
	for _, seed := range []string{`{"jsonrpc":"2.0","id":7,"method":"m"}`, `{"method":"m","params":{"id":1},"jsonrpc":"2.0","id":"a"}`,
		`{"a":",\"id\":1}"}`, `{"a":{"id":1}}`, `{"id":12345}`, `{"a" : 1 , "id" : -1.5 } `, `{"id":null}`, `[{"id":1}`} {
		f.Add([]byte(seed), uint16(10), uint16(20))
		f.Add([]byte(seed), uint16(1000), uint16(1000))
	}
	f.Fuzz(func(t *testing.T, message []byte, head, tail uint16) {
		message = bytes.TrimSpace(message)
		found := findID(message[:min(int(head), len(message))], message[max(len(message)-int(tail), 0):])
		if found != nil && (!json.Valid(found) || !isID(found)) {
			t.Fatalf("%q is not an id", found)
		}
		if found == nil || !json.Valid(message) {
			return
		}
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(message, &whole); err != nil {
			t.Fatalf("an id %s in no object", found)
		}
		if named(t, message, "id") == 1 && !bytes.Equal(found, whole["id"]) {
			t.Fatalf("found %s, it is %s", found, whole["id"])
		}
	})
}

// named counts the members of an object that encoding/json takes for name.
func named(t *testing.T, object []byte, name string) int {
	decoder := json.NewDecoder(bytes.NewReader(object))
	count := 0
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := key.(string); strings.EqualFold(text, name) {
			count++
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return count
}

// canonical makes ids comparable that are the same value.
func canonical(t *testing.T, id json.RawMessage) string {
	if id[0] != '"' {
		return string(id)
	}
	var text string
	if err := json.Unmarshal(id, &text); err != nil {
		t.Fatal(err)
	}
	return `"` + text
}

func FuzzStdio(f *testing.F) {
	for _, seed := range []string{
		initialize("2025-11-25") + ping("1") + call("2", "echo", `{"text":"a"}`) + `{"jsonrpc":"2.0","id":3,"method":"tools/list"}`,
		modern("1", "server/discover", "") + modern("2", "tools/list", "") + modern("3", "tools/call", `"name":"panic"`) + modern("4", "subscriptions/listen", `"notifications":{}`),
		call("1", "fail", `{}`) + cancelled("1") + call("1", "echo", `{}`) + "garbage\n\n[]\n{}\n5\n\r\n",
		`{"jsonrpc":"2.0","id":null,"method":"ping"}` + "\n" + `{"jsonrpc":"2.0","id":{},"method":"ping"}` + "\n" + `{"jsonrpc":"2.0","id":1.5,"method":5}`,
		`{"jsonrpc":"2.0","id":"<\u00e9>","result":null,"method":"ping"}` + "\n" + `{"JSONRPC":"2.0","ID":1,"Method":"ping","result":1}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":"{}","_meta":{"progressToken":1},"task":{}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete"}` + "\n" + `{"jsonrpc":"2.0","id":1,"method":"tasks/list"}` + "\n" + `{"jsonrpc":"2.0","id":1,"method":"prompts/get"}`,
	} {
		f.Add([]byte(seed))
	}
	s := quickServer()
	f.Fuzz(func(t *testing.T, in []byte) {
		want, cancelled := map[string]int{}, map[string]bool{}
		for line := range bytes.SplitSeq(in, []byte("\n")) {
			line = bytes.TrimSpace(line)
			var m struct {
				ID            json.RawMessage
				Method        string
				Result, Error json.RawMessage
				Params        struct{ RequestID json.RawMessage }
			}
			if !json.Valid(line) || line[0] != '{' {
				continue
			}
			_ = json.Unmarshal(line, &m)
			if scanned, err := scanMessage(line); err != nil { // refused, under its id if that is certain
				if isID(scanned.id) && utf8.Valid(scanned.id) {
					want[canonical(t, scanned.id)]++
				}
				continue
			}
			switch {
			case isID(m.ID) && (m.Method != "" || m.Result == nil && m.Error == nil):
				want[canonical(t, m.ID)]++
			case m.ID == nil && m.Method == "notifications/cancelled" && utf8.Valid(line) && isID(m.Params.RequestID):
				cancelled[canonical(t, m.Params.RequestID)] = true
			}
		}
		var out bytes.Buffer
		if err := s.ServeStdio(t.Context(), bytes.NewReader(in), &out, DefaultGrace); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for line := range bytes.Lines(out.Bytes()) {
			if !utf8.Valid(line) {
				t.Fatalf("not UTF-8: %q", line)
			}
			r := parse(t, line)
			switch {
			case r.Method != "":
				if r.ID != nil || r.Result != nil || r.Error != nil {
					t.Fatalf("not a notification: %s", line)
				}
			case (r.Result == nil) == (r.Error == nil) || r.ID == nil:
				t.Fatalf("not an answer: %s", line)
			case isID(r.ID):
				got[canonical(t, r.ID)]++
			case r.Error == nil || string(r.ID) != "null":
				t.Fatalf("an answer to nothing: %s", line)
			}
		}
		for id, n := range want {
			if got[id] != n && (!cancelled[id] || got[id] > n) {
				t.Errorf("%s was asked %d times and answered %d times", id, n, got[id])
			}
		}
	})
}

// quickServer is a server of those fake tools that answer at once.
func quickServer() *Server {
	quick := slices.DeleteFunc(newFakes().tools(), func(t toolbox.Tool) bool {
		return t.Name != "echo" && t.Name != "panic" && t.Name != "fail"
	})
	return New(Options{Name: "fuzz", Version: "1", Toolbox: toolbox.New(toolbox.Rules{}, quick), Log: zerolog.New(io.Discard)})
}
