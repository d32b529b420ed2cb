package tools_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// The states that a schema names are those that there are.
func TestStatesInSchemas(t *testing.T) {
	for _, tool := range tools.Catalogue() {
		if tool.Risk == guard.Read {
			continue
		}
		var schema struct {
			Properties struct {
				State struct{ Enum []toolbox.State }
			}
		}
		if err := json.Unmarshal(tool.Output.JSON(), &schema); err != nil {
			t.Fatal(err)
		}
		got, want := schema.Properties.State.Enum, toolbox.States()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the states %q, want %q", tool.Name, got, want)
		}
	}
}
