package scnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Files is the file service (efile) of a region. Every call goes to one address: the service may name several, and what was
// made through one of them was seen to be missing at another for a while. A call moves on to the next address only while
// nothing has been answered yet. It is safe for concurrent use.
type Files struct {
	Home string // the cluster user's home directory, "" when the service does not tell it
	User string // the cluster user, which owns what the service makes; not the login name

	region    *Region
	addresses []string // complete, up to …/file/
	mu        sync.Mutex
	current   int
	pinned    bool
}

// File is an entry of a directory. Text is as the service sent it and not cleaned for display.
type File struct {
	Name       string
	Size       int64
	Directory  bool
	Regular    bool
	Symlink    bool
	Owner      string
	Modified   time.Time // zero when the service does not tell it; its times carry no zone, and pass for China's
	Permission string    // "rw-r--r--", "" when the service does not tell it
	Unreadable bool      // the service says that it may not read it
}

const (
	filesPath = "/efile/openapi/v2/file/"

	fileTimeout     = 10 * time.Second
	downloadTimeout = 30 * time.Second

	listRows  = 500 // of one page; the service gives 10 unless told
	listPages = 10

	// maxSkipped is how much a Read discards when the service ignores the range that it was asked for.
	maxSkipped = 1 << 20
	// maxRefusal is how large the answer may be that tells of an error with HTTP 200 instead of a file.
	maxRefusal = 4 << 10
)

// Files returns the region's file service.
func (r *Region) Files(ctx context.Context) (*Files, error) {
	found, err := r.center(ctx)
	if err != nil {
		return nil, err
	}
	look := call{op: opFindFiles, region: r}
	var addresses []string
	bases, err := found.FileURLs.bases("/efile")
	if err != nil {
		return nil, look.useless(lang.Errorf("%w: %w", ErrNoFiles, err))
	}
	for _, base := range bases {
		addresses = append(addresses, base+filesPath)
	}
	return &Files{
		Home: string(found.User.Value.HomePath), User: string(found.User.Value.UserName), region: r, addresses: addresses,
	}, nil
}

// Addresses returns the file service at each of its addresses, that of f first: what was made at one of them may not show at
// the others for a while.
func (f *Files) Addresses() []*Files {
	at, _ := f.address()
	all := []*Files{f}
	for i := range f.addresses {
		if i != at {
			all = append(all, &Files{Home: f.Home, User: f.User, region: f.region, addresses: f.addresses[i : i+1]})
		}
	}
	return all
}

// List returns everything in a directory. One that does not exist gives ErrNoFile.
func (f *Files) List(ctx context.Context, dir string) ([]File, error) {
	c := f.call(opListFiles, http.MethodGet, "list")
	c.maxBody = maxListBody
	var files []File
	seen := map[string]bool{}
	for range listPages {
		c.url = "list?" + url.Values{
			"path": {dir}, "start": {strconv.Itoa(len(files))}, "limit": {strconv.Itoa(listRows)}, "order": {"asc"},
			"orderBy": {"name"},
		}.Encode()
		env, _, err := f.do(ctx, c, dir)
		if err != nil {
			return nil, err
		}
		rows, total, err := decodeFiles(env.Data)
		if err != nil {
			return nil, c.useless(err)
		}
		fresh := 0
		for _, file := range rows {
			if !seen[file.Name] {
				seen[file.Name] = true
				files = append(files, file)
				fresh++
			}
		}
		if fresh == 0 || len(files) >= total {
			return files, nil
		}
	}
	return nil, c.useless(lang.Errorf("%w: more than %d files", ErrMalformed, listRows*listPages))
}

type fileRow struct {
	Name       text   `json:"name"`
	Size       number `json:"size"`
	Owner      text   `json:"owner"`
	Modified   text   `json:"lastModifiedTime"`
	Permission text   `json:"permission"`
	Directory  truth  `json:"isDirectory"`
	Regular    truth  `json:"isRegularFile"`
	Symlink    truth  `json:"isSymbolicLink"`
	Action     lenient.Object[struct {
		Read *truth `json:"read"`
	}] `json:"permissionAction"`
}

// decodeFiles reads a page of a directory. total is at least the number of rows.
func decodeFiles(data json.RawMessage) (files []File, total int, err error) {
	var page struct {
		Total *number         `json:"total"`
		Rows  json.RawMessage `json:"fileList"`
	}
	if isNull(data) || lenient.Unmarshal(data, &page) != nil || !isNull(page.Rows) && page.Rows[0] != '[' {
		return nil, 0, ErrMalformed
	}
	var rows []json.RawMessage
	_ = lenient.Unmarshal(page.Rows, &rows) // null or an array, as seen above
	for _, raw := range rows {
		var row fileRow
		if lenient.Unmarshal(raw, &row) != nil || !isFileName(string(row.Name)) {
			continue
		}
		files = append(files, File{
			Name: string(row.Name), Size: max(int64(row.Size), 0), Directory: bool(row.Directory), Regular: bool(row.Regular),
			Symlink: bool(row.Symlink), Owner: string(row.Owner), Permission: string(row.Permission),
			Modified:   parseTime(row.Modified),
			Unreadable: row.Action.Value.Read != nil && !bool(*row.Action.Value.Read),
		})
	}
	if len(rows) > 0 && len(files) == 0 {
		return nil, 0, lang.Errorf("%w: none of %d files has a name", ErrMalformed, len(rows))
	}
	total = len(files)
	if page.Total != nil {
		total = max(total, int(*page.Total))
	}
	return files, total, nil
}

func isFileName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// Mkdir makes a directory, and its parents if need be. It returns ErrFileExists if the directory exists. After an error with
// Uncertain set, the directory may have been made.
func (f *Files) Mkdir(ctx context.Context, dir string) error {
	c := f.call(opMkdir, http.MethodPost, "mkdir?"+url.Values{"path": {dir}, "createParents": {"true"}}.Encode())
	c.write = true
	_, _, err := f.do(ctx, c, dir)
	return err
}

// Touch makes an empty file. It returns ErrFileExists if the file exists.
func (f *Files) Touch(ctx context.Context, file string) error {
	c := f.call(opTouch, http.MethodPost, "touch")
	c.write, c.body = true, []byte(url.Values{"fileAbsolutePath": {file}}.Encode())
	c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, _, err := f.do(ctx, c, file)
	return err
}

// Read returns up to n bytes of a file from offset on: fewer only where the file ends. Where the service ignores the range it
// takes the part from the whole, which fails with upstream.ErrTooLarge when that is too much.
//
// A file that is missing is answered like a small file that holds an error, so list first, and compare with the size.
func (f *Files) Read(ctx context.Context, file string, offset, n int64) ([]byte, error) {
	c := f.call(opRead, http.MethodGet, "download?"+url.Values{"path": {file}}.Encode())
	c.timeout, c.maxBody, c.raw = downloadTimeout, maxSkipped+n, true
	if offset < 0 || n < 1 {
		return nil, c.invalid(lang.Errorf("%d bytes from %d on", n, offset))
	}
	c.header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+n-1))
	_, resp, err := f.do(ctx, c, file)
	if err != nil {
		return nil, err
	}
	return part(resp, offset, n), nil
}

// part takes what was asked for out of an answer to a range: that part, the whole file, or nothing.
func part(resp *upstream.Response, offset, n int64) []byte {
	body := resp.Body
	switch resp.Status {
	case http.StatusRequestedRangeNotSatisfiable:
		return nil
	case http.StatusOK:
		body = body[min(offset, int64(len(body))):]
	case http.StatusPartialContent: // of which a service might begin elsewhere
		var from int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from); err == nil && from != offset {
			body = body[min(max(offset-from, 0), int64(len(body))):]
			if from > offset {
				return nil
			}
		}
	}
	return body[:min(n, int64(len(body)))]
}

// runFolder is the only form of a directory that RemoveRun removes.
var runFolder = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(/[A-Za-z0-9._@%+=:-]+)+/\.scnet-mcp/runs/[0-9]{8}T[0-9]{6}Z-[0-9a-f]{32}$`)
})

// RemoveRun removes the directory of one run of a script with everything in it, and nothing else: any other path is refused.
// Removing a directory that is already gone is not an error.
func (f *Files) RemoveRun(ctx context.Context, dir string) error {
	c := f.call(opRemove, http.MethodPost, "remove?"+url.Values{"paths": {dir}, "recursive": {"true"}}.Encode())
	c.write = true
	if !runFolder().MatchString(dir) || path.Clean(dir) != dir {
		return c.invalid(lang.Errorf("only the directory of one run may be removed"))
	}
	_, _, err := f.do(ctx, c, dir)
	if errors.Is(err, ErrNoFile) {
		return nil
	}
	return err
}

// call is one call of the file service; url is what follows its address.
func (f *Files) call(op, method, url string) call {
	return call{op: op, region: f.region, method: method, url: url, header: http.Header{}, timeout: fileTimeout, files: true}
}

// maxFilePath is how long a path may be: it travels in the URL.
const maxFilePath = 1024

// do sends a call about the file or directory name. It returns the answer of a download, and the envelope of everything else.
func (f *Files) do(ctx context.Context, c call, name string) (env envelope, resp *upstream.Response, err error) {
	unusable := func(r rune) bool { return r < ' ' || r == ',' }
	if !strings.HasPrefix(name, "/") || len(name) > maxFilePath || strings.ContainsFunc(name, unusable) {
		return env, nil, c.invalid(lang.Errorf("%q is not a path that the file service can be given", clean.Line(name, 80)))
	}
	env, err = f.region.withToken(ctx, c.write, func(t token) (env envelope, err error) {
		c.header.Set("Token", t.text.Reveal())
		for {
			at, last := f.address()
			each := c
			each.url = f.addresses[at] + c.url
			if c.raw {
				resp, err = f.region.client.download(ctx, each)
			} else {
				env, err = f.region.client.exchange(ctx, each)
			}
			var failed *Error
			if !errors.As(err, &failed) || failed.Delivery != upstream.NotSent {
				f.pin(at)
				return env, err
			}
			if last || ctx.Err() != nil || !f.moveOn(at) {
				return env, err
			}
		}
	})
	return env, resp, err
}

func (f *Files) address() (at int, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current, f.current == len(f.addresses)-1
}

func (f *Files) pin(at int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at == f.current {
		f.pinned = true
	}
}

// moveOn goes to the address after at, unless a call has been answered already. It reports whether there is another to try.
func (f *Files) moveOn(at int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pinned {
		return false
	}
	if f.current == at {
		f.current++
	}
	return true
}

// isRefusal reports whether what came in place of a file tells of an error, as it does with HTTP 200. A file that looks like
// an error passes for one where the service ignores ranges.
func isRefusal(resp *upstream.Response) bool {
	if len(resp.Body) > maxRefusal || !bytes.HasPrefix(bytes.TrimSpace(resp.Body), []byte("{")) {
		return false
	}
	env, ok := parseEnvelope(resp.Body, nil)
	return ok && !env.ok() && isNull(env.Data)
}

// Redact masks the credentials of the client in text that others wrote.
func (c *Client) Redact(words string) string {
	secrets := []Secret{c.cfg.AccessKey, c.cfg.SecretKey, c.cfg.Token}
	c.mu.Lock()
	if c.session != nil {
		for _, t := range c.session.tokens {
			secrets = append(secrets, t.text)
		}
	}
	c.mu.Unlock()
	for _, each := range secrets {
		if value := each.Reveal(); value != "" {
			words = strings.ReplaceAll(words, value, "[secret]")
		}
	}
	return words
}
