package simulator

import (
	"fmt"
	"net/http"
)

// Error codes of Workspace, from its page "Error Codes", except that there is
// none there for what does not exist: that one is made up after the code of a
// method that is not allowed.
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
