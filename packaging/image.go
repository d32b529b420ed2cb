package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageFolder is an OCI image layout with an image for each Linux platform.
const imageFolder = "image"

// noRoot is the user that the image runs as, in numbers, because it has no list of users. It can be run with a read-only root.
const (
	noRoot   = "65532:65532"
	noRootID = 65532
)

// image makes the container image from scratch: the binary, the certificates of this machine's authorities, and the licences.
func (r release) image(binaries []binary) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range binaries {
		if b.OS != "linux" {
			continue
		}
		one, err := r.imageOf(b)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: b.OS, Architecture: b.Arch},
		}})
	}
	_, err := layout.Write(filepath.Join(r.Out, imageFolder), index)
	return err
}

func (r release) imageOf(b binary) (v1.Image, error) {
	entries, err := r.contents(b)
	if err != nil {
		return nil, err
	}
	entries[0].name = "usr/bin/" + b.file()
	for i := range entries[1:] {
		entries[i+1].name = "usr/share/doc/" + program + "/" + entries[i+1].name
	}
	authorities, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		return nil, fmt.Errorf("the certificates of the authorities: %w", err)
	}
	content, err := r.tarball("", append(entries,
		entry{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities},
		entry{"var/lib/scnet-mcp/", fs.ModeDir | 0o700, nil}, // a volume that is mounted here gets its owner
	))
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return gzip.NewReader(bytes.NewReader(content))
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	one, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{
		CreatedBy: "scnet-mcp packaging", Created: v1.Time{Time: r.Time},
	}})
	if err != nil {
		return nil, err
	}
	file, err := one.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = b.OS, b.Arch, v1.Time{Time: r.Time}
	file.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/" + program}, User: noRoot, WorkingDir: "/",
		Env: []string{"PATH=/usr/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "XDG_STATE_HOME=/var/lib"},
		Labels: map[string]string{
			"io.modelcontextprotocol.server.name": registryKey,
			"org.opencontainers.image.title":      program, "org.opencontainers.image.description": summary,
			"org.opencontainers.image.version": r.Version, "org.opencontainers.image.revision": r.Commit,
			"org.opencontainers.image.source": homepage, "org.opencontainers.image.licenses": license,
		},
	}
	return mutate.ConfigFile(one, file)
}
