package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// launcher starts the binary of the package that fits the machine.
//
//go:embed npm/scnet-mcp.js
var launcher []byte

// nodeNames are what Node.js calls a platform.
var nodeNames = map[string]string{"windows": "win32", "amd64": "x64"}

func nodeName(name string) string {
	if other, ok := nodeNames[name]; ok {
		return other
	}
	return name
}

// npmPackages makes a package for each platform and one that depends on all of them: npm installs the one that fits.
func (r release) npmPackages(binaries []binary) error {
	optional := map[string]string{}
	for _, b := range binaries {
		system, processor := nodeName(b.OS), nodeName(b.Arch)
		name := fmt.Sprintf("@scnet-mcp/%s-%s", system, processor)
		optional[name] = r.Version
		entries, err := r.contents(b)
		if err != nil {
			return err
		}
		entries[0].name = "bin/" + b.file()
		if err := r.npmPackage(fmt.Sprintf("npm-%s-%s", system, processor), map[string]any{
			"name": name, "os": []string{system}, "cpu": []string{processor}, "preferUnplugged": true,
		}, entries); err != nil {
			return err
		}
	}
	readme, err := os.ReadFile(filepath.Join(r.Source, "README.md"))
	if err != nil {
		return err
	}
	return r.npmPackage("npm", map[string]any{
		"name": program, "bin": map[string]string{program: "scnet-mcp.js"}, "optionalDependencies": optional,
		"engines": map[string]string{"node": ">=18"}, "mcpName": registryKey,
	}, []entry{{"scnet-mcp.js", 0o755, launcher}, {"README.md", 0o644, readme}})
}

func (r release) npmPackage(file string, fields map[string]any, entries []entry) error {
	for name, value := range map[string]any{
		"version": r.Version, "description": summary, "license": license, "homepage": homepage,
		"repository": map[string]string{"type": "git", "url": "git+" + homepage + ".git"},
	} {
		fields[name] = value
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		return err
	}
	content, err := r.tarball("package/", append([]entry{{"package.json", 0o644, append(text, '\n')}}, entries...))
	if err != nil {
		return err
	}
	return r.write(fmt.Sprintf("%s_%s_%s.tgz", program, r.Version, file), content)
}
