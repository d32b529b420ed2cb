package capture

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// Scopes of a script.
const (
	allContainers  = "all"
	firstContainer = "header"
)

// Place is where the runs of one instance can leave what became of them.
type Place struct {
	files      *scnet.Files
	region     *scnet.Region
	instance   scnet.Instance
	bases      []string
	scope      string
	containers int
}

// Find looks for a directory that can take the runs of an instance, and changes nothing. wanted is the only one that counts
// if there is one. Its error says why there is none.
func Find(ctx context.Context, region *scnet.Region, in scnet.Instance, scope, wanted string) (Place, error) {
	p := Place{region: region, instance: in, scope: scope, containers: 1}
	if scope == allContainers {
		if p.containers = in.Containers; p.containers < 1 || p.containers > maxContainers {
			return p, lang.Errorf("the service tells of %d containers; 1 to %d can be told apart", in.Containers, maxContainers)
		}
	}
	if wanted != "" {
		if err := CheckBase(wanted); err != nil {
			return p, err
		}
	}
	var err error
	if p.files, err = region.Files(ctx); err != nil {
		return p, err
	}
	var problem error
	for _, base := range bases(in, p.files.Home, wanted) {
		err := suits(ctx, p.files, base)
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		if err == nil {
			p.bases = append(p.bases, base)
		} else if problem == nil {
			problem = lang.Errorf("%s: %w", base, err)
		}
	}
	switch {
	case len(p.bases) > 0:
		return p, nil
	case problem != nil:
		return p, problem
	}
	return p, lang.Errorf("the instance mounts no directory, and the service does not tell the home directory")
}

// maxContainers of one instance can be told apart.
const maxContainers = 64

// Base returns the directory that is tried first.
func (p Place) Base() string { return p.bases[0] }

// Script is what a run runs.
type Script struct {
	Content string
	Shell   string        // "auto": bash, else sh
	Timeout time.Duration // after which it is killed; 0: never
}

// ErrNoStorage says that no run was made, so nothing was sent.
var ErrNoStorage = lang.Errorf("no directory could be made for the output")

// Start makes the directory of a new run and hands the script to the instance. An error without [upstream.Failure.Uncertain]
// says that the script was not sent, or refused; an uncertain one comes with the run, which shows later whether it arrived.
func (p Place) Start(ctx context.Context, s Script, now time.Time) (*Run, error) {
	run, err := p.prepare(ctx, now)
	if err != nil {
		return nil, lang.Errorf("%w: %w", ErrNoStorage, err)
	}
	w := newWrapping(run.ID)
	w.containers, w.shell, w.timeout, w.candidates = p.containers, s.Shell, s.Timeout, inside(p.instance, run.Dir, run.ID)
	content, err := w.wrap(s.Content)
	if err == nil {
		err = p.region.ExecuteScript(ctx, p.instance.ID, scnet.Script{Content: content, Scope: p.scope})
	}
	if err != nil && !isUncertain(err) {
		run.remove(ctx)
		return nil, err
	}
	if err == nil {
		run.accepted = true
		_ = p.files.Touch(ctx, run.Dir+"/"+acceptance) // without it, whoever looks later knows less
	}
	return run, err
}

// tries is how often a new id is taken when the directory of one is there already, or may be.
const tries = 3

func (p Place) prepare(ctx context.Context, now time.Time) (*Run, error) {
	var problem error
	for _, base := range p.bases {
		for range tries {
			run := p.newRun(NewID(now), base)
			err := p.files.Mkdir(ctx, run.Dir)
			if err == nil {
				if err = p.files.Touch(ctx, run.Dir+"/"+run.label()); err == nil {
					return run, nil
				}
				run.remove(ctx)
			}
			problem = lang.Errorf("%s: %w", base, err)
			if isUncertain(err) { // it may be there: another one certainly is ours alone
				run.remove(ctx)
				continue
			}
			if !errors.Is(err, scnet.ErrFileExists) {
				break
			}
		}
		if !errors.Is(problem, scnet.ErrNoAccess) && !errors.Is(problem, scnet.ErrNoFile) &&
			!errors.Is(problem, scnet.ErrNotFolder) {
			break // the next directory would fare no better
		}
	}
	return nil, problem
}

func (p Place) newRun(id ID, base string) *Run {
	return &Run{
		ID: id, Dir: base + "/" + id.folder(), InstanceID: p.instance.ID, Containers: p.containers, region: p.region,
		files: p.files,
	}
}

func isUncertain(err error) bool {
	var failed *upstream.Failure
	return errors.As(err, &failed) && failed.Uncertain
}

// Run is one run of a script in one instance.
type Run struct {
	ID         ID
	Dir        string // on the region's storage
	InstanceID string
	Containers int // that may run it

	region   *scnet.Region
	files    *scnet.Files
	accepted bool // SCNet is known to have taken the script
}

// acceptance names the file that says that SCNet has taken the script: whoever looks later knows it from there.
const acceptance = "accepted"

// label names the file that says what the run is of, so that the storage is all the state there is.
func (r *Run) label() string { return fmt.Sprintf("of-%s-%d", r.InstanceID, r.Containers) }

var labelPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^of-([A-Za-z0-9_-]{1,128})-([0-9]{1,2})$`)
})

// Stop asks the run to end: a script that runs is terminated within about 10 seconds, and killed after as many more; one that
// has not begun never will.
func (r *Run) Stop(ctx context.Context) error {
	err := r.files.Touch(ctx, r.Dir+"/cancel")
	if errors.Is(err, scnet.ErrFileExists) {
		return nil
	}
	return err
}

// remove removes the run's directory and reports whether it is gone. A call that was ended still cleans up.
func (r *Run) remove(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	return r.files.RemoveRun(ctx, r.Dir) == nil
}

const removeTime = 5 * time.Second

// State is what became of a script.
type State string

// The states, the worst first.
const (
	Failed      State = "failed"      // it ended with another exit code than 0
	TimedOut    State = "timeout"     // it was killed because it took longer than allowed
	Cancelled   State = "cancelled"   // it was killed on request
	Corrupt     State = "corrupt"     // it arrived damaged, and was not run
	NoShell     State = "no_shell"    // the container lacks the shell, and it was not run
	Unwritable  State = "unwritable"  // no output could be written, and it was not run
	Interrupted State = "interrupted" // the container stopped under it
	Lost        State = "lost"        // no sign of life any more
	NoRecord    State = "no_record"   // it is over, and its record cannot be read
	Unreadable  State = "unreadable"  // the file service may not read what it left
	NotSeen     State = "not_seen"    // accepted, but no container has reported in
	Unknown     State = "unknown"     // what is there could not be looked at
	Accepted    State = "accepted"    // not looked at, or not for long enough to tell
	Running     State = "running"
	Succeeded   State = "succeeded" // exit code 0
)

// States returns every state, the worst first.
func States() []State {
	return []State{
		Failed, TimedOut, Cancelled, Corrupt, NoShell, Unwritable, Interrupted, Lost, NoRecord, Unreadable, NotSeen, Unknown,
		Accepted,
		Running, Succeeded,
	}
}

// Worst returns the worse of two states; "" is better than any.
func Worst(a, b State) State {
	states := States()
	rank := func(s State) int {
		if i := slices.Index(states, s); i >= 0 {
			return i
		}
		return len(states)
	}
	if rank(b) < rank(a) {
		return b
	}
	return a
}

// Over reports whether nothing more will come of it.
func (s State) Over() bool {
	switch s {
	case Running, Accepted, Unknown, NotSeen, Unreadable, Lost:
		return false
	default:
		return true
	}
}

// Report is what is known of a run.
type Report struct {
	State      State // the worst of its containers
	Containers []Container
	Missing    int           // containers that have not reported in
	TooLate    bool          // and that cannot any more: there the script was not run
	Waited     time.Duration // since it was sent
	Left       string        // the run's directory, if it is still there
	Why        lang.Text     // why it is
	Status     scnet.Status  // of the instance, where that was looked at
	Err        error         // what kept us from looking
}

// Container is what became of the script in one container.
type Container struct {
	Name           string
	State          State
	ExitCode       int // if HasExit
	HasExit        bool
	Stdout, Stderr Stream
	Took           time.Duration // 0 when it is not known
	Shell          string
}

// Stream is what a script wrote, cleaned for display.
type Stream struct {
	Bytes     int64 // that it wrote
	Text      string
	Truncated bool // Text is not all of it
	Unread    bool // it could not be read, so Text says nothing
}

// Finished counts the containers in which the script is over.
func (r Report) Finished() (n int) {
	for _, c := range r.Containers {
		if c.State.Over() {
			n++
		}
	}
	return n
}

// GoesOn reports whether more may become known by waiting.
func (r Report) GoesOn() bool {
	runs := func(c Container) bool { return c.State == Running }
	return r.State == Running || r.State == Accepted || slices.ContainsFunc(r.Containers, runs)
}

var secretWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(token=)[^\s&"']{4,}|sothisai_[A-Za-z0-9_-]{4,}`)
})

// mask hides what looks like a token of the service.
func mask(words string) string { return secretWords().ReplaceAllString(words, "${1}[secret]") }

// gloss explains an exit code that a signal gave.
func gloss(code int) lang.Text {
	switch code {
	case 126:
		return lang.T("not executable")
	case 127:
		return lang.T("command not found")
	case 137:
		return lang.T("killed, perhaps because memory ran out")
	case 143:
		return lang.T("terminated")
	}
	return lang.Text{}
}

// Text words what became of the script in the container.
func (c Container) Text() lang.Text {
	var after lang.Text
	if c.Took > 0 {
		after = lang.T(" after %s", c.Took)
	}
	switch c.State {
	case Succeeded, Failed:
		words := lang.T("exit code %d", c.ExitCode)
		if why := gloss(c.ExitCode); !why.IsZero() {
			words = lang.T("exit code %d (%s)", c.ExitCode, why)
		}
		return lang.Run(words, after)
	case TimedOut:
		return lang.T("killed%s: it took longer than timeout_seconds", after)
	case Cancelled:
		return lang.T("killed on request%s", after)
	case Running:
		return lang.T("still running")
	case Corrupt:
		return lang.T("not run: the script arrived damaged, or the container has no decoder for it")
	case NoShell:
		return lang.T("not run: the container lacks the shell")
	case Unwritable:
		return lang.T("not run: no output could be written")
	case Interrupted:
		return lang.T("started, then its container stopped; exit code unknown")
	case Lost:
		return lang.T("started, and gives no sign of life any more; exit code unknown")
	case NoRecord:
		return lang.T("finished, but its record is missing or incomplete (is the disk full?); exit code unknown")
	case Unreadable:
		return lang.T("the file service may not read what it left; exit code unknown")
	case NotSeen, Accepted, Unknown: // of a run, not of a container
	}
	return lang.Verbatim(string(c.State))
}

// String says it in English.
func (c Container) String() string { return c.Text().String() }
