package prompts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// Language is what the texts are written in. Data never depends on it.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// words are one text in each language.
type words struct{ english, chinese string }

func (w words) in(l Language) string {
	if l == Chinese {
		return w.chinese
	}
	return w.english
}

// Library is what a server offers besides its tools: prompts, the same texts as skills, resources, and completions of their
// arguments. It tells nobody anything that the tools which the caller is offered would not tell as well. It is safe for
// concurrent use.
type Library struct {
	SCNet        *scnet.Client
	Unconfigured error            // why SCNet is nil
	Language     Language         // "": English
	Now          func() time.Time // nil: time.Now

	mu    sync.Mutex
	lists map[listKey]list // of instances, which completions ask for with every key
}

// Caller is who asks, and the way to the tools that the caller is offered.
type Caller struct {
	Situation
	// Call calls one of the tools. Its error is a *CallError.
	Call func(ctx context.Context, tool string, arguments map[string]any) (Answer, error)
	// Policy returns what the operator allows the caller, in a form that can be encoded as JSON.
	Policy func() (any, error)
}

// offered reports whether the caller is offered every one of the tools.
func (c Caller) offered(tools ...string) bool {
	return !slices.ContainsFunc(tools, func(tool string) bool { return !slices.Contains(c.Tools, tool) })
}

// Answer is the result of a tool call.
type Answer struct {
	Data json.RawMessage
	Text string // cleaned
}

// CallError is why a tool call failed.
type CallError struct {
	Text  string // for people and models, cleaned
	Wrong bool   // what the caller asked for is wrong, or does not exist
}

// Error returns the text.
func (e *CallError) Error() string { return e.Text }

// ErrUnknown is wrapped by errors for a name or a URI that the caller is not offered.
var ErrUnknown = errors.New("is not offered")

func unknown(what, name string, valid []string) error {
	if len(valid) == 0 {
		return fmt.Errorf("the %s %q %w; there are none", what, quotable(name), ErrUnknown)
	}
	return fmt.Errorf("the %s %q %w; there are: %s", what, quotable(name), ErrUnknown, strings.Join(valid, ", "))
}

// ArgumentError says everything that is wrong with arguments.
type ArgumentError struct{ Problems []string }

// Error joins the problems.
func (e *ArgumentError) Error() string { return strings.Join(e.Problems, "; ") }

func (l *Library) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}
