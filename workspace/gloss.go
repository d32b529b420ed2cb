package workspace

import "strings"

// gloss is what a code means and what to do about it.
type gloss struct{ meaning, hint string }

// codeGlosses holds the codes that are documented for script execution (page "Error Codes") and for the API gateway. The
// service uses its own codes with other meanings elsewhere, so an entry applies only with its HTTP status.
var codeGlosses = map[string]struct {
	status int
	gloss
}{
	"WKS.00139901": {400, gloss{"invalid parameter", "Check ids, names and numbers against the message."}},
	"WKS.00211102": {400, gloss{"invalid parameter", "Check ids, names and numbers against the message."}},
	"WKS.00081102": {403, gloss{"no permission", ""}},
	"WKS.00000405": {405, gloss{"method not allowed", ""}},
	"WKS.00211401": {500, gloss{"the operation failed", "Try again later; if it stays, ask Huawei Cloud support with the request id."}},

	"APIGW.0101": {404, gloss{"no such API, or wrong method", ""}},
	"APIGW.0301": {401, gloss{"wrong signature or access key", ""}},
	"APIGW.0302": {403, gloss{"not authorised", ""}},
	"APIGW.0303": {401, gloss{"wrong authentication data, or a time that is more than 15 minutes off", ""}},
	"APIGW.0304": {403, gloss{"not authorised", ""}},
	"APIGW.0305": {401, gloss{"wrong authentication data", ""}},
	"APIGW.0306": {403, gloss{"not authorised", ""}},
	"APIGW.0307": {401, gloss{"the token must be renewed, or is of another region", "Get new temporary keys, and check that region and endpoint belong together."}},
	"APIGW.0308": {429, gloss{"throttled", ""}},
	"APIGW.0310": {403, gloss{"the project is not available", "Check HUAWEICLOUD_SDK_PROJECT_ID; the project may be frozen, or of another region."}},
	"APIGW.0601": {500, gloss{"internal error of the gateway", ""}},
	"APIGW.0605": {500, gloss{"internal error of the gateway", ""}},
	"APIGW.0606": {500, gloss{"internal error of the gateway", ""}},
	"APIGW.0610": {502, gloss{"the service behind the gateway is not there", ""}},
	"APIGW.0613": {503, gloss{"authentication is down", ""}},
	"APIGW.0801": {403, gloss{"the service is not open in this region", "Check HUAWEICLOUD_SDK_REGION: not every region offers Workspace."}},
	"APIGW.0802": {403, gloss{"the user may not use this region", "Ask the account's administrator to allow the region, or use another one."}},
}

// badRequest are the meanings of APIGW.0201, which depend on the status.
var badRequest = map[int]gloss{
	400: {"bad request", ""},
	413: {"the request is larger than 12 MB", "Send less."},
	414: {"the address is too long", "Name fewer ids at a time."},
	494: {"the headers are too large", ""},
	502: {"the service behind the gateway is down", ""},
	504: {"the service behind the gateway did not answer in time", ""},
}

func glossOf(code string, status int) (gloss, bool) {
	if code == "APIGW.0201" {
		g, ok := badRequest[status]
		return g, ok
	}
	g, ok := codeGlosses[code]
	return g.gloss, ok && g.status == status
}

// Gloss returns the documented meaning of Code together with Status, or "".
func (e *Error) Gloss() string {
	if g, ok := glossOf(e.Code, e.Status); ok {
		return g.meaning
	}
	return ""
}

// isGateway reports whether code is of the API gateway, which answers before the service sees the request, or instead.
func isGateway(code string) bool { return strings.HasPrefix(code, "APIGW.") }
