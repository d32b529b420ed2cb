// Package tools holds what the server offers: the lists below, and a file for each tool, which can be taken out together
// with its line. What several tools need is in the files named for it. Registration, schemas, annotations, documentation and
// the command line are all derived from these values.
package tools

import (
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// Tools returns the tools. Policy decides which of them are offered.
func (s Instances) Tools() []toolbox.Tool {
	if s.Now == nil {
		s.Now = time.Now
	}
	return []toolbox.Tool{
		s.listInstances(),
		s.restartInstance(),
		s.deleteInstances(),
		s.executeScript(),
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

// Offered returns the tools of a server: those for desktops only where Workspace is configured.
func Offered(instances Instances, desktops Desktops) []toolbox.Tool {
	if desktops.Workspace == nil {
		return instances.Tools()
	}
	return append(instances.Tools(), desktops.Tools()...)
}

// Catalogue returns every tool that there is, for whoever needs to know them without calling one.
func Catalogue() []toolbox.Tool { return append(Instances{}.Tools(), Desktops{}.Tools()...) }
