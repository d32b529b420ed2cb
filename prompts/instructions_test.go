package prompts_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/prompts"
)

func TestInstructionsFollowTheSituation(t *testing.T) {
	full := prompts.Instructions(prompts.Situation{Tools: []string{"list_instances", "other"}, Demo: true})
	for _, want := range []string{"list_instances, other", "several regions", "Demo mode"} {
		if !strings.Contains(full, want) {
			t.Errorf("%q is missing in %q", want, full)
		}
	}
	single := prompts.Instructions(prompts.Situation{Tools: []string{"list_instances"}, SingleRegion: true})
	if strings.Contains(single, "region") || strings.Contains(single, "Demo") {
		t.Errorf("speaks of what is not offered: %q", single)
	}
}
