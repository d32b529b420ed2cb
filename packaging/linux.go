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
	here := filepath.Join(r.Source, "packaging", "linux")
	info.Contents = files.Contents{
		file(b.Path, "/usr/bin/"+program, "", 0o755),
		file(filepath.Join(here, "scnet-mcp.service"), "/usr/lib/systemd/system/scnet-mcp.service", "", 0o644),
		file(filepath.Join(here, "environment"), "/etc/scnet-mcp/environment", "config|noreplace", 0o640),
		file(filepath.Join(r.Source, "LICENSE"), "/usr/share/doc/scnet-mcp/copyright", "", 0o644),
		file(filepath.Join(r.Out, noticesFile), "/usr/share/doc/scnet-mcp/"+noticesFile, "", 0o644),
		file(filepath.Join(r.Source, "README.md"), "/usr/share/doc/scnet-mcp/README.md", "", 0o644),
		file(filepath.Join(r.Source, "README.zh-CN.md"), "/usr/share/doc/scnet-mcp/README.zh-CN.md", "", 0o644),
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
