package workspace

import (
	"encoding/json"
	"regexp"
	"strconv"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/sanitize"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// failure is what an answer without success says about itself.
type failure struct{ code, message, requestID string }

// parseFailure takes the shapes of the service and the gateway (error_code, error_msg, request_id), of IAM (an object
// error), and of other services that private clouds put in front. It reports false when body is none of them.
func parseFailure(body []byte) (failure, bool) {
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
	if json.Unmarshal(body, &outer) != nil {
		return failure{}, false
	}
	_ = json.Unmarshal(outer.Error, &inner) // absent, or a text, as it may be
	var word text
	_ = word.UnmarshalJSON(outer.Error) // never fails
	f := failure{
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

// answerError turns an answer that is of no use into an *Error. The HTTP status decides: the service uses its codes with
// several meanings.
func answerError(call *call, resp *upstream.Response) *Error {
	f, known := parseFailure(resp.Body)
	e := &Error{
		Delivery: Answered, Status: resp.Status, RetryAfter: resp.RetryAfter, skew: resp.Skew,
		Code:      sanitize.Line(call.redact(f.code), 40),
		Message:   sanitize.Line(call.redact(f.message), 300),
		RequestID: sanitize.Line(call.redact(first(text(resp.Header.Get("X-Request-Id")), text(f.requestID), text(resp.Header.Get("X-Iam-Trace-Id")))), 80),
	}
	gateway := isGateway(e.Code)
	switch status := resp.Status; {
	case status == 429, status >= 400 && status < 500 && e.Code == "APIGW.0308":
		e.Err, e.Retryable = ErrThrottled, true
		e.Limit = parseRateLimit(f.message)
	case status >= 300 && status < 400:
		e.Err = ErrRedirect
	case status == 401:
		e.Err = ErrCredential
	case status == 403:
		e.Err = ErrDenied
	case status == 404 && known && !gateway:
		e.Err = ErrNotFound
	case status == 404, status == 405:
		e.Err = ErrNoAPI
	case status == 502, status == 503, status == 504:
		e.Err = ErrUnavailable
	case status >= 500:
		e.Err = ErrFailed
	case known:
		e.Err = ErrRefused
	default:
		e.Err = ErrMalformed
	}
	switch refused := resp.Status >= 400 && resp.Status < 500 || resp.Status == 503 && gateway; {
	case call.write:
		e.Uncertain = !refused
		e.Retryable = e.Retryable || resp.Status == 503 && gateway
	case resp.Status >= 500:
		e.Retryable = true
	}
	return call.describe(e)
}

// rateLimit is how the gateway words its policy: "…policy user over ratelimit,limit:100,time:1 minute".
var rateLimit = regexp.MustCompile(`(?i)limit:\s*(\d{1,9})\s*,\s*time:\s*(\d{1,4})\s*(second|minute|hour|day)`)

func parseRateLimit(message string) RateLimit {
	match := rateLimit.FindStringSubmatch(message)
	if match == nil {
		return RateLimit{}
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	calls, _ := strconv.Atoi(match[1]) // digits that fit, as matched
	count, _ := strconv.Atoi(match[2])
	return RateLimit{Calls: calls, Per: time.Duration(count) * units[match[3][0]|0x20]}
}
