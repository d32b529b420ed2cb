package workspace

import (
	"encoding/json"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
)

// said is what an answer without success says about itself.
type said struct{ code, message, requestID string }

// parseFailure takes the shapes of the service and the gateway (error_code, error_msg, request_id), of IAM (an object
// error), and of other services that private clouds put in front. It reports false for any other body.
func parseFailure(body []byte) (said, bool) {
	type shape struct {
		ErrorCode  text            `json:"error_code"`
		ErrorMsg   text            `json:"error_msg"`
		ErrorCode2 text            `json:"errorCode"`
		ErrorMsg2  text            `json:"errorMsg"`
		Code       text            `json:"code"`
		Message    text            `json:"message"`
		Title      text            `json:"title"`
		RequestID  text            `json:"request_id"`
		Error      json.RawMessage `json:"error"`
	}
	var outer, inner shape
	if lenient.Unmarshal(body, &outer) != nil {
		return said{}, false
	}
	_ = lenient.Unmarshal(outer.Error, &inner) // absent, or a text, as it may be
	var word text
	_ = lenient.Unmarshal(outer.Error, &word) // likewise
	f := said{
		code: first(outer.ErrorCode, inner.ErrorCode, outer.ErrorCode2, inner.ErrorCode2, outer.Code, inner.Code),
		message: first(outer.ErrorMsg, inner.ErrorMsg, outer.ErrorMsg2, inner.ErrorMsg2, outer.Message, inner.Message,
			inner.Title, word),
		requestID: first(outer.RequestID, inner.RequestID),
	}
	return f, f.code != "" || f.message != ""
}

func first(candidates ...text) string {
	for _, t := range candidates {
		if t != "" {
			return string(t)
		}
	}
	return ""
}
