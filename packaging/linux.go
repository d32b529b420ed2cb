package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format
)

// linuxPackages makes a deb and an rpm for each Linux platform, with a unit for the HTTP server that is not started by itself.
func (r release) linuxPackages(binaries []binary) error {
	for _, b := range binaries {
		if b.OS != "linux" {
			continue
		}
		for _, format := range []string{"deb", "rpm"} {
			content, err := r.linuxPackage(b, format)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", format, b.Arch, err)
			}
			if err := r.write(fmt.Sprintf("%s_%s_%s.%s", program, r.Version, b.Arch, format), content); err != nil {
				return err
			}
		}
	}
	return nil
}

// zshFolder is where zsh looks for the completions that packages bring: Debian has a place of its own.
var zshFolder = map[string]string{"deb": "/usr/share/zsh/vendor-completions", "rpm": "/usr/share/zsh/site-functions"}

func (r release) linuxPackage(b binary, format string) ([]byte, error) {
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: program, Arch: b.Arch, Platform: "linux", Version: r.Version, Release: "1", Section: "net", Priority: "optional",
		Maintainer: authors, Description: summary, Homepage: homepage, License: license,
		MTime: r.Time,
	})
	file := func(source, destination, kind string, mode uint32) *files.Content {
		return &files.Content{Source: source, Destination: destination, Type: kind, FileInfo: &files.ContentFileInfo{
			Mode: fs.FileMode(mode), Owner: "root", Group: "root", MTime: r.Time,
		}}
	}
	here, scripts := filepath.Join(r.Source, "packaging", "linux"), filepath.Join(r.Source, "internal", "cli", "completion")
	info.Contents = files.Contents{
		file(b.Path, "/usr/bin/"+program, "", 0o755),
		file(filepath.Join(here, "scnet-mcp.service"), "/usr/lib/systemd/system/scnet-mcp.service", "", 0o644),
		file(filepath.Join(here, "environment"), "/etc/scnet-mcp/environment", "config|noreplace", 0o640),
		file(filepath.Join(r.Source, "LICENSE"), "/usr/share/doc/scnet-mcp/copyright", "", 0o644),
		file(filepath.Join(r.Out, noticesFile), "/usr/share/doc/scnet-mcp/"+noticesFile, "", 0o644),
		file(filepath.Join(scripts, "bash.sh"), "/usr/share/bash-completion/completions/"+program, "", 0o644),
		file(filepath.Join(scripts, "zsh.sh"), zshFolder[format]+"/_"+program, "", 0o644),
		file(filepath.Join(scripts, "fish.sh"), "/usr/share/fish/vendor_completions.d/"+program+".fish", "", 0o644),
	}
	documents, err := r.documents()
	if err != nil {
		return nil, err
	}
	for _, name := range documents {
		info.Contents = append(info.Contents, file(filepath.Join(r.Source, name), "/usr/share/doc/scnet-mcp/"+name, "", 0o644))
	}
	info.RPM.BuildHost = "localhost" // and not the machine's, which would be another each time
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return nil, err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = packager.Package(info, &out)
	return out.Bytes(), err
}
