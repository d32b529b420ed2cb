package main

import (
	"fmt"
	"strings"
)

// formulaSteps say how Homebrew installs and tests the program. The completions are those that the program prints.
const formulaSteps = `  def install
    bin.install "scnet-mcp"
    generate_completions_from_executable(bin/"scnet-mcp", "completion", shells: [:bash, :zsh, :fish])
    doc.install Dir["*.md"], "docs", "prompts"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/scnet-mcp version")
  end
end
`

// formula writes the Homebrew formula, which installs the archives.
func (r release) formula(binaries []binary) error {
	sums, err := r.sums()
	if err != nil {
		return err
	}
	systems := map[string]string{"darwin": "on_macos", "linux": "on_linux"}
	processors := map[string]string{"amd64": "on_intel", "arm64": "on_arm"}
	var b strings.Builder
	fmt.Fprintf(&b, "class ScnetMcp < Formula\n  desc %q\n  homepage %q\n  version %q\n  license %q\n\n",
		"MCP server for container instances on SCNet", homepage, r.Version, license)
	for _, p := range binaries {
		if systems[p.OS] == "" {
			continue
		}
		file := fmt.Sprintf("%s_%s_%s_%s.tar.gz", program, r.Version, p.OS, p.Arch)
		fmt.Fprintf(&b, "  %s do\n    %s do\n      url %q\n      sha256 %q\n    end\n  end\n\n", systems[p.OS], processors[p.Arch],
			homepage+"/releases/download/v"+r.Version+"/"+file, sums[file])
	}
	b.WriteString(formulaSteps)
	return r.write(program+".rb", []byte(b.String()))
}
