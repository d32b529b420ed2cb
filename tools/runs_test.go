package tools_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/tools"
)

// The schema lists the states that there are.
func TestScriptStatesAreDeclared(t *testing.T) {
	field, _ := reflect.TypeFor[tools.ScriptResult]().FieldByName("State")
	var want []string
	for _, state := range tools.ScriptStates() {
		want = append(want, "enum="+string(state))
	}
	if got := strings.Split(field.Tag.Get("jsonschema"), ","); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestScriptResultOfOutput(t *testing.T) {
	for name, c := range map[string]struct {
		output, want string
		bytes        int
		truncated    bool
	}{
		"none":    {"", "", 0, false},
		"plain":   {"a\nb\n", "a\nb", 4, false},
		"cleaned": {"a\x1b[2J\r\nb\x07", "", 9, false},
		"fits":    {strings.Repeat("x", 40) + "\n\n\n\n", strings.Repeat("x", 40), 44, false},
		"cut":     {strings.Repeat("é", 400), "", 800, true},
		"grows":   {strings.Repeat("\t\tx\n", 9), "", 36, true}, // tabs are shown as spaces
	} {
		var r tools.ScriptResult
		r.SetStdout(c.output, 40)
		r.SetStderr("ok", 40)
		if *r.StdoutBytes != c.bytes || r.Truncated != c.truncated || c.want != "" && r.Stdout != c.want || strings.ContainsAny(r.Stdout, "\x1b\x07\r") || r.Stderr != "ok" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestScriptResultOfTimes(t *testing.T) {
	began := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		start, end time.Time
		want       int // -1: not known
	}{
		"both":      {began, began.Add(90 * time.Second), 90},
		"at once":   {began, began, 0},
		"no end":    {began, time.Time{}, -1},
		"no start":  {time.Time{}, began, -1},
		"neither":   {time.Time{}, time.Time{}, -1},
		"backwards": {began, began.Add(-time.Second), -1},
	} {
		var r tools.ScriptResult
		r.SetTimes(c.start, c.end)
		if got := r.DurationSeconds; (got == nil) != (c.want < 0) || got != nil && *got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Every state is counted once, so that the counts add up.
func TestScriptCountsAddUp(t *testing.T) {
	for _, state := range tools.ScriptStates() {
		var counts tools.ScriptCounts
		counts.Add(state)
		sum := counts.Succeeded + counts.Failed + counts.Running + counts.Accepted + counts.NotRun + counts.Unknown
		if counts.Total != 1 || sum != 1 || (counts.Succeeded == 1) != (state == tools.ScriptSucceeded) {
			t.Errorf("%s: %+v", state, counts)
		}
	}
}
