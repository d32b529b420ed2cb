package capture_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

const (
	regionID   = "11250"
	instanceID = "7d64e73803de4a6e9a15a8c79c7da015"
)

// world is a region whose home is a directory of this machine, and an instance whose containers run what they are sent.
type world struct {
	*simulator.Simulator
	region *scnet.Region
	home   string
	runs   int // containers that run a script
	shell  string
	closed func(*http.Request) bool // whether an address cannot be reached; nil: all can
}

func open(t *testing.T, change ...func(*world, *simulator.Options)) *world {
	t.Helper()
	w := &world{home: t.TempDir(), runs: 1, shell: "sh"}
	o := simulator.Options{Regions: []simulator.Region{{
		ID: regionID, HomePath: w.home, Storage: w.home,
		Instances: []simulator.Instance{{ID: instanceID, Status: simulator.Running, TaskNumber: 1, StartTime: time.Now().Add(-time.Hour)}},
	}}}
	o.OnScript = func(run simulator.ScriptRun) { w.run(t, run.Content) }
	for _, c := range change {
		c(w, &o)
	}
	w.Simulator = simulator.New(o)
	fakecloudtest.Start(t, w)
	w.region = w.process(t)
	return w
}

// process is the region as a process sees it that has just begun.
func (w *world) process(t *testing.T) *scnet.Region {
	t.Helper()
	account := simulator.DemoAccount()
	direct := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(direct.CloseIdleConnections)
	client, err := scnet.New(scnet.Config{
		User: account.User, AccessKey: scnet.NewSecret(account.AccessKey), SecretKey: scnet.NewSecret(account.SecretKey),
		LoginURL: w.URL(), PlatformURL: w.URL(), Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if w.closed != nil && w.closed(r) {
				return nil, errors.New("no route to host")
			}
			return direct.RoundTrip(r)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	region, err := client.Region(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return region
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// run is the containers' part. Signs of life come every second.
func (w *world) run(t *testing.T, content string) {
	for range w.runs {
		each := strings.NewReplacer("_w=10\n", "_w=1\n", "_l=/dev/shm", "_l="+t.TempDir(), "-ge 15 ", "-ge 1 ").Replace(content)
		cmd := exec.Command(w.shell)
		cmd.Stdin = strings.NewReader(each)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, 10*time.Second
		_ = cmd.Run()
		if said.Len() > 0 {
			t.Errorf("the wrapper says %q", said.String())
		}
	}
}

func (w *world) find(t *testing.T, scope string) capture.Place {
	t.Helper()
	in, err := w.region.Detail(t.Context(), instanceID)
	if err != nil {
		t.Fatal(err)
	}
	place, err := capture.Find(t.Context(), w.region, in, scope, "")
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func (w *world) start(t *testing.T, script string) *capture.Run {
	t.Helper()
	run, err := w.find(t, "all").Start(t.Context(), capture.Script{Content: script, Shell: "auto"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func watch(d time.Duration) capture.Watch {
	return capture.Watch{Until: time.Now().Add(d), Now: time.Now, Show: 8 << 10}
}

// left are the runs that are still on the storage.
func (w *world) left() []string {
	found, _ := filepath.Glob(w.home + "/.scnet-mcp/runs/*")
	return found
}

func TestRunToItsEnd(t *testing.T) {
	w := open(t)
	run := w.start(t, "echo out; echo err >&2; exit 3\n")
	if _, ok := capture.ParseID(string(run.ID)); !ok {
		t.Errorf("id %q", run.ID)
	}
	again, err := capture.Lookup(t.Context(), w.region, run.ID, "") // as another process does
	if err != nil || again.InstanceID != instanceID || again.Containers != 1 || again.Dir != run.Dir {
		t.Fatalf("%+v, %v", again, err)
	}
	report := again.Await(t.Context(), watch(30*time.Second))
	if report.State != capture.Failed || len(report.Containers) != 1 || report.Left != "" {
		t.Fatalf("%+v", report)
	}
	c := report.Containers[0]
	if c.ExitCode != 3 || c.Stdout.Text != "out" || c.Stdout.Bytes != 4 || c.Stderr.Text != "err" || c.Stdout.Truncated || c.Shell != "bash" {
		t.Errorf("%+v", c)
	}
	if len(w.left()) > 0 {
		t.Errorf("left %q", w.left())
	}
	if _, err := capture.Lookup(t.Context(), w.region, run.ID, ""); !errors.Is(err, capture.ErrNoRun) {
		t.Errorf("after it was read: %v", err)
	}
}

// TestAddresses: a run is read where it was made, by whichever process, although the other back end does not show it yet.
func TestAddresses(t *testing.T) {
	for name, bare := range map[string]bool{"bare": true, "with the service's path": false} {
		t.Run(name, func(t *testing.T) {
			w := open(t, func(w *world, o *simulator.Options) {
				o.Quirks = simulator.Quirks{SecondFileURL: true, FileLag: time.Hour, URLsWithService: !bare}
				w.runs = 0
			})
			first := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/efile/") }
			w.closed = first
			run := w.start(t, "echo\n")
			w.closed = nil
			again, err := capture.Lookup(t.Context(), w.process(t), run.ID, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			report := again.Await(t.Context(), watch(0))
			if report.State != capture.Accepted || report.Err != nil {
				t.Errorf("%+v", report)
			}
			began := false
			for _, r := range w.Requests() { // once the run is found, everything about it goes to one address
				began = began || r.Endpoint == simulator.EndpointFileTouch && strings.HasSuffix(r.Body, "cancel")
				if began && strings.HasPrefix(r.Path, "/efile/") {
					t.Errorf("%s went to the other address", r.Path)
				}
			}
			w.closed = first // and a process that has found it there does not go elsewhere
			if report := again.Await(t.Context(), watch(0)); report.Err != nil {
				t.Errorf("%+v", report)
			}
			other, err := capture.Lookup(t.Context(), w.process(t), "20261121T000000Z-0123456789abcdef0123456789abcdef", "")
			if !errors.Is(err, capture.ErrNoRun) {
				t.Errorf("%+v, %v", other, err)
			}
		})
	}
}

func TestOutputThatIsLongOrHostile(t *testing.T) {
	w := open(t)
	report := w.start(t, "head -c 300000 /dev/zero | tr '\\0' x; echo; echo last\n").Await(t.Context(), watch(30*time.Second))
	c := report.Containers[0]
	if !c.Stdout.Truncated || c.Stdout.Bytes != 300006 || !strings.HasSuffix(c.Stdout.Text, "last") || !strings.Contains(c.Stdout.Text, "bytes cut") ||
		len(c.Stdout.Text) > 9<<10 || report.Left == "" || report.Why.IsZero() {
		t.Errorf("%+v", report)
	}
	report = w.start(t, "printf '\\033[2J\\342\\200\\256evil\\n'; echo 'x?token=abcdefgh'; echo '{\"code\":\"911020\",\"data\":null}' >&2\n").
		Await(t.Context(), watch(30*time.Second))
	if c := report.Containers[0]; strings.ContainsAny(c.Stdout.Text, "\x1b\u202e") || strings.Contains(c.Stdout.Text, "abcdefgh") ||
		c.Stderr.Text != `{"code":"911020","data":null}` || report.State != capture.Succeeded {
		t.Errorf("%+v", report)
	}
}

func TestRunStopped(t *testing.T) {
	w := open(t)
	run := w.start(t, "echo go; sleep 60\n")
	report := run.Await(t.Context(), watch(0))
	if report.State != capture.Running || report.Left == "" {
		t.Fatalf("%+v", report)
	}
	if err := errors.Join(run.Stop(t.Context()), run.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	report = run.Await(t.Context(), watch(30*time.Second))
	if report.State != capture.Cancelled || report.Containers[0].Stdout.Text != "go" || len(w.left()) > 0 {
		t.Errorf("%+v", report)
	}
}

func TestManyContainers(t *testing.T) {
	w := open(t, func(w *world, o *simulator.Options) {
		o.Regions[0].Instances[0].TaskNumber, w.runs = 6, 6
	})
	report := w.start(t, "echo one\n").Await(t.Context(), watch(30*time.Second))
	if report.State != capture.Succeeded || len(report.Containers) != 6 || report.Finished() != 6 || len(w.left()) > 0 {
		t.Errorf("%+v", report)
	}
	w.runs = 4 // two never report in
	report = w.start(t, "echo one\n").Await(t.Context(), watch(0))
	if report.State != capture.Accepted || report.Missing != 2 || report.Finished() > 4 || report.Left == "" {
		t.Errorf("%+v", report)
	}
}

func TestUnhappyEnds(t *testing.T) {
	for name, c := range map[string]struct {
		during func(w *world, run *capture.Run)
		later  time.Duration
		want   capture.State
		kept   bool
	}{
		"not seen yet":          {nil, 0, capture.Accepted, true},
		"not seen":              {nil, 46 * time.Second, capture.NotSeen, true},
		"not seen and too late": {nil, time.Hour, capture.NotSeen, false},
		"its record is cut": {func(w *world, run *capture.Run) {
			w.mark(run, "c.started", "")
			w.mark(run, "c.done", "scnet-mcp-run 1 "+string(run.ID)+"\nname=c\n")
		}, 0, capture.NoRecord, true},
		"a forged record": {func(w *world, run *capture.Run) {
			w.mark(run, "c.started", "")
			w.mark(run, "c.done", "scnet-mcp-run 1 another\nstate=exited\nexit=0\nout_bytes=0\nerr_bytes=0\nend_of_record\n")
		}, 0, capture.NoRecord, true},
		"planted links": {func(w *world, run *capture.Run) {
			_ = os.Symlink("/etc/passwd", run.Dir+"/c.done")
			_ = os.Symlink("/etc/passwd", run.Dir+"/c.started")
		}, 0, capture.Accepted, true},
		"the instance stopped": {func(w *world, run *capture.Run) {
			w.mark(run, "c.started", "")
			w.mark(run, "c.beat", "\n")
			w.UpdateInstance(regionID, instanceID, func(in *simulator.Instance) { in.Status = simulator.Terminated })
		}, 0, capture.Interrupted, true},
		"no sign of life": {func(w *world, run *capture.Run) {
			w.mark(run, "c.started", "")
			w.mark(run, "c.beat", "\n")
		}, 10 * time.Minute, capture.Lost, true},
		"running": {func(w *world, run *capture.Run) {
			w.mark(run, "c.started", "")
			w.mark(run, "c.beat", "\n")
		}, time.Minute, capture.Running, true},
		"may not be read": {func(w *world, _ *capture.Run) {
			w.Inject(simulator.Fault{Endpoint: simulator.EndpointFileList, Code: "911030"})
		}, 0, capture.Unreadable, true},
		"cannot be looked at": {func(w *world, _ *capture.Run) {
			w.Inject(simulator.Fault{Endpoint: simulator.EndpointFileList, Code: "10001"})
		}, 0, capture.Unknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, func(w *world, _ *simulator.Options) { w.runs = 0 })
			run := w.start(t, "echo\n")
			if c.during != nil {
				c.during(w, run)
			}
			now := time.Now().Add(c.later)
			report := run.Await(t.Context(), capture.Watch{Until: now, Now: func() time.Time { return now }, Show: 1000})
			if report.State != c.want || (report.Left != "") != c.kept || (!report.Why.IsZero()) != c.kept {
				t.Errorf("%+v", report)
			}
		})
	}
}

// mark leaves a file in a run's directory as a container does.
func (w *world) mark(run *capture.Run, name, content string) {
	_ = os.WriteFile(filepath.Join(run.Dir, name), []byte(content), 0o600)
}

func TestStartSendsNothingWithoutADirectory(t *testing.T) {
	for name, faults := range map[string][]simulator.Fault{
		"no right": {{Endpoint: simulator.EndpointFileMkdir, Code: "911030"}},
		"no space": {{Endpoint: simulator.EndpointFileMkdir, Code: "911501"}},
		"no file":  {{Endpoint: simulator.EndpointFileTouch, Code: "911030"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			place := w.find(t, "all")
			for _, f := range faults {
				w.Inject(f)
			}
			_, err := place.Start(t.Context(), capture.Script{Content: "echo\n", Shell: "auto"}, time.Now())
			if !errors.Is(err, capture.ErrNoStorage) || len(w.Scripts()) > 0 || len(w.left()) > 0 {
				t.Errorf("%v, sent %d, left %q", err, len(w.Scripts()), w.left())
			}
		})
	}
	w := open(t) // a directory that may have been made is not used
	w.Inject(simulator.Fault{Endpoint: simulator.EndpointFileMkdir, Status: 504, Times: 1})
	if report := w.start(t, "echo\n").Await(t.Context(), watch(30*time.Second)); report.State != capture.Succeeded || len(w.left()) > 0 {
		t.Errorf("%+v, left %q", report, w.left())
	}
	w.Inject(simulator.Fault{Endpoint: simulator.EndpointExecute, Code: "716864", Times: 1})
	if _, err := w.find(t, "all").Start(t.Context(), capture.Script{Content: "echo\n", Shell: "auto"}, time.Now()); err == nil || len(w.left()) > 0 {
		t.Errorf("rejected: %v, left %q", err, w.left())
	}
}

func TestUnsafeDirectories(t *testing.T) {
	for name, plant := range map[string]func(home string) error{
		"a link": func(home string) error { return os.Symlink("/tmp", home+"/.scnet-mcp") },
		"others may write": func(home string) error {
			return errors.Join(os.Mkdir(home+"/.scnet-mcp", 0o700), os.Chmod(home+"/.scnet-mcp", 0o777))
		},
		"a file": func(home string) error { return os.WriteFile(home+"/.scnet-mcp", nil, 0o600) },
		"a link below": func(home string) error {
			return errors.Join(os.Mkdir(home+"/.scnet-mcp", 0o700), os.Symlink("/tmp", home+"/.scnet-mcp/runs"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			if err := plant(w.home); err != nil {
				t.Fatal(err)
			}
			if _, err := capture.Find(t.Context(), w.region, scnet.Instance{ID: instanceID, Containers: 1}, "all", ""); err == nil {
				t.Error("it is taken")
			}
		})
	}
	w := open(t)
	for _, dir := range []string{"/", "relative", "/a,b", "/a b", "/a/../b", "/a/", "/a$x", "/a'", "/数据"} {
		if _, err := capture.Find(t.Context(), w.region, scnet.Instance{ID: instanceID, Containers: 1}, "all", dir); err == nil {
			t.Errorf("%q is taken", dir)
		}
	}
}

// TestEndOfTheCall: it ends the waiting, not the run.
func TestEndOfTheCall(t *testing.T) {
	w := open(t)
	run := w.start(t, "sleep 2; echo done\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if report := run.Await(ctx, watch(time.Minute)); report.State == capture.Succeeded || report.Left == "" {
		t.Errorf("%+v", report)
	}
	if report := run.Await(t.Context(), watch(time.Minute)); report.State != capture.Succeeded || report.Containers[0].Stdout.Text != "done" {
		t.Errorf("%+v", report)
	}
}
