package tools_test

import (
	"regexp"
	"testing"

	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Cursor refuses names when server and tool name together pass 60 characters.
var toolName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,51}$`)

func TestDeclarations(t *testing.T) {
	for _, mode := range []tools.Mode{{}, {SingleRegion: true}} {
		names := map[string]bool{}
		for _, tool := range tools.All(mode) {
			if !toolName.MatchString(tool.Name) || names[tool.Name] {
				t.Errorf("the name %q is not usable or not unique", tool.Name)
			}
			names[tool.Name] = true
			if tool.Title == "" || tool.Description == "" || tool.Toolset == "" {
				t.Errorf("%s: title, description or toolset is missing", tool.Name)
			}
			switch tool.Risk {
			case guard.Read, guard.Disruptive, guard.Destructive:
			default:
				t.Errorf("%s: risk %q", tool.Name, tool.Risk)
			}
			for which, schema := range map[string]*schemas.Schema{"input": tool.Input, "output": tool.Output} {
				for _, finding := range schemas.Lint(schema.JSON()) {
					t.Errorf("%s, %s schema: %s", tool.Name, which, finding)
				}
			}
		}
	}
}

func TestRegionIsOfferedOnlyWhenThereAreSeveral(t *testing.T) {
	offers := func(mode tools.Mode, tool int) bool {
		for _, name := range tools.All(mode)[tool].Input.Properties() {
			if name == "region" {
				return true
			}
		}
		return false
	}
	for i, tool := range tools.All(tools.Mode{}) {
		if !offers(tools.Mode{}, i) || offers(tools.Mode{SingleRegion: true}, i) {
			t.Errorf("%s: region is offered wrongly", tool.Name)
		}
	}
}
