package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	_ "github.com/modelcontextprotocol/registry/pkg/model" // its module holds the schema of server.json
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const testVersion = "1.2.3"

// built is made once, by whichever test needs it first.
var built struct {
	once sync.Once
	r    release
	all  []binary
	err  error
}

func dist(t *testing.T) (release, []binary) {
	t.Helper()
	built.once.Do(func() {
		var out string
		if out, built.err = os.MkdirTemp("", "dist"); built.err != nil {
			return
		}
		if built.r, built.err = describe("..", "v"+testVersion); built.err != nil {
			return
		}
		built.r.Out = out
		if built.all, built.err = built.r.build(platforms); built.err == nil {
			built.err = built.r.pack(built.all)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.r, built.all
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.r.Out != "" {
		_ = os.RemoveAll(built.r.Out)
	}
	os.Exit(code)
}

// native is the binary that this machine runs.
func native(t *testing.T, all []binary) binary {
	t.Helper()
	for _, b := range all {
		if b.OS == runtime.GOOS && b.Arch == runtime.GOARCH {
			return b
		}
	}
	t.Fatalf("nothing is built for %s/%s", runtime.GOOS, runtime.GOARCH)
	return binary{}
}

// tell runs a command and returns what it prints.
func tell(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

// runs checks that a file is the program of this release.
func runs(t *testing.T, r release, path string, before ...string) {
	t.Helper()
	command := append(before, path, "version")
	got := tell(t, "", command[0], command[1:]...)
	if want := fmt.Sprintf("scnet-mcp v%s\ncommit %s\n", testVersion, r.Commit); !strings.HasPrefix(got, want) {
		t.Errorf("%s says %q, want %q", path, got, want)
	}
}

// serves checks that a command is an MCP server over stdio.
func serves(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintln(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"packaging","version":"1"}}}`)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, `"serverInfo"`) || !strings.Contains(line, testVersion) {
		t.Errorf("%s: %v, %s", name, err, line)
	}
	_ = in.Close()
	if err := command.Wait(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func TestArchives(t *testing.T) {
	r, all := dist(t)
	for _, b := range all {
		folder := t.TempDir()
		name := filepath.Join(r.Out, fmt.Sprintf("scnet-mcp_%s_%s_%s", testVersion, b.OS, b.Arch))
		if b.OS == "windows" {
			unzip(t, name+".zip", folder)
		} else {
			tell(t, folder, "tar", "-xzf", name+".tar.gz")
		}
		for _, file := range []string{b.file(), "LICENSE", "README.md", "README.zh-CN.md", noticesFile} {
			if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Size() == 0 {
				t.Errorf("%s/%s: %s: %v", b.OS, b.Arch, file, err)
			}
		}
		linked(t, folder)
		if b == native(t, all) {
			runs(t, r, filepath.Join(folder, b.file()))
		}
	}
	tell(t, r.Out, "sha256sum", "-c", "--strict", checksumsFile)
}

var (
	codeBlock = regexp.MustCompile("(?s)\n```.*?\n```")
	pageLink  = regexp.MustCompile(`\]\(([^)\s#]+)[^)\s]*\)`)
)

// linked checks that the pages and the skills are there, and that the links between them work.
func linked(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"docs/clients.md", "docs/zh-CN/clients.md", "prompts/skills/zh/clean-up/SKILL.md"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
	pages := 0
	err := filepath.WalkDir(folder, func(page string, file fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(page) != ".md" {
			return err
		}
		content, err := os.ReadFile(page)
		for _, match := range pageLink.FindAllStringSubmatch(codeBlock.ReplaceAllString(string(content), ""), -1) {
			target := filepath.Join(filepath.Dir(page), match[1])
			if _, missing := os.Stat(target); missing != nil && !strings.Contains(match[1], ":") {
				t.Errorf("%s: the link %s leads nowhere", page, match[1])
			}
		}
		pages++
		return err
	})
	if err != nil || pages < 20 {
		t.Errorf("%d pages, %v", pages, err)
	}
}

func unzip(t *testing.T, path, folder string) {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	for _, file := range archive.File {
		content, err := fs.ReadFile(archive, file.Name)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(folder, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, file.Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReproducible builds again from a clone in another folder and packs again.
func TestReproducible(t *testing.T) {
	r, all := dist(t)
	clone := filepath.Join(t.TempDir(), "elsewhere")
	tell(t, "", "git", "clone", "-q", r.Source, clone)
	again := r
	again.Out = t.TempDir()
	if tell(t, r.Source, "git", "status", "--porcelain") == "" { // otherwise the clone is another source
		again.Source = clone
	}
	one := native(t, all)
	rebuilt, err := again.build([]binary{one})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := sum(t, one.Path), sum(t, rebuilt[0].Path); a != b {
		t.Errorf("the binary differs: %s and %s", a, b)
	}
	if err := again.pack(all); err != nil {
		t.Fatal(err)
	}
	want, err := r.sums()
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.sums()
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs", name)
		}
	}
	if a, b := index(t, r), index(t, again); a != b {
		t.Errorf("the image differs: %s and %s", a, b)
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(content))
}

func index(t *testing.T, r release) string {
	t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(r.Out, imageFolder))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func TestLinuxPackages(t *testing.T) {
	r, _ := dist(t)
	name := filepath.Join(r.Out, fmt.Sprintf("scnet-mcp_%s_%s", testVersion, runtime.GOARCH))
	for format, unpack := range map[string][]string{
		"deb": {"dpkg-deb", "-x", name + ".deb", "."},
		"rpm": {"bsdtar", "-xf", name + ".rpm"},
	} {
		folder := t.TempDir()
		tell(t, folder, unpack[0], unpack[1:]...)
		runs(t, r, filepath.Join(folder, "usr/bin/scnet-mcp"))
		for file, mode := range map[string]fs.FileMode{
			"etc/scnet-mcp/environment": 0o640, "usr/lib/systemd/system/scnet-mcp.service": 0o644, "usr/share/doc/scnet-mcp/copyright": 0o644,
		} {
			if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: %s: %v, %v", format, file, info, err)
			}
		}
		linked(t, filepath.Join(folder, "usr/share/doc/scnet-mcp"))
		completes(t, folder)
	}
	fields := tell(t, "", "dpkg-deb", "-f", name+".deb", "Package", "Version", "Architecture")
	if want := fmt.Sprintf("Package: scnet-mcp\nVersion: %s-1\nArchitecture: %s\n", testVersion, runtime.GOARCH); fields != want {
		t.Errorf("%q, want %q", fields, want)
	}
}

// completes checks that the shells find the completions of an unpacked package where they look for those of any package.
func completes(t *testing.T, folder string) {
	t.Helper()
	for shell, script := range map[string]string{
		"bash": `source "$SHARE/bash-completion/completions/scnet-mcp"
			COMP_LINE="scnet-mcp audit v"; COMP_POINT=${#COMP_LINE}; _scnet_mcp; echo "${COMPREPLY[@]}"`,
		"zsh": `fpath=("$SHARE"/zsh/{vendor-completions,site-functions}(N) $fpath); autoload -U compinit; compinit -u -D
			compadd() { print -r -- "${(@P)@[-1]}" }; words=(scnet-mcp audit v) CURRENT=3 PREFIX=v; ${_comps[scnet-mcp]}`,
		"fish": `complete -C "scnet-mcp audit v" | string replace -r '\t.*' ''`,
	} {
		args := []string{"-c", script}
		if shell == "zsh" {
			args = []string{"-f", "-c", script}
		}
		command := exec.Command(shell, args...)
		share := filepath.Join(folder, "usr/share")
		command.Env = append(os.Environ(), "SHARE="+share, "XDG_DATA_DIRS="+share, "HOME="+t.TempDir(), "LC_ALL=C.UTF-8",
			"PATH="+filepath.Join(folder, "usr/bin")+":"+os.Getenv("PATH"))
		output, err := command.CombinedOutput()
		if strings.TrimSpace(string(output)) != "verify" || err != nil {
			t.Errorf("%s in %s: %q, %v", shell, folder, output, err)
		}
	}
}

// TestUnit checks the unit with systemd's own reader. The program that it names is not installed where this runs.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile("linux/scnet-mcp.service")
	if err != nil {
		t.Fatal(err)
	}
	_, all := dist(t)
	copied := filepath.Join(t.TempDir(), "scnet-mcp.service")
	unit = bytes.Replace(unit, []byte("/usr/bin/scnet-mcp"), []byte(mustAbs(native(t, all).Path)), 1)
	if err := os.WriteFile(copied, unit, 0o600); err != nil {
		t.Fatal(err)
	}
	if output := tell(t, "", "systemd-analyze", "verify", "--man=no", copied); strings.Contains(output, copied) {
		t.Error(output)
	}
}

func TestBundles(t *testing.T) {
	r, all := dist(t)
	mcpb := mustAbs("../interop/node_modules/.bin/mcpb")
	for _, b := range all {
		folder := t.TempDir()
		tell(t, folder, mcpb, "unpack", mustAbs(filepath.Join(r.Out, bundleFile(r, b))), "bundle")
		tell(t, folder, mcpb, "validate", filepath.Join("bundle", "manifest.json"))
		if b != native(t, all) {
			continue
		}
		server := filepath.Join(folder, "bundle", "server", b.file())
		if err := os.Chmod(server, 0o755); err != nil {
			t.Fatal(err)
		}
		runs(t, r, server)
		serves(t, server, "serve", "--demo")
	}
}

// TestNPM installs the packages as npm would from a registry, and starts the program by its name.
func TestNPM(t *testing.T) {
	r, all := dist(t)
	folder := t.TempDir()
	b := native(t, all)
	file := func(kind string) string {
		return mustAbs(filepath.Join(r.Out, fmt.Sprintf("scnet-mcp_%s_%s.tgz", testVersion, kind)))
	}
	platform := "npm-" + nodeName(b.OS) + "-" + nodeName(b.Arch)
	if err := os.WriteFile(filepath.Join(folder, "package.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tell(t, folder, "npm", "install", "--offline", "--no-audit", "--no-fund", "--no-save", "--omit=optional", file(platform), file("npm"))
	runs(t, r, filepath.Join(folder, "node_modules", ".bin", "scnet-mcp"))
	serves(t, filepath.Join(folder, "node_modules", ".bin", "scnet-mcp"), "serve", "--demo")
	if err := os.RemoveAll(filepath.Join(folder, "node_modules", "@scnet-mcp")); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(filepath.Join(folder, "node_modules", ".bin", "scnet-mcp"), "version").CombinedOutput()
	if err == nil || !strings.Contains(string(output), "--omit=optional") {
		t.Errorf("without the binary: %v, %s", err, output)
	}
}

func TestImage(t *testing.T) {
	r, all := dist(t)
	index, err := layout.ImageIndexFromPath(filepath.Join(r.Out, imageFolder))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, m := range manifest.Manifests {
		one, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		checkImage(t, r, one, m.Platform)
		if m.Platform.Architecture != native(t, all).Arch {
			continue
		}
		folder := t.TempDir()
		extract := exec.Command("tar", "-x", "-C", folder)
		content := mutate.Extract(one)
		extract.Stdin = content
		if output, err := extract.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		_ = content.Close()
		runs(t, r, filepath.Join(folder, "usr", "bin", "scnet-mcp"))
		serves(t, filepath.Join(folder, "usr", "bin", "scnet-mcp"), "serve", "--demo")
		if info, err := os.Stat(filepath.Join(folder, "etc/ssl/certs/ca-certificates.crt")); err != nil || info.Size() < 1000 {
			t.Errorf("the certificates: %v", err)
		}
	}
	if seen != 2 {
		t.Errorf("%d images, want one for each Linux platform", seen)
	}
}

func checkImage(t *testing.T, r release, one v1.Image, platform *v1.Platform) {
	t.Helper()
	file, err := one.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.Config.User != noRoot || file.Config.Entrypoint[0] != "/usr/bin/scnet-mcp" ||
		file.Config.Labels["io.modelcontextprotocol.server.name"] != registryKey ||
		file.Config.Labels["org.opencontainers.image.version"] != testVersion || file.Architecture != platform.Architecture {
		t.Errorf("%+v", file)
	}
	layers, err := one.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	state := tar.Header{}
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name == "var/lib/scnet-mcp/" {
			state = *header
		}
	}
	if owner := fmt.Sprintf("%d:%d", state.Uid, state.Gid); owner != noRoot || state.Mode != 0o700 || state.Typeflag != tar.TypeDir {
		t.Errorf("the folder for the state: %+v", state)
	}
}

func TestRegistryEntry(t *testing.T) {
	r, _ := dist(t)
	module := strings.TrimSpace(tell(t, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/modelcontextprotocol/registry"))
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(module, "internal", "validators", "schemas", "2025-12-11.json"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(r.Out, "server.json"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%v", err)
	}
	var entry struct {
		Version  string `json:"version"`
		Packages []struct {
			Identifier string `json:"identifier"`
			Sum        string `json:"fileSha256"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(content, &entry); err != nil || entry.Version != testVersion || len(entry.Packages) != 1+len(platforms) {
		t.Fatalf("%v, %+v", err, entry)
	}
	for _, p := range entry.Packages[1:] {
		if got := sum(t, filepath.Join(r.Out, filepath.Base(p.Identifier))); got != p.Sum {
			t.Errorf("%s: %s, want %s", p.Identifier, p.Sum, got)
		}
	}
}

func TestFormulaAndBill(t *testing.T) {
	r, all := dist(t)
	formula, err := os.ReadFile(filepath.Join(r.Out, "scnet-mcp.rb"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		name := fmt.Sprintf("scnet-mcp_%s_%s_%s.tar.gz", testVersion, b.OS, b.Arch)
		if b.OS != "windows" && (!bytes.Contains(formula, []byte("/"+name+`"`)) ||
			!bytes.Contains(formula, []byte(sum(t, filepath.Join(r.Out, name)))) ||
			!bytes.Contains(formula, []byte(formulaSteps))) {
			t.Errorf("the formula does not hold %s:\n%s", name, formula)
		}
	}
	content, err := os.ReadFile(filepath.Join(r.Out, fmt.Sprintf("scnet-mcp_%s.spdx.json", testVersion)))
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		Packages      []struct{ Name string } `json:"packages"`
		Relationships []any                   `json:"relationships"`
	}
	dependencies, err := r.dependencies(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &bill); err != nil || len(bill.Packages) != len(dependencies)+1 ||
		len(bill.Relationships) != len(bill.Packages) || len(dependencies) < 10 {
		t.Errorf("%v, %d packages, %d relationships, %d modules", err, len(bill.Packages), len(bill.Relationships), len(dependencies))
	}
	notices, err := os.ReadFile(filepath.Join(r.Out, noticesFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dependencies {
		if !bytes.Contains(notices, []byte(d.Path+" "+d.Version+"\n")) {
			t.Errorf("no licence of %s", d.Path)
		}
	}
}

func TestDescribe(t *testing.T) {
	for version, good := range map[string]bool{
		"1.2.3": true, "v1.2.3": true, "1.2.3-rc.1": true, "": true, "1.2": false, "latest": false, "1.2.3+x": false, "1.2.3 ": false,
	} {
		if r, err := describe("..", version); (err == nil) != good {
			t.Errorf("%q: %+v, %v", version, r, err)
		}
	}
}
