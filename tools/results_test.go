package tools_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// property is what a schema says of a field.
type property struct {
	Type, Format, Description string
	Enum, Required            []string
	Properties                map[string]property
	Items                     *property
}

func propertiesOf(t *testing.T, schema *schemas.Schema) property {
	t.Helper()
	var p property
	if err := json.Unmarshal(schema.JSON(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// fieldTypes says what the fields of results are, by their names, so that a program can compute with them.
var fieldTypes = []struct {
	names *regexp.Regexp
	want  property
}{
	{regexp.MustCompile(`_at$`), property{Type: "string", Format: "date-time"}},
	{regexp.MustCompile(`(^|_)(seconds|minutes|bytes|mb|cpus|accelerators|containers|total|returned|start|count|port|exit_code)$`),
		property{Type: "integer"}},
	{regexp.MustCompile(`_ids$`), property{Type: "array"}},
	{regexp.MustCompile(`(^|_)id$`), property{Type: "string"}},
	{regexp.MustCompile(`^(targets|instances|desktops|scripts|runs|mounts|ports|notes|regions|groups|images|directories|by_.*)$`),
		property{Type: "array"}},
	{regexp.MustCompile(`^preview$`), property{Type: "object"}},
}

// TestResultFields checks the types of all result fields.
func TestResultFields(t *testing.T) {
	for _, tool := range tools.Catalogue() {
		var walk func(path string, p property)
		walk = func(path string, p property) {
			for name, field := range p.Properties {
				at := path + "." + name
				for _, rule := range fieldTypes {
					// A count may be called what it counts: instances in a summary.
					if counted := rule.want.Type == "array" && field.Type == "integer"; counted || !rule.names.MatchString(name) {
						continue
					}
					if field.Type != rule.want.Type || field.Format != rule.want.Format {
						t.Errorf("%s: %s is %s %s, want %s %s", tool.Name, at, field.Type, field.Format, rule.want.Type, rule.want.Format)
					}
				}
				if field.Format == "date-time" && !strings.HasSuffix(name, "_at") {
					t.Errorf("%s: %s is a time; its name has to end in _at", tool.Name, at)
				}
				if field.Items != nil {
					walk(at+"[]", *field.Items)
				}
				walk(at, field)
			}
		}
		output := propertiesOf(t, tool.Output)
		walk("", output)
		if len(output.Required) == 0 {
			t.Errorf("%s: no field of the result is required, so that a program can rely on none", tool.Name)
		}
		if tool.Risk != guard.Read && (!slices.Contains(output.Required, "state") || len(output.Properties["state"].Enum) == 0) {
			t.Errorf("%s: the state is not required, or its words are not listed", tool.Name)
		}
	}
}

// prose are the fields that are for reading: what other fields say too, and the words of services and users. looksNumeric are those that only look like numbers.
var (
	prose        = regexp.MustCompile(`^(summary|next|note|notes|effect|description|message|reason|stdout|stderr|script|text|name|region_name|title)$`)
	looksNumeric = regexp.MustCompile(`(^|_)(id|ids|code|token|region|digest|sha256|version)$`)
	// hidden is a number, a quantity, a duration or a list inside a string.
	hidden = regexp.MustCompile(`^-?\d+(\.\d+)?$|[^,]+, [^,]+, |` +
		`^\d+(\.\d+)? ?(d|h|m|s|ms|min|days?|hours?|minutes?|seconds?|[KMG]i?B|bytes|gpu|dcu|mlu|cpus?|cards?)( \d+.*)?$`)
	day = regexp.MustCompile(`^\d{4}-\d\d-\d\d`)
)

// TestResultValues looks for what the schemas cannot show: numbers, durations, times and lists in strings.
func TestResultValues(t *testing.T) {
	for _, r := range transcripts(t) {
		walkData(r.data, "", func(path, field string, value any, _ map[string]any) {
			for _, finding := range odd(field, value) {
				t.Errorf("%s, %s: %s %s", r.file, r.call, path, finding)
			}
		})
	}
}

func odd(field string, value any) (findings []string) {
	word, isText := value.(string)
	if !isText || prose.MatchString(field) {
		return nil
	}
	if _, err := time.Parse(time.RFC3339, word); strings.HasSuffix(field, "_at") != (err == nil) {
		findings = append(findings, fmt.Sprintf("is %q; times, and nothing else, are RFC 3339 in a field that ends in _at", word))
	} else if err != nil && day.MatchString(word) {
		findings = append(findings, fmt.Sprintf("is %q, a time without a zone", word))
	}
	if !looksNumeric.MatchString(field) && hidden.MatchString(word) {
		findings = append(findings, fmt.Sprintf("is %q, which a program has to take apart", word))
	}
	return findings
}

func TestOdd(t *testing.T) {
	for _, c := range []struct {
		field, value string
		odd          bool
	}{
		{"cards", "2 dcu", true}, {"age", "13d 0h", true}, {"limit", "15d", true}, {"size", "12", true}, {"memory", "15 GiB", true},
		{"on", "a, b, c", true}, {"ended", "2026-01-02 03:04:05", true}, {"ended_at", "2026-01-02T03:04:05", true},
		{"ended", "2026-01-02T03:04:05Z", true},
		{"ended_at", "2026-01-02T03:04:05+08:00", false}, {"region", "11250", false}, {"status", "Running", false},
		{"image", "pytorch:2.4.1-py3.10", false}, {"note", "3 of 4, 5 of 6, 7 of 8", false},
	} {
		if got := odd(c.field, c.value); (got != nil) != c.odd {
			t.Errorf("%s %q: %q, want a finding: %v", c.field, c.value, got, c.odd)
		}
	}
}
