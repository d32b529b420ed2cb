package scnet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// ListOptions select instances (page container/query). Zero values leave a filter out.
type ListOptions struct {
	Name     string // part of the name; how it is matched is up to the service
	Status   Status
	TaskType string
	Start    int    // rows to skip, not a page number
	Limit    int    // rows of one page, at least 1
	Further  int    // rows of each page after the first, for Pages; 0: as many as Limit
	Sort     string // by creation time, "desc" (default) or "asc"
}

// maxFilter is how long a filter may be: it travels in the URL.
const maxFilter = 256

func (o ListOptions) check() error {
	if o.Limit < 1 || o.Start < 0 {
		return lang.Errorf("limit %d must be at least 1, start %d at least 0", o.Limit, o.Start)
	}
	for _, filter := range []struct{ name, value string }{
		{"name", o.Name}, {"status", string(o.Status)}, {"task type", o.TaskType}, {"sort", o.Sort},
	} {
		if n := utf8.RuneCountInString(filter.value); n > maxFilter {
			return lang.Errorf("the %s filter has %d characters, at most %d are sent", filter.name, n, maxFilter)
		}
	}
	return nil
}

// listVariant is one of the ways to send the list parameters: the page documents the first, clients were seen to use the
// others. Which one a region takes is found out once.
type listVariant int

const (
	listUnknown   listVariant = iota
	listBody                  // GET with a JSON body, and the same as a query for servers that ignore bodies of a GET
	listBodyNames             // likewise, the name filter as the array that the page's table shows
	listSubpath               // GET …/task/list with a query
	listQuery                 // GET with a query alone
)

// List returns one page. The service may return fewer rows than Limit even where more follow; see Pages.
func (r *Region) List(ctx context.Context, o ListOptions) (upstream.Page[Instance], error) {
	if err := o.check(); err != nil {
		return upstream.Page[Instance]{}, call{op: opList, region: r}.invalid(err)
	}
	known, err := r.listVariant(ctx)
	if err != nil {
		return upstream.Page[Instance]{}, err
	}
	page, err := r.listAs(ctx, cmp.Or(known, listBody), o, 0)
	if err == nil {
		if known == listUnknown {
			r.rememberVariant(listBody)
		}
		return page, nil
	}
	for _, variant := range alternatives(known, o, err) {
		tries := 0
		if broke(err) {
			tries = 1 // three have just failed
		}
		page, next := r.listAs(ctx, variant, o, tries)
		if next == nil {
			r.rememberVariant(variant)
			return page, nil
		}
		if known == listUnknown && !broke(err) && !rejectsVariant(next) {
			return upstream.Page[Instance]{}, next
		}
	}
	if known != listUnknown && rejectsVariant(err) && !hasCode(err, "10003", "10004") {
		r.rememberVariant(listUnknown)
	}
	return upstream.Page[Instance]{}, err
}

// alternatives returns the variants that are worth trying after the known one, or the documented one where none is known,
// has failed with err.
func alternatives(known listVariant, o ListOptions, err error) []listVariant {
	invalid := hasCode(err, "10003", "10004")
	var out []listVariant
	if invalid && o.Name != "" && (known == listUnknown || known == listBody) {
		out = append(out, listBodyNames)
	}
	switch {
	case known == listUnknown && rejectsVariant(err):
		out = append(out, listSubpath, listQuery)
	case broke(err) && known != listSubpath && known != listQuery: // some proxies drop a GET with a body
		out = append(out, listQuery, listSubpath)
	}
	return out
}

// listVariant returns what was remembered, after making sure that there is a route to remember it in.
func (r *Region) listVariant(ctx context.Context) (listVariant, error) {
	if _, _, err := r.addresses(ctx); err != nil {
		return listUnknown, err
	}
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return r.client.routes[r.ID].list, nil
}

func (r *Region) rememberVariant(variant listVariant) {
	r.remember(func(route *route) { route.list = variant })
}

func hasCode(err error, codes ...string) bool {
	var f *Error
	return errors.As(err, &f) && slices.Contains(codes, f.Code)
}

// rejectsVariant reports whether err may mean that the region wants the parameters sent in another way.
func rejectsVariant(err error) bool {
	var f *Error
	if !errors.As(err, &f) || f.Delivery != upstream.Answered {
		return false
	}
	switch f.Status {
	case 400, 404, 405, 411, 413, 415, 501:
		return true
	}
	return hasCode(err, "10003", "10004") || errors.Is(err, ErrMalformed) && f.Status == 200
}

// broke reports whether the connection was dropped after the request had left. A timeout does not count.
func broke(err error) bool {
	var f *Error
	return errors.As(err, &f) && f.Delivery == upstream.Unknown && f.Kind == upstream.Unavailable &&
		!errors.Is(err, upstream.ErrTimeout) && !errors.Is(err, upstream.ErrTooLarge) && !errors.Is(err, context.DeadlineExceeded)
}

func (r *Region) listAs(ctx context.Context, variant listVariant, o ListOptions, tries int) (upstream.Page[Instance], error) {
	c, err := o.call(variant)
	answer := newListAnswer(o.Limit)
	c.region, c.tries, c.into = r, tries, answer
	if err != nil {
		return upstream.Page[Instance]{}, c.invalid(err)
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return upstream.Page[Instance]{}, err
	}
	page, err := answer.page(env, o.Start)
	if err != nil {
		return upstream.Page[Instance]{}, c.useless(err)
	}
	return page, nil
}

// call encodes the parameters.
func (o ListOptions) call(variant listVariant) (call, error) {
	o.Sort = cmp.Or(o.Sort, "desc")
	query := url.Values{"start": {strconv.Itoa(o.Start)}, "limit": {strconv.Itoa(o.Limit)}, "sort": {o.Sort}}
	for key, value := range map[string]string{
		"status": string(o.Status), "instanceServiceName": o.Name, "taskType": o.TaskType,
	} {
		if value != "" {
			query.Set(key, value)
		}
	}
	c := call{op: opList, method: http.MethodGet, url: instancesPath + "?" + query.Encode(), maxBody: maxListBody}
	if variant == listSubpath {
		c.url = instancesPath + "/list?" + query.Encode()
	}
	if variant != listBody && variant != listBodyNames {
		return c, nil
	}
	body := struct {
		Status   Status `json:"status,omitempty"`
		Name     any    `json:"instanceServiceName,omitempty"`
		TaskType string `json:"taskType,omitempty"`
		Start    int    `json:"start"`
		Limit    int    `json:"limit"`
		Sort     string `json:"sort"`
	}{Status: o.Status, TaskType: o.TaskType, Start: o.Start, Limit: o.Limit, Sort: o.Sort}
	if o.Name != "" {
		body.Name = o.Name
		if variant == listBodyNames {
			body.Name = []string{o.Name}
		}
	}
	var err error
	c.body, err = json.Marshal(body)
	c.header = http.Header{"Content-Type": {"application/json"}}
	return c, err
}

// listAnswer is the data of a list: an array of instances, which on-premises consoles wrap once more.
type listAnswer struct {
	lenient.Table[instanceRow, Instance]
	wrapped bool
	total   *number // of the inner wrapping
}

func newListAnswer(limit int) *listAnswer {
	return &listAnswer{Table: lenient.Table[instanceRow, Instance]{
		Keep: func(row *instanceRow) (Instance, bool) {
			if row.ID == "" { // a row that cannot be named cannot be acted on
				return Instance{}, false
			}
			return row.instance(), true
		},
		Rows: make([]Instance, 0, min(limit, maxRoom)),
	}}
}

// maxRoom is for how many rows there is room beforehand.
const maxRoom = 200

// Reset forgets what was decoded.
func (a *listAnswer) Reset() {
	a.Table.Reset()
	a.wrapped, a.total = false, nil
}

// UnmarshalJSONFrom fails only where the JSON is broken.
func (a *listAnswer) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	a.Reset()
	if dec.PeekKind() != jsontext.KindBeginObject {
		return a.Table.UnmarshalJSONFrom(dec)
	}
	inner := struct {
		Data  payload `json:"data"`
		Total *number `json:"total"`
	}{Data: payload{into: &a.Table}}
	err := lenient.Decode(dec, &inner)
	a.wrapped, a.total = true, inner.Total
	return err
}

// page returns the page that starts with row start.
func (a *listAnswer) page(env envelope, start int) (upstream.Page[Instance], error) {
	page := upstream.Page[Instance]{Start: start, Total: -1, Rows: a.Rows, Received: a.Len, Nameless: a.Len - len(a.Rows)}
	if total := cmp.Or(env.Total, a.total); total != nil && int(*total) >= a.Len { // less cannot be true
		page.Total = int(*total)
	}
	switch {
	case a.Kind != jsontext.KindBeginArray && a.Kind != jsontext.KindNull && (a.Kind != jsontext.KindInvalid || a.wrapped):
		return page, ErrMalformed
	case a.Len > 0 && len(a.Rows) == 0:
		return page, lang.Errorf("%w: none of %d rows has an id", ErrMalformed, a.Len)
	}
	return page, nil
}

// Pages yields page after page from o.Start on, each row once; see upstream.Walk.
func (r *Region) Pages(ctx context.Context, o ListOptions) iter.Seq2[upstream.Page[Instance], error] {
	fetch := func(start, limit int) (upstream.Page[Instance], error) {
		each := o
		each.Start, each.Limit = start, cmp.Or(limit, o.Limit)
		if limit == 0 && start != o.Start {
			each.Limit = cmp.Or(o.Further, o.Limit)
		}
		return r.List(ctx, each)
	}
	pages := upstream.Walk(o.Start, fetch, func(in Instance) string { return in.ID })
	return func(yield func(upstream.Page[Instance], error) bool) {
		for page, err := range pages {
			if errors.Is(err, ErrRepeatedRows) || errors.Is(err, ErrIgnoresStart) {
				err = call{op: opList, region: r}.useless(err)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}
