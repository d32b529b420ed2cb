package simulator

import (
	"encoding/base64"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// act is what the containers of an instance make of a script: nothing of it runs on this machine. A script in a wrapper that
// leaves its outcome on the storage has that left there, as far as its commands are among the few that are simulated; of any
// other one nothing can be seen anyway. The caller holds sim.mu.
func (c *call) act(in *instance, run ScriptRun) {
	w, ok := readWrapper(run.Content)
	if !ok || c.sim.onScript != nil {
		return
	}
	f := c.files()
	dir := ""
	for _, candidate := range w.candidates {
		if name, ok := c.outside(in, candidate); ok {
			if info, err := f.root.Lstat(name); err == nil && info.IsDir() {
				dir = name
				break
			}
		}
	}
	if dir == "" { // the container does not see it, and runs nothing
		return
	}
	says, exit, took := imitate(w.script)
	for n := range min(w.containers, max(in.TaskNumber, 1)) {
		name := "sim-" + in.ID[:min(len(in.ID), 8)] + "-" + strconv.Itoa(n+1)
		a := acting{
			dir: dir, name: name, id: w.id, began: c.now, ends: c.now.Add(took), says: says, exit: exit, state: "exited",
		}
		if w.timeout > 0 && took > w.timeout {
			a.ends, a.state, a.exit = c.now.Add(w.timeout), "timeout", 143
		}
		f.leave(a, "started", "scnet-mcp-run 1 "+w.id+"\n")
		f.leave(a, "beat", "")
		f.leave(a, "out", "")
		f.leave(a, "err", "")
		c.region.acting = append(c.region.acting, &a)
	}
}

// outside translates a path in a container into a name below the home.
func (c *call) outside(in *instance, inside string) (string, bool) {
	for _, m := range in.Mounts {
		if rest, ok := strings.CutPrefix(inside, m.TargetPath+"/"); ok && m.TargetPath != "" {
			inside = path.Join(m.SourcePath, rest)
			break
		}
	}
	return strings.CutPrefix(inside, c.region.HomePath+"/")
}

// acting is a script that a container imitates.
type acting struct {
	dir, name, id string
	began, ends   time.Time
	state         string
	exit          int
	says          []saying
	out, err      string // that was said so far
}

// saying is something that a script prints, some time after it began.
type saying struct {
	after    time.Duration
	out, err string
}

// leave writes a file of a run, as the wrapper does.
func (f *folder) leave(a acting, kind, content string) {
	name := path.Join(a.dir, a.name+"."+kind)
	if f.root.WriteFile(name, []byte(content), 0o600) == nil {
		f.stamp(name)
	}
}

// proceed ends what has had its time, or was cancelled. The caller holds sim.mu.
func (f *folder) proceed() {
	r, now := f.call.region, f.call.now
	r.acting = slices.DeleteFunc(r.acting, func(a *acting) bool {
		if _, err := f.root.Lstat(a.dir + "/cancel"); err == nil && now.Before(a.ends) {
			a.state, a.exit, a.ends = "cancelled", 143, now
		}
		f.say(a)
		if now.Before(a.ends) {
			f.leave(*a, "beat", strings.Repeat("\n", int(now.Sub(a.began)/(10*time.Second))))
			return false
		}
		f.leave(*a, "done", fmt.Sprintf("scnet-mcp-run 1 %s\nname=%s\nstate=%s\nexit=%d\nstart=%d\nend=%d\nshell=simulated\nuid=0\nout_bytes=%d\nerr_bytes=%d\nend_of_record\n",
			a.id, a.name, a.state, a.exit, a.began.Unix(), a.ends.Unix(), len(a.out), len(a.err)))
		return true
	})
}

// say leaves what a script has printed by now.
func (f *folder) say(a *acting) {
	until := min(f.call.now.Sub(a.began), a.ends.Sub(a.began))
	n, out, err := 0, "", ""
	for _, s := range a.says {
		if s.after > until {
			break
		}
		n++
		out, err = out+s.out, err+s.err
	}
	if a.says = a.says[n:]; out != "" {
		a.out += out
		f.leave(*a, "out", a.out)
	}
	if err != "" {
		a.err += err
		f.leave(*a, "err", a.err)
	}
}

// wrapper is what a wrapped script says of itself.
type wrapper struct {
	id, script string
	containers int
	timeout    time.Duration
	candidates []string
}

var (
	wrapperLine = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^_(id|all|max)=(\S+)$`)
	})
	wrapperDirs = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^for _c in (.*); do$`)
	})
	wrapperBody = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?s)<<_SCNET_B64_\n(.*?)\n_SCNET_B64_\n`)
	})
)

func readWrapper(content string) (w wrapper, ok bool) {
	if !strings.HasPrefix(content, "# scnet-mcp output capture, wrapper format 1\n") {
		return w, false
	}
	for _, m := range wrapperLine().FindAllStringSubmatch(content, -1) {
		n, _ := strconv.Atoi(m[2])
		switch m[1] {
		case "id":
			w.id = m[2]
		case "all":
			w.containers = n
		case "max":
			w.timeout = time.Duration(n) * time.Second
		}
	}
	dirs, body := wrapperDirs().FindStringSubmatch(content), wrapperBody().FindStringSubmatch(content)
	if dirs == nil || body == nil {
		return w, false
	}
	for _, dir := range strings.Fields(dirs[1]) {
		w.candidates = append(w.candidates, strings.Trim(dir, `"`))
	}
	script, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body[1], "\n", ""))
	w.script = string(script)
	return w, err == nil && w.id != "" && w.containers > 0
}

const imitatedGPU = `(simulated) NVIDIA-SMI 550.54
| GPU  Name        | Memory-Usage        | GPU-Util |
|   0  Simulated   |   1024MiB / 65536MiB |      3%  |
`

const imitatedDisk = `(simulated) Filesystem  Size  Used Avail Use% Mounted on
parastor                80G   12G   68G  15% /public/home
`

// imitate says what a script would print, and when, if all of its commands were among those below. It runs nothing.
func imitate(script string) (says []saying, exit int, took time.Duration) {
	for _, line := range strings.FieldsFunc(script, func(r rune) bool { return r == '\n' || r == ';' }) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		words, target := redirected(words)
		out, problem := "", ""
		exit = 0
		switch argument := strings.Join(words[1:], " "); words[0] {
		case "echo":
			out = strings.Trim(argument, `"'`) + "\n"
		case "hostname":
			out = "simulated-container\n"
		case "nvidia-smi":
			out = imitatedGPU
		case "df":
			out = imitatedDisk
		case "id":
			out = "uid=0(root) gid=0(root)\n"
		case "date":
			out = "Tue Nov 24 10:00:00 CST 2026\n"
		case "true", ":", "cd", "set", "export":
		case "false":
			exit = 1
		case "sleep":
			n, _ := strconv.ParseFloat(argument, 64)
			took += time.Duration(max(min(n, 1e6), 0) * float64(time.Second))
		case "exit":
			n, _ := strconv.Atoi(argument)
			return says, n & 255, took
		default:
			problem, exit = fmt.Sprintf("simulated: the command %q is not among those that are simulated\n", words[0]), 127
		}
		said := saying{after: took, err: problem}
		switch target {
		case "":
			said.out = out
		case "stderr":
			said.err += out
		}
		says = append(says, said)
	}
	return says, exit, took
}

// redirected takes redirections off a command: output to a file is nowhere to be seen.
func redirected(words []string) (rest []string, target string) {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case i > 0 && (w == ">&2" || w == "1>&2"):
			target = "stderr"
		case i > 0 && w == "2>&1":
		case i > 0 && strings.HasPrefix(strings.TrimLeft(w, "12&"), ">"):
			if !strings.HasPrefix(w, "2") {
				target = "file"
			}
			if strings.HasSuffix(w, ">") {
				i++
			}
		default:
			rest = append(rest, w)
		}
	}
	return rest, target
}
