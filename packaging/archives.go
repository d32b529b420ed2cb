package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// entry is a file in an archive.
type entry struct {
	name    string
	mode    fs.FileMode
	content []byte
}

// program and the texts that go with it everywhere.
func (r release) contents(b binary) ([]entry, error) {
	content, err := os.ReadFile(b.Path)
	if err != nil {
		return nil, err
	}
	all := []entry{{b.file(), 0o755, content}}
	for _, name := range []string{"LICENSE", "README.md", "README.zh-CN.md", "SECURITY.md", "SECURITY.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join(r.Source, name))
		if err != nil {
			return nil, err
		}
		all = append(all, entry{name, 0o644, text})
	}
	notices, err := os.ReadFile(filepath.Join(r.Out, noticesFile))
	return append(all, entry{noticesFile, 0o644, notices}), err
}

// documents are the pages for people and the skills, by their paths in the repository: at these, the links between them work.
func (r release) documents() (paths []string, err error) {
	for _, pattern := range []string{"LICENSE", "*.md", "docs", "prompts/skills", "deploy"} {
		found, err := filepath.Glob(filepath.Join(r.Source, pattern))
		if err != nil {
			return nil, err
		}
		for _, root := range found {
			err := filepath.WalkDir(root, func(path string, file fs.DirEntry, err error) error {
				isTest := strings.HasSuffix(path, ".go") || strings.HasPrefix(filepath.Base(path), "go.")
				if err != nil || file.IsDir() || isTest {
					return err
				}
				path, err = filepath.Rel(r.Source, path)
				paths = append(paths, filepath.ToSlash(path))
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return paths, nil
}

// archives makes one archive for each platform, with everything that is there to read.
func (r release) archives(binaries []binary) error {
	documents, err := r.documents()
	if err != nil {
		return err
	}
	for _, b := range binaries {
		entries, err := r.contents(b)
		if err != nil {
			return err
		}
		for _, name := range documents {
			if slices.ContainsFunc(entries, func(e entry) bool { return e.name == name }) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(r.Source, name))
			if err != nil {
				return err
			}
			entries = append(entries, entry{name, 0o644, text})
		}
		name := fmt.Sprintf("%s_%s_%s_%s", program, r.Version, b.OS, b.Arch)
		if b.OS == "windows" {
			content, err := r.zip(entries)
			if err != nil {
				return err
			}
			if err := r.write(name+".zip", content); err != nil {
				return err
			}
			continue
		}
		content, err := r.tarball("", entries)
		if err != nil {
			return err
		}
		if err := r.write(name+".tar.gz", content); err != nil {
			return err
		}
	}
	return nil
}

// tarball is a gzip'ed tar file whose bytes depend on the entries and the release alone.
func (r release) tarball(folder string, entries []entry) ([]byte, error) {
	var b bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(compressed)
	for _, e := range entries {
		header := &tar.Header{
			Name: folder + e.name, Mode: int64(e.mode), Size: int64(len(e.content)), ModTime: r.Time, Typeflag: tar.TypeReg,
			Format: tar.FormatUSTAR,
		}
		if e.mode.IsDir() { // the only one is where the image keeps its state
			header.Typeflag, header.Mode, header.Uid, header.Gid = tar.TypeDir, int64(e.mode.Perm()), noRootID, noRootID
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// zip does the same as a zip file.
func (r release) zip(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: r.Time}
		header.SetMode(e.mode)
		file, err := archive.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := file.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// checksumsFile lists the SHA-256 of every file that people download, as sha256sum writes and checks it.
const checksumsFile = "checksums.txt"

func (r release) checksums([]binary) error {
	sums, err := r.sums()
	if err != nil {
		return err
	}
	var lines []string
	for name, sum := range sums {
		lines = append(lines, sum+"  "+name+"\n")
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i][66:] < lines[j][66:] })
	return r.write(checksumsFile, []byte(strings.Join(lines, "")))
}

// sums are the SHA-256 of the files in the folder itself.
func (r release) sums() (map[string]string, error) {
	files, err := os.ReadDir(r.Out)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(r.Out, file.Name()))
		if err != nil {
			return nil, err
		}
		sums[file.Name()] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return sums, nil
}
