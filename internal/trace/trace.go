// Package trace carries a caller's W3C trace context through a call, so that log lines, audit records and requests to the
// service can be joined with the caller's own trace. Spans are made only for a Recorder, which sends them on.
package trace

import (
	"context"
	"regexp"
	"strings"
	"sync"
)

// The names of the trace context in HTTP, and of the members in MCP's _meta.
const (
	Header      = "traceparent"
	StateHeader = "tracestate"
)

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

// isSampled reports whether the caller records its trace.
func (p Parent) isSampled() bool {
	const sampled = 1
	return p != "" && strings.IndexByte("0123456789abcdef", p[length-1])&sampled != 0
}

// span returns the id of the caller's span.
func (p Parent) span() string { return string(p[spanStart : flagsStart-1]) }

// Limits of a tracestate, as W3C Trace Context sets them.
const (
	maxState   = 512
	maxMembers = 32
)

// ParseState reads a tracestate, what tracing systems tell each other beside a traceparent. ok is false for one that is too
// long or not a list of key=value; such a value must be ignored.
func ParseState(text string) (state string, ok bool) {
	if text == "" || len(text) > maxState || strings.Count(text, ",") >= maxMembers {
		return "", false
	}
	for member := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(strings.Trim(member, " \t"), "=")
		if name == "" && !found && value == "" {
			continue // an empty member is allowed
		}
		if !found || name == "" || value == "" || strings.Trim(name, nameBytes) != "" || strings.ContainsFunc(value, isNoValue) {
			return "", false
		}
	}
	return text, true
}

// nameBytes are those of a key.
const nameBytes = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@"

func isNoValue(r rune) bool { return r < ' ' || r > '~' || r == '=' }

type key struct{}

type stateKey struct{}

// WithState returns a context with the tracestate that came with its parent.
func WithState(ctx context.Context, state string) context.Context {
	return context.WithValue(ctx, stateKey{}, state)
}

// StateFrom returns the tracestate of ctx, or "".
func StateFrom(ctx context.Context) string {
	state, _ := ctx.Value(stateKey{}).(string)
	return state
}

// With returns a context whose calls belong to parent.
func With(ctx context.Context, parent Parent) context.Context {
	return context.WithValue(ctx, key{}, parent)
}

// From returns the trace that ctx belongs to, or "".
func From(ctx context.Context) Parent {
	parent, _ := ctx.Value(key{}).(Parent)
	return parent
}
