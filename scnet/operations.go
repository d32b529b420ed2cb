package scnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/sanitize"
)

const (
	instancesPath = "instance-service/task"

	// maxListBody allows for 200 rows that carry long start scripts.
	maxListBody = 16 << 20

	// MaxDeleteIDs is how many ids one Delete takes: they travel in the URL, which gateways cap at a few kilobytes.
	MaxDeleteIDs = 20
	// MaxScriptBytes is the largest script that ExecuteScript sends. The service documents no limit.
	MaxScriptBytes = 64 << 10
)

// ListOptions select instances (page container/query). Zero values leave a filter out.
type ListOptions struct {
	Name     string // part of the name; how it is matched is up to the service
	Status   Status
	TaskType string
	Start    int    // rows to skip, not a page number
	Limit    int    // rows of one page, at least 1
	Sort     string // by creation time, "desc" (default) or "asc"
}

// Page is one answer of the list operation.
type Page struct {
	Instances []Instance
	Start     int
	Total     int // all that match, as the service counts them; -1 when it does not say

	received int // rows, nameless ones included: what the next page's start counts
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
func (r *Region) List(ctx context.Context, o ListOptions) (Page, error) {
	if o.Limit < 1 || o.Start < 0 {
		return Page{}, &Error{Op: "list instances", Region: r.String(), Delivery: NotSent,
			Err: fmt.Errorf("limit %d must be at least 1, start %d at least 0", o.Limit, o.Start)}
	}
	known, err := r.listVariant(ctx)
	if err != nil {
		return Page{}, err
	}
	if known != listUnknown {
		page, err := r.listAs(ctx, known, o)
		if known == listBody && o.Name != "" && hasCode(err, "10003", "10004") {
			if named, nameErr := r.listAs(ctx, listBodyNames, o); nameErr == nil {
				r.remember(func(route *route) { route.list = listBodyNames })
				return named, nil
			}
		}
		if rejectsVariant(err) && !hasCode(err, "10003", "10004") {
			r.remember(func(route *route) { route.list = listUnknown })
		}
		return page, err
	}
	var first error
	for _, variant := range []listVariant{listBody, listBodyNames, listSubpath, listQuery} {
		if variant == listBodyNames && (o.Name == "" || !hasCode(first, "10003", "10004")) {
			continue
		}
		page, err := r.listAs(ctx, variant, o)
		if err == nil {
			r.remember(func(route *route) { route.list = variant })
			return page, nil
		}
		if first == nil {
			first = err
		}
		if !rejectsVariant(err) {
			return Page{}, err
		}
	}
	return Page{}, first
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

func hasCode(err error, codes ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.Code == code {
			return true
		}
	}
	return false
}

// rejectsVariant reports whether err may mean that the region wants the parameters sent in another way.
func rejectsVariant(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Delivery != Answered {
		return false
	}
	switch e.Status {
	case 400, 404, 405, 411, 413, 415, 501:
		return true
	}
	return hasCode(err, "10003", "10004") || (errors.Is(err, ErrMalformed) && e.Status == 200)
}

func (r *Region) listAs(ctx context.Context, variant listVariant, o ListOptions) (Page, error) {
	sort := o.Sort
	if sort == "" {
		sort = "desc"
	}
	query := url.Values{"start": {strconv.Itoa(o.Start)}, "limit": {strconv.Itoa(o.Limit)}, "sort": {sort}}
	body := struct {
		Status   Status `json:"status,omitempty"`
		Name     any    `json:"instanceServiceName,omitempty"`
		TaskType string `json:"taskType,omitempty"`
		Start    int    `json:"start"`
		Limit    int    `json:"limit"`
		Sort     string `json:"sort"`
	}{Status: o.Status, TaskType: o.TaskType, Start: o.Start, Limit: o.Limit, Sort: sort}
	if o.Name != "" {
		body.Name = o.Name
		if variant == listBodyNames {
			body.Name = []string{o.Name}
		}
	}
	for key, value := range map[string]string{
		"status": string(o.Status), "instanceServiceName": o.Name, "taskType": o.TaskType,
	} {
		if value != "" {
			query.Set(key, value)
		}
	}
	c := call{op: "list instances", method: http.MethodGet, url: instancesPath + "?" + query.Encode(), maxBody: maxListBody}
	switch variant {
	case listBody, listBodyNames:
		encoded, err := json.Marshal(body)
		if err != nil {
			return Page{}, &Error{Op: c.op, Region: r.String(), Delivery: NotSent, Err: err}
		}
		c.body = encoded
		c.header = http.Header{"Content-Type": {"application/json"}}
	case listSubpath:
		c.url = instancesPath + "/list?" + query.Encode()
	case listQuery, listUnknown:
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return Page{}, err
	}
	page := Page{Start: o.Start, Total: -1}
	if env.Total != nil {
		page.Total = int(*env.Total)
	}
	rows := env.Data
	var nested struct { // on-premises consoles wrap the array once more
		Data  json.RawMessage `json:"data"`
		Total *number         `json:"total"`
	}
	if json.Unmarshal(rows, &nested) == nil && len(nested.Data) > 0 {
		rows = nested.Data
		if nested.Total != nil && env.Total == nil {
			page.Total = int(*nested.Total)
		}
	}
	if !isNull(rows) && rows[0] != '[' {
		return Page{}, &Error{Op: c.op, Region: r.String(), Delivery: Answered, Status: 200, Err: ErrMalformed}
	}
	var elements []json.RawMessage
	_ = json.Unmarshal(rows, &elements) // null or an array, as seen above
	page.received = len(elements)
	page.Instances = make([]Instance, 0, len(elements))
	for _, element := range elements {
		var row instanceRow
		if json.Unmarshal(element, &row) == nil && row.ID != "" { // a row that cannot be named cannot be acted on
			page.Instances = append(page.Instances, row.instance())
		}
	}
	if len(elements) > 0 && len(page.Instances) == 0 {
		return Page{}, &Error{Op: c.op, Region: r.String(), Delivery: Answered, Status: 200,
			Err: fmt.Errorf("%w: none of %d rows has an id", ErrMalformed, len(elements))}
	}
	if page.Total < len(elements) { // no total, or none that can be true
		page.Total = -1
	}
	return page, nil
}

// Pages yields page after page from o.Start on until the service has no more rows. Each yielded page holds only rows that
// were not yielded before; a page without any new row ends the sequence with ErrRepeatedRows, because a service that
// ignores the offset would go on for ever. A page that is shorter than asked for is not the end: the service may cap it.
func (r *Region) Pages(ctx context.Context, o ListOptions) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		seen := map[string]struct{}{}
		for {
			page, err := r.List(ctx, o)
			if err != nil {
				yield(Page{}, err)
				return
			}
			if page.received == 0 {
				if len(seen) == 0 {
					yield(page, nil)
				}
				return
			}
			fresh := page.Instances[:0]
			for _, in := range page.Instances {
				if _, repeated := seen[in.ID]; !repeated {
					seen[in.ID] = struct{}{}
					fresh = append(fresh, in)
				}
			}
			page.Instances = fresh
			if len(fresh) == 0 {
				yield(Page{Start: page.Start, Total: page.Total}, &Error{Op: "list instances", Region: r.String(),
					Delivery: Answered, Status: 200, Err: ErrRepeatedRows})
				return
			}
			if !yield(page, nil) {
				return
			}
			o.Start += page.received
			if page.Total >= 0 && o.Start >= page.Total {
				return
			}
		}
	}
}

// Detail returns one instance (page container/detail). An id that does not exist gives ErrNotFound.
func (r *Region) Detail(ctx context.Context, id string) (Instance, error) {
	const op = "look up the instance"
	if err := r.checkID(op, id); err != nil {
		return Instance{}, err
	}
	env, err := r.do(ctx, call{op: op, method: http.MethodGet, url: "instance-service/" + id + "/detail", maxBody: maxListBody})
	if err != nil {
		return Instance{}, err
	}
	fail := func(cause error) (Instance, error) {
		return Instance{}, &Error{Op: op, Region: r.String(), Delivery: Answered, Status: 200, Err: cause}
	}
	if isNull(env.Data) {
		return fail(fmt.Errorf("%w: %s", ErrNotFound, id))
	}
	var row instanceRow
	if json.Unmarshal(env.Data, &row) != nil || row.ID == "" {
		return fail(ErrMalformed)
	}
	if string(row.ID) != id { // acting on what somebody else's row shows would be worse than failing
		return fail(fmt.Errorf("%w: another instance than %s came back", ErrMalformed, id))
	}
	return row.instance(), nil
}

// Restart starts a stopped, failed or completed instance again (page container/restart) and returns the id that the
// service answers with. It may differ from id; the page does not say why.
func (r *Region) Restart(ctx context.Context, id string) (returnedID string, err error) {
	const op = "restart the instance"
	if err := r.checkID(op, id); err != nil {
		return "", err
	}
	env, err := r.do(ctx, call{
		op: op, method: http.MethodPost, write: true,
		url: instancesPath + "/actions/restart?" + url.Values{"instanceServiceId": {id}}.Encode(),
	})
	if err != nil {
		return "", err
	}
	var returned text
	_ = json.Unmarshal(env.Data, &returned) // text never fails
	return string(returned), nil
}

// Delete deletes up to MaxDeleteIDs instances for good (page container/delete). The service gives no result per id: look
// afterwards what is left.
func (r *Region) Delete(ctx context.Context, ids ...string) error {
	const op = "delete instances"
	if len(ids) == 0 || len(ids) > MaxDeleteIDs {
		return &Error{Op: op, Region: r.String(), Delivery: NotSent, Err: fmt.Errorf("%d ids; 1 to %d go in one call", len(ids), MaxDeleteIDs)}
	}
	for _, id := range ids {
		if err := r.checkID(op, id); err != nil {
			return err
		}
	}
	_, err := r.do(ctx, call{
		op: op, method: http.MethodDelete, write: true,
		url: instancesPath + "?" + url.Values{"ids": ids}.Encode(),
	})
	return err
}

// Script is what ExecuteScript runs.
type Script struct {
	Content string // at most MaxScriptBytes; CRLF becomes LF and a missing final newline is added
	Scope   string // "all" (default) runs it in every container of the instance, "header" in the first
}

// ExecuteScript hands a script to a running instance (page container/execute). Success means that the service took it:
// it reports neither output nor exit code, and offers no way to ask for them.
func (r *Region) ExecuteScript(ctx context.Context, id string, script Script) error {
	const op = "execute the script"
	if err := r.checkID(op, id); err != nil {
		return err
	}
	content, err := NormalizeScript(script.Content)
	scope := script.Scope
	if scope == "" {
		scope = "all"
	}
	if err == nil && scope != "all" && scope != "header" {
		err = fmt.Errorf("%w: scope must be \"all\" or \"header\"", ErrInvalidScript)
	}
	if err != nil {
		return &Error{Op: op, Region: r.String(), Delivery: NotSent, Err: err}
	}
	body, err := json.Marshal(struct {
		Scope   string `json:"startScriptActionScope"`
		Content string `json:"startScriptContent"`
		ID      string `json:"id"`
	}{scope, content, id})
	if err != nil {
		return &Error{Op: op, Region: r.String(), Delivery: NotSent, Err: err}
	}
	_, err = r.do(ctx, call{
		op: op, method: http.MethodPost, write: true, url: instancesPath + "/actions/execute-script",
		header: http.Header{"Content-Type": {"application/json"}}, body: body,
	})
	return err
}

// NormalizeScript returns script with LF line ends and a final newline, as the service wants it. Every error wraps
// ErrInvalidScript.
func NormalizeScript(script string) (string, error) {
	if !utf8.ValidString(script) {
		return "", fmt.Errorf("%w: it is not valid UTF-8", ErrInvalidScript)
	}
	script = strings.ReplaceAll(script, "\r\n", "\n")
	if strings.TrimSpace(script) == "" {
		return "", fmt.Errorf("%w: it is empty", ErrInvalidScript)
	}
	if strings.ContainsRune(script, 0) {
		return "", fmt.Errorf("%w: it holds a NUL character", ErrInvalidScript)
	}
	if !strings.HasSuffix(script, "\n") {
		script += "\n"
	}
	if len(script) > MaxScriptBytes {
		return "", fmt.Errorf("%w: %d bytes, at most %d are sent", ErrInvalidScript, len(script), MaxScriptBytes)
	}
	return script, nil
}

// checkID refuses what cannot be an id before it reaches a path or a query.
func (r *Region) checkID(op, id string) error {
	valid := id != "" && len(id) <= 128
	for i := 0; valid && i < len(id); i++ {
		b := id[i]
		valid = b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '_'
	}
	if valid {
		return nil
	}
	return &Error{Op: op, Region: r.String(), Delivery: NotSent,
		Err: fmt.Errorf("%w: %q; ids are letters, digits, - and _, usually 32 hexadecimal digits", ErrInvalidID, sanitize.Line(id, 40))}
}
