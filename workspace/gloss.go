package workspace

import (
	"cmp"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// gloss is what a code means and what to do about it.
type gloss struct{ meaning, hint upstream.Text }

// codeGlosses holds the codes that are documented for script execution (page "Error Codes") and for the API gateway. The
// service uses its own codes with other meanings elsewhere, so an entry applies only with its HTTP status.
var codeGlosses = map[string]struct {
	status int
	gloss
}{
	"WKS.00139901": {400, gloss{upstream.Text{English: "invalid parameter", Chinese: "参数无效"}, upstream.Text{English: "Check ids, names and numbers against the message.", Chinese: "请对照错误信息检查 ID、名称和数值。"}}},
	"WKS.00211102": {400, gloss{upstream.Text{English: "invalid parameter", Chinese: "参数无效"}, upstream.Text{English: "Check ids, names and numbers against the message.", Chinese: "请对照错误信息检查 ID、名称和数值。"}}},
	"WKS.00081102": {403, gloss{meaning: upstream.Text{English: "no permission", Chinese: "没有权限"}}},
	"WKS.00000405": {405, gloss{meaning: upstream.Text{English: "method not allowed", Chinese: "不支持的方法"}}},
	"WKS.00211401": {500, gloss{upstream.Text{English: "the operation failed", Chinese: "操作失败"}, upstream.Text{English: "Try again later; if it stays, ask Huawei Cloud support with the request id.", Chinese: "请稍后重试；如仍然失败，请把请求 ID 告诉华为云客服。"}}},

	"APIGW.0101": {404, gloss{meaning: upstream.Text{English: "no such API, or wrong method", Chinese: "API 不存在或方法错误"}}},
	"APIGW.0301": {401, gloss{meaning: upstream.Text{English: "wrong signature or access key", Chinese: "签名或 AK 错误"}}},
	"APIGW.0302": {403, gloss{meaning: upstream.Text{English: "not authorised", Chinese: "未授权"}}},
	"APIGW.0303": {401, gloss{meaning: upstream.Text{English: "wrong authentication data, or a time that is more than 15 minutes off", Chinese: "认证信息错误，或时间相差超过 15 分钟"}}},
	"APIGW.0304": {403, gloss{meaning: upstream.Text{English: "not authorised", Chinese: "未授权"}}},
	"APIGW.0305": {401, gloss{meaning: upstream.Text{English: "wrong authentication data", Chinese: "认证信息错误"}}},
	"APIGW.0306": {403, gloss{meaning: upstream.Text{English: "not authorised", Chinese: "未授权"}}},
	"APIGW.0307": {401, gloss{upstream.Text{English: "the token must be renewed, or is of another region", Chinese: "令牌需要更新，或属于其他区域"}, upstream.Text{English: "Get new temporary keys, and check that region and endpoint belong together.", Chinese: "请获取新的临时密钥，并确认区域与终端节点一致。"}}},
	"APIGW.0308": {429, gloss{meaning: upstream.Text{English: "throttled", Chinese: "请求被流控"}}},
	"APIGW.0310": {403, gloss{upstream.Text{English: "the project is not available", Chinese: "项目不可用"}, upstream.Text{English: "Check HUAWEICLOUD_SDK_PROJECT_ID; the project may be frozen, or of another region.", Chinese: "请检查 HUAWEICLOUD_SDK_PROJECT_ID；项目可能已冻结，或属于其他区域。"}}},
	"APIGW.0601": {500, gloss{meaning: upstream.Text{English: "internal error of the gateway", Chinese: "网关内部错误"}}},
	"APIGW.0605": {500, gloss{meaning: upstream.Text{English: "internal error of the gateway", Chinese: "网关内部错误"}}},
	"APIGW.0606": {500, gloss{meaning: upstream.Text{English: "internal error of the gateway", Chinese: "网关内部错误"}}},
	"APIGW.0610": {502, gloss{meaning: upstream.Text{English: "the service behind the gateway is not there", Chinese: "网关后端服务不存在"}}},
	"APIGW.0613": {503, gloss{meaning: upstream.Text{English: "authentication is down", Chinese: "认证服务不可用"}}},
	"APIGW.0801": {403, gloss{upstream.Text{English: "the service is not open in this region", Chinese: "该区域未开放此服务"}, upstream.Text{English: "Check HUAWEICLOUD_SDK_REGION: not every region offers Workspace.", Chinese: "请检查 HUAWEICLOUD_SDK_REGION：并非每个区域都提供 Workspace。"}}},
	"APIGW.0802": {403, gloss{upstream.Text{English: "the user may not use this region", Chinese: "该用户无权使用此区域"}, upstream.Text{English: "Ask the account's administrator to allow the region, or use another one.", Chinese: "请联系账号管理员开通该区域，或使用其他区域。"}}},
}

// badRequest are the meanings of APIGW.0201, which depend on the status.
var badRequest = map[int]gloss{
	400: {meaning: upstream.Text{English: "bad request", Chinese: "请求错误"}},
	413: {upstream.Text{English: "the request is larger than 12 MB", Chinese: "请求超过 12 MB"},
		upstream.Text{English: "Send less.", Chinese: "请减少发送的内容。"}},
	414: {upstream.Text{English: "the address is too long", Chinese: "地址过长"},
		upstream.Text{English: "Name fewer ids at a time.", Chinese: "请减少每次指定的 ID 数量。"}},
	494: {meaning: upstream.Text{English: "the headers are too large", Chinese: "请求头过大"}},
	502: {meaning: upstream.Text{English: "the service behind the gateway is down", Chinese: "网关后端服务不可用"}},
	504: {meaning: upstream.Text{English: "the service behind the gateway did not answer in time", Chinese: "网关后端服务响应超时"}},
}

func glossOf(code string, status int) (gloss, bool) {
	if code == "APIGW.0201" {
		g, ok := badRequest[status]
		return g, ok
	}
	g, ok := codeGlosses[code]
	if !ok || g.status != status {
		return gloss{}, false
	}
	return g.gloss, true
}

// isGateway reports whether code is of the API gateway, which answers before the service sees the request, or instead.
func isGateway(code string) bool { return strings.HasPrefix(code, "APIGW.") }

// Code is what Huawei Cloud documents about one of its codes.
type Code struct {
	Code    string
	Status  int // of HTTP, with which the code has this meaning
	Meaning upstream.Text
	Hint    upstream.Text // what to do; may be empty
}

// Codes returns the known codes, sorted.
func Codes() []Code {
	known := make([]Code, 0, len(codeGlosses)+len(badRequest))
	for code, g := range codeGlosses {
		known = append(known, Code{code, g.status, g.meaning, g.hint})
	}
	for status, g := range badRequest {
		known = append(known, Code{"APIGW.0201", status, g.meaning, g.hint})
	}
	slices.SortFunc(known, func(a, b Code) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Status, b.Status))
	})
	return known
}
