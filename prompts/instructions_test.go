package prompts_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/prompts"
)

func TestInstructionsFollowTheSituation(t *testing.T) {
	full := prompts.Instructions(prompts.Situation{Tools: []string{"list_instances", "other"}, Changing: true, Workspace: true, Demo: true})
	for _, want := range []string{"list_instances, other", "A refusal or a no is final", "Huawei Cloud Workspace", "several regions", "Demo mode"} {
		if !strings.Contains(full, want) {
			t.Errorf("%q is missing in %q", want, full)
		}
	}
	single := prompts.Instructions(prompts.Situation{Tools: []string{"list_instances"}, SingleRegion: true})
	if strings.Contains(single, "region") || strings.Contains(single, "Demo") || !strings.Contains(single, "only reads") {
		t.Errorf("speaks of what is not offered: %q", single)
	}
}
