package scnet

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/sanitize"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Delivery tells how far a request got. It is known through net/http/httptrace: with a Transport that does not call its
// hooks, a request that failed passes for NotSent, and a write may be repeated.
type Delivery = upstream.Delivery

// What can be known about a request: that no byte of it left, that it may have left and no answer came, that the service
// answered.
const (
	NotSent  = upstream.NotSent
	Unknown  = upstream.Unknown
	Answered = upstream.Answered
)

// Causes that a caller can tell apart with errors.Is.
var (
	ErrSignature     = errors.New("the signature was refused")
	ErrUnknownUser   = errors.New("the user name is unknown")
	ErrUnknownKey    = errors.New("the access key is unknown")
	ErrForeignKey    = errors.New("the access key belongs to another user")
	ErrLogin         = errors.New("the login was refused")
	ErrTokenExpired  = errors.New("the token has expired")
	ErrTokenRefused  = errors.New("the token was refused")
	ErrSuspended     = errors.New("the account is suspended in this region")
	ErrFrozen        = errors.New("the user is frozen")
	ErrNoContainers  = errors.New("the region has no container service")
	ErrNoAddress     = errors.New("the region has no enabled address for its container service")
	ErrNotFound      = errors.New("no such instance")
	ErrMalformed     = errors.New("the answer is not what SCNet documents")
	ErrRedirect      = errors.New("the answer is a redirect; it was not followed, so that the token stays where it belongs")
	ErrRepeatedRows  = errors.New("the service repeated rows that it had already sent")
	ErrInvalidScript = errors.New("the script cannot be sent")
	ErrInvalidID     = errors.New("not an instance id")
)

// Error is a call that did not succeed. It never holds a credential.
type Error struct {
	Op       string // what was tried: "list instances"
	Region   string // where, "" for calls that concern no region
	Endpoint string // method, host and path, without query

	Delivery   Delivery
	Status     int    // HTTP status, 0 without an answer
	Code       string // the service's code, "" without one
	Message    string // the service's own words, cleaned for display, mostly Chinese
	Retryable  bool   // the same call may work later
	RetryAfter time.Duration

	// Uncertain says that what was tried may have happened all the same: a write whose answer was lost, came from a
	// gateway, or reports an internal failure. Reads are never uncertain.
	Uncertain bool

	Err error // the cause; one of the Err… values where it is known

	login bool // from the token endpoint, where code 10009 has a meaning of its own
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Error tells what was tried where, what came back, and what it means.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Region != "" {
		fmt.Fprintf(&b, " in %s", e.Region)
	}
	b.WriteString(": ")
	switch e.Delivery {
	case NotSent:
		fmt.Fprintf(&b, "the request was not sent: %v", e.Err)
	case Unknown:
		fmt.Fprintf(&b, "the request was sent but no answer came: %v", e.Err)
	case Answered:
		fmt.Fprintf(&b, "%v", e.Err)
		if e.Code != "" {
			fmt.Fprintf(&b, "; SCNet answered code %s", e.Code)
			if e.Message != "" {
				fmt.Fprintf(&b, " %q", e.Message)
			}
			if gloss := e.Gloss(); gloss != "" {
				fmt.Fprintf(&b, " (%s)", gloss)
			}
		}
		if e.Status != 200 && e.Status != 0 {
			fmt.Fprintf(&b, ", HTTP %d", e.Status)
		}
	}
	if e.Endpoint != "" {
		fmt.Fprintf(&b, " [%s]", e.Endpoint)
	}
	return b.String()
}

// Gloss returns the documented meaning of Code in Chinese and English, or "".
func (e *Error) Gloss() string {
	if e.Code == "10009" && e.login {
		return "校验失败 / verification failed"
	}
	if g, ok := codeGlosses[e.Code]; ok {
		return g.chinese + " / " + g.english
	}
	return ""
}

// Hint returns the next step for the person who runs this, or "".
func (e *Error) Hint() string {
	for _, h := range causeHints {
		if errors.Is(e.Err, h.cause) {
			return h.hint
		}
	}
	if e.RetryAfter > 0 {
		return fmt.Sprintf("The service asks to wait %s before the next call.", e.RetryAfter.Round(time.Second))
	}
	if g, ok := codeGlosses[e.Code]; ok && g.hint != "" {
		return g.hint
	}
	if e.Delivery != Answered {
		return "Check the network, a firewall, and HTTPS_PROXY if there is one; then try again."
	}
	if e.Retryable {
		return "This may pass; try again in a moment."
	}
	return ""
}

type gloss struct{ chinese, english, hint string }

// codeGlosses holds the codes of the container and token pages, and some of neighbouring services that were seen here.
var codeGlosses = map[string]gloss{
	"10001":  {"内部异常(其他异常)", "internal error", "Try again later; if it stays, ask SCNet support with the time of the call."},
	"10003":  {"参数不全", "a parameter is missing", ""},
	"10004":  {"参数无效", "a parameter is invalid", "Check ids and values; an id of another region is invalid here."},
	"10007":  {"用户已被冻结", "the user is frozen", "Ask SCNet support why the user is frozen; nothing works until it is lifted."},
	"10008":  {"权限不足", "insufficient permission; in practice the token is expired or invalid", "Check that the token belongs to this region and account."},
	"10009":  {"没有权限访问接口", "no permission for this interface", "The account lacks the right to use this interface; ask its owner or SCNet support."},
	"10010":  {"文件校验失败", "file checksum failed", ""},
	"10011":  {"文件过大", "file too large", "Send less."},
	"10012":  {"连接中断", "connection interrupted", "Look at the instance before trying again."},
	"716020": {"查询数据库错误", "database query error", "Often an id that does not exist; list the instances and compare."},
	"716864": {"执行脚本错误", "the script could not be started", "Check that the instance is Running, then try again."},
	"716865": {"创建任务错误", "the task could not be created", ""},
	"716866": {"删除任务失败", "the task could not be deleted", "Look at the instance's status; stop it first if it is running."},
	"716868": {"启动任务错误", "the task could not be started", "Look at the instance's status and the free cards of its resource group."},
	"716870": {"实例数量错误", "wrong number of containers", "Usually no container of the instance is running; check its status."},
	"816822": {"任务不存在", "the task does not exist", "List the instances and compare the id."},
	"1001":   {"未知异常", "unknown error, or the token is invalid", ""},
	"1004":   {"参数不能为空", "a parameter must not be empty", ""},
}

var causeHints = []struct {
	cause error
	hint  string
}{
	{ErrSignature, "The secret key does not fit the access key, or this machine's clock is wrong. Copy both keys again from the console (personal centre, access control) and compare the clock."},
	{ErrUnknownUser, "SCNET_USER must be the platform login name. After a login was renamed, the keys stay valid but the name here must change."},
	{ErrForeignKey, "SCNET_USER and SCNET_ACCESS_KEY are of different accounts; use both from the same one."},
	{ErrUnknownKey, "The access key does not exist any more; make a new pair in the console (personal centre, access control)."},
	{ErrLogin, "Check SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY against the console (personal centre, access control), and this machine's clock."},
	{ErrTokenExpired, "Get a new token for SCNET_TOKEN, or use SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY, which renew it by themselves."},
	{ErrTokenRefused, "The token is expired, or of another region or account. Get a new one for exactly this region."},
	{ErrSuspended, "The account is suspended in this region, usually for want of money: top up in the SCNet console, then try again."},
	{ErrFrozen, "Ask SCNet support why the user is frozen; nothing works until it is lifted."},
	{ErrNoContainers, "Use another region; not every region offers containers."},
	{ErrNoAddress, "SCNet lists no usable address for containers here; use another region or ask SCNet support."},
	{ErrNotFound, "List the instances and compare the id; it may have been deleted, or belong to another region."},
	{ErrMalformed, "Something else than SCNet may have answered: check the configured addresses, and whether a proxy or a login page stands in between."},
	{ErrRedirect, "Check the configured addresses; a proxy or a login page may stand in between."},
	{upstream.ErrInsecureURL, "Use an https address."},
	{upstream.ErrTooLarge, "Ask for fewer rows at a time (a smaller limit)."},
	{upstream.ErrTimeout, "Check the network, then try again."},
}

// RegionError says that no region can be picked. It lists those that can.
type RegionError struct {
	Wanted  string // "" when none was named
	Usable  []*Region
	Reason  string
	Problem error // ErrSuspended when the wanted region is suspended; nil otherwise
}

// Unwrap returns the problem of the wanted region.
func (e *RegionError) Unwrap() error { return e.Problem }

// Error names the usable regions by name and id.
func (e *RegionError) Error() string {
	if len(e.Usable) == 0 {
		return e.Reason + ". The account has no usable region; a region appears once it has been used in the SCNet console"
	}
	names := make([]string, len(e.Usable))
	for i, r := range e.Usable {
		names[i] = r.String()
	}
	return e.Reason + ". Usable regions: " + strings.Join(names, ", ")
}

// answerError turns an answer without success into an *Error.
func answerError(call call, resp *upstream.Response) *Error {
	e := &Error{Delivery: Answered, Status: resp.Status, RetryAfter: resp.RetryAfter, login: call.login}
	env, isEnvelope := parseEnvelope(resp.Body)
	if isEnvelope {
		e.Code = sanitize.Line(call.redact(string(*env.Code)), 20)
		e.Message = sanitize.Line(call.redact(string(env.Msg)), 200)
	}
	internal := e.Code == "10001" || e.Code == "10012" || e.Code == "716020"
	switch {
	case !call.login && (e.Code == "10008" || resp.Status == 401):
		e.Err = ErrTokenRefused
	case resp.Status == 429:
		e.Retryable = true
		e.Err = errors.New("too many calls")
	case resp.Status == 502 || resp.Status == 503 || resp.Status == 504:
		e.Retryable = !call.write
		e.Err = errors.New("the service is not available")
	case resp.Status >= 300 && resp.Status < 400:
		e.Err = ErrRedirect
	case call.login && isEnvelope && !internal:
		e.Err = loginCause(e.Code, e.Message)
	case e.Code == "10007":
		e.Err = ErrFrozen
	case e.Code == "816822":
		e.Err = ErrNotFound
	case isEnvelope:
		e.Retryable = !call.write && internal
		e.Err = errors.New("the service refused")
	case resp.Status == 404 && call.container:
		e.Err = ErrNoContainers // a region without the service answers 404 to every one of its paths
	default:
		e.Err = ErrMalformed
	}
	if call.write {
		refused := isEnvelope || (resp.Status >= 400 && resp.Status < 500)
		e.Uncertain = !refused || resp.Status >= 500 || e.Code == "10001" || e.Code == "10012"
	}
	return e
}

// redact masks the credentials that the call carried, should the service repeat one of them.
func (call call) redact(text string) string {
	for _, name := range []string{"Token", "Accesskey", "Signature"} {
		if value := call.header.Get(name); value != "" {
			text = strings.ReplaceAll(text, value, "[secret]")
		}
	}
	return text
}

// loginCause reads the token endpoint's messages: 10009 stands there for every failed verification.
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
