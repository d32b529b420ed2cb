package prompts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// The bounds of a completion. Clients ask with every key that is pressed.
const (
	mostValues    = 100 // MCP's limit
	completedRows = 200 // of a region
	completeTime  = 5 * time.Second
	keptFor       = 15 * time.Second // lists
	keptLists     = 64
	askedAtOnce   = 8 // regions
)

// Reference is what an argument belongs to: a prompt, or a resource template.
type Reference struct {
	Prompt   string
	Template string
}

// Completion are values that begin with, or hold, what was typed.
type Completion struct {
	Values []string
	More   bool // there are others, which may not be known
}

// Typed is how far a person got.
type Typed struct {
	Argument string
	Value    string
	Others   map[string]string // the other arguments
}

// Complete returns values for what was typed. Its error wraps ErrUnknown for what the caller is not offered; otherwise the
// values cannot be read.
func (l *Library) Complete(ctx context.Context, c Caller, of Reference, typed Typed) (Completion, error) {
	from, err := l.source(c, of, typed.Argument)
	if err != nil || from == nowhere || l.SCNet == nil || !c.offered(toolListInstances) {
		return Completion{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	value := strings.TrimSpace(typed.Value)
	if from == fromRegions {
		return l.completeRegion(ctx, value)
	}
	region := typed.Others[regionArgument.name]
	if len(region) > longestName || region == everyRegion {
		region = ""
	}
	found, err := l.instances(ctx, listKey{region, text.Line(value, longestName)})
	return found.complete(from, value), err
}

func (l *Library) source(c Caller, of Reference, name string) (source, error) {
	if of.Template != "" {
		o, found := offerOf(of.Template)
		switch {
		case !found || !o.to(c):
			return nowhere, l.unknownURI(c, of.Template)
		case of.Template != instanceURIs || name != idVariable:
			return nowhere, unknown("variable", name, []string{idVariable})
		}
		return fromIDs, nil
	}
	p, err := l.prompt(c, of.Prompt)
	if err != nil {
		return nowhere, err
	}
	var valid []string
	for _, a := range p.Arguments {
		if a.Name == name {
			return a.completes, nil
		}
		valid = append(valid, a.Name)
	}
	return nowhere, unknown("argument", name, valid)
}

func offerOf(uri string) (offer, bool) {
	i := slices.IndexFunc(offers, func(o offer) bool { return o.uri == uri })
	if i < 0 {
		return offer{}, false
	}
	return offers[i], true
}

func (l *Library) regions(ctx context.Context) ([]*scnet.Region, error) {
	if l.SCNet == nil {
		return nil, l.Unconfigured
	}
	return l.SCNet.Regions(ctx)
}

func (l *Library) completeRegion(ctx context.Context, value string) (Completion, error) {
	regions, err := l.regions(ctx)
	var values []string
	for _, r := range regions {
		word := r.Name
		if word == "" || text.Field(word) != word {
			word = r.ID
		}
		if !r.Suspended && (holds(word, value) || holds(r.ID, value)) {
			values = append(values, text.Field(word))
		}
	}
	return cut(values, false), err
}

func cut(values []string, more bool) Completion {
	if len(values) > mostValues {
		return Completion{values[:mostValues], true}
	}
	return Completion{values, more}
}

func holds(word, part string) bool {
	return strings.Contains(strings.ToLower(word), strings.ToLower(part))
}

// listKey is what a list was asked for.
type listKey struct{ region, part string }

// row is one instance, cleaned.
type row struct {
	id, name string
	exact    bool // the name is what the service knows it by
}

// list is what the service listed.
type list struct {
	rows []row
	more bool
	read time.Time
}

// instances returns the instances that a completion may be about: all, or, where these are too many, those whose name holds
// the part.
func (l *Library) instances(ctx context.Context, key listKey) (list, error) {
	all, err := l.listed(ctx, listKey{region: key.region})
	if err != nil || !all.more || key.part == "" {
		return all, err
	}
	return l.listed(ctx, key)
}

func (l *Library) listed(ctx context.Context, key listKey) (list, error) {
	now := l.now()
	l.mu.Lock()
	kept, known := l.lists[key]
	l.mu.Unlock()
	if age := now.Sub(kept.read); known && age >= 0 && age < keptFor {
		return kept, nil
	}
	found, err := l.list(ctx, key)
	if err != nil {
		return list{}, err
	}
	found.read = now
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil || len(l.lists) >= keptLists {
		l.lists = map[listKey]list{}
	}
	l.lists[key] = found
	return found, nil
}

// list asks the service. A region that does not answer is left out as long as another does.
func (l *Library) list(ctx context.Context, key listKey) (found list, err error) {
	var regions []*scnet.Region
	if key.region == "" {
		regions, err = l.SCNet.Usable(ctx)
	} else {
		region, pickErr := l.SCNet.Region(ctx, key.region)
		regions, err = []*scnet.Region{region}, pickErr
	}
	if err != nil {
		return found, err
	}
	pages, errs := make([]upstream.Page[scnet.Instance], len(regions)), make([]error, len(regions))
	var group errgroup.Group
	group.SetLimit(askedAtOnce)
	for i, r := range regions {
		group.Go(func() error {
			pages[i], errs[i] = r.List(ctx, scnet.ListOptions{Name: key.part, Limit: completedRows})
			return nil
		})
	}
	_ = group.Wait()
	answered := false
	for i, page := range pages {
		switch {
		case errors.Is(errs[i], scnet.ErrNoContainers):
			answered = true
		case errs[i] != nil:
			found.more = true
			err = errs[i]
		default:
			answered = true
			found.more = found.more || page.Total > len(page.Rows) || page.Total < 0 && len(page.Rows) == completedRows
			for _, in := range page.Rows {
				name := text.Line(in.Name, longestName)
				found.rows = append(found.rows, row{text.Field(in.ID), name, name != "" && name == in.Name})
			}
		}
	}
	if answered {
		err = nil
	}
	return found, err
}

// complete returns what fits value.
func (l list) complete(from source, value string) Completion {
	bearers := map[string]int{}
	for _, r := range l.rows {
		bearers[strings.ToLower(r.name)]++
	}
	var values []string
	for _, r := range l.rows {
		word, fits := r.id, holds(r.name, value) || from != fromNames && strings.HasPrefix(r.id, value)
		switch {
		case from == fromNames:
			word, fits = r.name, fits && r.exact
		case from == fromInstances && r.exact && bearers[strings.ToLower(r.name)] == 1:
			word = r.name
		}
		if fits && !slices.Contains(values, word) {
			values = append(values, word)
		}
	}
	return cut(values, l.more)
}
