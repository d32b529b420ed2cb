// Package tools holds what the server offers: the lists below, and a file for each tool, which can be taken out together
// with its line. What several tools need is in the files named for it. Registration, schemas, annotations, documentation and
// the command line are all derived from these values.
package tools

import (
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// The toolsets.
const (
	InstancesToolset = "instances" // container instances on SCNet
	WorkspaceToolset = "workspace" // Huawei Cloud Workspace
)

// Instances are the tools for container instances on SCNet, with what they work on.
type Instances struct {
	SCNet *scnet.Client
	// Unconfigured tells why SCNet is nil. The tools are offered all the same, so that a client can list them and a person is
	// told what to set.
	Unconfigured error
	Now          func() time.Time // nil: time.Now
}

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

// Desktops are the tools for cloud desktops of Huawei Cloud Workspace, with what they work on.
type Desktops struct {
	Workspace *workspace.Client
	Now       func() time.Time // nil: time.Now
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

// options are those of the schema of arguments with a region, which is offered only where there are several.
func (s Instances) options() []schemas.Option {
	if s.SCNet != nil && s.SCNet.SingleRegion() {
		return []schemas.Option{schemas.Without("region")}
	}
	return nil
}
