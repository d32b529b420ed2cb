package prompts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/golden"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/prompts"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// catalogue returns the names of all tools, or of those that only read.
func catalogue(readOnly bool) (names []string) {
	for _, t := range tools.Catalogue() {
		if !readOnly || t.Risk == guard.Read {
			names = append(names, t.Name)
		}
	}
	return names
}

// caller is offered some tools, which answer with what they were called with.
func caller(offered []string) prompts.Caller {
	return prompts.Caller{
		Situation: prompts.Situation{Tools: offered},
		Policy:    func() (any, error) { return map[string]int{"max_targets": 10}, nil },
		Call: func(_ context.Context, tool string, arguments map[string]any) (prompts.Answer, error) {
			if !slices.Contains(offered, tool) {
				return prompts.Answer{}, &prompts.CallError{Text: tool + " is not offered"}
			}
			data, err := json.Marshal(map[string]any{"tool": tool, "arguments": arguments})
			return prompts.Answer{Data: data, Text: string(data)}, err
		},
	}
}

// given are arguments for every prompt.
var given = map[string]map[string]any{
	"check_instances":   {},
	"why_not_running":   {"instance": "qwen-finetune-02", "region": "昆山"},
	"rollout_script":    {"task": "nvidia-smi\ndf -h", "name": "qwen"},
	"clean_up":          {"region": "all"},
	"workspace_rollout": {"task": "在所有云桌面上清理临时文件"},
}

// TestGolden shows everything that somebody is offered to whom everything is.
func TestGolden(t *testing.T) {
	for _, language := range []prompts.Language{prompts.English, prompts.Chinese} {
		l, c := &prompts.Library{Language: language}, caller(catalogue(false))
		var b strings.Builder
		for _, p := range l.Prompts(c) {
			_, messages, err := l.Prompt(t.Context(), c, p.Name, given[p.Name])
			if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			fmt.Fprintf(&b, "=== prompt %s: %s\n%s\n", p.Name, p.Title, p.Description)
			for _, a := range p.Arguments {
				fmt.Fprintf(&b, "%s (required: %v): %s\n", a.Name, a.Required, a.Description)
			}
			for _, message := range messages {
				fmt.Fprintf(&b, "--- message\n%s\n", message)
			}
		}
		resources, templates := l.Resources(c)
		for _, r := range append(resources, templates...) {
			fmt.Fprintf(&b, "=== resource %s %s: %s (%s, lasting: %v)\n%s\n", r.URI, r.Name, r.Title, r.MIMEType, r.Lasting, r.Description)
		}
		for _, uri := range []string{"scnet://error-codes", "scnet://policy", "scnet://instances/0123abcd"} {
			content, err := l.Read(t.Context(), c, uri)
			if err != nil {
				t.Fatalf("%s: %v", uri, err)
			}
			fmt.Fprintf(&b, "=== content of %s\n%s\n", uri, strings.ReplaceAll(content.Text, `},{`, "},\n{"))
		}
		golden.Check(t, filepath.Join("testdata", string(language)+".golden"), b.String())
	}
}

// A text that names a tool which the caller is not offered is not offered either, as a prompt, as a skill or as a resource.
func TestWhatIsOfferedNamesOnlyOfferedTools(t *testing.T) {
	all := catalogue(false)
	sets := map[string][]string{"everything": all, "nothing": nil, "reads": catalogue(true)}
	for _, tool := range all {
		sets["all but "+tool] = slices.DeleteFunc(slices.Clone(all), func(other string) bool { return other == tool })
		sets["only "+tool] = []string{tool}
	}
	for _, language := range []prompts.Language{prompts.English, prompts.Chinese} {
		l := &prompts.Library{Language: language}
		everything := l.Prompts(caller(all))
		for name, offered := range sets {
			c := caller(offered)
			promised, skills := l.Prompts(c), l.Skills(c)
			if len(promised) != len(skills) {
				t.Errorf("%s: %d prompts and %d skills", name, len(promised), len(skills))
			}
			for _, s := range skills {
				for _, tool := range all {
					if strings.Contains(s.Content, "`"+tool+"`") && !slices.Contains(offered, tool) {
						t.Errorf("%s: the skill %s names %s", name, s.Name, tool)
					}
				}
			}
			for _, p := range everything {
				_, _, err := l.Prompt(t.Context(), c, p.Name, given[p.Name])
				offered := slices.ContainsFunc(promised, func(other prompts.Prompt) bool { return other.Name == p.Name })
				if offered != (err == nil) || !offered && !errors.Is(err, prompts.ErrUnknown) {
					t.Errorf("%s: %s is offered: %v, and gives %v", name, p.Name, offered, err)
				}
			}
			checkReading(t, name, l, c)
		}
	}
}

// checkReading checks that exactly what is listed can be read.
func checkReading(t *testing.T, name string, l *prompts.Library, c prompts.Caller) {
	t.Helper()
	everything, _ := l.Resources(caller(catalogue(false)))
	listed, templates := l.Resources(c)
	for _, r := range everything {
		if r.URI == "scnet://regions" { // there is no SCNet here
			continue
		}
		_, err := l.Read(t.Context(), c, r.URI)
		offered := slices.ContainsFunc(listed, func(other prompts.Resource) bool { return other.URI == r.URI })
		if offered != (err == nil) || !offered && !errors.Is(err, prompts.ErrUnknown) {
			t.Errorf("%s: %s is listed: %v, and gives %v", name, r.URI, offered, err)
		}
	}
	_, err := l.Read(t.Context(), c, "scnet://instances/0123abcd")
	if (len(templates) > 0) != (err == nil) || len(templates) == 0 && !errors.Is(err, prompts.ErrUnknown) {
		t.Errorf("%s: there are %d templates, and reading gives %v", name, len(templates), err)
	}
}

// Somebody who may only read is told how things are, and not how to change them.
func TestReadOnly(t *testing.T) {
	l, names := &prompts.Library{}, []string(nil)
	for _, p := range l.Prompts(caller(catalogue(true))) {
		names = append(names, p.Name)
	}
	if want := []string{"check_instances", "why_not_running"}; !slices.Equal(names, want) {
		t.Errorf("%q are offered, want %q", names, want)
	}
}

func TestPromptArguments(t *testing.T) {
	long := strings.Repeat("长", 201)
	for _, c := range []struct {
		prompt    string
		arguments map[string]any
		says      []string // nil: it is right
	}{
		{"check_instances", nil, nil},
		{"check_instances", map[string]any{"region": nil}, nil},
		{"check_instances", map[string]any{"region": " 昆山 "}, nil},
		{"check_instances", map[string]any{"region": 5.0}, []string{"region must be a text"}},
		{"check_instances", map[string]any{"Region": "a", "zone": "b"},
			[]string{`"Region" is not an argument of check_instances, which has: region`, `"zone" is not an argument`}},
		{"why_not_running", nil, []string{"instance is missing: Id or name of the instance"}},
		{"why_not_running", map[string]any{"instance": "  "}, []string{"instance is missing"}},
		{"why_not_running", map[string]any{"instance": long, "region": "a\nb"},
			[]string{"instance is longer than 200 characters", "region holds characters that cannot be seen"}},
		{"why_not_running", map[string]any{"instance": "a\u202eb"}, []string{"instance holds characters that cannot be seen"}},
		{"rollout_script", map[string]any{"task": "a\r\n\tb"}, nil},
		{"rollout_script", map[string]any{"task": "a\x1b[2Jb"}, []string{"task holds characters that cannot be seen"}},
		{"rollout_script", map[string]any{"task": strings.Repeat("x", 4001)}, []string{"task is longer than 4000 characters"}},
	} {
		_, messages, err := (&prompts.Library{}).Prompt(t.Context(), caller(catalogue(false)), c.prompt, c.arguments)
		var wrong *prompts.ArgumentError
		if errors.As(err, &wrong) != (c.says != nil) || (err != nil) != (c.says != nil) {
			t.Errorf("%s %v: %v", c.prompt, c.arguments, err)
			continue
		}
		if wrong != nil && len(wrong.Problems) != len(c.says) {
			t.Errorf("%s %v: %v, want %d problems", c.prompt, c.arguments, err, len(c.says))
		}
		for _, words := range c.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s %v: %v does not say %q", c.prompt, c.arguments, err, words)
			}
		}
		if c.says == nil && len(messages) != 2 {
			t.Errorf("%s %v: %d messages", c.prompt, c.arguments, len(messages))
		}
	}
	single := caller(catalogue(false))
	single.SingleRegion = true
	if _, _, err := (&prompts.Library{}).Prompt(t.Context(), single, "check_instances", map[string]any{"region": "a"}); err == nil {
		t.Error("a region can be named where there is one only")
	}
	if _, messages, err := (&prompts.Library{}).Prompt(t.Context(), single, "check_instances", nil); err != nil || strings.Contains(messages[1], `"region"`) {
		t.Errorf("%q, %v", messages, err)
	}
}

// What a tool failed with is data for the model, unless the person named something that is not there.
func TestPromptWithoutData(t *testing.T) {
	for _, c := range []struct {
		err   error
		fails bool
	}{
		{&prompts.CallError{Text: "the service is away"}, false},
		{&prompts.CallError{Text: "there is no such instance", Wrong: true}, true},
	} {
		failing := caller(catalogue(false))
		failing.Call = func(context.Context, string, map[string]any) (prompts.Answer, error) { return prompts.Answer{}, c.err }
		_, messages, err := (&prompts.Library{}).Prompt(t.Context(), failing, "why_not_running", given["why_not_running"])
		if (err != nil) != c.fails || !c.fails && (len(messages) != 2 || !strings.Contains(messages[1], "~~~\n"+c.err.Error()+"\n~~~")) {
			t.Errorf("%v: %q, %v", c.err, messages, err)
		}
	}
}

// FuzzFence checks that nothing in data can end it.
func FuzzFence(f *testing.F) {
	for _, data := range []string{"", "~~~", "a\n~~~\nb", "~~~~~~~~~~\n", "\n~~~ \n", "~"} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		hostile := caller(catalogue(false))
		hostile.Call = func(context.Context, string, map[string]any) (prompts.Answer, error) {
			return prompts.Answer{Text: data}, nil
		}
		_, messages, err := (&prompts.Library{}).Prompt(t.Context(), hostile, "check_instances", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, fenced, _ := strings.Cut(messages[1], "\n")
		fence, rest, _ := strings.Cut(fenced, "\n")
		if inside, found := strings.CutSuffix(rest, "\n"+fence); !found || inside != data || strings.Contains(data, fence) || strings.Trim(fence, "~") != "" || len(fence) < 3 {
			t.Errorf("%q", messages[1])
		}
	})
}

// FuzzReadURI checks that a URI is read as one thing or not at all, and never as an id that was not in it.
func FuzzReadURI(f *testing.F) {
	for _, uri := range []string{
		"", "scnet:", "scnet://", "scnet://regions", "scnet://Regions", "scnet://regions/", "scnet://regions?x", "scnet://error-codes", "scnet://policy#x",
		"scnet://instances", "scnet://instances/", "scnet://instances/{id}", "scnet://instances/0123abcd", "scnet://instances/a/b", "scnet://instances/..",
		"scnet://instances/%61", "scnet://instances/a?b", "SCNET://instances/a", "scnet://instances/a\n", "skill://scnet-mcp/clean-up/SKILL.md",
		"skill://scnet-mcp/", "skill://scnet-mcp/clean-up", "skill://scnet-mcp/../clean-up/SKILL.md", "skill://scnet-mcp/clean_up/SKILL.md", "file:///etc/passwd",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		l, c := &prompts.Library{Unconfigured: errors.New("there is no SCNet here")}, caller(catalogue(false))
		var asked []map[string]any
		c.Call = func(_ context.Context, _ string, arguments map[string]any) (prompts.Answer, error) {
			asked = append(asked, maps.Clone(arguments))
			return prompts.Answer{Data: json.RawMessage(`{}`)}, nil
		}
		content, err := l.Read(t.Context(), c, uri)
		resources, _ := l.Resources(c)
		fixed := slices.ContainsFunc(resources, func(r prompts.Resource) bool { return r.URI == uri })
		switch {
		case errors.Is(err, prompts.ErrUnknown):
			if fixed || len(asked) > 0 {
				t.Errorf("%q: %v after %v", uri, err, asked)
			}
		case err != nil:
			if uri != "scnet://regions" {
				t.Errorf("%q: %v", uri, err)
			}
		case content.URI != uri:
			t.Errorf("%q was read as %q", uri, content.URI)
		case !fixed:
			if id, _ := asked[0]["instance_id"].(string); len(asked) != 1 || "scnet://instances/"+id != uri || strings.ContainsAny(id, "/?#%{} \n") || id == "" {
				t.Errorf("%q was read with %v", uri, asked)
			}
		}
	})
}
