package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// reply is what an operation answers, before it is encoded. One with a code is
// an error.
type reply struct {
	status int
	body   any // nil: none
	code   string
	msg    string
}

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

// noContent is the reply of PUT and DELETE (pages UpdateScript, DeleteScript).
func noContent() reply { return reply{status: http.StatusNoContent} }

// serviceError is what Workspace itself answers: every page's table of error
// responses. The message for people whose policy forbids the operation is of
// newer pages.
type serviceError struct {
	Code    string `json:"error_code"`
	Message string `json:"error_msg"`
	Encoded string `json:"encoded_authorization_message,omitempty"`
}

// gatewayError is what the API gateway answers in front of the service (API
// Gateway, page "Error Codes").
type gatewayError struct {
	Message   string `json:"error_msg"`
	Code      string `json:"error_code"`
	RequestID string `json:"request_id"`
}

// iamError is what IAM answers (page KeystoneListProjects).
type iamError struct {
	Error iamErrorBody `json:"error"`
}

type iamErrorBody struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Title   string `json:"title"`
}

// encode makes an answer of a reply. Errors of IAM have a shape of their own;
// what the gateway says looks the same everywhere, but clients reach IAM
// without one.
func (r reply) encode(op Operation, requestID string) answer {
	body := r.body
	switch {
	case r.code == "":
	case op == OpListProjects:
		body = iamError{iamErrorBody{r.status, r.msg, http.StatusText(r.status)}}
	case strings.HasPrefix(r.code, "APIGW."):
		body = gatewayError{r.msg, r.code, requestID}
	default:
		e := serviceError{Code: r.code, Message: r.msg}
		if r.status == http.StatusForbidden {
			e.Encoded = "c2ltdWxhdG9y"
		}
		body = e
	}
	a := answer{status: r.status, mime: "application/json;charset=utf-8", code: r.code}
	if body != nil {
		a.body = encodeJSON(body)
	}
	return a
}

// encodeJSON encodes without the \u003c escapes of encoding/json, which no
// other implementation produces. What it is given always encodes.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// answer is an HTTP response ready to be written.
type answer struct {
	status int
	mime   string
	header [][2]string
	body   []byte
	code   string // error code, for the journal
	pad    int    // pad the JSON object to this many bytes
	cut    bool   // reset the connection instead of writing
}

// htmlAnswer is a page as a load balancer writes it.
func htmlAnswer(status int) answer {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return answer{
		status: status,
		mime:   "text/html;charset=utf-8",
		body: fmt.Appendf(nil, "<html>\r\n<head><title>%[1]s</title></head>\r\n<body>\r\n"+
			"<center><h1>%[1]s</h1></center>\r\n</body>\r\n</html>\r\n", title),
	}
}

func (a answer) write(w http.ResponseWriter) {
	for _, h := range a.header {
		w.Header().Set(h[0], h[1])
	}
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", a.mime)
	const before, after = `{"padding":"`, `",`
	fill := a.pad - len(a.body) - len(before) - len(after) + 1
	if fill <= 0 || len(a.body) < 3 || a.body[0] != '{' {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
		return
	}
	// The padding comes first, so that no reader can stop before it, and is
	// written in pieces, so that it costs no memory.
	w.Header().Set("Content-Length", strconv.Itoa(a.pad))
	w.WriteHeader(a.status)
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
	_, _ = w.Write(a.body[1:])
}
