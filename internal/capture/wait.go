package capture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// How long is waited for what.
const (
	// unseen is how long a container may take until it reports in.
	unseen = 45 * time.Second
	// lag is how late a back end of the file service may be.
	lag = time.Minute
	// silence is how long a script may go without a sign of life, of which one comes every 10 seconds.
	silence = 3 * time.Minute
	// soFar is how much is shown of the output of a script that runs.
	soFar = 4 << 10
)

// pauses between looks; the last one repeats.
var pauses = []time.Duration{1, 1, 2, 2, 3, 3, 5, 10}

// Watch is how a run is waited for.
type Watch struct {
	Until  time.Time // when to give up waiting; one look is taken in any case
	Now    func() time.Time
	Show   int             // bytes of a stream to show
	Seen   func(lang.Text) // unless nil, is told what has changed
	Redact func(string) string
}

// Await waits until the run is over, or as long as it may. It reads what is there, and removes the run's directory once all
// of it has been read. The end of ctx ends the waiting only.
func (r *Run) Await(ctx context.Context, w Watch) Report {
	last := ""
	for i := 0; ; i++ {
		found, err := r.files.List(ctx, r.Dir)
		now := w.Now()
		seen := survey(found)
		if err == nil && w.Seen != nil {
			if words := seen.text(); words.String() != last {
				last = words.String()
				w.Seen(words)
			}
		}
		over := err == nil && seen.done() >= r.Containers
		pause := pauses[min(i, len(pauses)-1)] * time.Second
		pause = pause*4/5 + rand.N(pause*2/5+1)
		if left := w.Until.Sub(now); left < pause {
			pause = left
		}
		if over || pause <= 0 || !r.passes(err, now) || !upstream.Wait(ctx, pause) {
			return r.report(ctx, w, seen, err)
		}
	}
}

// passes reports whether what kept us from looking may pass.
func (r *Run) passes(err error, now time.Time) bool {
	switch {
	case errors.Is(err, scnet.ErrNoFile):
		return now.Sub(r.ID.Time()) < lag
	case errors.Is(err, scnet.ErrNoAccess):
		return false
	}
	return true
}

// sighting is what a list of the run's directory shows of one container.
type sighting map[string]scnet.File // by what follows the container's name

// sightings is what a list shows, by container.
type sightings map[string]sighting

// survey sorts a list by containers. Links are left out: somebody else may have made them.
func survey(found []scnet.File) sightings {
	seen := sightings{}
	for _, f := range found {
		name, kind, ok := strings.Cut(f.Name, ".")
		if !ok || !f.Regular || f.Symlink || f.Directory || !isContainerName(name) {
			continue
		}
		if seen[name] == nil {
			seen[name] = sighting{}
		}
		seen[name][kind] = f
	}
	maps.DeleteFunc(seen, func(_ string, s sighting) bool { return !s.has("started") && !s.has("done") })
	return seen
}

func (s sighting) has(kind string) bool {
	_, ok := s[kind]
	return ok
}

func isContainerName(name string) bool {
	return name != "" && len(name) <= 80 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func (s sightings) done() (n int) {
	for _, each := range s {
		if each.has("done") {
			n++
		}
	}
	return n
}

// text says how far the run is.
func (s sightings) text() lang.Text {
	switch len(s) {
	case 0:
		return lang.T("no container has reported in yet")
	case 1:
		return lang.T("%d container has reported in, %d finished", 1, s.done())
	}
	return lang.T("%d containers have reported in, %d finished", len(s), s.done())
}

// report tells what is known at the end of the wait.
func (r *Run) report(ctx context.Context, w Watch, seen sightings, err error) Report {
	out := Report{Left: r.Dir, Waited: max(w.Now().Sub(r.ID.Time()), 0).Round(time.Second)}
	if err != nil {
		out.State, out.Err, out.Why = Unknown, err, lang.T("it could not be looked at")
		if errors.Is(err, scnet.ErrNoAccess) {
			out.State = Unreadable
		}
		return out
	}
	out.Missing = max(r.Containers-len(seen), 0)
	alive := r.aliveness(ctx, &out, seen)
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		c := r.container(ctx, w, name, seen[name], alive)
		out.Containers = append(out.Containers, c)
		out.State = Worst(out.State, c.State)
	}
	if out.Missing > 0 {
		out.TooLate = out.Waited > late+lag
		switch {
		case out.TooLate:
			out.State = Worst(out.State, NotSeen)
		case !r.accepted && len(seen) == 0:
			out.State = Worst(out.State, Unknown)
		case out.Waited < unseen:
			out.State = Worst(out.State, Accepted)
		default:
			out.State = Worst(out.State, NotSeen)
		}
	}
	r.clean(ctx, &out)
	return out
}

// aliveness looks at the instance if there is something that it can explain, and reports whether it has run all the time.
func (r *Run) aliveness(ctx context.Context, out *Report, seen sightings) (alive bool) {
	if seen.done() >= r.Containers {
		return true
	}
	in, err := r.region.Detail(ctx, r.InstanceID)
	switch {
	case errors.Is(err, scnet.ErrNotFound):
		out.Status = "deleted"
		return false
	case err != nil:
		return true // nothing speaks against it
	}
	out.Status = in.Status
	return in.Status.Is(scnet.Running) && !in.StartedAt.After(r.ID.Time().Add(lag))
}

// container tells what became of the script in one container.
func (r *Run) container(ctx context.Context, w Watch, name string, s sighting, alive bool) Container {
	c := Container{Name: name}
	if !s.has("done") {
		c.State = Running
		switch {
		case !alive:
			c.State = Interrupted
		case r.silent(s, w.Now()):
			c.State = Lost
		}
		c.Stdout, c.Stderr = r.tail(ctx, w, name+".out", s["out"]), r.tail(ctx, w, name+".err", s["err"])
		return c
	}
	rec, err := r.record(ctx, name)
	if err != nil {
		c.State = NoRecord
		if errors.Is(err, scnet.ErrNoAccess) {
			c.State = Unreadable
		}
		c.Stdout, c.Stderr = r.tail(ctx, w, name+".out", s["out"]), r.tail(ctx, w, name+".err", s["err"])
		return c
	}
	c.ExitCode, c.HasExit, c.Shell, c.Took = rec.exit, rec.hasExit, rec.shell, rec.end.Sub(rec.start)
	switch rec.state {
	case "exited":
		c.State = Succeeded
		if rec.exit != 0 {
			c.State = Failed
		}
	case "timeout":
		c.State = TimedOut
	case "cancelled":
		c.State = Cancelled
	case "corrupt":
		c.State = Corrupt
	case "noshell":
		c.State = NoShell
	default:
		c.State = Unwritable
	}
	c.Stdout, c.Stderr = r.stream(ctx, w, s, name, "out", rec.out), r.stream(ctx, w, s, name, "err", rec.errOut)
	return c
}

// silent reports whether the last sign of life is too old. Times of the file service carry no zone, so they count only if the
// start of the script is where it can be.
func (r *Run) silent(s sighting, now time.Time) bool {
	started, last := s["started"].Modified, s["beat"].Modified
	if d := started.Sub(r.ID.Time()); started.IsZero() || last.IsZero() || d < -late || d > late {
		return false
	}
	return now.Sub(last) > silence
}

// rereads is how often something is read again that a late back end shows short.
const rereads = 3

// record reads what the wrapper wrote at the end.
func (r *Run) record(ctx context.Context, name string) (rec record, err error) {
	const most = 4 << 10
	for try := range rereads {
		if try > 0 && !upstream.Wait(ctx, time.Second) {
			break
		}
		var content []byte
		if content, err = r.files.Read(ctx, r.Dir+"/"+name+".done", 0, most); err != nil {
			if errors.Is(err, scnet.ErrNoAccess) {
				break
			}
			continue
		}
		if rec, err = parseRecord(string(content), r.ID); err == nil {
			break
		}
	}
	return rec, err
}

// stream reads what a script wrote that is over: all of it, or its two ends. It reads what was listed as a file and nothing
// else: a program can put a link there that leads to what the file service may read and its container does not see.
func (r *Run) stream(ctx context.Context, w Watch, s sighting, name, kind string, size int64) Stream {
	out := Stream{Bytes: size}
	switch {
	case size == 0:
		return out
	case !s.has(kind):
		out.Unread, out.Truncated = true, true
		return out
	case size <= wholeStream:
		content, ok := r.exactly(ctx, name+"."+kind, size)
		out.Text, out.Truncated = w.shown(content, 0, nil)
		out.Unread = !ok && len(content) == 0
		out.Truncated = out.Truncated || !ok
		return out
	}
	if s.has(kind+".head") && s.has(kind+".tail") {
		head, okHead := r.exactly(ctx, name+"."+kind+".head", streamEnd)
		tail, okTail := r.exactly(ctx, name+"."+kind+".tail", streamEnd)
		if okHead && okTail {
			out.Text, _ = w.shown(head, size-2*streamEnd, tail)
			out.Truncated = true
			return out
		}
	}
	return r.tail(ctx, w, name+"."+kind, scnet.File{Size: size})
}

// exactly reads size bytes, again if a late back end gives fewer.
func (r *Run) exactly(ctx context.Context, name string, size int64) (content []byte, ok bool) {
	for try := range rereads {
		if try > 0 && !upstream.Wait(ctx, time.Second) {
			break
		}
		part, err := r.files.Read(ctx, r.Dir+"/"+name, 0, size)
		if len(part) >= len(content) {
			content = part
		}
		if err == nil && int64(len(part)) == size {
			return content, true
		}
	}
	return content, false
}

// tail reads the end of what a script has written so far.
func (r *Run) tail(ctx context.Context, w Watch, name string, f scnet.File) Stream {
	out := Stream{Bytes: f.Size}
	if f.Size == 0 {
		return out
	}
	from := max(f.Size-soFar, 0)
	content, err := r.files.Read(ctx, r.Dir+"/"+name, from, soFar)
	out.Text, out.Truncated = w.shown(nil, from, content)
	out.Unread = err != nil
	out.Truncated = out.Truncated || from > 0 || out.Unread
	return out
}

// shown cleans what a script wrote, of which cut bytes are missing between head and tail.
func (w Watch) shown(head []byte, cut int64, tail []byte) (words string, truncated bool) {
	clean := func(part []byte, most int) string {
		words := string(part)
		if w.Redact != nil {
			words = w.Redact(words)
		}
		words = mask(words)
		lines := text.Lines(words, most)
		truncated = truncated || len(lines) > most
		return lines
	}
	if cut == 0 {
		words = clean(append(slices.Clip(head), tail...), w.Show)
		return words, truncated
	}
	if len(head) == 0 {
		return fmt.Sprintf("[… %d bytes before …]\n", cut) + clean(tail, w.Show), true // not said to people
	}
	cutOut := fmt.Sprintf("\n[… %d bytes cut …]\n", cut) // not said to people
	return clean(head, w.Show/3) + cutOut + clean(tail, w.Show-w.Show/3), true
}

// clean removes the run's directory once there is nothing more in it to have.
func (r *Run) clean(ctx context.Context, out *Report) {
	if out.Missing > 0 && !out.TooLate {
		out.Why = lang.T("containers may still report in")
		return
	}
	for _, c := range out.Containers {
		switch {
		case c.State == NoRecord || !c.State.Over():
			out.Why = lang.T("the script is %s", string(c.State))
		case c.State == Interrupted:
			out.Why = lang.T("what it wrote may be of use")
		case c.Stdout.Truncated || c.Stderr.Truncated:
			out.Why = lang.T("the output was not shown in full")
		default:
			continue
		}
		return
	}
	if !r.remove(ctx) {
		out.Why = lang.T("it could not be removed")
		return
	}
	out.Left = ""
}

// Remove removes a run's directory with what is left in it.
func (r *Run) Remove(ctx context.Context) bool { return r.remove(ctx) }
