package audit

import (
	"cmp"
	"slices"
	"time"
)

// Limits on the attempts of one kind that one caller may have written: so many at once, and one more for each pause. The rest
// is only counted.
const (
	floodBurst = 60
	floodPause = 6 * time.Second
	floodSum   = time.Minute // how long attempts are counted before their sum is written
	// floodCallers bounds the memory. More callers than these at once share a count without a name.
	floodCallers = 1024
)

// flood keeps one caller's attempts from filling the log.
type flood struct{ of map[floodKey]*floodState }

type floodKey struct {
	caller string
	event  Event
}

type floodState struct {
	tokens      float64
	at          time.Time // when tokens was right
	count       int
	first, last time.Time // of the counted ones
}

// admit reports whether r is to be written. Otherwise it is counted.
func (f *flood) admit(r Record) bool {
	key := floodKey{r.Caller, r.Event}
	s := f.of[key]
	if s == nil && len(f.of) >= floodCallers {
		f.forget(r.Time)
		if len(f.of) >= floodCallers {
			key.caller = ""
			s = f.of[key]
		}
	}
	if s == nil {
		if f.of == nil {
			f.of = map[floodKey]*floodState{}
		}
		s = &floodState{tokens: floodBurst, at: r.Time}
		f.of[key] = s
	}
	if passed := r.Time.Sub(s.at); passed > 0 {
		s.tokens = min(floodBurst, s.tokens+float64(passed)/float64(floodPause))
		s.at = r.Time
	}
	if s.tokens >= 1 {
		s.tokens--
		return true
	}
	if s.count == 0 {
		s.first = r.Time
	}
	s.count, s.last = s.count+1, r.Time
	return false
}

// forget drops callers that have been quiet long enough to begin anew.
func (f *flood) forget(now time.Time) {
	for key, s := range f.of {
		if s.count == 0 && now.Sub(s.at) >= floodBurst*floodPause {
			delete(f.of, key)
		}
	}
}

// due returns the sums that have been counted long enough, and begins their counts anew.
func (f *flood) due(now time.Time) []Record {
	return f.take(func(s *floodState) bool { return now.Sub(s.first) >= floodSum || now.Before(s.first) })
}

// all returns all sums.
func (f *flood) all() []Record { return f.take(func(*floodState) bool { return true }) }

func (f *flood) take(which func(*floodState) bool) []Record {
	var sums []Record
	for key, s := range f.of {
		if s.count == 0 || !which(s) {
			continue
		}
		sums = append(sums, Record{
			Event: Summed, Time: s.last, Caller: key.caller, Sum: &Sum{Event: key.event, Count: s.count, First: s.first},
		})
		s.count = 0
	}
	slices.SortFunc(sums, func(a, b Record) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Sum.Event, b.Sum.Event))
	})
	return sums
}
