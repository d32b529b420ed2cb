package simulator

import (
	"slices"
	"time"
)

// The states of tasks and records. No page enumerates them for script tasks; those of tasks are the ones of pool tasks (page
// ShowDesktopPoolsScriptExecTasks), the two others are made up.
const (
	StateInit    = "INIT"
	StateRunning = "RUNNING"
	StateFinish  = "FINISH"  // of tasks; some records may have failed
	StateFailed  = "FAILED"  // of tasks: nothing succeeded, or the gray batch failed
	StateSuccess = "SUCCESS" // of records
	StateSkipped = "SKIPPED" // of records
)

// The values of execute_order (page ListScriptRecords).
const (
	orderPlain = 0 // no gray batch was asked for
	orderGray  = 1
	orderRest  = 2
)

// The types of tasks (page ListScriptTasks).
const (
	typeScript  = "SCRIPT"
	typeCommand = "COMMAND"
)

// task is one execution of scripts, or of a command, on desktops.
type task struct {
	id        string
	kind      string   // typeScript or typeCommand
	scripts   []Script // as they were when the task was made; of a command, one without an id
	resources []string
	gray      []string // the desktops of the gray batch
	pool      Pool
	created   time.Time // to the second, as answers show it
	rounds    []*round
}

// round is one pass over records: the first execution, or a retry.
type round struct {
	begin     time.Time
	threshold int  // 0: none
	byRecord  bool // what the threshold counts
	records   []*record
	end       time.Time // planned
	broken    bool      // planned: the threshold was reached
}

// record is one script on one desktop. Records of a desktop follow each other.
type record struct {
	id       string
	task     *task
	script   Script
	desktop  Desktop
	order    int
	timeout  time.Duration
	ending   ending
	stopped  time.Time // zero: nobody stopped it
	replaced bool      // a retry in the same task has taken its place

	// The rest is planned.
	start, end time.Time
	final      string
	code       string
	reason     string
	printed    bool // it got to its end
}

// plan works out when each record starts and ends and how. It depends on nothing but the endings and on what was stopped
// when, so that it can be made again after a stop: that may let the second batch start earlier, or at all.
func (r *round) plan() {
	var first, second []*record
	for _, rec := range r.records {
		if rec.order == orderRest {
			second = append(second, rec)
		} else {
			first = append(first, rec)
		}
	}
	r.end = planBatch(first, r.begin)
	r.broken = r.threshold > 0 && failures(first, r.byRecord) >= r.threshold
	if !r.broken {
		r.end = planBatch(second, r.end)
		return
	}
	for _, rec := range second {
		rec.skip(r.end, reasonSkipped)
	}
}

// planBatch plans a batch and returns its end. How many desktops work at the same time is not documented; all are assumed to,
// each on one script after the other in the given order.
func planBatch(records []*record, begin time.Time) time.Time {
	if len(records) == 0 {
		return begin
	}
	free := map[string]time.Time{}
	var last time.Time // not begin: a stop before it ends the batch at once
	for _, rec := range records {
		start := begin
		if t, busy := free[rec.desktop.ID]; busy {
			start = t
		}
		rec.plan(start)
		if rec.final != StateSkipped {
			free[rec.desktop.ID] = rec.end
		}
		if rec.end.After(last) {
			last = rec.end
		}
	}
	return last
}

// plan works out one record that can start at the given time.
func (rec *record) plan(start time.Time) {
	if !rec.stopped.IsZero() && !start.Before(rec.stopped) {
		rec.skip(rec.stopped, reasonStopped)
		return
	}
	rec.start, rec.end = start, start.Add(rec.ending.takes)
	rec.final, rec.code, rec.reason, rec.printed = StateSuccess, rec.ending.code, rec.ending.reason, true
	if rec.ending.failed {
		rec.final = StateFailed
	}
	if !rec.stopped.IsZero() && rec.end.After(rec.stopped) {
		rec.end, rec.final, rec.code, rec.reason, rec.printed = rec.stopped, StateFailed, "", reasonStopped, false
	}
}

func (rec *record) skip(at time.Time, reason string) {
	rec.start, rec.end = at, at
	rec.final, rec.code, rec.reason, rec.printed = StateSkipped, "", reason, false
}

// failures counts the desktops on which something failed, or the records that did.
func failures(records []*record, byRecord bool) int {
	n := 0
	failed := map[string]bool{}
	for _, rec := range records {
		if rec.final == StateFailed && (byRecord || !failed[rec.desktop.ID]) {
			failed[rec.desktop.ID] = true
			n++
		}
	}
	return n
}

// state is the state of a record at a time. What is skipped counts as pending until that is decided.
func (rec *record) state(now time.Time) string {
	switch {
	case !now.Before(rec.end):
		return rec.final
	case now.Before(rec.start) || rec.final == StateSkipped:
		return StateInit
	}
	return StateRunning
}

// current are the records that no retry has replaced.
func (t *task) current() []*record {
	var all []*record
	for _, r := range t.rounds {
		for _, rec := range r.records {
			if !rec.replaced {
				all = append(all, rec)
			}
		}
	}
	return all
}

// count counts the records by what has become of them.
func (t *task) count(now time.Time) (succeeded, failed, skipped int) {
	for _, rec := range t.current() {
		switch rec.state(now) {
		case StateSuccess:
			succeeded++
		case StateFailed:
			failed++
		case StateSkipped:
			skipped++
		}
	}
	return succeeded, failed, skipped
}

// last is the round that is under way, or was the last one.
func (t *task) last() *round { return t.rounds[len(t.rounds)-1] }

// state is the state of a task at a time.
func (t *task) state(now time.Time) string {
	r := t.last()
	switch {
	case !now.Before(r.end):
		if succeeded, _, _ := t.count(now); succeeded == 0 || r.broken {
			return StateFailed
		}
		return StateFinish
	case now.Before(r.begin):
		return StateInit
	}
	return StateRunning
}

// stop stops records at a time. What has ended stays as it is.
func (t *task) stop(now time.Time, records []*record) {
	for _, rec := range records {
		if now.Before(rec.end) {
			rec.stopped = now
		}
	}
	t.last().plan()
}

// newTask adds a task that starts after Timing.Init. The caller holds s.mu.
func (s *Simulator) newTask(t *task, now time.Time) {
	t.id, t.created = s.newTaskID(), now.UTC().Truncate(time.Second)
	s.tasks = append(s.tasks, t)
}

// addRound lets a task do the given records. The caller holds s.mu.
func (s *Simulator) addRound(t *task, now time.Time, r *round) {
	r.begin = now.Add(s.timing.Init)
	for _, rec := range r.records {
		rec.id, rec.task = s.newID(), t
	}
	r.plan()
	t.rounds = append(t.rounds, r)
}

// task returns the task with the given id, or nil.
func (s *Simulator) task(id string) *task {
	i := slices.IndexFunc(s.tasks, func(t *task) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return s.tasks[i]
}

// record returns the record with the given id, or nil.
func (s *Simulator) record(id string) *record {
	for _, t := range s.tasks {
		for _, r := range t.rounds {
			for _, rec := range r.records {
				if rec.id == id {
					return rec
				}
			}
		}
	}
	return nil
}
