// Package trace carries a caller's W3C trace context through a call, so that log lines, audit records and requests to the
// service can be joined with the caller's own trace. It starts no spans.
package trace

import (
	"context"
	"regexp"
	"strings"
	"sync"
)

// Header is the name of the trace context in HTTP, and of the member in MCP's _meta.
const Header = "traceparent"

// Parent is a valid traceparent of version 00, or "".
type Parent string

// version00 is the only layout that W3C has published; later versions may add members at the end.
var version00 = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}`)
})

const (
	length      = 55
	noTrace     = "00000000000000000000000000000000"
	noSpan      = "0000000000000000"
	traceStart  = 3
	spanStart   = 36
	flagsStart  = 53
	lastVersion = "ff" // reserved as invalid
)

// Parse reads a traceparent. ok is false for what W3C Trace Context does not allow; such a value must be ignored. Of a later
// version only the members that version 00 has are kept.
func Parse(text string) (parent Parent, ok bool) {
	switch {
	case !version00().MatchString(text),
		strings.HasPrefix(text, lastVersion),
		strings.HasPrefix(text, "00") && len(text) != length,
		len(text) > length && text[length] != '-',
		text[traceStart:spanStart-1] == noTrace,
		text[spanStart:flagsStart-1] == noSpan:
		return "", false
	}
	return Parent("00" + text[2:length]), true
}

// ID returns the trace's id, 32 hexadecimal digits, or "".
func (p Parent) ID() string {
	if p == "" {
		return ""
	}
	return string(p[traceStart : spanStart-1])
}

type key struct{}

// With returns a context whose calls belong to parent.
func With(ctx context.Context, parent Parent) context.Context {
	return context.WithValue(ctx, key{}, parent)
}

// From returns the trace that ctx belongs to, or "".
func From(ctx context.Context) Parent {
	parent, _ := ctx.Value(key{}).(Parent)
	return parent
}
