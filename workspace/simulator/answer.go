package simulator

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// reply is what an operation answers, before it is encoded. One with a code is an error.
type reply struct {
	status int
	body   any    // nil: none
	token  string // X-Subject-Token
	code   string
	msg    string
}

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

// noContent is the reply of PUT and DELETE (pages UpdateScript, DeleteScript).
func noContent() reply { return reply{status: http.StatusNoContent} }

// serviceError is what Workspace itself answers: every page's table of error responses has these two members.
type serviceError struct {
	Code    string `json:"error_code"`
	Message string `json:"error_msg"`
}

// gatewayError is what the API gateway answers in front of the service (API Gateway, page "Error Codes").
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

// encode makes an answer of a reply. Errors of IAM have a shape of their own; what the gateway says looks the same
// everywhere, but clients reach IAM without one.
func (r reply) encode(op Operation, requestID string) fakecloud.Answer {
	body := r.body
	switch {
	case r.code == "":
	case ofIAM(op):
		body = iamError{iamErrorBody{r.status, r.msg, http.StatusText(r.status)}}
	case strings.HasPrefix(r.code, "APIGW."):
		body = gatewayError{r.msg, r.code, requestID}
	default:
		body = serviceError{Code: r.code, Message: r.msg}
	}
	a := fakecloud.JSON(r.status, r.code, body)
	if r.token != "" {
		a = a.With("X-Subject-Token", r.token)
	}
	return a
}

// Error codes of Workspace, from its page "Error Codes". The page has no code for things that do not exist: that one is made
// up after the code for a method that is not allowed.
const (
	codeParameter = "WKS.00211102"
	codeDenied    = "WKS.00081102"
	codeMethod    = "WKS.00000405"
	codeMissing   = "WKS.00000404"
	codeOperation = "WKS.00211401"
)

// Error codes of the API gateway, from its page "Error Codes".
const (
	codeNoAPI      = "APIGW.0101"
	codeRequest    = "APIGW.0201"
	codeSignature  = "APIGW.0301"
	codeForbidden  = "APIGW.0302"
	codeTimestamp  = "APIGW.0303"
	codeToken      = "APIGW.0307"
	codeThrottled  = "APIGW.0308"
	codeNoBackend  = "APIGW.0610"
	codeNoIdentity = "APIGW.0613"
)

// known are the codes a fault can give without saying more.
var known = map[string]struct {
	status int
	msg    string
}{
	codeParameter:  {http.StatusBadRequest, "Invalid parameter."},
	codeDenied:     {http.StatusForbidden, "No permission to perform the operation."},
	codeMethod:     {http.StatusMethodNotAllowed, "The method is not allowed."},
	codeMissing:    {http.StatusNotFound, "The resource does not exist."},
	codeOperation:  {http.StatusInternalServerError, "Operation failed. Try again later."},
	codeNoAPI:      {http.StatusNotFound, "The API does not exist or has not been published in the environment"},
	codeRequest:    {http.StatusBadRequest, "Bad request"},
	codeSignature:  {http.StatusUnauthorized, "Incorrect IAM authentication information: verify aksk signature fail"},
	codeForbidden:  {http.StatusForbidden, "The IAM user is not authorized to access the API"},
	codeTimestamp:  {http.StatusUnauthorized, "Incorrect app authentication information: signature expired, signature timestamp differs too much from the server's"},
	codeToken:      {http.StatusUnauthorized, "The token must be updated"},
	codeThrottled:  {http.StatusTooManyRequests, "The throttling threshold has been reached: policy user over ratelimit,limit:100,time:1 minute"},
	codeNoBackend:  {http.StatusBadGateway, "No backend available"},
	codeNoIdentity: {http.StatusServiceUnavailable, "IAM is unavailable"},
}

// fail is the reply of an error; format may be empty for the code's own text.
func fail(code, format string, args ...any) reply {
	k := known[code]
	msg := k.msg
	if format != "" {
		msg = fmt.Sprintf(format, args...)
	}
	return reply{status: k.status, code: code, msg: msg}
}

// missing is the reply for an id that nothing has.
func missing(what, id string) reply {
	return fail(codeMissing, "The %s %s does not exist.", what, id)
}
