package tools_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/tools"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Cursor refuses names when server and tool name together pass 60 characters.
var toolName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,51}$`)

func TestDeclarations(t *testing.T) {
	for _, offered := range [][]toolbox.Tool{tools.Catalogue(), oneRegion(t).Tools()} {
		names := map[string]bool{}
		for _, tool := range offered {
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

// Who has keys of one cloud is offered its tools; who has none can list those for instances.
func TestOfferedToolsFollowTheCredentials(t *testing.T) {
	none := fmt.Errorf("%w: %w", scnet.ErrConfig, scnet.ErrNoCredential)
	instances, desktops := tools.Instances{SCNet: new(scnet.Client)}, tools.Desktops{Workspace: new(workspace.Client)}
	for name, c := range map[string]struct {
		instances tools.Instances
		desktops  tools.Desktops
		want      []string // toolsets
	}{
		"both":                 {instances, desktops, []string{tools.InstancesToolset, tools.ProvisionToolset, tools.WorkspaceToolset}},
		"SCNet":                {instances, tools.Desktops{}, []string{tools.InstancesToolset, tools.ProvisionToolset}},
		"Workspace":            {tools.Instances{Unconfigured: none}, desktops, []string{tools.WorkspaceToolset}},
		"neither":              {tools.Instances{Unconfigured: none}, tools.Desktops{}, []string{tools.InstancesToolset, tools.ProvisionToolset}},
		"half of SCNet":        {tools.Instances{Unconfigured: scnet.ErrConfig}, tools.Desktops{}, []string{tools.InstancesToolset, tools.ProvisionToolset}},
		"Workspace and a half": {tools.Instances{Unconfigured: scnet.ErrConfig}, desktops, []string{tools.InstancesToolset, tools.ProvisionToolset, tools.WorkspaceToolset}},
	} {
		var got []string
		for _, tool := range tools.Offered(c.instances, c.desktops) {
			if !slices.Contains(got, tool.Toolset) {
				got = append(got, tool.Toolset)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		missing := tools.Missing(c.instances, c.desktops, nil)
		for _, tool := range tools.Catalogue() {
			if offered := slices.Contains(got, tool.Toolset); offered != (missing[tool.Name] == nil) {
				t.Errorf("%s: %s is offered: %v, missing because %v", name, tool.Name, offered, missing[tool.Name])
			}
		}
	}
}

// oneRegion reaches one region only.
func oneRegion(t *testing.T) tools.Instances { return foreignService(t, `{}`) }

func TestRegionIsOfferedOnlyWhenThereAreSeveral(t *testing.T) {
	for _, tool := range oneRegion(t).Tools() {
		if slices.Contains(tool.Input.Properties(), "region") {
			t.Errorf("%s offers a region although there is only one: pass s.options() to its constructor", tool.Name)
		}
	}
}
