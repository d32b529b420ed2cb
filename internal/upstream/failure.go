package upstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Delivery tells how far a request got.
type Delivery int

// The three things that can be known about a request.
const (
	NotSent  Delivery = iota // not a byte of it left this machine
	Unknown                  // it may have left, and no answer came
	Answered                 // an HTTP answer came
)

// String returns "not sent", "unknown" or "answered".
func (d Delivery) String() string {
	switch d {
	case NotSent:
		return "not sent" // not said to people
	case Unknown:
		return "unknown"
	case Answered:
		return "answered"
	}
	return strconv.Itoa(int(d))
}

// Kind says what a Failure is about, so that callers need not know any service's codes.
type Kind string

// The kinds.
const (
	Argument    Kind = "argument"    // the call breaks a rule; nothing was sent
	Setup       Kind = "setup"       // the configuration cannot work, or leaves open what to use
	Credential  Kind = "credential"  // keys or token were refused, or the account is suspended or frozen
	Permission  Kind = "permission"  // the credential works and does not allow this
	NotFound    Kind = "not_found"   // what the call names does not exist
	Throttled   Kind = "throttled"   // too many calls
	Refused     Kind = "refused"     // the service documents this refusal
	Unavailable Kind = "unavailable" // no answer came, or a gateway answered in place of the service
	Internal    Kind = "internal"    // the service failed, or answered with a code that it does not document
	Malformed   Kind = "malformed"   // what answered does not behave as the service does
	Cancelled   Kind = "cancelled"   // the caller gave up
)

// Kinds returns every kind.
func Kinds() []Kind {
	return []Kind{
		Argument, Setup, Credential, Permission, NotFound, Throttled, Refused, Unavailable, Internal, Malformed, Cancelled,
	}
}

// Text is a sentence in both languages of this server's users.
type Text struct{ English, Chinese string }

// In returns it in a language, or what there is.
func (t Text) In(l lang.Lang) string {
	if t.English == "" || l == lang.Chinese && t.Chinese != "" {
		return t.Chinese
	}
	return t.English
}

// String returns the English, or what there is.
func (t Text) String() string { return t.In(lang.English) }

// both returns both, the Chinese first, or what there is.
func (t Text) both() string {
	if t.English == "" || t.Chinese == "" {
		return t.English + t.Chinese
	}
	return t.Chinese + " / " + t.English
}

// Failure is a call to a cloud service that did not succeed, in terms that hold for every service: whoever handles it needs
// no other error type of a client. It never holds a credential. Find it with errors.As.
type Failure struct {
	Kind Kind

	Service  string // as messages name it: "SCNet"
	Op       string // what was tried: "list instances"; "" before a call
	Place    string // the region, "" for calls that concern none
	Endpoint string // method, host and path, without query

	Delivery   Delivery
	Status     int    // HTTP status, 0 without an answer
	Code       string // the service's code, "" without one
	Message    string // the service's own words, cleaned for display
	Meaning    Text   // what the service documents Code to mean
	RequestID  string // what the service's support asks for, "" without one
	Retryable  bool   // the same call may work later, and cannot happen twice by it
	RetryAfter time.Duration

	// Uncertain says that what was tried may have happened all the same: a write whose answer was lost, came from a
	// gateway, or is not a refusal that the service documents. Reads are never uncertain.
	Uncertain bool

	// Hint is the next step for the person who runs this; may be empty. Texts for models show the English alone, which would
	// double otherwise; the Chinese is for what people read in that language.
	Hint Text
	Err  error // the cause
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Persists reports whether every other call would fail in the same way until a person acts.
func (f *Failure) Persists() bool { return f.Kind == Credential || f.Kind == Setup }

// Error says what was tried where, what came back, and what it means.
func (f *Failure) Error() string { return f.In(lang.English) }

// In says it in a language.
func (f *Failure) In(l lang.Lang) string {
	if f.Op == "" {
		return l.Say(f.Err)
	}
	var b strings.Builder
	b.WriteString(l.Word(f.Op))
	if f.Place != "" {
		l.Fprintf(&b, " in %s", f.Place)
	}
	l.Fprintf(&b, ": ")
	switch f.Delivery {
	case NotSent:
		l.Fprintf(&b, "the request was not sent: %v", f.Err)
	case Unknown:
		l.Fprintf(&b, "the request was sent but no answer came: %v", f.Err)
	case Answered:
		b.WriteString(l.Say(f.Err))
		f.writeAnswer(l, &b)
	}
	if f.RequestID != "" {
		l.Fprintf(&b, ", request id %s", f.RequestID)
	}
	if f.Endpoint != "" {
		fmt.Fprintf(&b, " [%s]", f.Endpoint)
	}
	return b.String()
}

func (f *Failure) writeAnswer(l lang.Lang, b *strings.Builder) {
	if f.Code != "" || f.Message != "" {
		l.Fprintf(b, "; %s answered", f.Service)
		if f.Code != "" {
			l.Fprintf(b, " code %s", f.Code)
		}
		if f.Message != "" {
			l.Fprintf(b, " %q", f.Message)
		}
		meaning := f.Meaning
		if strings.Contains(f.Message, meaning.Chinese) {
			meaning.Chinese = ""
		}
		if words := f.meaning(l, meaning); words != "" {
			l.Fprintf(b, " (%s)", words)
		}
	}
	if f.Status != 200 && f.Status != 0 {
		l.Fprintf(b, ", HTTP %d", f.Status)
	}
}

// meaning says a meaning in a language: in English with the service's own words before it.
func (f *Failure) meaning(l lang.Lang, t Text) string {
	switch {
	case l == lang.English:
		return t.both()
	case f.Meaning.Chinese != "": // and left out where the message is just that
		return t.Chinese
	}
	return t.English
}

// Brief returns the failure for a row of a table: code and meaning, or the cause.
func (f *Failure) Brief() lang.Text {
	if f.Meaning == (Text{}) {
		if f.Code == "" {
			return lang.ErrorText(f.Err)
		}
		return lang.T("code %s %v", f.Code, f.Err)
	}
	if f.Code == "" {
		return lang.T("%s", brief{f})
	}
	return lang.T("code %s %s", f.Code, brief{f})
}

// brief is what a failure means.
type brief struct{ of *Failure }

func (b brief) In(l lang.Lang) string { return b.of.meaning(l, b.of.Meaning) }

func (b brief) String() string { return b.In(lang.English) }

// Advice is a Hint for one cause.
type Advice struct {
	Cause error
	Hint  Text
}

// Advise sets Hint, unless it is set. settle names the read that shows whether an uncertain write has happened; the first
// entry of causes that fits goes before the advice that holds for every service.
func (f *Failure) Advise(settle Text, causes []Advice) {
	switch {
	case f.Hint != Text{}:
	case f.Uncertain: // no advice by the cause: most of it says to try again
		f.Hint = Text{
			strings.TrimSpace("Whether it has happened is unknown; look before you repeat it. " + settle.English),
			"是否已执行尚不清楚；重试之前请先查看。" + settle.Chinese,
		}
	case f.RetryAfter > 0:
		wait := f.RetryAfter.Round(time.Second)
		f.Hint = Text{fmt.Sprintf("The service asks to wait %s before the next call.", wait), fmt.Sprintf("服务要求等待 %s 后再调用。", wait)}
	default:
		f.Hint = f.adviceFor(causes)
	}
}

func (f *Failure) adviceFor(causes []Advice) Text {
	for _, list := range [][]Advice{causes, generalAdvice} {
		for _, advice := range list {
			if errors.Is(f.Err, advice.Cause) {
				return advice.Hint
			}
		}
	}
	switch {
	case f.Kind == Argument || f.Kind == Cancelled:
		return Text{}
	case f.Delivery != Answered:
		return Text{
			"Check the network, a firewall, and HTTPS_PROXY if there is one; then try again.",
			"请检查网络、防火墙和 HTTPS_PROXY（如有），然后重试。",
		}
	case f.Retryable:
		return Text{"This may pass; try again in a moment.", "这可能是暂时的；请稍后重试。"}
	}
	return Text{}
}

var generalAdvice = []Advice{
	{context.Canceled, Text{}},
	{ErrInsecureURL, Text{"Use an https address.", "请使用 https 地址。"}},
	{ErrTooLarge, Text{"Ask for fewer rows at a time (a smaller limit).", "请减少每次查询的行数（更小的 limit）。"}},
	{ErrTimeout, Text{"Check the network, then try again.", "请检查网络，然后重试。"}},
	{ErrHost, Text{"Check the spelling of the configured address, and this machine's DNS.", "请检查所配置地址的拼写和本机的 DNS。"}},
	{ErrTLS, Text{
		"Check the configured address and its port; a proxy that opens TLS connections needs its certificate installed on this machine.",
		"请检查所配置的地址和端口；如果代理会解密 TLS 连接，需要在本机安装它的证书。",
	}},
	{ErrClosedPort, Text{"Check the port of the configured address, and whether the service runs.", "请检查所配置地址的端口，以及服务是否在运行。"}},
}
