// Package tools holds what the server offers: the lists below, and a file for each tool, which can be taken out together
// with its line. What several tools need is in the files named for it. Registration, schemas, annotations, documentation and
// the command line are all derived from these values.
package tools

import (
	"cmp"
	"errors"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// Tools returns the tools. Policy decides which of them are offered.
func (s Instances) Tools() []toolbox.Tool {
	if s.Now == nil {
		s.Now = time.Now
	}
	return []toolbox.Tool{
		s.listInstances(),
		s.getInstance(),
		s.restartInstance(),
		s.stopInstances(),
		s.deleteInstances(),
		s.executeScript(),
		s.getScriptOutput(),
		s.stopScript(),
		s.listResources(),
		s.createInstance(),
		s.resizeInstance(),
	}
}

// Tools returns the tools.
func (s Desktops) Tools() []toolbox.Tool {
	if s.Now == nil {
		s.Now = time.Now
	}
	return []toolbox.Tool{
		s.listWorkspaceDesktops(),
		s.listWorkspaceScripts(),
		s.runWorkspaceScript(),
		s.getWorkspaceRun(),
		s.stopWorkspaceRun(),
	}
}

// Offered returns the tools of a server: those for desktops where Workspace is configured, and those for instances unless
// Workspace alone is. Without any credential those for instances are there, because clients and registries list the tools of
// a server that nobody has configured yet.
func Offered(instances Instances, desktops Desktops) []toolbox.Tool {
	switch {
	case desktops.Workspace == nil:
		return instances.Tools()
	case DesktopsAlone(instances, desktops):
		return desktops.Tools()
	}
	return append(instances.Tools(), desktops.Tools()...)
}

// DesktopsAlone reports whether the user has credentials for Workspace and none for SCNet. One that is incomplete counts: its
// user wants to be told what is missing.
func DesktopsAlone(instances Instances, desktops Desktops) bool {
	return desktops.Workspace != nil && instances.SCNet == nil && errors.Is(instances.Unconfigured, scnet.ErrNoCredential)
}

// Missing tells of the tools that Offered leaves out why they are not there. Why is the reason that Workspace is nil, if one
// is known.
func Missing(instances Instances, desktops Desktops, why error) map[string]error {
	reasons := map[string]error{}
	if DesktopsAlone(instances, desktops) {
		for _, tool := range instances.Tools() {
			reasons[tool.Name] = instances.Unconfigured
		}
	}
	if desktops.Workspace == nil {
		for _, tool := range desktops.Tools() {
			reasons[tool.Name] = cmp.Or(why, workspace.ErrConfig)
		}
	}
	return reasons
}

// Catalogue returns every tool that there is, for whoever needs to know them without calling one.
func Catalogue() []toolbox.Tool { return append(Instances{}.Tools(), Desktops{}.Tools()...) }
