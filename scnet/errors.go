package scnet

import (
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Error is a call that did not succeed.
type Error = upstream.Failure

// Causes that a caller can tell apart with errors.Is.
var (
	ErrSignature     = lang.Errorf("the signature was refused")
	ErrUnknownUser   = lang.Errorf("the user name is unknown")
	ErrUnknownKey    = lang.Errorf("the access key is unknown")
	ErrForeignKey    = lang.Errorf("the access key belongs to another user")
	ErrLogin         = lang.Errorf("the login was refused")
	ErrNoLogin       = lang.Errorf("the address has no login service")
	ErrTokenExpired  = lang.Errorf("the token has expired")
	ErrTokenRefused  = lang.Errorf("the token was refused")
	ErrSuspended     = lang.Errorf("the account is suspended in this region")
	ErrFrozen        = lang.Errorf("the user is frozen")
	ErrNoContainers  = lang.Errorf("the region has no container service")
	ErrWrongAddress  = lang.Errorf("the configured region address has no container service")
	ErrNoAddress     = lang.Errorf("the region has no enabled address for its container service")
	ErrNotFound      = lang.Errorf("no such instance")
	ErrMalformed     = lang.Errorf("the answer is not what SCNet documents")
	ErrRedirect      = lang.Errorf("the answer is a redirect; it was not followed, so that the token stays where it belongs")
	ErrInvalidScript = lang.Errorf("the script cannot be sent")
	ErrInvalidID     = lang.Errorf("not an instance id")

	ErrNoFiles    = lang.Errorf("the region has no file service")
	ErrNoFile     = lang.Errorf("no such file or directory")
	ErrFileExists = lang.Errorf("it exists already")
	ErrNotFolder  = lang.Errorf("it is not a directory")
	ErrNoAccess   = lang.Errorf("the file service may not access it")
	ErrNoSpace    = lang.Errorf("the storage space is exhausted")

	// ErrConfig marks a Config that cannot work: half a credential, two kinds at once, an address that is not https.
	ErrConfig error = &Error{
		Kind: upstream.Setup, Err: lang.Errorf("scnet is not configured"),
		Hint: upstream.Text{
			English: "The user has to set SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY (or SCNET_TOKEN and SCNET_AI_URL) for " +
				"this server and start it again; `scnet-mcp doctor` checks them.",
			Chinese: "请为本服务器设置 SCNET_USER、SCNET_ACCESS_KEY 和 SCNET_SECRET_KEY（或 SCNET_TOKEN 和 SCNET_AI_URL）并重新启动；" +
				"`scnet-mcp doctor` 可检查这些设置。",
		},
	}
	// ErrNoCredential accompanies ErrConfig when no credential is set at all: the user may not want SCNet.
	ErrNoCredential = lang.Errorf("no credential")
)

// A list that does not page as documented; see upstream.Walk.
var (
	ErrRepeatedRows = upstream.ErrRepeatedRows
	ErrIgnoresStart = upstream.ErrIgnoresStart
)

// RegionError says that no region can be picked, and why. It unwraps to a *Error.
type RegionError struct {
	Wanted string    // "" when none was named
	Usable []*Region // those that can be picked

	failure *Error
}

// Unwrap returns the failure.
func (e *RegionError) Unwrap() error { return e.failure }

// Error says why, and names the usable regions by name and id.
func (e *RegionError) Error() string { return e.failure.Error() }

// In says it in a language.
func (e *RegionError) In(l lang.Lang) string { return e.failure.In(l) }

func regionError(wanted string, usable []*Region, reason error) *RegionError {
	f := &Error{Kind: upstream.Setup, Service: service}
	if errors.Is(reason, ErrSuspended) {
		f.Kind = upstream.Credential
	}
	if len(usable) == 0 {
		f.Err = lang.Errorf("%w. The account has no usable region; a region appears once it has been used in the SCNet console", reason)
		f.Hint = hintOf(ErrSuspended)
		if f.Kind == upstream.Setup {
			f.Hint = upstream.Text{
				English: "Use a region in the SCNet console once, for instance by creating an instance there.",
				Chinese: "请先在 SCNet 控制台使用一次某个区域，例如在其中创建一个实例。",
			}
		}
		return &RegionError{wanted, usable, f}
	}
	f.Err = lang.Errorf("%w. Usable regions: %s", reason, joinRegions(usable))
	ids := make([]string, len(usable))
	for i, r := range usable {
		ids[i] = "region=" + r.ID
	}
	f.Hint = upstream.Text{
		English: "Name one of them by its id, " + strings.Join(ids, " or ") + ", or ask the user to set SCNET_CLUSTER_ID.",
		Chinese: "请用区域 ID 指明其中一个：" + strings.Join(ids, " 或 ") + "；或请用户设置 SCNET_CLUSTER_ID。",
	}
	return &RegionError{wanted, usable, f}
}

const service = "SCNet"

var hints = []upstream.Advice{
	{Cause: ErrSignature, Hint: upstream.Text{
		English: "The secret key does not fit the access key, or this machine's clock is wrong. Copy both keys again from the console (personal centre, access control) and compare the clock.",
		Chinese: "SK 与 AK 不匹配，或本机时钟不准。请从控制台（个人中心 > 访问控制）重新复制两个密钥，并核对时钟。",
	}},
	{Cause: ErrUnknownUser, Hint: upstream.Text{
		English: "SCNET_USER must be the platform login name. After a login was renamed, the keys stay valid but the name here must change.",
		Chinese: "SCNET_USER 必须是平台登录用户名。改名后密钥仍然有效，但这里的用户名必须同步修改。",
	}},
	{Cause: ErrForeignKey, Hint: upstream.Text{
		English: "SCNET_USER and SCNET_ACCESS_KEY are of different accounts; use both from the same one.",
		Chinese: "SCNET_USER 和 SCNET_ACCESS_KEY 属于不同账号；请使用同一账号的用户名和密钥。",
	}},
	{Cause: ErrUnknownKey, Hint: upstream.Text{
		English: "The access key does not exist any more; make a new pair in the console (personal centre, access control).",
		Chinese: "该 AK 已不存在；请在控制台（个人中心 > 访问控制）新建一对密钥。",
	}},
	{Cause: ErrLogin, Hint: upstream.Text{
		English: "Check SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY against the console (personal centre, access control), and this machine's clock.",
		Chinese: "请对照控制台（个人中心 > 访问控制）检查 SCNET_USER、SCNET_ACCESS_KEY 和 SCNET_SECRET_KEY，并核对本机时钟。",
	}},
	{Cause: ErrNoLogin, Hint: upstream.Text{
		English: "Check SCNET_LOGIN_URL: it is scheme and host without a path, by default " + DefaultLoginURL + ". A proxy or a login page may also stand in between.",
		Chinese: "请检查 SCNET_LOGIN_URL：只含协议和主机，不含路径，默认为 " + DefaultLoginURL + "。中间也可能有代理或登录页面。",
	}},
	{Cause: ErrTokenExpired, Hint: upstream.Text{
		English: "Get a new token for SCNET_TOKEN, or use SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY, which renew it by themselves.",
		Chinese: "请为 SCNET_TOKEN 获取新令牌，或改用 SCNET_USER、SCNET_ACCESS_KEY 和 SCNET_SECRET_KEY，它们会自动续期。",
	}},
	{Cause: ErrTokenRefused, Hint: upstream.Text{
		English: "The token is expired, or of another region or account. Get a new one for exactly this region.",
		Chinese: "令牌已过期，或属于其他区域或账号。请获取本区域的新令牌。",
	}},
	{Cause: ErrSuspended, Hint: upstream.Text{
		English: "The account is suspended in this region, usually because its balance is used up: top up in the SCNet console, then try again.",
		Chinese: "账号在该区域已停用，通常是因为欠费：请在 SCNet 控制台充值后重试。",
	}},
	{Cause: ErrFrozen, Hint: upstream.Text{
		English: "Ask SCNet support why the user is frozen; nothing works until it is lifted.",
		Chinese: "请向 SCNet 客服询问用户被冻结的原因；解冻之前一切操作都不可用。",
	}},
	{Cause: ErrNoContainers, Hint: upstream.Text{
		English: "Use another region; not every region offers containers.",
		Chinese: "请换一个区域；并非每个区域都提供容器服务。",
	}},
	{Cause: ErrWrongAddress, Hint: upstream.Text{
		English: "Check SCNET_AI_URL: it is https://host:port, with or without /ai at its end and without any further path; and not every region offers containers.",
		Chinese: "请检查 SCNET_AI_URL：格式为 https://主机:端口，末尾可带 /ai，不含其他路径；另外并非每个区域都提供容器服务。",
	}},
	{Cause: ErrNoAddress, Hint: upstream.Text{
		English: "SCNet lists no usable address for containers here; use another region or ask SCNet support.",
		Chinese: "SCNet 未给出该区域可用的容器服务地址；请换一个区域或咨询 SCNet 客服。",
	}},
	{Cause: ErrNotFound, Hint: upstream.Text{
		English: "List the instances and compare the id; it may have been deleted, or belong to another region.",
		Chinese: "请列出实例并核对 ID；它可能已被删除，或属于其他区域。",
	}},
	{Cause: ErrNoSpace, Hint: upstream.Text{
		English: "Free space in the home directory, or ask SCNet for more.", Chinese: "请清理家目录空间，或向 SCNet 申请扩容。",
	}},
	{Cause: ErrMalformed, Hint: upstream.Text{
		English: "Something other than SCNet may have answered: check the configured addresses, and whether a proxy or a login page stands in between.",
		Chinese: "应答的可能不是 SCNet：请检查所配置的地址，以及中间是否有代理或登录页面。",
	}},
	{Cause: ErrRedirect, Hint: upstream.Text{
		English: "Check the configured addresses; a proxy or a login page may stand in between.",
		Chinese: "请检查所配置的地址；中间可能有代理或登录页面。",
	}},
}

func hintOf(cause error) upstream.Text {
	f := Error{Err: cause, Delivery: upstream.Answered}
	f.Advise(upstream.Text{}, hints)
	return f.Hint
}

// fail completes f with what is known of the call.
func (c call) fail(f Error) error {
	f.Service, f.Op = service, c.op
	if c.region != nil {
		f.Place = c.region.String()
	}
	if f.Endpoint == "" && c.sent {
		f.Endpoint = c.method + " " + upstream.Endpoint(c.url)
	}
	f.Advise(c.settle, hints)
	return &f
}

// invalid refuses an argument; nothing was sent.
func (c call) invalid(err error) error { return c.fail(Error{Kind: upstream.Argument, Err: err}) }

// useless reports an answer with HTTP 200 that cannot be used.
func (c call) useless(err error) error {
	kind := upstream.Malformed
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNoContainers), errors.Is(err, ErrNoAddress), errors.Is(err, ErrNoFiles),
		errors.Is(err, ErrNoAccessURL):
		kind = upstream.NotFound
	}
	return c.fail(Error{Kind: kind, Delivery: upstream.Answered, Status: 200, Err: err})
}

// answerError turns an answer without success into an error.
func (c call) answerError(resp *upstream.Response) error {
	env, isEnvelope := parseEnvelope(resp.Body, nil)
	f := Error{Delivery: upstream.Answered, Status: resp.Status, RetryAfter: resp.RetryAfter}
	var known code
	if isEnvelope {
		f.Code = clean.Line(c.redact(string(env.Code)), 20)
		f.Message = clean.Line(c.redact(string(env.Msg)), 200)
		known = codes[f.Code]
		if f.Meaning = known.meaning; !known.ofID || c.op != opList {
			f.Hint = known.hint
		}
	}
	if c.login && f.Code == "10009" { // this stands there for every failed verification
		f.Meaning, f.Hint = upstream.Text{English: "verification failed", Chinese: "校验失败"}, upstream.Text{}
	}
	documented := isEnvelope && known.refuses(c.op)
	refused := documented && resp.Status < 500 && resp.Status/100 != 3
	switch {
	case resp.Status >= 300 && resp.Status < 400:
		f.Kind, f.Err = upstream.Malformed, ErrRedirect
	case !c.login && (f.Code == "10008" || f.Code == "911406" || resp.Status == 401):
		f.Kind, f.Err = upstream.Credential, ErrTokenRefused
	case resp.Status == 429:
		f.Kind, f.Err, f.Retryable = upstream.Throttled, lang.Errorf("too many calls"), true
	case resp.Status == 502 || resp.Status == 503 || resp.Status == 504:
		f.Kind, f.Err, f.Retryable = upstream.Unavailable, lang.Errorf("the service is not available"), !c.write
	case c.login && isEnvelope && !known.internal:
		f.Kind, f.Err = upstream.Credential, loginCause(f.Code, f.Message)
	case c.login && !isEnvelope:
		f.Kind, f.Err = upstream.Setup, lang.Errorf("%w: %w", ErrNoLogin, ErrMalformed)
	case f.Code == "10007":
		f.Kind, f.Err = upstream.Credential, ErrFrozen
	case f.Code == "816822":
		f.Kind, f.Err = upstream.NotFound, ErrNotFound
	case f.Code == "10009":
		f.Kind, f.Err = upstream.Permission, lang.Errorf("the service refused")
	case known.cause != nil:
		f.Kind, f.Err = known.kind, known.cause
	case documented:
		f.Kind, f.Err = upstream.Refused, lang.Errorf("the service refused")
	case isEnvelope && known.internal:
		f.Kind, f.Err, f.Retryable = upstream.Internal, lang.Errorf("the service failed"), !c.write
	case isEnvelope && env.ok():
		f.Kind, f.Err = upstream.Malformed, lang.Errorf("%w: success with HTTP status %d", ErrMalformed, resp.Status)
	case isEnvelope:
		f.Kind, f.Err = upstream.Internal, lang.Errorf("the service answered with a code that it does not document here")
	case resp.Status == 404 && c.container && c.region.client.cfg.AIURL != "":
		f.Kind, f.Err = upstream.Setup, ErrWrongAddress
	case resp.Status == 404 && c.files:
		f.Kind, f.Err = upstream.NotFound, ErrNoFiles
	case resp.Status == 404 && c.container: // a region without the service answers 404 to every one of its paths
		f.Kind, f.Err = upstream.NotFound, ErrNoContainers
	default:
		f.Kind, f.Err = upstream.Malformed, ErrMalformed
	}
	f.Uncertain = c.write && !refused && (isEnvelope || !turnsAway(resp.Status))
	if f.Uncertain {
		f.Retryable, f.Hint = false, upstream.Text{}
	}
	return c.fail(f)
}

// turnsAway reports whether a bare status says that the request did not get as far as the operation: these four were seen
// from SCNet's gateways. Any other may come from a proxy that has passed the request on.
func turnsAway(status int) bool {
	return status == 401 || status == 404 || status == 405 || status == 429
}

// redact masks the credentials that the call carried, and the tokens of access addresses, should the service repeat one of
// them.
func (c call) redact(words string) string {
	for _, name := range []string{"Token", "Accesskey", "Signature"} {
		if value := c.header.Get(name); value != "" {
			words = strings.ReplaceAll(words, value, "[secret]")
		}
	}
	return queryToken().ReplaceAllString(words, "${1}[secret]")
}

// queryToken finds the token in the access address of an instance, which the service may quote.
var queryToken = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(\btoken=)[^\s&"'<>]+`)
})

// loginCause reads the token endpoint's messages.
func loginCause(code, message string) error {
	switch {
	case strings.Contains(message, "签名"), strings.Contains(message, "timestamp"):
		return ErrSignature
	case strings.Contains(message, "用户不存在"):
		return ErrUnknownUser
	case strings.Contains(message, "非本人"):
		return ErrForeignKey
	case strings.Contains(message, "不存在"):
		return ErrUnknownKey
	case code == "10007":
		return ErrFrozen
	}
	return ErrLogin
}
