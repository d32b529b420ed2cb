package tools_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// reference is what looks like the name of a tool, an argument or a field: a word in snake case, or one that a value follows.
var reference = regexp.MustCompile(`\b[a-z]+(?:_[a-z0-9]+)+\b|\b([a-z]+)=`)

var address = regexp.MustCompile(`https?://\S+`)

// TestNextStepsExist looks up every tool, argument and field that a description, a text or an error refers to: what a model
// is told to do next must be possible.
func TestNextStepsExist(t *testing.T) {
	known := map[string]bool{}
	for _, state := range toolbox.States() {
		known[string(state)] = true
	}
	for _, outcome := range toolbox.Outcomes() {
		known[string(outcome)] = true
	}
	var learn func(p property)
	learn = func(p property) {
		for name, field := range p.Properties {
			known[name] = true
			for _, word := range field.Enum {
				known[word] = true
			}
			learn(field)
			if field.Items != nil {
				learn(*field.Items)
			}
		}
	}
	for _, tool := range tools.Catalogue() {
		known[tool.Name] = true
		learn(propertiesOf(t, tool.Input))
		learn(propertiesOf(t, tool.Output))
	}
	unknown := map[string][]string{}
	look := func(where, told string) {
		for _, match := range reference.FindAllStringSubmatch(address.ReplaceAllString(told, ""), -1) {
			word := match[0]
			if match[1] != "" {
				word = match[1]
			}
			if !known[word] && !slices.Contains(unknown[word], where) {
				unknown[word] = append(unknown[word], where)
			}
		}
	}
	for _, tool := range tools.Catalogue() {
		look(tool.Name, toldOf(tool))
	}
	for _, answer := range transcripts(t) {
		look(answer.file, answer.text)
	}
	delete(unknown, "no_such_argument") // what the transcripts call with
	delete(unknown, "key")              // as in key=value
	for _, word := range slices.Sorted(maps.Keys(unknown)) {
		t.Errorf("%q is not a tool, an argument or a field: %v", word, unknown[word])
	}
}

// TestArgumentsThatCanHurt demands more than two words of every argument of a tool that changes something.
func TestArgumentsThatCanHurt(t *testing.T) {
	for _, tool := range tools.Catalogue() {
		if tool.Risk == guard.Read {
			continue
		}
		var walk func(path string, p property)
		walk = func(path string, p property) {
			for name, argument := range p.Properties {
				at := path + "." + name
				if len(strings.Fields(argument.Description)) < 3 {
					t.Errorf("%s: the argument %s is described by %q only", tool.Name, at, argument.Description)
				}
				if argument.Items != nil {
					walk(at+"[]", *argument.Items)
				}
				walk(at, argument)
			}
		}
		walk("", propertiesOf(t, tool.Input))
	}
}

// proposed is a call that a text proposes: get_instance with instance_id=x and wait_for=Running.
var (
	proposed = regexp.MustCompile(`\b([a-z]+(?:_[a-z]+)+) (?:with|and) ((?:[a-z_]+=(?:"[^"]*"|\[[^\]]*\]|[^\s,:]+)(?:, | and )?)+)`)
	given    = regexp.MustCompile(`([a-z_]+)=("[^"]*"|\[[^\]]*\]|[^\s,:]*[^\s,:.])`)
)

// TestProposedCallsAreValid makes sure that the calls which next steps propose have arguments that the tool takes.
func TestProposedCallsAreValid(t *testing.T) {
	byName, seen := map[string]toolbox.Tool{}, map[string]bool{}
	for _, tool := range tools.Catalogue() {
		byName[tool.Name] = tool
	}
	for _, answer := range transcripts(t) {
		next, _ := answer.data["next"].(string)
		for _, match := range proposed.FindAllStringSubmatch(next, -1) {
			tool, known := byName[match[1]]
			call := map[string]any{}
			for _, argument := range given.FindAllStringSubmatch(match[2], -1) {
				call[argument[1]] = strings.Trim(argument[2], `"`) // clients may send numbers and lists as text too
			}
			encoded, _ := json.Marshal(call)
			var into map[string]any
			if err := tool.Input.Decode(encoded, &into); !known || err != nil {
				t.Errorf("%s, %s: %q is not a call that works: %v", answer.file, answer.call, match[0], err)
			}
			seen[match[1]] = true
		}
	}
	if len(seen) < 3 {
		t.Errorf("calls of %v only were found", slices.Sorted(maps.Keys(seen)))
	}
}

// toldOf is what is told of a tool: name, title, description, and the arguments with their descriptions.
func toldOf(tool toolbox.Tool) string {
	var input struct {
		Properties map[string]struct{ Description string }
	}
	if err := json.Unmarshal(tool.Input.JSON(), &input); err != nil {
		panic(err)
	}
	told := []string{tool.Name, tool.Title, tool.Description}
	for _, name := range tool.Input.Properties() {
		told = append(told, name, input.Properties[name].Description)
	}
	return strings.Join(told, "\n")
}
