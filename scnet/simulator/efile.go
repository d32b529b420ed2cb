package simulator

import (
	"bytes"
	"cmp"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
)

// posted reads a form in the body. What is not sent as a form counts as not sent at all.
func (c *call) posted() *form {
	kind, _, _ := mime.ParseMediaType(c.header.Get("Content-Type"))
	values, err := url.ParseQuery(string(c.body))
	if kind != "application/x-www-form-urlencoded" || err != nil {
		values = nil
	}
	return queryForm(values)
}

// told is the answer of an operation that went well unless something is remembered.
func (f *folder) told(data any) reply {
	if f.bad != "" {
		return fail(f.bad)
	}
	return ok(data)
}

// fileList is page efile/list. Folders are among the files too; children are all folders, whatever part is asked for.
func (c *call) fileList() reply {
	q := queryForm(c.query)
	limit, start := 10, 0
	if c.query.Get("limit") != "" {
		limit = q.number("limit", false, 1)
	}
	if c.query.Get("start") != "" {
		start = q.number("start", false, 0)
	}
	order := q.word("order", false, "asc", "desc")
	by := q.word("orderBy", false, "name", "size", "lastModifiedTime")
	word := q.text("keyWord", false)
	dir := cmp.Or(q.text("path", false), c.region.HomePath)
	if out, ok := q.verdict(); !ok {
		return out
	}
	f := c.files()
	name := f.name(dir)
	if info, there := f.look(name); there && !info.IsDir() && info.Mode()&fs.ModeSymlink == 0 {
		f.fail(codeNotFolder)
	}
	infos := f.inside(name)
	if f.bad != "" {
		return fail(f.bad)
	}
	dir = path.Clean(dir)
	children, rows := []map[string]any{}, []entry{}
	for i, info := range infos {
		if info.IsDir() {
			children = append(children, map[string]any{"id": i + 1, "label": info.Name(), "path": path.Join(dir, info.Name())})
		}
	}
	infos = slices.DeleteFunc(infos, func(info fs.FileInfo) bool { return !strings.Contains(info.Name(), word) })
	slices.SortStableFunc(infos, func(a, b fs.FileInfo) int {
		n := strings.Compare(a.Name(), b.Name())
		switch by {
		case "size":
			n = cmp.Or(cmp.Compare(a.Size(), b.Size()), n)
		case "lastModifiedTime":
			n = cmp.Or(a.ModTime().Compare(b.ModTime()), n)
		}
		if order == "desc" {
			return -n
		}
		return n
	})
	rest := infos[min(start, len(infos)):]
	for i, info := range rest[:min(limit, len(rest))] {
		rows = append(rows, f.entry(dir, info, int64(start+i+1)))
	}
	return ok(map[string]any{
		"total": len(infos), "path": dir, "keyWord": nullable(word), "shareEnabled": false, "children": children, "fileList": rows,
	})
}

// inside returns what is in a folder, by name.
func (f *folder) inside(name string) []fs.FileInfo {
	if f.bad != "" {
		return nil
	}
	found, err := fs.ReadDir(f.root.FS(), name)
	if !f.check(err) {
		return nil
	}
	var infos []fs.FileInfo
	for _, e := range found {
		info, err := e.Info()
		if err != nil || f.hidden(path.Join(name, e.Name()), info) {
			continue // gone meanwhile, or not to be seen yet
		}
		infos = append(infos, info)
	}
	return infos
}

// fileDownload is page efile/download. What is missing is told with HTTP 200 too. That a folder comes as an archive is not
// simulated.
func (c *call) fileDownload() reply {
	q := queryForm(c.query)
	file := q.text("path", true)
	if out, ok := q.verdict(); !ok {
		return out
	}
	f := c.files()
	name := f.name(file)
	info, there := f.look(name)
	switch {
	case !there:
	case info.IsDir():
		f.fail(codeInvalid)
	case info.Mode().Perm()&0o400 == 0:
		f.fail(codeNoAccess)
	}
	if f.bad != "" {
		return fail(f.bad)
	}
	content, err := f.root.ReadFile(name)
	if !f.check(err) {
		return fail(f.bad)
	}
	return reply{code: codeOK, file: c.download(info, content)}
}

// fileExist is page efile/exist.
func (c *call) fileExist() reply {
	q := c.posted()
	file := q.text("path", true)
	if out, ok := q.verdict(); !ok {
		return out
	}
	f := c.files()
	_, there := f.look(f.name(file))
	if f.bad == codeNoFile {
		f.bad = ""
	}
	return f.told(map[string]bool{"exist": there})
}

// fileMkdir is page efile/folder-create. The mode of what it makes is not documented.
func (c *call) fileMkdir() reply {
	q := queryForm(c.query)
	dir := q.text("path", true)
	parents := q.word("createParents", false, "true", "false") == "true"
	if out, ok := q.verdict(); !ok {
		return out
	}
	f := c.files()
	name := f.name(dir)
	if f.bad != "" {
		return fail(f.bad)
	}
	if parents && path.Dir(name) != "." && !f.check(f.root.MkdirAll(path.Dir(name), 0o755)) {
		return fail(f.bad)
	}
	if f.check(f.root.Mkdir(name, 0o755)) {
		f.stamp(name)
	}
	return f.told("")
}

// fileTouch is page efile/file-touch.
func (c *call) fileTouch() reply {
	q := c.posted()
	file := q.text("fileAbsolutePath", true)
	if out, ok := q.verdict(); !ok {
		return out
	}
	f := c.files()
	f.write(f.name(file), nil, false)
	return f.told(nil)
}

// write makes a file.
func (f *folder) write(name string, content []byte, cover bool) {
	if f.bad != "" {
		return
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if cover {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := f.root.OpenFile(name, flags, 0o644)
	if !f.check(err) {
		return
	}
	_, err = file.Write(content)
	f.check(cmp.Or(err, file.Close()))
	f.stamp(name)
}

// fileUpload is page efile/upload.
func (c *call) fileUpload() reply {
	_, parameters, _ := mime.ParseMediaType(c.header.Get("Content-Type"))
	parts, err := multipart.NewReader(bytes.NewReader(c.body), parameters["boundary"]).ReadForm(maxBody)
	if err != nil {
		return fail(codeIncomplete)
	}
	defer func() { _ = parts.RemoveAll() }()
	values := url.Values(parts.Value)
	for _, name := range []string{"path", "cover"} { // clients send these in the query too
		if !values.Has(name) {
			values[name] = c.query[name]
		}
	}
	q := queryForm(slicesOnly(values))
	dir := q.text("path", true)
	cover := q.word("cover", false, "cover", "uncover") == "cover"
	if len(parts.File["file"]) != 1 {
		q.incomplete = true
	}
	if out, ok := q.verdict(); !ok {
		return out
	}
	part := parts.File["file"][0]
	var content bytes.Buffer
	opened, err := part.Open()
	if err == nil {
		_, err = content.ReadFrom(opened)
		_ = opened.Close()
	}
	if err != nil {
		return fail(codeInternal)
	}
	f := c.files()
	name := f.name(dir)
	if info, there := f.look(name); there && !info.IsDir() {
		f.fail(codeNotFolder)
	}
	f.write(path.Join(name, path.Base(part.Filename)), content.Bytes(), cover)
	return f.told(nil)
}

// slicesOnly drops names without a value.
func slicesOnly(values url.Values) url.Values {
	for name, v := range values {
		if len(v) == 0 {
			delete(values, name)
		}
	}
	return values
}

// fileRemove takes a list with commas: a path cannot have one. It goes on where one of them fails, and tells of that in the
// message only, unless all of them do.
func (c *call) fileRemove() reply {
	q := queryForm(c.query)
	paths := strings.Split(q.text("paths", true), ",")
	recursive := q.word("recursive", false, "true", "false") == "true"
	if out, ok := q.verdict(); !ok {
		return out
	}
	var failures []string
	code := ""
	for _, p := range paths {
		f := c.files()
		f.remove(f.name(p), recursive)
		if f.bad != "" {
			code = cmp.Or(code, f.bad)
			failures = append(failures, p+": "+codeText[f.bad])
		}
	}
	if len(failures) == len(paths) {
		return fail(code)
	}
	out := ok("")
	if len(failures) > 0 {
		out.msg = strings.Join(failures, "; ")
	}
	return out
}

func (f *folder) remove(name string, recursive bool) {
	info, there := f.look(name)
	switch {
	case !there:
	case name == ".":
		f.fail(codeNoAccess)
	case info.IsDir() && !recursive && len(f.inside(name)) > 0:
		f.fail(codeNotEmpty)
	case recursive:
		f.check(f.root.RemoveAll(name))
	default:
		f.check(f.root.Remove(name))
	}
}

// fileRename is page efile/file-rename.
func (c *call) fileRename() reply {
	q := c.posted()
	file, newName := q.text("fileAbsolutePath", true), q.text("newName", true)
	q.check(!strings.Contains(newName, "/"))
	if out, ok := q.verdict(); !ok {
		return out
	}
	f := c.files()
	name := f.name(file)
	_, there := f.look(name)
	target := path.Join(path.Dir(name), newName)
	if there && name == "." {
		f.fail(codeNoAccess)
	}
	if f.bad == "" {
		if _, err := f.root.Lstat(target); err == nil {
			f.fail(codeFileThere)
		}
	}
	if f.bad == "" {
		f.check(f.root.Rename(name, target))
	}
	return f.told(nil)
}

// filePermission is page efile/check-permission: it checks, and changes nothing.
func (c *call) filePermission() reply {
	q := c.posted()
	file := q.text("path", true)
	action := q.word("permissionAction", true, "READ", "WRITE", "EXECUTE", "EXECUTION")
	if out, ok := q.verdict(); !ok {
		return out
	}
	f := c.files()
	info, there := f.look(f.name(file))
	if !there {
		return fail(f.bad)
	}
	bit := map[string]fs.FileMode{"READ": 0o400, "WRITE": 0o200}[action]
	return ok(map[string]bool{"allowed": info.Mode()&cmp.Or(bit, 0o100) != 0})
}
