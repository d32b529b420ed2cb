package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"
)

// Kind says on which side of an exchange a span is. The numbers are those of OTLP.
type Kind int

// The kinds.
const (
	Server Kind = 2
	Client Kind = 3
)

// Attribute is a name with a text, a whole number or a truth value.
type Attribute struct {
	Name  string
	Value any // string, int64 or bool
}

// Span is a timed piece of work. It belongs to one goroutine until it ends. Methods of nil do nothing: without a Recorder
// there are no spans.
type Span struct {
	Name              string
	Kind              Kind
	Trace, ID, Parent string // hexadecimal; Parent is "" for the first span of a trace
	State             string // the tracestate
	Started, Ended    time.Time
	Attributes        []Attribute
	Failure           string // what kind of failure it ended with, from a small set; "": none

	recorder Recorder
}

// Recorder takes spans that have ended. Record must not wait.
type Recorder interface{ Record(*Span) }

type recorderKey struct{}

// WithRecorder returns a context whose spans go to r.
func WithRecorder(ctx context.Context, r Recorder) context.Context {
	return context.WithValue(ctx, recorderKey{}, r)
}

// Start begins a span, below that of ctx if there is one, and returns the context of what belongs to it. It returns nil when
// nobody records, or when the caller says that it does not record its trace.
func Start(ctx context.Context, kind Kind, name string) (context.Context, *Span) {
	recorder, _ := ctx.Value(recorderKey{}).(Recorder)
	parent := From(ctx)
	if recorder == nil || parent != "" && !parent.isSampled() {
		return ctx, nil
	}
	s := &Span{Name: name, Kind: kind, Trace: parent.ID(), ID: randomID(8), Started: time.Now(), recorder: recorder}
	if parent == "" {
		s.Trace = randomID(16)
	} else {
		s.Parent, s.State = parent.span(), StateFrom(ctx)
	}
	return With(ctx, Parent("00-"+s.Trace+"-"+s.ID+"-01")), s
}

// Set adds an attribute. Its value must be a string, an int64 or a bool.
func (s *Span) Set(name string, value any) {
	if s != nil {
		s.Attributes = append(s.Attributes, Attribute{name, value})
	}
}

// End hands the span to its recorder. failure is "" when the work was done.
func (s *Span) End(failure string) {
	if s == nil {
		return
	}
	s.Failure = failure
	s.Ended = s.Started.Add(time.Since(s.Started)) // a clock that was set does not matter
	s.recorder.Record(s)
}

// randomID returns so many random bytes in hexadecimal. All zeros, which mean no id, do not come up.
func randomID(bytes int) string {
	id := make([]byte, bytes)
	_, _ = rand.Read(id) // never fails
	id[0] |= 1
	return hex.EncodeToString(id)
}
