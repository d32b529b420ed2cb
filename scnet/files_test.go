package scnet_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

const (
	homePath = "/public/home/demo"
	runName  = "20261121T000000Z-0123456789abcdef0123456789abcdef"
)

// openFiles returns the file service of a simulator and the directory behind it.
func openFiles(t testing.TB, q simulator.Quirks, changes ...change) (*simulator.Simulator, *scnet.Files, string) {
	t.Helper()
	folder := t.TempDir()
	region := home()
	region.Storage = folder
	sim, r := open(t, simulator.Options{Regions: []simulator.Region{region}, Quirks: q}, changes...)
	files, err := r.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sim, files, folder
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	for name, q := range map[string]simulator.Quirks{
		"bare": {}, "with the service's path": {URLsWithService: true}, "no range": {RangeIgnored: true}, "no length": {LengthUnknown: true},
		"code as a number": {CodeAsInt: true}, "array": {CenterArray: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, files, folder := openFiles(t, q)
			ctx := t.Context()
			if files.Home != homePath || files.User != "demo" {
				t.Errorf("home %q of %q", files.Home, files.User)
			}
			run := homePath + "/.scnet-mcp/runs/" + runName
			if err := files.Mkdir(ctx, run); err != nil {
				t.Fatal(err)
			}
			if err := files.Mkdir(ctx, run); !errors.Is(err, scnet.ErrFileExists) || asError(t, err).Uncertain {
				t.Errorf("mkdir again: %v", err)
			}
			if err := files.Touch(ctx, run+"/cancel"); err != nil {
				t.Error(err)
			}
			content := "\ufeff0123456789"
			write(t, filepath.Join(folder, ".scnet-mcp/runs", runName, "c.out"), content)
			got, err := files.List(ctx, run)
			if err != nil || len(got) != 2 || got[0].Name != "c.out" || got[0].Size != int64(len(content)) || !got[0].Regular || got[1].Name != "cancel" {
				t.Errorf("list: %+v, %v", got, err)
			}
			for _, c := range []struct {
				offset, n int64
				want      string
			}{{0, 100, content}, {0, 4, content[:4]}, {5, 3, "234"}, {11, 100, "89"}, {13, 5, ""}, {20, 5, ""}} {
				b, err := files.Read(ctx, run+"/c.out", c.offset, c.n)
				if err != nil || string(b) != c.want {
					t.Errorf("read %d from %d: %q, %v", c.n, c.offset, b, err)
				}
			}
			if _, err := files.Read(ctx, run+"/none", 0, 10); !errors.Is(err, scnet.ErrNoFile) {
				t.Errorf("a missing file: %v", err)
			}
			if _, err := files.List(ctx, homePath+"/none"); !errors.Is(err, scnet.ErrNoFile) {
				t.Errorf("a missing directory: %v", err)
			}
			if err := files.RemoveRun(ctx, run); err != nil {
				t.Error(err)
			}
			if err := files.RemoveRun(ctx, run); err != nil {
				t.Errorf("remove again: %v", err)
			}
			if left, err := os.ReadDir(filepath.Join(folder, ".scnet-mcp/runs")); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestRemoveRunOnly: no other path than a run's reaches the service.
func TestRemoveRunOnly(t *testing.T) {
	sim, files, _ := openFiles(t, simulator.Quirks{})
	for _, dir := range []string{
		"", "/", homePath, homePath + "/.scnet-mcp", homePath + "/.scnet-mcp/runs", homePath + "/.scnet-mcp/runs/",
		homePath + "/.scnet-mcp/runs/x", homePath + "/.scnet-mcp/runs/" + runName + "/", homePath + "/.scnet-mcp/runs/" + runName + ",/public",
		"/a,/b/.scnet-mcp/runs/" + runName, homePath + "/../x/.scnet-mcp/runs/" + runName, "relative/.scnet-mcp/runs/" + runName,
		homePath + "/.scnet-mcp/runs/" + runName + "\n", "/a b/.scnet-mcp/runs/" + runName, homePath + "/.scnet-mcp/runs/" + strings.ToUpper(runName),
	} {
		if err := files.RemoveRun(t.Context(), dir); err == nil || asError(t, err).Kind != upstream.Argument {
			t.Errorf("%q: %v", dir, err)
		}
	}
	wantSent(t, sim, simulator.EndpointFileRemove, 0)
}

func TestFileErrors(t *testing.T) {
	for code, want := range map[string]struct {
		cause     error
		kind      upstream.Kind
		uncertain bool
	}{
		"911020": {scnet.ErrNoFile, upstream.NotFound, false},
		"911021": {scnet.ErrFileExists, upstream.Refused, false},
		"911022": {scnet.ErrNotFolder, upstream.Refused, false},
		"911030": {scnet.ErrNoAccess, upstream.Permission, false},
		"911009": {scnet.ErrNoFiles, upstream.Setup, false},
		"911501": {scnet.ErrNoSpace, upstream.Refused, false},
		"911404": {nil, upstream.Internal, true},
		"911406": {scnet.ErrTokenRefused, upstream.Credential, false},
		"1001":   {nil, upstream.Internal, true},
	} {
		t.Run(code, func(t *testing.T) {
			sim, files, _ := openFiles(t, simulator.Quirks{})
			sim.Inject(simulator.Fault{Endpoint: simulator.EndpointFileMkdir, Code: code})
			err := asError(t, files.Mkdir(t.Context(), homePath+"/x"))
			if want.cause != nil && !errors.Is(err, want.cause) || err.Kind != want.kind || err.Uncertain != want.uncertain || err.Code != code {
				t.Errorf("%+v", err)
			}
			wantSent(t, sim, simulator.EndpointFileMkdir, 1) // a write is sent once
			sim.Inject(simulator.Fault{Endpoint: simulator.EndpointFileDownload, Code: code})
			if _, err := files.Read(t.Context(), homePath+"/x", 0, 10); asError(t, err).Code != code {
				t.Errorf("with HTTP 200: %v", err)
			}
		})
	}
}

// TestFileTokenRenewed: a read is repeated with a new token.
func TestFileTokenRenewed(t *testing.T) {
	sim, files, folder := openFiles(t, simulator.Quirks{})
	write(t, filepath.Join(folder, "x"), "content")
	for _, e := range []simulator.Endpoint{simulator.EndpointFileList, simulator.EndpointFileDownload} {
		sim.Inject(simulator.Fault{Endpoint: e, Own: simulator.OwnFault{ExpireToken: true}, Times: 1})
	}
	if _, err := files.List(t.Context(), homePath); err != nil {
		t.Error(err)
	}
	if b, err := files.Read(t.Context(), homePath+"/x", 0, 10); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestFilePathsRefused(t *testing.T) {
	sim, files, _ := openFiles(t, simulator.Quirks{})
	for _, name := range []string{"", "relative", "/a,b", "/a\nb", "/" + strings.Repeat("x", 2000)} {
		if err := files.Mkdir(t.Context(), name); err == nil || asError(t, err).Kind != upstream.Argument {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	wantSent(t, sim, simulator.EndpointFileMkdir, 0)
}

// TestLongDirectory: more entries than one page has.
func TestLongDirectory(t *testing.T) {
	_, files, folder := openFiles(t, simulator.Quirks{})
	for i := range 1100 {
		write(t, filepath.Join(folder, "f"+strings.Repeat("a", i%7)+string(rune('0'+i%10))+strings.Repeat("b", i/10)), "")
	}
	got, err := files.List(t.Context(), homePath)
	if err != nil || len(got) != 1100 {
		t.Errorf("%d, %v", len(got), err)
	}
}

// TestFilesStayAtOneAddress: what was answered once stays with its address; before that the next one is tried.
func TestFilesStayAtOneAddress(t *testing.T) {
	closed := "http://127.0.0.1:1"
	var sim *simulator.Simulator
	down := false
	transport := fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/center") {
			return fakecloudtest.Answer(200, `{"code":"0","data":{"id":11250,"aiUrls":[{"url":"`+sim.RegionURL(kunshan)+`"}],
				"efileUrls":[{"url":"`+closed+`/efile","enable":"true"},{"url":"`+sim.RegionURL(kunshan)+`/efile/"}],
				"clusterUserInfo":{"userName":"demo","homePath":"`+homePath+`"}}}`), nil
		}
		if down && strings.Contains(r.URL.Path, "/file/") {
			return nil, errors.New("no route to host")
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	region := home()
	region.Storage = t.TempDir()
	sim = start(t, simulator.Options{Regions: []simulator.Region{region}})
	files, err := pick(t, newClient(t, sim, func(cfg *scnet.Config) { cfg.Transport = transport }), "").Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Mkdir(t.Context(), homePath+"/x"); err != nil {
		t.Fatal(err)
	}
	down = true
	if err := files.Mkdir(t.Context(), homePath+"/y"); asError(t, err).Delivery != upstream.NotSent ||
		!strings.HasPrefix(asError(t, err).Endpoint, "POST "+strings.TrimPrefix(sim.RegionURL(kunshan), "http://")) {
		t.Errorf("%v", err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestNoFileService(t *testing.T) {
	sim := start(t, simulator.Options{})
	client := newClient(t, sim, func(cfg *scnet.Config) {
		cfg.Transport = fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/center") {
				return fakecloudtest.Answer(200, `{"code":"0","data":{"id":11250,"aiUrls":[{"url":"`+sim.RegionURL(kunshan)+`"}]}}`), nil
			}
			return http.DefaultTransport.RoundTrip(r)
		})
	})
	if _, err := pick(t, client, "").Files(t.Context()); !errors.Is(err, scnet.ErrNoFiles) || asError(t, err).Kind != upstream.NotFound {
		t.Errorf("%v", err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// TestReadIsBounded: a service that ignores the range is not read without end.
func TestReadIsBounded(t *testing.T) {
	_, files, folder := openFiles(t, simulator.Quirks{RangeIgnored: true, LengthUnknown: true})
	write(t, filepath.Join(folder, "big"), string(bytes.Repeat([]byte("x"), 3<<20)))
	if _, err := files.Read(t.Context(), homePath+"/big", 3<<20-10, 10); !errors.Is(err, upstream.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}
