package capture

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// shells are those that SCNet's containers may have. CI installs them all; elsewhere one that is missing is left out.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{
		"sh": {"sh"}, "dash": {"dash"}, "bash": {"bash"}, "bash posix": {"bash", "--posix"}, "busybox": {"busybox", "sh"}, "mksh": {"mksh"},
		"ksh": {"ksh"}, "yash": {"yash"}, "zsh": {"zsh", "--emulate", "sh"}, "posh": {"posh"},
	}
	for name, command := range all {
		if _, err := exec.LookPath(command[0]); err != nil {
			if os.Getenv("CI") != "" {
				t.Errorf("%s is not installed", command[0])
			}
			t.Logf("not tried: %s is not installed", command[0])
			delete(all, name)
		}
	}
	return all
}

const testID ID = "20261121T000000Z-0123456789abcdef0123456789abcdef"

// container is a directory that a wrapper finds, and what it is told.
type container struct {
	wrapping
	dir    string
	broken bool // the script arrives damaged
}

func newContainer(t *testing.T) *container {
	t.Helper()
	c := &container{wrapping: newWrapping(testID)}
	c.dir = filepath.Join(t.TempDir(), testID.folder())
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.candidates, c.local = []string{"/nonexistent/x", c.dir}, t.TempDir()
	c.expires = time.Now().Add(time.Hour)
	c.tries, c.beat, c.grace = 1, 1, 1
	return c
}

// start runs the wrapper and returns its exit code once it has handed the script over.
func (c *container) start(t *testing.T, shell []string, script string, before ...string) int {
	t.Helper()
	wrapper, err := c.wrap(script)
	if err != nil {
		t.Fatal(err)
	}
	if c.broken {
		i := strings.Index(wrapper, "_SCNET_B64_\n") + len("_SCNET_B64_\n")
		wrapper = wrapper[:i] + "AAAA" + wrapper[i+4:]
	}
	file := filepath.Join(t.TempDir(), "wrapper")
	if err := os.WriteFile(file, []byte(strings.Join(before, "")+wrapper), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), file)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, 20*time.Second
	err = cmd.Run()
	if said.Len() > 0 {
		t.Errorf("the wrapper says %q", said.String())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// records waits for n records and returns them with the names of their containers.
func (c *container) records(t *testing.T, n int) (names []string, recs []record) {
	t.Helper()
	var found []string
	eventually(t, fmt.Sprint(n, " records"), func() bool {
		found, _ = filepath.Glob(c.dir + "/*.done")
		return len(found) >= n
	})
	for _, file := range found {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := parseRecord(string(content), testID)
		if err != nil {
			t.Fatalf("%v: %q", err, content)
		}
		names, recs = append(names, strings.TrimSuffix(filepath.Base(file), ".done")), append(recs, rec)
	}
	return names, recs
}

// run runs a script to its end.
func (c *container) run(t *testing.T, shell []string, script string, before ...string) (rec record, stdout, stderr string) {
	t.Helper()
	if code := c.start(t, shell, script, before...); code != 0 {
		t.Fatalf("the wrapper ended with %d", code)
	}
	names, recs := c.records(t, 1)
	return recs[0], c.read(names[0] + ".out"), c.read(names[0] + ".err")
}

func (c *container) read(name string) string {
	content, _ := os.ReadFile(filepath.Join(c.dir, name))
	return string(content)
}

func eachShell(t *testing.T, test func(t *testing.T, shell []string)) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, shell)
		})
	}
}

// isFew reports whether a shell is among those that are tried with what costs much and depends little on the shell.
func isFew(shell []string) bool { return shell[0] == "sh" || shell[0] == "busybox" }

func TestWrapperStreams(t *testing.T) {
	nasty := "cat <<'EOF'\n$HOME `id` \\n \"q\" 'q' %s _SCNET_B64_\n_SCNET_B64_\nEOF\nprintf '%s|' 'it'\"'\"'s' \"a\\\\b\" '数据' $'\\x00' | cat\nprintf 'x\\r\\n'\nread -r l || echo noin"
	umask, err := exec.Command("sh", "-c", "umask").Output()
	if err != nil {
		t.Fatal(err)
	}
	type run struct {
		name, script, stdout, stderr string
		exit                         int
	}
	try := func(t *testing.T, shell []string, c run, before ...string) {
		t.Helper()
		rec, stdout, stderr := newContainer(t).run(t, shell, c.script, before...)
		if rec.exit != c.exit || rec.state != "exited" || stdout != c.stdout || stderr != c.stderr {
			t.Errorf("%s: %+v %q %q", c.name, rec, stdout, stderr)
		}
		if rec.out != int64(len(c.stdout)) || rec.errOut != int64(len(c.stderr)) || rec.shell != "bash" {
			t.Errorf("%s: record %+v", c.name, rec)
		}
	}
	all := run{
		"everything", nasty + "\nprintf '\\377\\001\\033[31m'; umask; set | grep -c '^_rel='\necho err >&2; false\nprintf x; exit 3", "$HOME `id` \\n \"q\" 'q' %s " +
			"_SCNET_B64_\n_SCNET_B64_\nit's|a\\b|数据||x\r\nnoin\n\xff\x01\x1b[31m" + string(umask) + "0\nx", "err\n", 3,
	}
	eachShell(t, func(t *testing.T, shell []string) {
		try(t, shell, all, "set -eu\n")
		try(t, shell, run{"killed", "kill -9 $$\n", "", "", 137})
	})
	for _, c := range []run{ // these are up to the shell that runs the script, not to the one that runs the wrapper
		{"no final newline", "printf x", "x", "", 0},
		{"nothing", ":\n", "", "", 0},
		{"a failing command ends nothing", "false\necho on\n", "on\n", "", 0},
		{"its own set -e", "set -e\nfalse\necho on\n", "", "", 1},
	} {
		try(t, []string{"sh"}, c)
	}
	c := newContainer(t)
	c.shell = "sh"
	if rec, stdout, _ := c.run(t, []string{"sh"}, "echo ${BASH_VERSION:-none}\n"); rec.shell != "sh" || stdout != "none\n" {
		t.Errorf("sh: %+v %q", rec, stdout)
	}
}

func TestWrapperRunsNothing(t *testing.T) {
	everywhere := map[string]bool{"a link": true, "no shell": true, "planted output": true} // others rest on nothing that shells differ in
	eachShell(t, func(t *testing.T, shell []string) {
		for name, c := range map[string]struct {
			change func(t *testing.T, c *container)
			code   int
			state  string
		}{
			"no directory": {func(_ *testing.T, c *container) { c.candidates = []string{"/nonexistent/y"} }, 121, ""},
			"a link": {func(t *testing.T, c *container) {
				link := filepath.Join(t.TempDir(), "link")
				if err := os.Symlink(c.dir, link); err != nil {
					t.Fatal(err)
				}
				c.candidates = []string{link}
			}, 121, ""},
			"a link above": {func(t *testing.T, c *container) {
				link := filepath.Join(t.TempDir(), ".scnet-mcp")
				if err := os.Symlink(filepath.Dir(filepath.Dir(c.dir)), link); err != nil {
					t.Fatal(err)
				}
				c.candidates = []string{filepath.Join(link, "runs", string(testID))}
			}, 121, ""},
			"damaged":   {func(_ *testing.T, c *container) { c.broken = true }, 124, "corrupt"},
			"no shell":  {func(_ *testing.T, c *container) { c.shell = "nosuchshell" }, 125, "noshell"},
			"too late":  {func(_ *testing.T, c *container) { c.expires = time.Now().Add(-time.Hour) }, 123, ""},
			"cancelled": {func(_ *testing.T, c *container) { _ = os.WriteFile(c.dir+"/cancel", nil, 0o600) }, 123, ""},
			"planted output": {func(t *testing.T, c *container) {
				h, _ := os.Hostname()
				target := filepath.Join(t.TempDir(), "target")
				if err := errors.Join(os.WriteFile(target, nil, 0o600), os.Symlink(target, c.dir+"/"+h+".out")); err != nil {
					t.Fatal(err)
				}
			}, 122, "nowrite"},
		} {
			if shell[0] != "sh" && !everywhere[name] {
				continue
			}
			box, mark := newContainer(t), filepath.Join(t.TempDir(), "ran")
			c.change(t, box)
			if code := box.start(t, shell, "touch "+mark+"\n"); code != c.code {
				t.Errorf("%s: ended with %d, want %d", name, code, c.code)
			}
			if c.state != "" {
				if _, recs := box.records(t, 1); recs[0].state != c.state {
					t.Errorf("%s: %+v", name, recs[0])
				}
			}
			if _, err := os.Stat(mark); err == nil {
				t.Errorf("%s: the script ran", name)
			}
		}
	})
}

// TestWrapperRunsOnce: however often it is handed over.
func TestWrapperRunsOnce(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t)
		script := "echo x >> " + filepath.Join(c.dir, "..", "count") + "\n"
		c.run(t, shell, script)
		if code := c.start(t, shell, script); code != 123 {
			t.Errorf("a replay ended with %d", code)
		}
		if got := c.read("../count"); got != "x\n" {
			t.Errorf("ran %q", got)
		}
		if !isFew(shell) {
			return
		}
		c = newContainer(t) // one of three containers is handed it twice
		c.containers = 3
		script = "echo x >> " + filepath.Join(c.dir, "..", "count") + "\n"
		c.run(t, shell, script)
		if code := c.start(t, shell, script); code != 123 {
			t.Errorf("a replay in one of three ended with %d", code)
		}
		for range 3 { // and a restart gives every container a new file system
			c.local = t.TempDir()
			c.start(t, shell, script)
		}
		c.records(t, 3)
		if got := c.read("../count"); got != "x\nx\nx\n" {
			t.Errorf("ran %q", got)
		}
	})
}

func TestWrapperManyContainersOneHostname(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		if !isFew(shell) {
			return
		}
		c := newContainer(t)
		c.containers = 6
		var running sync.WaitGroup
		for range 6 {
			each := *c
			each.local = t.TempDir()
			running.Go(func() { each.start(t, shell, "echo c; exit 5\n") })
		}
		running.Wait()
		names, recs := c.records(t, 6)
		if len(slices.Compact(names)) != 6 {
			t.Errorf("%q", names)
		}
		for i, rec := range recs {
			if rec.exit != 5 || c.read(names[i]+".out") != "c\n" {
				t.Errorf("%s: %+v", names[i], rec)
			}
		}
	})
}

func TestWrapperStops(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t)
		if code := c.start(t, shell, "trap 'echo bye; exit 9' TERM; echo go; while :; do sleep 0.1; done\n"); code != 0 {
			t.Fatal(code)
		}
		eventually(t, "it has begun", func() bool {
			found, _ := filepath.Glob(c.dir + "/*.out")
			return len(found) == 1 && c.read(filepath.Base(found[0])) == "go\n"
		})
		if err := os.WriteFile(c.dir+"/cancel", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if names, recs := c.records(t, 1); recs[0].state != "cancelled" || recs[0].exit != 9 || c.read(names[0]+".out") != "go\nbye\n" {
			t.Errorf("cancelled: %+v", recs[0])
		}

		c = newContainer(t)
		c.timeout = time.Second
		child := filepath.Join(t.TempDir(), "child")
		rec, _, _ := c.run(t, shell, "trap '' TERM; sleep 60 & echo $! > "+child+"; sleep 60; sleep 60\n")
		if rec.state != "timeout" || rec.exit != 137 {
			t.Errorf("timed out: %+v", rec)
		}
		pid, err := os.ReadFile(child)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the child is gone", func() bool {
			stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ")
		})
	})
}

func TestWrapperLeavesLittle(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t)
		began := time.Now()
		c.run(t, shell, "(sleep 30; echo late) & echo now\n")
		if time.Since(began) > 25*time.Second {
			t.Error("a process in the background held it up")
		}
		if !isFew(shell) {
			return
		}
		c = newContainer(t)
		if os.Getuid() == 0 {
			if err := os.Chown(c.dir, 12345, 12346); err != nil {
				t.Fatal(err)
			}
		}
		c.run(t, shell, "head -c 10000000 /dev/zero | tr '\\0' x; echo end\n")
		names, recs := c.records(t, 1)
		if recs[0].out != 10000004 || len(c.read(names[0]+".out.head")) != streamEnd || len(c.read(names[0]+".out.tail")) != streamEnd ||
			!strings.HasSuffix(c.read(names[0]+".out.tail"), "xend\n") {
			t.Errorf("10 MB: %+v", recs[0])
		}
		if left, _ := filepath.Glob(c.dir + "/*.d/*"); len(left) > 0 {
			t.Errorf("left %v", left)
		}
		entries, err := os.ReadDir(c.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
		if info, err := os.Stat(c.dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if os.Getuid() == 0 {
			owners, err := exec.Command("stat", "-c", "%u:%g", c.dir+"/"+names[0]+".done", c.dir+"/"+names[0]+".out", c.dir+"/"+names[0]+".started").Output()
			if err != nil || string(owners) != strings.Repeat("12345:12346\n", 3) {
				t.Errorf("owners %q, %v", owners, err)
			}
		}
	})
}

// TestWrapperDisks: a directory that cannot be written, and one that is full.
func TestWrapperDisks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not tried: only root can mount a disk")
	}
	mount := func(t *testing.T, c *container, options string) bool {
		t.Helper()
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", c.dir).CombinedOutput(); err != nil {
			t.Logf("not tried: %v: %s", err, out)
			return false
		}
		t.Cleanup(func() { _ = exec.Command("umount", "-l", c.dir).Run() })
		return true
	}
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			mark := filepath.Join(t.TempDir(), "ran")
			c := newContainer(t)
			if mount(t, c, "ro") {
				if code := c.start(t, shell, "touch "+mark+"\n"); code != 121 && code != 122 { // busybox thinks that root may write
					t.Errorf("read-only: %d", code)
				}
				if _, err := os.Stat(mark); err == nil {
					t.Error("it ran")
				}
			}
			c = newContainer(t)
			if mount(t, c, "size=256k") {
				rec, stdout, _ := c.run(t, shell, "head -c 1000000 /dev/zero; exit 0\n")
				if rec.exit != 0 || rec.out != int64(len(stdout)) || len(stdout) > 256<<10 {
					t.Errorf("full: %+v", rec)
				}
			}
		})
	}
}

// TestWrapperText: it survives being unescaped once too often.
func TestWrapperText(t *testing.T) {
	w := newWrapping(testID)
	w.candidates = []string{"/public/home/u/x"}
	script := strings.Repeat("echo '数据' \"\\n\"\t\n", 1000)
	wrapper, err := w.wrap(script)
	if err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(wrapper, func(r rune) bool { return r == '\\' || r == '\'' || r > '~' || r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("%q", wrapper[max(i-10, 0):i+10])
	}
	if !strings.HasSuffix(wrapper, "\n") || strings.Contains(wrapper, "@B64@") {
		t.Error("the end")
	}
	for _, bad := range []wrapping{{shell: "sh; rm"}, {shell: "auto", candidates: []string{"/a$(id)"}}, {shell: ""}} {
		if _, err := bad.wrap("x"); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestCksum(t *testing.T) {
	for data, want := range map[string]uint32{"": 4294967295, "a": 1220704766, "hello\n": 3015617425} {
		if got := cksum(data); got != want {
			t.Errorf("%q: %d, want %d", data, got, want)
		}
	}
}
