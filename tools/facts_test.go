package tools_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// wordings are the fields that decide what is done next, by their names, and how a text may word their values: a client that
// shows only the text must miss nothing of them.
var wordings = map[string]func(value any) []string{
	"state":              wordOf,
	"status":             wordOf,
	"last_status":        wordOf,
	"outcome":            wordOf,
	"next":               wordOf,
	"token":              func(any) []string { return []string{"preview_token="} },
	"expires_at":         wordOf,
	"effect":             cut(80), // a column of a table
	"note":               cut(80),
	"notes":              cut(80),
	"code":               wordOf,
	"exit_code":          func(v any) []string { n := number(v); return []string{"exit code " + n, "exit " + n} },
	"id":                 wordOf,
	"run_id":             wordOf,
	"script_id":          wordOf,
	"name":               cut(20),
	"source":             wordOf,
	"next_start":         func(v any) []string { return []string{"start=" + number(v)} },
	"total":              func(v any) []string { return []string{number(v)} },
	"total_accelerators": func(v any) []string { return []string{number(v), "× "} },
	"remaining_seconds":  span,
	"stdout":             lines,
	"stderr":             lines,
}

// implied reports whether a text need not tell a fact that the data tells.
func implied(path string, value any, in, data map[string]any) bool {
	targets, _ := data["targets"].([]any)
	outcome, over := in["outcome"]
	switch field := path[strings.LastIndexByte(path, '.')+1:]; {
	case over && (field == "status" || field == "total_accelerators" || field == "remaining_seconds"): // before the call, which the preview has told
		return true
	case strings.HasPrefix(path, ".targets[].mounts") && data["preview"] == nil: // likewise
		return true
	case field == "outcome" && value == "accepted" && len(targets) == 1: // the state tells more
		return true
	case strings.HasPrefix(path, ".targets") && data["run_id"] != nil && outcome == "accepted": // the run stands for its desktops
		return true
	case field == "script_id", strings.HasSuffix(path, ".scripts[].id") && in["name"] != nil: // the name of the script is told
		return data["runs"] != nil || data["records"] != nil
	}
	return false
}

func wordOf(v any) []string {
	switch word := fmt.Sprint(v); word {
	case "confirmation_required":
		return []string{"PREVIEW"}
	case "":
		return nil
	default:
		return []string{word, strings.ReplaceAll(word, "_", " ")}
	}
}

// cut are the first characters, for what a table shows in a column of limited width.
func cut(n int) func(any) []string {
	return func(v any) []string {
		if word := []rune(fmt.Sprint(v)); len(word) > n {
			return []string{string(word[:n])}
		}
		return wordOf(v)
	}
}

func number(v any) string { return strconv.FormatFloat(v.(float64), 'f', -1, 64) }

func span(v any) []string { return []string{text.Span(time.Duration(v.(float64)) * time.Second)} }

func lines(v any) []string {
	first, _, _ := strings.Cut(strings.TrimSpace(v.(string)), "\n")
	return []string{first}
}

// worded are the facts that a text tells, which have to be in the data: ids, times, exit codes, the service's codes.
var worded = regexp.MustCompile(`\b[0-9a-f]{32}\b|\b\d{4}-\d\d-\d\dT[0-9:]+(?:Z|[+-]\d\d:\d\d)|(?:exit |start=|code )(\d+)\b`)

// TestDecidingFactsAreInTextAndData compares the two halves of every result in the transcripts: each state of each tool.
func TestDecidingFactsAreInTextAndData(t *testing.T) {
	for _, r := range transcripts(t) {
		if r.data == nil { // an error or a question, which is all text
			continue
		}
		for _, finding := range untold(r.text, r.data) {
			t.Errorf("%s, %s: %s", r.file, r.call, finding)
		}
	}
}

// untold lists the facts that are in only one of text and data.
func untold(told string, data map[string]any) (findings []string) {
	walkData(data, "", func(path, field string, value any, in map[string]any) {
		words, deciding := wordings[field]
		if !deciding || value == nil || implied(path, value, in, data) {
			return
		}
		ways := words(value)
		if len(ways) > 0 && !slices.ContainsFunc(ways, func(way string) bool { return strings.Contains(told, way) }) {
			findings = append(findings, fmt.Sprintf("%s is %v in the data, and the text does not tell", path, value))
		}
	})
	encoded, _ := json.Marshal(data)
	for _, match := range worded.FindAllStringSubmatch(told, -1) {
		fact := match[0]
		if match[1] != "" {
			fact = match[1]
		}
		if !strings.Contains(string(encoded), fact) {
			findings = append(findings, fmt.Sprintf("the text tells %q, and the data does not", match[0]))
		}
	}
	slices.Sort(findings)
	return slices.Compact(findings)
}

// TestUntold shows that a fact which is missing in one half is found.
func TestUntold(t *testing.T) {
	const told = "failed: job (00000000000000000000000000000001) ended with exit code 3 at 2026-01-02T03:04:05+08:00.\nAsk again with start=20."
	data := func() map[string]any {
		return map[string]any{
			"state": "failed", "ended_at": "2026-01-02T03:04:05+08:00", "next_start": 20.0, "next": "Ask again with start=20.",
			"targets": []any{map[string]any{"id": "00000000000000000000000000000001", "name": "job", "exit_code": 3.0}},
		}
	}
	if findings := untold(told, data()); findings != nil {
		t.Errorf("nothing is missing: %q", findings)
	}
	if findings := untold("something else", data()); len(findings) != 6 {
		t.Errorf("six facts are missing in the text: %q", findings)
	}
	if findings := untold(told, map[string]any{}); len(findings) != 4 {
		t.Errorf("four facts are missing in the data: %q", findings)
	}
}
