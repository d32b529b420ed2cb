package scnet

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
)

// The service's pages and samples disagree on types: numbers come as strings, strings as numbers, booleans as words,
// empty lists as null.
type (
	text        = lenient.Text
	number      = lenient.Number
	truth       = lenient.Truth
	list[T any] = lenient.List[T]
)

// envelope wraps every answer of the service. On errors data may be a string, so it stays raw.
type envelope struct {
	Code    *text           `json:"code"`
	Msg     text            `json:"msg"`
	Message text            `json:"message"` // some gateways say message instead of msg
	Total   *number         `json:"total"`
	Data    json.RawMessage `json:"data"`
}

// parseEnvelope reports false when body is not a JSON object with a code.
func parseEnvelope(body []byte) (envelope, bool) {
	var e envelope
	if json.Unmarshal(body, &e) != nil || e.Code == nil {
		return envelope{}, false
	}
	if e.Msg == "" {
		e.Msg = e.Message
	}
	*e.Code = normalCode(*e.Code)
	return e, true
}

// normalCode writes a whole number without a fraction: 0.0 is success too.
func normalCode(code text) text {
	n, err := strconv.ParseFloat(strings.TrimSpace(string(code)), 64)
	if err == nil && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		return text(strconv.FormatFloat(n, 'f', 0, 64))
	}
	return code
}

// ok reports success: "0" as documented, or the 200 that some platform answers carry.
func (e envelope) ok() bool { return *e.Code == "0" || *e.Code == "200" }

// isNull reports whether raw is absent or null.
func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}
