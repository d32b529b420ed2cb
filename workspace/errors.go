package workspace

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Error is a call that did not succeed.
type Error = upstream.Failure

// Causes that a caller can tell apart with errors.Is. An argument that breaks a rule is an *ArgumentError.
var (
	ErrCredential   = lang.Errorf("the keys or the signature were refused")
	ErrDenied       = lang.Errorf("not allowed")
	ErrNotFound     = lang.Errorf("not found")
	ErrNoAPI        = lang.Errorf("the address has no such API")
	ErrRefused      = lang.Errorf("the service refused")
	ErrThrottled    = lang.Errorf("too many calls")
	ErrFailed       = lang.Errorf("the service failed")
	ErrUnavailable  = lang.Errorf("the service is not available")
	ErrMalformed    = lang.Errorf("the answer is not what Huawei Cloud documents")
	ErrRedirect     = lang.Errorf("the answer is a redirect; it was not followed, so that the signature stays where it belongs")
	ErrRepeatedRows = upstream.ErrRepeatedRows // see upstream.Walk
	ErrProject      = lang.Errorf("the project cannot be told")

	// ErrConfig marks a Config that cannot work: a missing key, no address, an address that is not https.
	ErrConfig error = &Error{
		Kind: upstream.Setup, Err: lang.Errorf("workspace (Huawei Cloud) is not configured"),
		Hint: upstream.Text{
			English: "Set HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK and HUAWEICLOUD_SDK_REGION, or unset the keys.",
			Chinese: "请设置 HUAWEICLOUD_SDK_AK、HUAWEICLOUD_SDK_SK 和 HUAWEICLOUD_SDK_REGION，或取消设置这些密钥。",
		},
	}
)

const service = "Huawei Cloud" // not said to people: a name

// clockTolerance is well below the 15 minutes beyond which signatures are refused.
const clockTolerance = 5 * time.Minute

// fail completes f with what is known of the call.
func (call *call) fail(f Error) *Error {
	f.Service, f.Op = service, call.op
	if f.Endpoint == "" && call.url != "" {
		f.Endpoint = call.method + " " + upstream.Endpoint(call.url)
	}
	f.Advise(call.settle, hints)
	return &f
}

// invalid refuses arguments; nothing was sent.
func (call *call) invalid(err error) error {
	return call.fail(Error{Kind: upstream.Argument, Err: err})
}

// answerError turns an answer that is of no use into an *Error. The HTTP status decides: the service uses its codes with
// several meanings.
func (call *call) answerError(resp *upstream.Response) *Error {
	said, known := parseFailure(resp.Body)
	f := Error{
		Delivery: upstream.Answered, Status: resp.Status, RetryAfter: resp.RetryAfter,
		Code:    clean.Line(call.redact(said.code), 40),
		Message: clean.Line(call.redact(said.message), 300),
		RequestID: clean.Line(call.redact(first(
			text(resp.Header.Get("X-Request-Id")), text(said.requestID), text(resp.Header.Get("X-Iam-Trace-Id")))), 80),
	}
	g, documented := glossOf(f.Code, f.Status)
	f.Meaning = g.meaning
	gateway := isGateway(f.Code)
	f.Kind, f.Err = causeOf(f.Status, f.Code, known)
	f.Retryable = f.Kind == upstream.Throttled || gateway && documented && f.Status == 503 || !call.write && f.Status >= 500
	f.Uncertain = call.write && !refuses(f.Status, f.Code) && (!gateway || !documented || f.Status != 503)
	f.Retryable = f.Retryable && !f.Uncertain
	switch {
	case f.Uncertain:
	case f.Kind == upstream.Credential && resp.Skew.Abs() > clockTolerance:
		off := resp.Skew.Abs().Round(time.Second)
		f.Hint = upstream.Text{
			English: fmt.Sprintf("This machine's clock is off by %s; signatures that are 15 minutes off are refused. Set the clock.", off),
			Chinese: fmt.Sprintf("本机时钟相差 %s；相差 15 分钟的签名会被拒绝。请校准时钟。", off),
		}
	case f.RetryAfter > 0:
	case f.Kind == upstream.Throttled && rateLimit().MatchString(said.message):
		f.Hint = rateHint(said.message)
	default:
		f.Hint = g.hint
	}
	return call.fail(f)
}

// refusal is what the codes of the service and the gateway look like.
var refusal = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(WKS|APIGW)\.[0-9]{4,8}$`)
})

// refuses reports whether status and code together are an answer that the service or its gateway documents for a request
// that was not carried out. Anything else may come from a proxy that has passed the request on.
func refuses(status int, code string) bool {
	switch status {
	case 429:
		return true
	case 400, 401, 403, 404, 405, 413, 414, 494:
		return refusal().MatchString(code)
	}
	return false
}

// causeOf reads the status first; known says that the body is a failure in one of the services' shapes.
func causeOf(status int, code string, known bool) (upstream.Kind, error) {
	switch {
	case status == 429, status >= 400 && status < 500 && code == "APIGW.0308":
		return upstream.Throttled, ErrThrottled
	case status >= 300 && status < 400:
		return upstream.Malformed, ErrRedirect
	case status == 401:
		return upstream.Credential, ErrCredential
	case status == 403:
		return upstream.Permission, ErrDenied
	case status == 404 && known && !isGateway(code):
		return upstream.NotFound, ErrNotFound
	case status == 404, status == 405:
		return upstream.Setup, ErrNoAPI
	case status == 502, status == 503, status == 504:
		return upstream.Unavailable, ErrUnavailable
	case status >= 500:
		return upstream.Internal, ErrFailed
	case known && status >= 400:
		return upstream.Refused, ErrRefused
	case known:
		return upstream.Internal, ErrRefused
	}
	return upstream.Malformed, ErrMalformed
}

// rateLimit is how the gateway words its policy: "…policy user over ratelimit,limit:100,time:1 minute".
var rateLimit = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)limit:\s*(\d{1,9})\s*,\s*time:\s*(\d{1,4})\s*(second|minute|hour|day)`)
})

func rateHint(message string) upstream.Text {
	match := rateLimit().FindStringSubmatch(message)
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	count, _ := strconv.Atoi(match[2]) // digits that fit, as matched
	per := time.Duration(count) * units[match[3][0]|0x20]
	return upstream.Text{
		English: fmt.Sprintf("At most %s calls in %s are allowed; wait up to that long. Calls that are refused may count too.", match[1], per),
		Chinese: fmt.Sprintf("每 %[2]s 最多允许 %[1]s 次调用；请等待不超过该时长。被拒绝的调用也可能计入。", match[1], per),
	}
}

var hints = []upstream.Advice{
	{Cause: ErrProject, Hint: upstream.Text{
		English: "Set HUAWEICLOUD_SDK_PROJECT_ID to the project of the desktops (console: My Credentials, Projects).",
		Chinese: "请把 HUAWEICLOUD_SDK_PROJECT_ID 设为云桌面所在的项目（控制台：我的凭证 > 项目列表）。",
	}},
	{Cause: ErrCredential, Hint: upstream.Text{
		English: "Check HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, and this machine's clock. Temporary keys also need their HUAWEICLOUD_SDK_SECURITY_TOKEN, and expire.",
		Chinese: "请检查 HUAWEICLOUD_SDK_AK、HUAWEICLOUD_SDK_SK 和本机时钟。临时密钥还需要 HUAWEICLOUD_SDK_SECURITY_TOKEN，并且会过期。",
	}},
	{Cause: ErrDenied, Hint: upstream.Text{
		English: "The keys' user lacks a right in this project (IAM actions workspace:scripts:… and workspace:desktops:…), or the project id is of another account or region.",
		Chinese: "密钥所属用户在该项目中缺少权限（IAM 操作 workspace:scripts:… 和 workspace:desktops:…），或项目 ID 属于其他账号或区域。",
	}},
	{Cause: ErrNotFound, Hint: upstream.Text{
		English: "List the scripts, tasks or desktops and compare the id; ids are of one project and region.",
		Chinese: "请列出脚本、任务或桌面并核对 ID；ID 只属于一个项目和区域。",
	}},
	{Cause: ErrNoAPI, Hint: upstream.Text{
		English: "Check HUAWEICLOUD_SDK_REGION and HUAWEICLOUD_WORKSPACE_ENDPOINT: not every region offers Workspace.",
		Chinese: "请检查 HUAWEICLOUD_SDK_REGION 和 HUAWEICLOUD_WORKSPACE_ENDPOINT：并非每个区域都提供 Workspace。",
	}},
	{Cause: ErrThrottled, Hint: upstream.Text{
		English: "Wait a moment, and make fewer calls.", Chinese: "请稍候，并减少调用次数。",
	}},
	{Cause: ErrMalformed, Hint: upstream.Text{
		English: "Something other than Huawei Cloud may have answered: check the configured endpoint, and whether a proxy or a login page stands in between.",
		Chinese: "应答的可能不是华为云：请检查所配置的终端节点，以及中间是否有代理或登录页面。",
	}},
	{Cause: ErrRedirect, Hint: upstream.Text{
		English: "Check the configured endpoint; a proxy or a login page may stand in between.",
		Chinese: "请检查所配置的终端节点；中间可能有代理或登录页面。",
	}},
	{Cause: upstream.ErrTooLarge, Hint: upstream.Text{
		English: "Ask for fewer rows at a time (a smaller limit). An output of more than 4 MiB can only be seen in the console.",
		Chinese: "请减少每次查询的行数（更小的 limit）。超过 4 MiB 的输出只能在控制台查看。",
	}},
}
