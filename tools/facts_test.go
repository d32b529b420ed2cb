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

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/tools"
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

	"owner":            cut(16),
	"region":           wordOf,
	"region_name":      cut(20),
	"accelerator_type": wordOf,
	"resource_group":   cut(20),
	"image":            cut(20),
	"task_type":        wordOf,
	"path":             cut(40),
	"instance_id":      wordOf,
	"stored_script_id": wordOf,
	"url":              wordOf,
	"reason":           cut(60),
	"message":          cut(60),
	"hint":             cut(60),
	"facts":            wordOf,
	"not_known":        wordOf,
	"left":             wordOf,
	"output_error":     cut(60),
	"stopped":          func(any) []string { return []string{"Stopped: "} },
	"records_omitted":  func(v any) []string { return []string{"records are shown"} },
	"queued_seconds":   span,
	"succeeded":        counted("succeeded"),
	"failed":           counted("failed"),
	"running":          counted("not over"),
	"accepted":         counted("accepted"),
	"not_run":          counted("not run"),
	"unknown":          counted("unknown"),
}

// undeciding are the fields that no step depends on, or that a field above decides with: what an instance is made of, where
// in a list one is, times and sizes, and the service's own words beside ours.
var undeciding = regexp.MustCompile(`^(accelerators|cpus|memory_mb|containers|nodes|ports?|protocol|bytes|scope|enabled|target|type|version|` +
	`description|content|content_bytes|start_script_bytes|unchecked|private|unlimited|system|users|ip|zone|pool_id|login_status|task_status|` +
	`in_maintenance|tags|suspended|instances|desktops|desktop_ids?|desktop_name|gray_desktops|script_name|batch|result_code|over|of|kind|` +
	`http_status|retryable|start|returned|returned_id|reached|not_seen|truncated|stdout_bytes|stderr_bytes|image_path|` +
	`(created|started|ended|updated)_at(_text)?|(waited|running|duration|time_limit)_seconds|per_container)$`)

// TestEveryFieldIsJudged makes sure that a new field of a result is either looked for in the text, or known not to decide.
func TestEveryFieldIsJudged(t *testing.T) {
	for _, tool := range tools.Catalogue() {
		var walk func(path string, p property)
		walk = func(path string, p property) {
			for name, field := range p.Properties {
				at := path + "." + name
				_, deciding := wordings[name]
				nested := len(field.Properties) > 0 || field.Items != nil && len(field.Items.Properties) > 0
				if !nested && deciding == undeciding.MatchString(name) {
					t.Errorf("%s: %s is in both of wordings and undeciding, or in neither", tool.Name, at)
				}
				walk(at, field)
				if field.Items != nil {
					walk(at+"[]", *field.Items)
				}
			}
		}
		walk("", propertiesOf(t, tool.Output))
	}
}

// counted words a number of what became of scripts; none goes without saying.
func counted(word string) func(any) []string {
	return func(v any) []string {
		if number(v) == "0" {
			return nil
		}
		return []string{number(v) + " " + word}
	}
}

// TestLossIsTold: where nothing is mounted, the preview of what ends an instance says that what is in it is lost, in both halves.
func TestLossIsTold(t *testing.T) {
	found := 0
	for _, r := range transcripts(t) {
		targets, _ := r.data["targets"].([]any)
		for _, each := range targets {
			target, _ := each.(map[string]any)
			effect, _ := target["effect"].(string)
			if ends := strings.Contains(effect, "deleted for good") || strings.Contains(effect, "its processes end"); !ends || target["mounts"] != nil {
				continue
			}
			found++
			if told := regexp.MustCompile(`nothing is mounted: everything in it is lost|it has no mounts, so its files may be lost`); !told.MatchString(effect) ||
				!told.MatchString(r.text) {
				t.Errorf("%s, %s: %q does not say what is lost:\n%s", r.file, r.call, effect, r.text)
			}
		}
	}
	if found == 0 {
		t.Error("no transcript ends an instance without mounts")
	}
}

// implied reports whether a text need not tell a fact that the data tells.
func implied(path string, value any, in, data map[string]any) bool {
	targets, _ := data["targets"].([]any)
	outcome, over := in["outcome"]
	switch field := path[strings.LastIndexByte(path, '.')+1:]; {
	case over && slices.Contains([]string{"status", "total_accelerators", "remaining_seconds", "owner", "region", "region_name"}, field):
		return true // before the call, which the preview has told
	case strings.HasPrefix(path, ".asked.") && data["preview"] == nil: // likewise
		return true
	case path == ".instances[].owner": // a list is for finding what to look at
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

func span(v any) []string {
	return []string{lang.Span(time.Duration(v.(float64)) * time.Second).String()}
}

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
