package simulator

import (
	"cmp"
	"slices"
	"time"
)

// accelerators is how many of them an instance takes in all its containers.
func (in *Instance) accelerators() int { return in.GPUNumber * max(in.TaskNumber, 1) }

// accelerators is how many of them all nodes of a group have.
func (g ResourceGroup) accelerators() int { return g.GPUNumber * g.NodeNumber }

// deal gives free accelerators to the instances that wait for them, as of each moment up to now at which there were some: who
// came first is served first, and nobody overtakes. Time passes between requests only, so that this has to be called before
// anything is read or changed. The caller holds sim.mu.
func (r *region) deal(now time.Time, t Timing) {
	for _, g := range r.Groups {
		r.dealIn(g, now, t)
	}
	r.dealt = later(now, r.dealt)
}

func (r *region) dealIn(g ResourceGroup, now time.Time, t Timing) {
	var line []*instance
	for _, in := range r.byAge {
		// One that needs more than there is waits for good, but holds up nobody.
		if in.ResourceGroup == g.Name && !in.queued.IsZero() && in.inLine && in.granted.IsZero() &&
			in.accelerators() <= g.accelerators() {
			line = append(line, in)
		}
	}
	slices.SortStableFunc(line, func(a, b *instance) int { return a.queued.Compare(b.queued) })
	// What has been changed since the last time did not count before that.
	served := r.dealt
	for _, in := range line {
		at := later(in.ready(t), served)
		for r.taken(g, at, t)+in.accelerators() > g.accelerators() {
			next, ok := r.release(g, at, t)
			if !ok {
				return
			}
			at = next
		}
		if at.After(now) {
			return
		}
		in.granted, served = at, at
	}
}

// taken is how many accelerators of a group are occupied at a time.
func (r *region) taken(g ResourceGroup, at time.Time, t Timing) int {
	n := 0
	for _, in := range r.byAge {
		if status, _, _ := in.at(at, t); in.ResourceGroup == g.Name && occupies(status) {
			n += in.accelerators()
		}
	}
	return n
}

// release is the first moment after a given one at which an instance of the group ends by itself: at its time limit, or
// because it is being stopped.
func (r *region) release(g ResourceGroup, after time.Time, t Timing) (first time.Time, found bool) {
	for _, in := range r.byAge {
		status, start, _ := in.at(after, t)
		if in.ResourceGroup != g.Name || !occupies(status) {
			continue
		}
		end := in.EndTime // of one that is being stopped
		if status != Stopping {
			if in.TimeLimit <= 0 {
				continue
			}
			if start.IsZero() { // still deploying
				start = cmp.Or(in.granted, in.ready(t)).Add(t.Deploying)
			}
			end = start.Add(in.TimeLimit)
		}
		if end.After(after) && (!found || end.Before(first)) {
			first, found = end, true
		}
	}
	return first, found
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
