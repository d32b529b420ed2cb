package tools

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/rollout"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// maxRef is the longest id or name that is looked up.
const maxRef = 200

// searchedRows is how many rows are looked through for one name in one region, and shownCandidates how many an error lists.
const (
	searchedRows    = 100
	shownCandidates = 10
)

// instanceID is the usual form of an id; what looks like one is not searched for as a name.
var instanceID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-f]{32}$`)
})

// search looks instances up by id or name in several regions.
type search struct {
	regions []*scnet.Region
	failed  []error // by region: why it could not be asked
	found   []located
	similar [][]located // by ref: the instances whose name is, or holds, the ref
}

// locate finds what a call names in the region of selector, or in all usable regions: the configured one first, so that an id
// which is there costs one request. A name stands for the one instance that bears it in all of these. Everything that cannot
// be told is in the error, at once; an id that no region knows is not an error here. More refs than one call may change are
// not even looked up.
func (s Instances) locate(ctx context.Context, policy guard.Policy, selector string, refs []string) ([]located, error) {
	refs = distinct(refs)
	if err := policy.PermitsCount(len(refs)); err != nil {
		return nil, err
	}
	regions, err := s.regions(ctx, selector)
	if err != nil {
		return nil, err
	}
	l := search{
		regions: regions, failed: make([]error, len(regions)), found: make([]located, len(refs)),
		similar: make([][]located, len(refs)),
	}
	for i, ref := range refs {
		l.found[i].ref = ref
	}
	for _, some := range [][]int{{0}, indices(1, len(regions))} {
		if err := l.byID(ctx, some); err != nil {
			return nil, err
		}
	}
	if err := l.byName(ctx); err != nil {
		return nil, err
	}
	if err := l.problem(); err != nil {
		return nil, err
	}
	return once(l.found), nil
}

// once leaves out what an earlier ref stands for already: an instance can be named by its id and by its name.
func once(found []located) []located {
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(l located) bool {
		if l.region == nil {
			return false
		}
		key := l.region.ID + "/" + l.instance.ID
		again := seen[key]
		seen[key] = true
		return again
	})
}

func distinct(refs []string) []string {
	var all []string
	for _, ref := range refs {
		if ref = strings.TrimSpace(ref); !slices.Contains(all, ref) {
			all = append(all, ref)
		}
	}
	return all
}

func indices(from, to int) []int {
	var all []int
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// pair is one ref in one region.
type pair struct{ ref, region int }

// open returns what is left to look up in some regions, of the refs that fit.
func (l *search) open(regions []int, fit func(ref string) bool) (pairs []pair) {
	for _, region := range regions {
		for ref, found := range l.found {
			if found.region == nil && fit(found.ref) {
				pairs = append(pairs, pair{ref, region})
			}
		}
	}
	return pairs
}

// each looks pairs up, several at a time. A region that cannot be asked is noted; take hears what each look gave.
func (l *search) each(ctx context.Context, pairs []pair, look func(pair) error) error {
	errs, err := lookUpAll(ctx, len(pairs), func(i int) error { return look(pairs[i]) })
	if err != nil {
		return err
	}
	for i, err := range errs {
		if p := pairs[i]; err != nil && !isAbsence(err) && l.failed[p.region] == nil {
			l.failed[p.region] = err
		}
	}
	return nil
}

// isAbsence reports whether err says that a region does not have what was asked for.
func isAbsence(err error) bool {
	return errors.Is(err, scnet.ErrNotFound) || errors.Is(err, scnet.ErrNoContainers) || errors.Is(err, scnet.ErrInvalidID)
}

func (l *search) byID(ctx context.Context, regions []int) error {
	pairs := l.open(regions, text.IsID)
	seen := make([]scnet.Instance, len(pairs))
	slot := make(map[pair]int, len(pairs))
	for i, p := range pairs {
		slot[p] = i
	}
	err := l.each(ctx, pairs, func(p pair) (err error) {
		seen[slot[p]], err = l.regions[p.region].Detail(ctx, l.found[p.ref].ref)
		return err
	})
	for i, p := range pairs {
		if seen[i].ID != "" && l.found[p.ref].region == nil {
			l.found[p.ref].region, l.found[p.ref].instance = l.regions[p.region], seen[i]
		}
	}
	return err
}

func (l *search) byName(ctx context.Context) error {
	pairs := l.open(indices(0, len(l.regions)), func(ref string) bool {
		return ref != "" && len(ref) <= maxRef && !instanceID().MatchString(ref)
	})
	rows := make([][]scnet.Instance, len(pairs))
	slot := make(map[pair]int, len(pairs))
	for i, p := range pairs {
		slot[p] = i
	}
	err := l.each(ctx, pairs, func(p pair) (err error) {
		rows[slot[p]], err = instancesNamed(ctx, l.regions[p.region], l.found[p.ref].ref)
		return err
	})
	for i, p := range pairs {
		for _, in := range rows[i] {
			l.similar[p.ref] = append(l.similar[p.ref], located{l.found[p.ref].ref, l.regions[p.region], in})
		}
	}
	if err != nil || l.firstFailure() != nil { // a namesake may be where nobody could look
		return err
	}
	for ref, found := range l.found {
		if exact := bearers(l.similar[ref], found.ref); found.region == nil && len(exact) == 1 {
			l.found[ref] = exact[0]
		}
	}
	return nil
}

// instancesNamed returns the instances of a region whose name holds part, in any case.
func instancesNamed(ctx context.Context, region *scnet.Region, part string) (rows []scnet.Instance, err error) {
	seen := 0
	for page, err := range region.Pages(ctx, scnet.ListOptions{Name: part, Limit: searchedRows}) {
		if err != nil {
			return rows, err
		}
		for _, in := range page.Rows {
			if strings.Contains(strings.ToLower(in.Name), strings.ToLower(part)) {
				rows = append(rows, in)
			}
		}
		if seen += page.Received; seen >= 10*searchedRows { // a service that ignores the filter
			break
		}
	}
	return rows, nil
}

// bearers are those whose name is exactly name; if there are none, those for whom it is that in another case.
func bearers(all []located, name string) []located {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		var some []located
		for _, l := range all {
			if same(strings.TrimSpace(l.instance.Name), name) {
				some = append(some, l)
			}
		}
		if len(some) > 0 {
			return some
		}
	}
	return nil
}

func (l *search) firstFailure() error {
	for _, err := range l.failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// problem says of everything that was not found, or not only once, what is known of it. An id that every region was asked for
// in vain is not a problem of the search.
func (l *search) problem() error {
	cause := l.firstFailure()
	var problems []lang.Text
	for i, found := range l.found {
		if found.region == nil && (cause != nil || !instanceID().MatchString(found.ref)) {
			problems = append(problems, l.wordsFor(i, cause != nil))
		}
	}
	switch {
	case len(problems) == 0:
		return nil
	case cause != nil && !slices.ContainsFunc(l.failed, func(err error) bool { return err == nil }):
		return cause
	}
	said := problems[0]
	if len(problems) > 1 {
		said = lang.Run(lang.T("%d of %d instances cannot be told:", len(problems), len(l.found)), listed(problems))
	}
	var closed []lang.Text
	for i, err := range l.failed {
		if err != nil {
			closed = append(closed, lang.T("%s could not be asked: %s.", l.regions[i], toolbox.Briefly(err)))
		}
	}
	switch {
	case len(closed) > 0 && len(problems) > 1:
		said = lang.Lines(said, lang.Sentences(closed...))
	case len(closed) > 0:
		said = lang.Sentences(append([]lang.Text{lang.T("%s.", said)}, closed...)...)
	}
	failure := &upstream.Failure{Kind: upstream.NotFound, Service: "SCNet", Err: said.Error()}
	var asked *upstream.Failure
	if errors.As(cause, &asked) {
		failure.Kind, failure.Code, failure.Status, failure.Retryable = asked.Kind, asked.Code, asked.Status, asked.Retryable
	}
	return failure
}

// listed puts each text on a line of its own, as an item.
func listed(texts []lang.Text) lang.Text {
	items := make([]lang.Text, len(texts))
	for i, t := range texts {
		items[i] = lang.T("\n- %s", t)
	}
	return lang.Run(items...)
}

// wordsFor says why a ref does not stand for one instance.
func (l *search) wordsFor(i int, blind bool) lang.Text {
	ref, similar := l.found[i].ref, l.similar[i]
	shown := text.Line(ref, 60)
	exact := bearers(similar, ref)
	switch {
	case ref == "":
		return lang.T("\"\" is neither an id nor a name")
	case len(ref) > maxRef:
		return lang.T("%q is longer than any id or name (%d bytes)", shown, len(ref))
	case len(exact) > 1:
		return lang.T("%q is the name of %d instances. Use the id that is meant: %s", shown, len(exact), candidates(exact))
	case len(exact) == 1:
		return lang.T("%q is the name of %s, but another may bear it where nobody could look. Use the id", shown, candidates(exact))
	case len(similar) > 0:
		return lang.T("%q is neither an id nor a whole name. Use the id that is meant: %s", shown, candidates(similar))
	case blind:
		return lang.T("%q was not found where it could be looked for", shown)
	case strings.ContainsAny(ref, ",;，；、 \t\n"):
		return lang.T("%q is neither the id nor the name of an instance. Give several as separate elements of the list", shown)
	case strings.ContainsAny(ref, "*?%"):
		return lang.T("%q is neither the id nor the name of an instance. Wildcards stand for nothing here", shown)
	}
	return lang.T("%q is neither the id nor the name of an instance; list_instances shows both", shown)
}

func candidates(some []located) lang.Text {
	var words []lang.Text
	for _, l := range some[:min(len(some), shownCandidates)] {
		words = append(words, lang.T("%q is %s (%s, in %s)", text.Field(l.instance.Name), text.Field(l.instance.ID),
			text.Field(string(l.instance.Status)), l.region))
	}
	if len(some) > shownCandidates {
		words = append(words, lang.T("and more, which list_instances shows"))
	}
	return lang.Clauses(words...)
}

// notFound is the error of ids that no region knows.
func notFound(ids []string) error {
	return &upstream.Failure{Kind: upstream.NotFound, Service: "SCNet", Err: lang.Errorf("%w: %s. list_instances shows the ids",
		scnet.ErrNotFound, lang.Some(ids))}
}

// lookUpAll calls look for 0 to n-1, several at a time, and returns the error of each. The other error says that it was
// cancelled, or that there is a fault of ours.
func lookUpAll(ctx context.Context, n int, look func(i int) error) ([]error, error) {
	if n == 1 { // most accounts have one region: on the goroutine of the call, which the frame guards
		return []error{look(0)}, context.Cause(ctx)
	}
	result, err := rollout.Run(ctx, rollout.Plan{Targets: n, Concurrency: lookups, MaxFailures: n}, rollout.Steps{
		Do: func(_ context.Context, i int) error { return look(i) },
	})
	if err != nil {
		return nil, err
	}
	errs := make([]error, n)
	for i, target := range result.Targets {
		var panicked *rollout.PanicError
		if errors.As(target.Err, &panicked) {
			return nil, toolbox.Fault(panicked)
		}
		errs[i] = target.Err
	}
	if result.Stopped == rollout.Cancelled {
		return nil, context.Cause(ctx)
	}
	return errs, nil
}

// located is where an instance is, and what it looks like. Without a region it does not exist.
type located struct {
	ref      string // the id or the name that the call gave
	region   *scnet.Region
	instance scnet.Instance
}

// choose resolves what a call names to targets. A target that does not exist is spared.
func (s Instances) choose(ctx context.Context, policy guard.Policy, selector string, refs []string) (chosen, error) {
	found, err := s.locate(ctx, policy, selector, refs)
	c := chosen{found: found}
	if err != nil { // for the audit log, which wants to know what the call named
		for _, ref := range distinct(refs) {
			c.targets = append(c.targets, toolbox.Target{ID: ref})
		}
		return c, err
	}
	for _, l := range found {
		if l.region == nil {
			c.targets = append(c.targets, toolbox.Target{ID: l.ref, Outcome: toolbox.NotFound})
			continue
		}
		c.targets = append(c.targets, instanceTarget(l, s.Now()))
	}
	return c, nil
}

// chooseOne resolves the one instance that a call names, which must exist.
func (s Instances) chooseOne(ctx context.Context, policy guard.Policy, selector, ref string) (located, error) {
	found, err := s.locate(ctx, policy, selector, []string{ref})
	if err != nil {
		return located{}, err
	}
	if found[0].region == nil {
		return located{}, notFound([]string{text.Field(found[0].ref)})
	}
	return found[0], nil
}

// lookUp calls look for 0 to n-1, several at a time, until one fails, and returns the first error. A panic is one: on a
// goroutine that nobody guards it would end the server.
func lookUp(ctx context.Context, n int, look func(i int) error) error {
	result, err := rollout.Run(ctx, rollout.Plan{Targets: n, Concurrency: lookups}, rollout.Steps{
		Do: func(_ context.Context, i int) error { return look(i) },
	})
	if err != nil {
		return err
	}
	for _, target := range result.Targets {
		var panicked *rollout.PanicError
		switch {
		case errors.As(target.Err, &panicked):
			return toolbox.Fault(panicked)
		case target.Err != nil:
			return target.Err
		}
	}
	if result.Stopped == rollout.Cancelled {
		return context.Cause(ctx)
	}
	return nil
}

// chosen is what a plan for instances resolved and its act needs.
type chosen struct {
	targets []toolbox.Target
	found   []located // in the order of targets
}

// present returns the indices of the targets that something is to be done to.
func (c chosen) present() []int {
	var present []int
	for i, t := range c.targets {
		if !t.Spared() {
			present = append(present, i)
		}
	}
	return present
}

// chunks groups targets by region, at most size in one.
func (c chosen) chunks(targets []int, size int) (chunks [][]int) {
	var regions []*scnet.Region
	for _, i := range targets {
		if !slices.Contains(regions, c.found[i].region) {
			regions = append(regions, c.found[i].region)
		}
	}
	for _, region := range regions {
		var here []int
		for _, i := range targets {
			if c.found[i].region == region {
				here = append(here, i)
			}
		}
		chunks = slices.AppendSeq(chunks, slices.Chunk(here, size))
	}
	return chunks
}

// instanceTarget is an instance as a target.
func instanceTarget(l located, now time.Time) toolbox.Target {
	in := l.instance
	return toolbox.Target{
		ID: in.ID, Place: place(l.region), Exists: true, Name: in.Name, Status: string(in.Status), Owner: in.Owner,
		Created:      in.CreatedAt,
		Accelerators: in.TotalAccelerators(), Remaining: seconds(in.Left(now)), Mounts: mounts(in),
		Bound: []string{in.HeaderTaskID, in.StartedAt.String()},
	}
}
