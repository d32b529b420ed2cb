package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// noticesFile holds the licences of everything that is linked into the binary.
const noticesFile = "THIRD-PARTY-NOTICES.txt"

// dependency is a module that is linked into a binary.
type dependency struct{ Path, Version, Dir string }

// dependencies are the modules of all binaries; on some platforms there are a few more.
func (r release) dependencies(binaries []binary) ([]dependency, error) {
	var all []dependency
	for _, b := range binaries {
		info, err := buildinfo.ReadFile(b.Path)
		if err != nil {
			return nil, err
		}
		for _, m := range info.Deps {
			if d := (dependency{Path: m.Path, Version: m.Version}); !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	slices.SortFunc(all, func(a, b dependency) int { return strings.Compare(a.Path, b.Path) })
	for i, d := range all {
		command := exec.Command("go", "mod", "download", "-json", d.Path+"@"+d.Version)
		command.Dir = r.Source
		text, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("the source of %s: %w", d.Path, err)
		}
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// licences writes the texts of all licences. A module without one is an error: nobody may pass it on.
func (r release) licences(binaries []binary) error {
	dependencies, err := r.dependencies(binaries)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s is made with the Go standard library and these modules.\n", program, r.Version)
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	standard := dependency{Path: "The Go standard library", Dir: strings.TrimSpace(string(goroot))}
	for _, d := range append([]dependency{standard}, dependencies...) {
		texts, err := licenceTexts(d)
		if err != nil {
			return err
		}
		for _, text := range texts {
			fmt.Fprintf(&b, "\n%s\n%s %s\n\n%s\n", strings.Repeat("-", 80), d.Path, d.Version, strings.TrimSpace(text))
		}
	}
	return r.write(noticesFile, b.Bytes())
}

func licenceTexts(d dependency) (texts []string, err error) {
	files, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if file.IsDir() || !licenceFile.MatchString(file.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(d.Dir, file.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(content))
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s %s has no licence", d.Path, d.Version)
	}
	return texts, nil
}

// bill writes what is in the binaries, in SPDX 2.3.
func (r release) bill(binaries []binary) error {
	dependencies, err := r.dependencies(binaries)
	if err != nil {
		return err
	}
	type reference struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	type part struct {
		ID       string      `json:"SPDXID"`
		Name     string      `json:"name"`
		Version  string      `json:"versionInfo"`
		Location string      `json:"downloadLocation"`
		Licence  string      `json:"licenseDeclared"`
		Files    bool        `json:"filesAnalyzed"`
		External []reference `json:"externalRefs"`
	}
	type relation struct {
		From string `json:"spdxElementId"`
		Kind string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
	purl := func(path, version string) []reference {
		return []reference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}}
	}
	parts := []part{{
		"SPDXRef-" + program, program, r.Version, homepage, license, false, purl("github.com/scnet-mcp/scnet-mcp", "v"+r.Version),
	}}
	relations := []relation{{"SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-" + program}}
	for i, d := range dependencies {
		id := fmt.Sprintf("SPDXRef-module-%d", i+1)
		parts = append(parts, part{id, d.Path, d.Version, "NOASSERTION", "NOASSERTION", false, purl(d.Path, d.Version)})
		relations = append(relations, relation{"SPDXRef-" + program, "DEPENDS_ON", id})
	}
	text, err := json.MarshalIndent(map[string]any{
		"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
		"name":              program + "-" + r.Version,
		"documentNamespace": homepage + "/releases/" + r.Version + "/" + r.Commit,
		"creationInfo":      map[string]any{"created": r.Time.Format("2006-01-02T15:04:05Z"), "creators": []string{"Organization: " + authors}},
		"packages":          parts, "relationships": relations,
	}, "", "  ")
	if err != nil {
		return err
	}
	return r.write(fmt.Sprintf("%s_%s.spdx.json", program, r.Version), append(text, '\n'))
}
