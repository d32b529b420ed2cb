package cli

import (
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/prompts"
)

// Prompts, skills and resources are in the language of the server.
func TestLibraryFollowsTheLanguage(t *testing.T) {
	for l, want := range map[lang.Lang]prompts.Language{lang.English: prompts.English, lang.Chinese: prompts.Chinese} {
		var service services
		service.Lang = l
		if got := serverOptions(service, nil, false, zerolog.Nop()).Library.Language; got != want {
			t.Errorf("%s: %q", l, got)
		}
	}
}
