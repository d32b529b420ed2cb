package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version and commit are set at link time; a build by `go install` has them in its build information.
var version, commit string

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func buildCommit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// versionCommand prints what was built.
type versionCommand struct{}

// Run prints version, commit and Go version.
func (versionCommand) Run(streams Streams) error {
	_, err := fmt.Fprintln(streams.Out, versionText())
	return err
}

func versionText() string {
	const form = "scnet-mcp %s\ncommit %s\n%s %s/%s" // not said to people
	return fmt.Sprintf(form, buildVersion(), buildCommit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
