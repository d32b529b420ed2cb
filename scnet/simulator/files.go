package simulator

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// storage opens a region's home. The caller holds sim.mu.
func (r *region) storage() (*os.Root, error) {
	if r.files != nil {
		return r.files, nil
	}
	folder := r.Storage
	if folder == "" {
		made, err := os.MkdirTemp("", "scnet-simulator-")
		if err != nil {
			return nil, err
		}
		folder = made
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	r.files = root
	return root, nil
}

// closeFiles closes the home, and removes it if it was a temporary one.
func (r *region) closeFiles() error {
	if r.files == nil {
		return nil
	}
	folder, err := r.files.Name(), r.files.Close()
	r.files = nil
	if r.Storage == "" {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return err
}

// folder is a call's view of the file service. It remembers the first thing that goes wrong.
type folder struct {
	call *call
	root *os.Root
	bad  string // the code of what is wrong
}

func (c *call) files() *folder {
	f := &folder{call: c}
	root, err := c.region.storage()
	if err != nil {
		f.bad = codeInternal
	}
	f.root = root
	if err == nil {
		f.proceed()
	}
	return f
}

// name translates an absolute path of the service, which acts with the rights of the cluster user: that nothing outside the
// home may be seen is an assumption.
func (f *folder) name(absolute string) string {
	home := f.call.region.HomePath
	clean := path.Clean(absolute)
	switch {
	case !strings.HasPrefix(absolute, "/"):
		f.fail(codeInvalid)
	case clean == home:
		return "."
	case strings.HasPrefix(clean, home+"/"):
		return clean[len(home)+1:]
	default:
		f.fail(codeNoAccess)
	}
	return "."
}

func (f *folder) fail(code string) {
	if f.bad == "" {
		f.bad = code
	}
}

// check remembers an error of the file system.
func (f *folder) check(err error) bool {
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		f.fail(codeNoFile)
	case errors.Is(err, fs.ErrExist):
		f.fail(codeFileThere)
	default: // no right to it, or a link that leads out of the home
		f.fail(codeNoAccess)
	}
	return f.bad == ""
}

// look is os.Root.Lstat of what is not hidden by the lag.
func (f *folder) look(name string) (fs.FileInfo, bool) {
	if f.bad != "" {
		return nil, false
	}
	info, err := f.root.Lstat(name)
	if err == nil && f.hidden(name, info) && name != "." {
		err = fs.ErrNotExist
	}
	return info, f.check(err)
}

// hidden reports whether the back end does not know of a file yet.
func (f *folder) hidden(name string, info fs.FileInfo) bool {
	q := f.call.quirks
	maker, made := f.call.region.makers[name]
	if q.SecondFileURL && made && maker == f.call.backEnd {
		return false
	}
	return q.FileLag > 0 && info.ModTime().After(f.call.now.Add(-q.FileLag))
}

// stamp gives what was just made the time of the simulator's clock.
func (f *folder) stamp(name string) {
	f.check(f.root.Chtimes(name, f.call.now, f.call.now))
	f.call.region.makers[name] = f.call.backEnd
}

// entry is one row of a list.
type entry struct {
	ID               string          `json:"id"`
	Name             string          `json:"name"`
	Path             string          `json:"path"`
	Size             int64           `json:"size"`
	Type             string          `json:"type"`
	Owner            string          `json:"owner"`
	Group            string          `json:"group"`
	Permission       string          `json:"permission"`
	IsDirectory      bool            `json:"isDirectory"`
	IsRegularFile    bool            `json:"isRegularFile"`
	IsSymbolicLink   bool            `json:"isSymbolicLink"`
	IsOther          bool            `json:"isOther"`
	IsShare          bool            `json:"isShare"`
	CreationTime     any             `json:"creationTime"`
	LastModifiedTime any             `json:"lastModifiedTime"`
	LastAccessTime   any             `json:"lastAccessTime"`
	FileKey          int64           `json:"fileKey"`
	PermissionAction map[string]bool `json:"permissionAction"`
}

func (f *folder) entry(dir string, info fs.FileInfo, key int64) entry {
	mode := info.Mode()
	full := path.Join(dir, info.Name())
	e := entry{
		ID: full, Name: info.Name(), Path: full, Size: info.Size(),
		Owner: f.call.region.ClusterUser, Group: f.call.region.ClusterUser, Permission: mode.Perm().String()[1:],
		IsDirectory: mode.IsDir(), IsRegularFile: mode.IsRegular(), IsSymbolicLink: mode&fs.ModeSymlink != 0,
		CreationTime: timeText(info.ModTime()), LastModifiedTime: timeText(info.ModTime()),
		LastAccessTime: timeText(info.ModTime()), FileKey: key,
		PermissionAction: map[string]bool{
			"read": mode&0o400 != 0, "write": mode&0o200 != 0, "execute": mode&0o100 != 0, "allowed": true,
		},
	}
	e.IsOther = !e.IsDirectory && !e.IsRegularFile && !e.IsSymbolicLink
	return e
}

// download is a file as an answer.
func (c *call) download(info fs.FileInfo, content []byte) *fakecloud.Answer {
	r, q := c.request, c.quirks
	return &fakecloud.Answer{Status: http.StatusOK, Body: content, Stream: func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if q.RangeIgnored {
			r.Header.Del("Range")
		}
		if q.LengthUnknown {
			w = chunked{w}
		}
		http.ServeContent(w, r, "", info.ModTime(), bytes.NewReader(body))
	}}
}

// chunked sends an answer without its length.
type chunked struct{ http.ResponseWriter }

func (c chunked) WriteHeader(status int) {
	c.Header().Del("Content-Length")
	c.ResponseWriter.WriteHeader(status)
	_ = http.NewResponseController(c.ResponseWriter).Flush() // else net/http would count a short body itself
}
