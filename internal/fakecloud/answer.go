package fakecloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Answer is an HTTP response ready to be written.
type Answer struct {
	Status int
	Type   string // Content-Type; none without a body
	Body   []byte
	Code   string // the service's own code, for the journal
	// Stream, if set, writes status, headers and body itself, or a part of the body. Such an answer is not padded.
	Stream func(w http.ResponseWriter, body []byte)

	header [][2]string
	pad    int  // pad the JSON object to this many bytes
	cut    bool // reset the connection instead of writing
}

// JSON is an answer in JSON; nil is one without a body.
func JSON(status int, code string, body any) Answer {
	a := Answer{Status: status, Type: "application/json;charset=UTF-8", Code: code}
	if body != nil {
		a.Body = EncodeJSON(body)
	}
	return a
}

// Page is a page as a gateway writes it.
func Page(status int) Answer {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return Answer{
		Status: status,
		Type:   "text/html;charset=UTF-8",
		Body: fmt.Appendf(nil, "<html>\r\n<head><title>%[1]s</title></head>\r\n<body>\r\n"+
			"<center><h1>%[1]s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", title),
	}
}

// With is the answer with one more header.
func (a Answer) With(name, value string) Answer {
	a.header = append(a.header[:len(a.header):len(a.header)], [2]string{name, value})
	return a
}

// Written is the HTTP status for the journal; 0 if the connection is cut instead.
func (a Answer) Written() int {
	if a.cut {
		return 0
	}
	return a.Status
}

// EncodeJSON encodes without the \u003c escapes of encoding/json, which no other implementation produces. What it is
// given always encodes.
func EncodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (a Answer) write(w http.ResponseWriter) {
	for _, h := range a.header {
		w.Header().Set(h[0], h[1])
	}
	if a.Stream != nil {
		a.Stream(w, a.Body)
		return
	}
	if a.Status == http.StatusNoContent {
		w.WriteHeader(a.Status)
		return
	}
	w.Header().Set("Content-Type", a.Type)
	const before, after = `{"padding":"`, `",`
	fill := a.pad - len(a.Body) - len(before) - len(after) + 1
	if fill <= 0 || len(a.Body) < 3 || a.Body[0] != '{' {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
		return
	}
	// The padding comes first, so that no reader can stop before it, and is written in pieces, so that it costs no memory.
	w.Header().Set("Content-Length", strconv.Itoa(a.pad))
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, before)
	piece := strings.Repeat("x", 1<<16)
	for fill > 0 {
		n := min(fill, len(piece))
		if _, err := io.WriteString(w, piece[:n]); err != nil {
			return
		}
		fill -= n
	}
	_, _ = io.WriteString(w, after)
	_, _ = w.Write(a.Body[1:])
}
