package tools

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// The bounds of reading a region. Rows beyond those that are shown are only counted, which must not cost those that are.
const (
	countedPage = 200              // rows of a page that is read to count
	mostCounted = 20_000           // rows that are looked through
	countTime   = 20 * time.Second // for what is only counted
	regionTime  = 45 * time.Second // for everything, so that a region which hangs does not end the call for the others
)

var (
	errSlowRegion = lang.Errorf("%w: reading the list took too long", upstream.ErrTimeout)
	errMany       = lang.Errorf("at most %d are looked through", mostCounted)
)

// query is what a list asks every region for.
type query struct {
	options  scnet.ListOptions
	limit    int            // rows to keep
	statuses []scnet.Status // several, which the service cannot filter by: the rows are looked through here
	skip     int            // of the rows that match, where they are looked through here
}

// newQuery asks the service for one status where there is only one.
func newQuery(options scnet.ListOptions, statuses []scnet.Status) query {
	q := query{options: options, limit: options.Limit}
	q.options.Further = max(options.Limit, countedPage)
	if len(statuses) == 1 {
		q.options.Status = statuses[0]
	} else if len(statuses) > 1 {
		q.statuses, q.skip, q.options.Start = statuses, options.Start, 0
	}
	return q
}

func (q query) matches(in scnet.Instance) bool {
	return q.statuses == nil || slices.ContainsFunc(q.statuses, in.Status.Is)
}

// counts reports whether rows are counted too that are not shown: those before the beginning are not known.
func (q query) counts() bool { return q.options.Start == 0 }

// listing is what a region answers to a query. Of all that match, at most as many rows are kept as are shown.
type listing struct {
	rows     []scnet.Instance
	read     int // rows that the service sent, those without an id too
	passed   int // up to the last that is kept, likewise
	matched  int // with those that were skipped
	counted  tally
	claimed  int // rows that there are, as the service says; -1: it does not
	total    int // that match; -1: not known
	next     int // where the list goes on; 0: nowhere
	all      bool
	nameless int
	repeated bool // going on would bring the same rows again
	ignored  bool // the service ignores where the list is to start
	stopped  error
}

// read reads a region until the rows are there, and, from the beginning of a list, on to its end, to count.
func (q query) read(ctx context.Context, region *scnet.Region, report func(read, of int)) (listing, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	timer := time.AfterFunc(regionTime, func() { stop(errSlowRegion) })
	defer timer.Stop()
	l := listing{counted: tally{}, claimed: -1, total: -1}
	for page, err := range region.Pages(ctx, q.options) {
		switch {
		case errors.Is(err, scnet.ErrRepeatedRows):
			l.repeated = true
			return l.ended(q), nil
		case errors.Is(err, scnet.ErrIgnoresStart):
			l.ignored = true
			return l, nil
		case err != nil && len(l.rows) == q.limit: // what is shown is there
			l.stopped = err
			return l.ended(q), nil
		case err != nil:
			return listing{}, err
		}
		wasFull := len(l.rows) == q.limit
		kept := l.take(q, page.Rows)
		switch {
		case wasFull:
		case len(l.rows) < q.limit || kept == len(page.Rows):
			l.passed += page.Received
		default:
			l.passed += kept
		}
		l.read, l.claimed, l.nameless = l.read+page.Received, page.Total, l.nameless+page.Nameless
		full := len(l.rows) == q.limit
		if full && !wasFull {
			if !q.counts() {
				break
			}
			timer.Reset(countTime)
		}
		of := l.claimed - q.options.Start
		if more := l.claimed < 0 || l.read < of; more && l.read >= mostCounted {
			l.stopped = errMany
			break
		} else if more && page.Received > 0 {
			if !q.counts() {
				of = min(of, q.limit)
			}
			report(l.read, of)
		}
	}
	return l.ended(q), nil
}

// take keeps and counts what matches of rows, and returns how many of them there are up to the last that was kept.
func (l *listing) take(q query, rows []scnet.Instance) (kept int) {
	l.rows = slices.Grow(l.rows, min(len(rows), q.limit-len(l.rows)))
	for i, in := range rows {
		if !q.matches(in) {
			continue
		}
		l.matched++
		shown := l.matched > q.skip && len(l.rows) < q.limit
		if shown {
			l.rows, kept = append(l.rows, in), i+1
		}
		if shown || q.counts() {
			l.counted.add(in)
		}
	}
	return kept
}

// ended tells how many rows match, and where the list goes on.
func (l listing) ended(q query) listing {
	whole := q.counts() && !l.repeated && l.stopped == nil && (l.claimed < 0 || l.read >= l.claimed)
	l.all = whole && l.nameless == 0
	full := len(l.rows) == q.limit
	if q.statuses == nil {
		l.total = l.claimed
		if l.claimed < 0 && whole {
			l.total = l.read
		}
		next := q.options.Start + l.passed
		if len(l.rows) > 0 && !l.repeated && (l.total > next || l.total < 0 && full) {
			l.next = next
		}
		return l
	}
	if whole {
		l.total = l.matched
	}
	next := q.skip + len(l.rows)
	if len(l.rows) > 0 && !l.repeated && (l.matched > next || l.stopped != nil && full) {
		l.next = next
	}
	return l
}

// gauge adds up what is read of several regions, to report it as one progress.
type gauge struct {
	mu       sync.Mutex
	read, of []int
}

func newGauge(regions int) *gauge {
	return &gauge{read: make([]int, regions), of: make([]int, regions)}
}

// report returns what a region reports to.
func (g *gauge) report(ctx context.Context, region int) func(read, of int) {
	return func(read, of int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.read[region], g.of[region] = read, max(read, of)
		done, total := 0, 0
		for i := range g.read {
			done, total = done+g.read[i], total+g.of[i]
		}
		toolbox.ReportProgress(ctx, done, total, lang.T("reading further rows"))
	}
}
