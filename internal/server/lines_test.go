package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func collect(t *testing.T, in io.Reader, limit int) []string {
	t.Helper()
	var lines []string
	err := readLines(in, limit, func(line input) bool {
		if line.tooLong {
			lines = append(lines, "too long "+string(line.id))
		} else {
			lines = append(lines, string(line.text))
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestReadLines(t *testing.T) {
	long := strings.Repeat("x", 20)
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"one", "a\n", []string{"a"}},
		{"last without a line end", "a\nb", []string{"a", "b"}},
		{"blank lines", "\n\n \t\r\na\n\n", []string{"a"}},
		{"CRLF", "a\r\nb\r\n", []string{"a", "b"}},
		{"at the limit", long[:10] + "\n", []string{long[:10]}},
		{"at the limit, CRLF", long[:10] + "\r\n", []string{long[:10]}},
		{"beyond the limit", long[:11] + "\nb\n", []string{"too long ", "b"}},
		{"beyond the limit at the end", "b\n" + long, []string{"b", "too long "}},
		{"blanks beyond the limit", strings.Repeat(" ", 20) + "\nb\n", []string{"too long ", "b"}},
		{"two beyond the limit", long + "\n" + long + "\nb", []string{"too long ", "too long ", "b"}},
	} {
		for reader, in := range map[string]io.Reader{"whole": strings.NewReader(c.in), "bytes": iotest.OneByteReader(strings.NewReader(c.in))} {
			if got := collect(t, in, 10); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
				t.Errorf("%s (%s): got %q, want %q", c.name, reader, got, c.want)
			}
		}
	}
}

// A carriage return at the end of the reader's buffer is part of the line.
func TestReadLinesKeepsContent(t *testing.T) {
	line := strings.Repeat("x", 64<<10-1) + "\r" + strings.Repeat("y", 100)
	if got := collect(t, strings.NewReader(line+"\n"), maxLine); len(got) != 1 || got[0] != line {
		t.Errorf("%d lines, or another line", len(got))
	}
}

func TestReadLinesStops(t *testing.T) {
	calls := 0
	err := readLines(strings.NewReader("a\nb\n"), 10, func(input) bool { calls++; return false })
	if err != nil || calls != 1 {
		t.Errorf("%d lines, %v", calls, err)
	}
}

func TestReadLinesError(t *testing.T) {
	failure := errors.New("the device is gone")
	calls := 0
	err := readLines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(failure)), 10, func(input) bool { calls++; return true })
	if !errors.Is(err, failure) || calls != 2 {
		t.Errorf("%d lines, %v", calls, err)
	}
}

func TestFindID(t *testing.T) {
	pad := strings.Repeat("x", 5000)
	for _, c := range []struct{ name, message, want string }{
		{"first", `{"jsonrpc":"2.0","id":7,"method":"m","params":"` + pad + `"}`, `7`},
		{"first, a string", `{"id":"a-\"1\"","params":"` + pad + `"}`, `"a-\"1\""`},
		{"first, beyond 2^53", `{"id":9007199254740993,"params":"` + pad + `"}`, `9007199254740993`},
		{"after small params", `{"params":{"id":1,"a":[{"id":2}]},"id":7,"x":"` + pad + `"}`, `7`},
		{"last", `{"method":"m","params":{"id":1,"a":"` + pad + `"},"jsonrpc":"2.0","id":7}`, `7`},
		{"last, with blanks", `{"params":"` + pad + `" , "id" : -7 } `, `-7`},
		{"last, a string", `{"params":"` + pad + `","id":"abc"}`, `"abc"`},
		{"in the middle", `{"params":"` + pad + `","id":7,"more":"` + pad + `"}`, ``},
		{"none", `{"method":"notifications/cancelled","params":"` + pad + `"}`, ``},
		{"of the params", `{"method":"m","params":{"a":"` + pad + `","id":7}}`, ``},
		{"in a string", `{"params":"` + pad + `,\"id\":7}`, ``},
		{"in a string at the end", `{"params":"` + pad + `,\"id\":7}"}`, ``},
		{"null", `{"id":null,"params":"` + pad + `"}`, ``},
		{"an object", `{"id":{"id":1},"params":"` + pad + `"}`, ``},
		{"not JSON, last", `{"params":"` + pad + `","id":007}`, ``},
		{"not JSON, a control character", `{"params":"` + pad + "\",\"id\":\"a\tb\"}", ``},
		{"not UTF-8", `{"params":"` + pad + "\",\"id\":\"a\xffb\"}", ``},
		{"not UTF-8, first", "{\"id\":\"a\xffb\",\"params\":\"" + pad + `"}`, ``},
		{"an array", `[{"params":"` + pad + `","id":7}]`, ``},
		{"a number at the cut", `{"a":"` + strings.Repeat("x", 4<<10-len(`{"a":"","id":12`)) + `","id":12345,"params":"` + pad + `"}`, ``},
		{"garbage", pad, ``},
	} {
		got := collect(t, strings.NewReader(c.message+"\n"), 4500)
		if len(got) != 1 || got[0] != "too long "+c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestIsID(t *testing.T) {
	for raw, want := range map[string]bool{`1`: true, `-1`: true, `1.5`: true, `"a"`: true, `""`: true, `null`: false, `true`: false,
		`{}`: false, `[]`: false, ``: false, "\"\xff\"": false} {
		if isID(json.RawMessage(raw)) != want {
			t.Errorf("isID(%s) = %t", raw, !want)
		}
	}
}
