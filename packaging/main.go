// Command packaging builds everything that a release consists of, from one commit, into one folder: archives, packages for
// Debian and Red Hat, bundles for Claude Desktop, an npm package, a container image, a Homebrew formula, the entry of the MCP
// registry, a list of what is in the binary, and checksums. Two runs on one commit give the same bytes.
//
// It is a module of its own, so that what it needs stays out of the server's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What is the same in every package.
const (
	program     = "scnet-mcp"
	summary     = "MCP server for container instances on SCNet (超算互联网)"
	homepage    = "https://github.com/scnet-mcp/scnet-mcp"
	license     = "Apache-2.0"
	authors     = "The scnet-mcp authors"
	registryKey = "io.github.scnet-mcp/scnet-mcp" // the server's name in the MCP registry
)

// release is what is built.
type release struct {
	Version string    // without a v
	Commit  string    // in full
	Time    time.Time // of the commit; every file in a package bears it
	Source  string    // the root of the repository
	Out     string    // a folder that is made anew
}

// binary is the program for one platform.
type binary struct {
	OS, Arch string
	Path     string
}

// file is the name of the program on its platform.
func (b binary) file() string {
	if b.OS == "windows" {
		return program + ".exe"
	}
	return program
}

var platforms = []binary{
	{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"},
	{OS: "darwin", Arch: "amd64"}, {OS: "darwin", Arch: "arm64"},
	{OS: "windows", Arch: "amd64"}, {OS: "windows", Arch: "arm64"},
}

func main() {
	source := flag.String("source", "..", "the root of the repository")
	out := flag.String("out", "../dist", "the folder to make")
	version := flag.String("version", "", "the version; default: that of the tag on the commit, or 0.0.0-dev")
	flag.Parse()
	if err := run(*source, *out, *version); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(source, out, version string) error {
	r, err := describe(source, version)
	if err != nil {
		return err
	}
	r.Out = out
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	binaries, err := r.build(platforms)
	if err != nil {
		return err
	}
	return r.pack(binaries)
}

// pack makes every package of the binaries.
func (r release) pack(binaries []binary) error {
	for _, step := range []func([]binary) error{
		r.licences, r.archives, r.linuxPackages, r.bundles, r.npmPackages, r.image, r.bill, r.formula, r.registryEntry, r.checksums,
	} {
		if err := step(binaries); err != nil {
			return err
		}
	}
	return nil
}

var semver = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// describe says what is checked out.
func describe(source, version string) (release, error) {
	git := func(args ...string) (string, error) {
		text, err := exec.Command("git", append([]string{"-C", source}, args...)...).Output()
		return strings.TrimSpace(string(text)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return release{}, fmt.Errorf("git: %w", err)
	}
	seconds, err := git("show", "-s", "--format=%ct", "HEAD")
	if err != nil {
		return release{}, fmt.Errorf("git: %w", err)
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return release{}, err
	}
	if version == "" {
		if version, err = git("describe", "--exact-match", "--tags", "--match", "v*"); err != nil {
			version = "0.0.0-dev." + commit[:7]
		}
	}
	version = strings.TrimPrefix(version, "v")
	if !semver.MatchString(version) {
		return release{}, fmt.Errorf("%q is not a version such as 1.2.3", version)
	}
	root, err := filepath.Abs(source)
	return release{Version: version, Commit: commit, Time: time.Unix(unix, 0).UTC(), Source: root}, err
}

// build compiles the program for each platform. Nothing of the machine that builds is in it.
func (r release) build(platforms []binary) (built []binary, err error) {
	const cli = "github.com/scnet-mcp/scnet-mcp/internal/cli"
	work := filepath.Join(r.Out, "bin")
	for _, p := range platforms {
		p.Path = filepath.Join(work, p.OS+"-"+p.Arch, p.file())
		command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", mustAbs(p.Path),
			"-ldflags", fmt.Sprintf("-s -w -X %s.version=v%s -X %s.commit=%s", cli, r.Version, cli, r.Commit), ".")
		command.Dir = r.Source
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "GOFLAGS=-mod=readonly")
		if output, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build for %s/%s: %w\n%s", p.OS, p.Arch, err, output)
		}
		built = append(built, p)
	}
	return built, nil
}

func mustAbs(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil { // only without a working directory
		return path
	}
	return abs
}

// write makes one file of the release.
func (r release) write(name string, content []byte) error {
	path := filepath.Join(r.Out, name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
}
