package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const home = "/public/home/demo"

// disk is a lab whose first region's home is a directory.
func disk(t *testing.T, o Options) (l *lab, folder string) {
	t.Helper()
	folder = t.TempDir()
	o.Regions = []Region{{ID: kunshan, Storage: folder, Instances: []Instance{{ID: "a", Status: Running}}}}
	return open(t, o), folder
}

func (l *lab) file(method, operation string, query, form url.Values, header ...string) result {
	l.t.Helper()
	header = append(header, "token", l.Token(kunshan))
	if form != nil {
		header = append(header, "Content-Type", "application/x-www-form-urlencoded")
	}
	return l.send(method, l.RegionURL(kunshan)+filePath+"/"+operation+"?"+query.Encode(), form.Encode(), header...)
}

func (l *lab) list(path string, more ...string) result {
	l.t.Helper()
	q := url.Values{"path": {path}}
	for _, pair := range more {
		name, value, _ := strings.Cut(pair, "=")
		q.Set(name, value)
	}
	return l.file("GET", "list", q, nil)
}

type listing struct {
	Total    int
	Path     string
	Children []struct{ Label, Path string }
	FileList []entry
}

// names are those of a list's rows.
func (l listing) names() string {
	var names []string
	for _, e := range l.FileList {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

func put(t *testing.T, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileList(t *testing.T) {
	l, folder := disk(t, Options{})
	for i := range 12 {
		put(t, folder, fmt.Sprintf("f%02d", i), strings.Repeat("x", 100-i))
	}
	if err := os.Mkdir(filepath.Join(folder, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query []string
		names string
		total int
	}{
		{nil, "f00 f01 f02 f03 f04 f05 f06 f07 f08 f09", 14}, // ten unless told otherwise
		{[]string{"start=10"}, "f10 f11 link sub", 14},
		{[]string{"offset=10", "limit=2"}, "f00 f01", 14}, // which is not what it is called
		{[]string{"start=14", "limit=500"}, "", 14},
		{[]string{"keyWord=f1", "limit=500"}, "f10 f11", 2},
		{[]string{"limit=2", "order=desc"}, "sub link", 14},
		{[]string{"limit=2", "orderBy=size", "keyWord=f"}, "f11 f10", 12},
	} {
		got := into[listing](t, l.list(home, c.query...).want(t, "0"))
		eq(t, fmt.Sprint(c.query), got.names(), c.names)
		eq(t, fmt.Sprint(c.query, " total"), got.Total, c.total)
		eq(t, fmt.Sprint(c.query, " children"), fmt.Sprint(got.Children), "[{sub /public/home/demo/sub}]")
	}
	all := into[listing](t, l.file("GET", "list", url.Values{"limit": {"500"}}, nil).want(t, "0")) // home unless told otherwise
	eq(t, "path", all.Path, home)
	for _, e := range all.FileList {
		eq(t, e.Name+" is a folder, a file, a link", fmt.Sprint(e.IsDirectory, e.IsRegularFile, e.IsSymbolicLink),
			fmt.Sprint(e.Name == "sub", e.Name[0] == 'f', e.Name == "link"))
		eq(t, e.Name+" path", e.Path, home+"/"+e.Name)
	}
	i := slices.IndexFunc(all.FileList, func(e entry) bool { return e.Name == "f01" })
	eq(t, "size, permission", fmt.Sprintln(all.FileList[i].Size, all.FileList[i].Permission), "99 rw-------\n")

	l.list(home+"/none").want(t, "911020")
	l.list(home+"/f01").want(t, "911022")
	l.list(home+"/sub/../..").want(t, "911030")
	l.list("/etc").want(t, "911030")
	l.list("relative").want(t, "10004")
	l.list(home, "start=-1").want(t, "10004")
	l.list(home, "limit=0").want(t, "10004")
	l.list(home, "orderBy=owner").want(t, "10004")
}

func TestFileDownload(t *testing.T) {
	l, folder := disk(t, Options{})
	put(t, folder, "out", "0123456789")
	put(t, folder, "secret", "x")
	if err := os.Chmod(filepath.Join(folder, "secret"), 0o200); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	get := func(path string, header ...string) result {
		return l.file("GET", "download", url.Values{"path": {home + path}}, nil, header...)
	}
	r := get("/out")
	eq(t, "whole", fmt.Sprintln(r.status, r.raw, r.header.Get("Content-Length")), "200 0123456789 10\n")
	r = get("/out", "Range", "bytes=6-")
	eq(t, "part", fmt.Sprintln(r.status, r.raw, r.header.Get("Content-Range")), "206 6789 bytes 6-9/10\n")
	eq(t, "last", get("/out", "Range", "bytes=-2").raw, "89")
	eq(t, "beyond", get("/out", "Range", "bytes=10-").status, 416)
	for path, code := range map[string]string{"/none": "911020", "/secret": "911030", "/link": "911030", "": "10004", "/../other/x": "911030"} {
		r := get(path).want(t, code) // HTTP 200 all the same
		eq(t, path, string(r.Data), "null")
	}
	l.file("GET", "download", nil, nil).want(t, "10003")

	l.SetQuirks(Quirks{RangeIgnored: true, LengthUnknown: true})
	r = get("/out", "Range", "bytes=6-")
	eq(t, "range ignored", fmt.Sprintln(r.status, r.raw, r.header.Get("Content-Length")), "200 0123456789 \n")
	l.SetQuirks(Quirks{})
	l.Inject(Fault{Endpoint: EndpointFileDownload, Truncate: true, Times: 1})
	eq(t, "cut", get("/out").raw, "01234")
	l.Inject(Fault{Endpoint: EndpointFileDownload, Code: "911030", Times: 1})
	get("/out").want(t, "911030")
	l.Inject(Fault{Endpoint: EndpointFileDownload, Own: OwnFault{ExpireToken: true}, Times: 1})
	get("/out").want(t, "10008")
	eq(t, "afterwards", get("/out").raw, "0123456789")
}

func TestFileChanges(t *testing.T) {
	l, folder := disk(t, Options{})
	mkdir := func(path, parents string) result {
		return l.file("POST", "mkdir", url.Values{"path": {home + path}, "createParents": {parents}}, nil)
	}
	eq(t, "data of mkdir", string(mkdir("/a", "").want(t, "0").Data), `""`)
	mkdir("/a", "true").want(t, "911021")
	mkdir("/b/c", "false").want(t, "911020")
	mkdir("/b/c", "true").want(t, "0")
	mkdir("/../x", "").want(t, "911030")
	l.file("POST", "mkdir", nil, url.Values{"path": {home + "/d"}}).want(t, "10003") // not in the query

	touch := func(path string) result {
		return l.file("POST", "touch", nil, url.Values{"fileAbsolutePath": {home + path}})
	}
	touch("/a/cancel").want(t, "0")
	touch("/a/cancel").want(t, "911021")
	touch("/none/cancel").want(t, "911020")
	l.file("POST", "touch", url.Values{"fileAbsolutePath": {home + "/t"}}, nil).want(t, "10003") // not in a form

	exist := func(path string) string {
		return string(l.file("POST", "exist", nil, url.Values{"path": {home + path}}).want(t, "0").Data)
	}
	eq(t, "exist", exist("/a/cancel")+exist("/none"), `{"exist":true}{"exist":false}`)
	l.file("POST", "exist", nil, url.Values{"path": {""}}).want(t, "10003")

	rename := func(path, name string) result {
		return l.file("POST", "rename", nil, url.Values{"fileAbsolutePath": {home + path}, "newName": {name}})
	}
	rename("/a/cancel", "cancelled").want(t, "0")
	rename("/a/cancel", "x").want(t, "911020")
	rename("/a/cancelled", "../x").want(t, "10004")
	rename("/a", "b").want(t, "911021")
	rename("", "x").want(t, "911030")

	remove := func(recursive string, paths ...string) result {
		for i := range paths {
			paths[i] = home + paths[i]
		}
		return l.file("POST", "remove", url.Values{"paths": {strings.Join(paths, ",")}, "recursive": {recursive}}, nil)
	}
	remove("", "/a").want(t, "911502")
	remove("", "/none").want(t, "911020")
	remove("true", "").want(t, "911030")
	if r := remove("", "/a", "/b/c").want(t, "0"); !strings.Contains(r.Msg, home+"/a: Directory is not empty") {
		t.Errorf("partly: %s", r.raw)
	}
	remove("true", "/a", "/b").want(t, "0")
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	l.file("POST", "list", nil, nil).want(t, "1001")
	l.file("GET", "exist", nil, nil).want(t, "1001")
	l.file("POST", "folder-create", nil, nil).want(t, "1001")
	l.send("GET", l.RegionURL(kunshan)+filePath+"/list", "", "token", l.Token("0")).want(t, "10008")
}

func TestFileUpload(t *testing.T) {
	l, folder := disk(t, Options{})
	upload := func(name, content string, values map[string]string) result {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for k, v := range values {
			_ = w.WriteField(k, v)
		}
		part, err := w.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write([]byte(content))
		_ = w.Close()
		return l.send("POST", l.RegionURL(kunshan)+filePath+"/upload", b.String(), "token", l.Token(kunshan), "Content-Type", w.FormDataContentType())
	}
	upload("job.sh", "one", map[string]string{"path": home}).want(t, "0")
	upload("job.sh", "two", map[string]string{"path": home}).want(t, "911021")
	upload("job.sh", "three", map[string]string{"path": home, "cover": "cover"}).want(t, "0")
	upload("job.sh", "x", map[string]string{"path": home + "/none"}).want(t, "911020")
	upload("job.sh", "x", map[string]string{"path": home + "/job.sh"}).want(t, "911022")
	upload("job.sh", "x", map[string]string{}).want(t, "10003")
	if content, err := os.ReadFile(filepath.Join(folder, "job.sh")); err != nil || string(content) != "three" {
		t.Errorf("%q, %v", content, err)
	}
	permission := func(path, action string) result {
		return l.file("POST", "permission", nil, url.Values{"path": {home + path}, "permissionAction": {action}})
	}
	eq(t, "may read", string(permission("/job.sh", "READ").want(t, "0").Data), `{"allowed":true}`)
	eq(t, "may execute", string(permission("/job.sh", "EXECUTION").want(t, "0").Data), `{"allowed":false}`)
	permission("/job.sh", "CHMOD").want(t, "10004")
	permission("/none", "READ").want(t, "911020")
}

func TestFileLag(t *testing.T) {
	l, _ := disk(t, Options{Quirks: Quirks{FileLag: 10 * time.Second}})
	l.file("POST", "mkdir", url.Values{"path": {home + "/run"}}, nil).want(t, "0")
	l.list(home+"/run").want(t, "911020")
	eq(t, "at first", into[listing](t, l.list(home)).names(), "")
	l.clock.Advance(10 * time.Second)
	l.list(home+"/run").want(t, "0")
	eq(t, "later", into[listing](t, l.list(home)).names(), "run")
}

// TestSecondFileURL: each of two back ends shows at once what was made through it, and the rest after the lag.
func TestSecondFileURL(t *testing.T) {
	l, _ := disk(t, Options{Quirks: Quirks{FileLag: 10 * time.Second, SecondFileURL: true}})
	at := func(backEnd, method, operation, path string) result {
		return l.send(method, l.RegionURL(kunshan)+backEnd+filePath+"/"+operation+"?"+url.Values{"path": {home + path}}.Encode(), "",
			"token", l.Token(kunshan))
	}
	for one, other := range map[string]string{"": "/second", "/second": ""} {
		dir := "/run" + strings.TrimPrefix(one, "/")
		at(one, "POST", "mkdir", dir).want(t, "0")
		at(one, "GET", "list", dir).want(t, "0")
		at(other, "GET", "list", dir).want(t, "911020")
		at(other, "POST", "mkdir", dir).want(t, "911021") // all the same
	}
	l.clock.Advance(10 * time.Second)
	at("", "GET", "list", "/runsecond").want(t, "0")
	at("/second", "GET", "list", "/run").want(t, "0")
	at("/second", "GET", "nothing", "/run").want(t, "1001")
	last := l.Requests()[len(l.Requests())-2]
	eq(t, "the address is in the journal", last.Path, "/second"+filePath+"/list")
	l.send("GET", l.RegionURL(kunshan)+"/second/ai/openapi/v2/instance-service/task", "", "token", l.Token(kunshan)).wantPage(t, 404)
}

// TestTemporaryHome: without a storage of its own a region makes one when it is needed, and leaves nothing behind.
func TestTemporaryHome(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := New(Options{})
	left := func() int {
		found, err := os.ReadDir(os.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	l := &lab{Simulator: s, t: t}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.http = open(t, Options{}).http
	eq(t, "made at start", left(), 0)
	l.list("/public/home/acdemo01").want(t, "0")
	eq(t, "made when used", left(), 1)
	l.http.CloseIdleConnections()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	eq(t, "left behind", left(), 0)
}

// TestScriptsOnSharedStorage lets a real shell run what is executed, in the directory that the file service shows.
func TestScriptsOnSharedStorage(t *testing.T) {
	var folder string
	l, folder := disk(t, Options{OnScript: func(run ScriptRun) {
		cmd := exec.Command("sh", "-c", run.Content)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s, %v", out, err)
		}
	}})
	body, err := json.Marshal(map[string]string{"id": "a", "startScriptActionScope": "all", "startScriptContent": "echo hello > out\n"})
	if err != nil {
		t.Fatal(err)
	}
	l.do(kunshan, "POST", actions+"execute-script", string(body)).want(t, "0")
	eq(t, "output", l.file("GET", "download", url.Values{"path": {home + "/out"}}, nil).raw, "hello\n")
}
