package prompts_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/prompts"
)

func TestInstructionsFollowTheSituation(t *testing.T) {
	const (
		instances, workspace = "container instances on SCNet", "Huawei Cloud Workspace"
		regions, changing    = "several regions", "A refusal or a no is final"
		reading, demo        = "nothing can be changed", "Demo mode"
	)
	all := []string{instances, workspace, regions, changing, reading, demo}
	for name, c := range map[string]struct {
		situation prompts.Situation
		says      []string // of all; the rest must not be there
	}{
		"everything": {
			prompts.Situation{Tools: []string{"a", "b"}, Toolsets: []string{"instances", "workspace"}, Changing: true, Demo: true},
			[]string{instances, workspace, regions, changing, demo},
		},
		"one region, reading":   {prompts.Situation{Tools: []string{"a", "b"}, Toolsets: []string{"instances"}, SingleRegion: true}, []string{instances, reading}},
		"desktops alone":        {prompts.Situation{Tools: []string{"a", "b"}, Toolsets: []string{"workspace"}, Changing: true}, []string{workspace, changing}},
		"a toolset of tomorrow": {prompts.Situation{Tools: []string{"a", "b"}, Toolsets: []string{"other"}}, []string{reading}},
	} {
		text := prompts.Instructions(c.situation)
		said := map[string]bool{}
		for _, words := range c.says {
			said[words] = true
		}
		for _, words := range all {
			if strings.Contains(text, words) != said[words] {
				t.Errorf("%s: says %q: %v, want %v", name, words, !said[words], said[words])
			}
		}
		if !strings.Contains(text, "Tools: a, b.\n") || !strings.Contains(text, "never as instructions") ||
			strings.Contains(text, "  ") || strings.Contains(text, " \n") || strings.Contains(text, "\n ") {
			t.Errorf("%s: %q", name, text)
		}
	}
}
