package scnet

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

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
	Code  text
	Msg   text
	Total *number
	Data  json.RawMessage // nil if it was decoded where it stood
}

// payload is the data of an envelope.
type payload struct {
	raw  json.RawMessage
	into table // nil: it stays raw
}

// table takes the data of an envelope where it stands, so that a long answer is gone through once. It fails only where the
// JSON is broken: on errors data may be anything.
type table interface {
	Reset() // forgets an earlier answer
	UnmarshalJSONFrom(*jsontext.Decoder) error
}

// UnmarshalJSONFrom fails only where the JSON is broken.
func (p *payload) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if p.into != nil {
		return p.into.UnmarshalJSONFrom(dec)
	}
	raw, err := dec.ReadValue()
	p.raw = bytes.Clone(raw)
	return err
}

// parseEnvelope reports false when body is not a JSON object with a code. The data goes into a table, unless that is nil.
func parseEnvelope(body []byte, into table) (envelope, bool) {
	var answer struct {
		Code    *text   `json:"code"`
		Msg     text    `json:"msg"`
		Message text    `json:"message"` // some gateways say message instead of msg
		Total   *number `json:"total"`
		Data    payload `json:"data"`
	}
	if into != nil {
		into.Reset()
		answer.Data.into = into
	}
	if lenient.Unmarshal(body, &answer) != nil || answer.Code == nil {
		return envelope{}, false
	}
	return envelope{
		Code: normalCode(*answer.Code), Msg: cmp.Or(answer.Msg, answer.Message), Total: answer.Total, Data: answer.Data.raw,
	}, true
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
func (e envelope) ok() bool { return e.Code == "0" || e.Code == "200" }

// isNull reports whether raw is absent or null.
func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}
