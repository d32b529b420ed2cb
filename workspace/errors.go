package workspace

import (
	"errors"
	"fmt"
	"strings"
	"time"

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

// Causes that a caller can tell apart with errors.Is. An argument that breaks a rule is an *ArgumentError.
var (
	ErrCredential   = errors.New("the keys or the signature were refused")
	ErrDenied       = errors.New("not allowed")
	ErrNotFound     = errors.New("not found")
	ErrNoAPI        = errors.New("the address has no such API")
	ErrRefused      = errors.New("the service refused")
	ErrThrottled    = errors.New("too many calls")
	ErrFailed       = errors.New("the service failed")
	ErrUnavailable  = errors.New("the service is not available")
	ErrMalformed    = errors.New("the answer is not what Huawei Cloud documents")
	ErrRedirect     = errors.New("the answer is a redirect; it was not followed, so that the signature stays where it belongs")
	ErrRepeatedRows = errors.New("the service repeated rows that it had already sent")
	ErrProject      = errors.New("the project cannot be told")
)

// RateLimit is a throttling policy as the gateway words it. The zero value means that it named none.
type RateLimit struct {
	Calls int
	Per   time.Duration
}

// Error is a call that did not succeed. It never holds a credential.
type Error struct {
	Op       string // what was tried: "execute the scripts"
	Endpoint string // method, host and path, without query; "" when none was reached

	Delivery   Delivery
	Status     int    // HTTP status, 0 without an answer
	Code       string // of the service ("WKS.…") or the gateway ("APIGW.…"), "" without one
	Message    string // the service's own words, cleaned for display
	RequestID  string // what Huawei's support asks for, "" without one
	Retryable  bool   // the same call may work later, and cannot happen twice by it
	RetryAfter time.Duration
	Limit      RateLimit // of a throttled call

	// Uncertain says that what was tried may have happened all the same: a write whose answer was lost, came from a
	// gateway, or reports an internal failure. Reads are never uncertain.
	Uncertain bool
	// Settle selects the tasks that show whether an uncertain Execute has happened; nil otherwise. Since lies a little
	// before the call: compare the desktops and the start time of what is found.
	Settle *TaskFilter

	Err error // the cause; one of the Err… values where it is known

	settle string
	skew   time.Duration
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Error tells what was tried, what came back, and what it means.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	switch e.Delivery {
	case NotSent:
		fmt.Fprintf(&b, "the request was not sent: %v", e.Err)
	case Unknown:
		fmt.Fprintf(&b, "the request was sent but no answer came: %v", e.Err)
	case Answered:
		fmt.Fprintf(&b, "%v", e.Err)
		if e.Code != "" || e.Message != "" {
			b.WriteString("; Huawei Cloud answered")
			if e.Code != "" {
				fmt.Fprintf(&b, " %s", e.Code)
			}
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
	if e.RequestID != "" {
		fmt.Fprintf(&b, ", request id %s", e.RequestID)
	}
	if e.Endpoint != "" {
		fmt.Fprintf(&b, " [%s]", e.Endpoint)
	}
	return b.String()
}

// Hint returns the next step for the person who runs this, or "".
func (e *Error) Hint() string {
	if !e.Uncertain {
		return e.remedy()
	}
	// No remedy here: most say to try again.
	return strings.TrimSpace("Whether it has happened is unknown; look before you repeat it. " + e.settle)
}

// clockTolerance is well below the 15 minutes beyond which signatures are refused.
const clockTolerance = 5 * time.Minute

func (e *Error) remedy() string {
	if errors.Is(e.Err, ErrCredential) && e.skew.Abs() > clockTolerance {
		return fmt.Sprintf("This machine's clock is off by %s; signatures that are 15 minutes off are refused. Set the clock.",
			e.skew.Abs().Round(time.Second))
	}
	if e.RetryAfter > 0 {
		return fmt.Sprintf("The service asks to wait %s before the next call.", e.RetryAfter.Round(time.Second))
	}
	if e.Limit != (RateLimit{}) {
		return fmt.Sprintf("At most %d calls in %s are allowed; wait up to that long. Calls that are refused may count too.",
			e.Limit.Calls, e.Limit.Per)
	}
	if g, ok := glossOf(e.Code, e.Status); ok && g.hint != "" {
		return g.hint
	}
	for _, h := range causeHints {
		if errors.Is(e.Err, h.cause) {
			return h.hint
		}
	}
	if e.Delivery != Answered && !errors.As(e.Err, new(*ArgumentError)) {
		return "Check the network, a firewall, and HTTPS_PROXY if there is one; then try again."
	}
	if e.Retryable {
		return "This may pass; try again in a moment."
	}
	return ""
}

var causeHints = []struct {
	cause error
	hint  string
}{
	{ErrProject, "Set HUAWEICLOUD_SDK_PROJECT_ID to the project of the desktops (console: My Credentials, Projects)."},
	{ErrCredential, "Check HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, and this machine's clock. Temporary keys also need their HUAWEICLOUD_SDK_SECURITY_TOKEN, and expire."},
	{ErrDenied, "The keys' user lacks a right in this project (IAM actions workspace:scripts:… and workspace:desktops:…), or the project id is of another account or region."},
	{ErrNotFound, "List the scripts, tasks or desktops and compare the id; ids are of one project and region."},
	{ErrNoAPI, "Check HUAWEICLOUD_SDK_REGION and HUAWEICLOUD_WORKSPACE_ENDPOINT: not every region offers Workspace."},
	{ErrThrottled, "Wait a moment, and make fewer calls."},
	{ErrMalformed, "Something else than Huawei Cloud may have answered: check the configured endpoint, and whether a proxy or a login page stands in between."},
	{ErrRedirect, "Check the configured endpoint; a proxy or a login page may stand in between."},
	{upstream.ErrInsecureURL, "Use an https address."},
	{upstream.ErrTooLarge, "Ask for fewer rows at a time (a smaller limit). An output of more than 4 MiB can only be seen in the console."},
	{upstream.ErrTimeout, "Check the network, then try again."},
}
