package scnet_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// listForms words how each list request carried its parameters.
func listForms(requests []simulator.Request) []string {
	var out []string
	for _, r := range requests {
		form := "task"
		if strings.HasSuffix(r.Path, "/task/list") {
			form = "list"
		}
		if r.Body != "" {
			form += "+body"
		}
		if strings.Contains(r.Body, `"instanceServiceName":[`) {
			form += "+names"
		}
		if r.Query != "" {
			form += "+query"
		}
		out = append(out, form)
	}
	return out
}

func TestListVariantIsNegotiatedOnce(t *testing.T) {
	t.Parallel()
	const body, names, subpath = "task+body+query", "task+body+names+query", "list+query"
	for _, c := range []struct {
		form     simulator.ListForm
		refusals []simulator.ListRefusal
		plain    []string // requests of the first call without a name filter
		named    []string // with one
	}{
		{simulator.ListBody, []simulator.ListRefusal{simulator.RefuseNotFound}, []string{body}, []string{body}},
		{simulator.ListBodyOrQuery, []simulator.ListRefusal{simulator.RefuseNotFound}, []string{body}, []string{body}},
		{simulator.ListQuery, []simulator.ListRefusal{simulator.RefuseNotFound}, []string{body}, []string{body}},
		{simulator.ListAny, []simulator.ListRefusal{simulator.RefuseNotFound}, []string{body}, []string{body}},
		{
			simulator.ListTaskList, []simulator.ListRefusal{simulator.RefuseNotFound, simulator.RefuseMethod, simulator.RefuseHTML},
			[]string{body, subpath}, []string{body, subpath},
		},
		{simulator.ListTaskList, []simulator.ListRefusal{simulator.RefuseParameter}, []string{body, subpath}, []string{body, names, subpath}},
	} {
		for _, refusal := range c.refusals {
			for filter, want := range map[string][]string{"": c.plain, "7b": c.named} {
				for _, status := range []bool{false, true} {
					t.Run(fmt.Sprintf("form %d refusal %d name %q status %v", c.form, refusal, filter, status), func(t *testing.T) {
						t.Parallel()
						sim, r := open(t, simulator.Options{Quirks: simulator.Quirks{ListForm: c.form, ListRefusal: refusal, ErrorStatus: status}})
						options := scnet.ListOptions{Limit: 20, Name: filter}
						first, err := r.List(t.Context(), options)
						if err != nil {
							t.Fatal(err)
						}
						if got := listForms(sent(sim, simulator.EndpointList)); !slices.Equal(got, want) {
							t.Errorf("first call sent %v, want %v", got, want)
						}
						second, err := r.List(t.Context(), options)
						if err != nil || len(second.Rows) != len(first.Rows) {
							t.Errorf("second call: %d rows, %v", len(second.Rows), err)
						}
						again := listForms(sent(sim, simulator.EndpointList))[len(want):]
						if !slices.Equal(again, want[len(want)-1:]) {
							t.Errorf("second call sent %v, want %v", again, want[len(want)-1:])
						}
						if wantRows := map[string]int{"": 2, "7b": 1}[filter]; len(first.Rows) != wantRows || first.Total != wantRows {
							t.Errorf("%d rows of %d, want %d", len(first.Rows), first.Total, wantRows)
						}
					})
				}
			}
		}
	}
}

func TestListWithoutAnyVariant(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Status: 405})
	for range 2 {
		_, err := r.List(t.Context(), firstPage)
		if e := asError(t, err); e.Status != 405 || !strings.HasSuffix(e.Endpoint, "/instance-service/task") {
			t.Errorf("err = %v, want that of the documented form", err)
		}
	}
	wantSent(t, sim, simulator.EndpointList, 6)
}

func TestOutageDoesNotChangeTheVariant(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{Quirks: simulator.Quirks{ListForm: simulator.ListTaskList}})
	list(t, r)
	for _, fault := range []simulator.Fault{{Code: "10001"}, {Status: 500}, {Status: 503, RetryAfter: "60"}, {Code: "10004"}} {
		fault.Endpoint, fault.Times = simulator.EndpointList, 1
		sim.Inject(fault)
		if _, err := r.List(t.Context(), firstPage); err == nil {
			t.Error("no error")
		}
		list(t, r)
		sim.ClearFaults()
	}
	for _, form := range listForms(sent(sim, simulator.EndpointList))[1:] {
		if form != "list+query" {
			t.Errorf("sent %s", form)
		}
	}
}

func TestVariantIsNegotiatedAnewWhenTheServiceChanges(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	list(t, r)
	sim.SetQuirks(simulator.Quirks{ListForm: simulator.ListTaskList})
	if _, err := r.List(t.Context(), firstPage); !errors.Is(err, scnet.ErrNoContainers) {
		t.Errorf("err = %v", err)
	}
	list(t, r)
	list(t, r)
	wantSent(t, sim, simulator.EndpointList, 5)
}

func TestNameAsArray(t *testing.T) {
	t.Parallel()
	for _, firstName := range []string{"", "x"} {
		var bodies []string
		r := scripted(t, func(r *http.Request) (*http.Response, error) {
			if r.Body == nil {
				return fakecloudtest.Answer(404, "<html>"), nil
			}
			body, err := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			if strings.Contains(string(body), `"instanceServiceName":"`) {
				return fakecloudtest.Answer(200, `{"code":"10004","msg":"参数无效"}`), nil
			}
			return fakecloudtest.Answer(200, `{"code":"0","data":[]}`), err
		})
		for _, name := range []string{firstName, "x", "x", ""} {
			if _, err := r.List(t.Context(), scnet.ListOptions{Limit: 1, Name: name}); err != nil {
				t.Errorf("name %q after %q: %v", name, firstName, err)
			}
		}
		const array, plain, none = `"instanceServiceName":["x"]`, `"instanceServiceName":"x"`, ""
		want := []string{plain, array, array, array, none}
		if firstName == "" {
			want = []string{none, plain, array, array, none}
		}
		if len(bodies) != len(want) {
			t.Fatalf("sent %q", bodies)
		}
		for i, body := range bodies {
			if !strings.Contains(body, want[i]) || want[i] == none && strings.Contains(body, "instanceServiceName") {
				t.Errorf("request %d after %q: %s, want %s", i, firstName, body, want[i])
			}
		}
	}
}

func TestListWithAQueryAlone(t *testing.T) {
	t.Parallel()
	var seen []string
	r := scripted(t, func(r *http.Request) (*http.Response, error) {
		seen = append(seen, fmt.Sprint(r.URL.Path, r.Body != nil))
		if r.Body != nil || strings.HasSuffix(r.URL.Path, "/list") {
			return fakecloudtest.Answer(400, "<html>Bad Request"), nil
		}
		return fakecloudtest.Answer(200, `{"code":0,"data":[{"id":"a"}],"total":"1"}`), nil
	})
	for range 2 {
		if page, err := r.List(t.Context(), firstPage); err != nil || page.Total != 1 {
			t.Errorf("page %+v, %v", page, err)
		}
	}
	if len(seen) != 4 || seen[2] != seen[3] {
		t.Errorf("sent %v", seen)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	for _, form := range []simulator.ListForm{simulator.ListBody, simulator.ListQuery, simulator.ListTaskList} {
		_, r := open(t, simulator.Options{Quirks: simulator.Quirks{ListForm: form}})
		for name, c := range map[string]struct {
			options scnet.ListOptions
			want    []string
		}{
			"none":      {scnet.ListOptions{}, []string{running, stopped}},
			"asc":       {scnet.ListOptions{Sort: "asc"}, []string{stopped, running}},
			"status":    {scnet.ListOptions{Status: scnet.Terminated}, []string{stopped}},
			"task type": {scnet.ListOptions{TaskType: "jupyter"}, []string{running}},
			"name":      {scnet.ListOptions{Name: "BERT"}, []string{stopped}},
			"chinese":   {scnet.ListOptions{Name: "训练"}, []string{running}},
			"odd name":  {scnet.ListOptions{Name: "a&b=c #+\"<é"}, nil},
			"start":     {scnet.ListOptions{Start: 1}, []string{stopped}},
			"beyond":    {scnet.ListOptions{Start: 7}, nil},
			"all":       {scnet.ListOptions{Name: "7b", Status: scnet.Running, TaskType: "jupyter", Sort: "asc"}, []string{running}},
		} {
			c.options.Limit = 5
			page, err := r.List(t.Context(), c.options)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := ids(page.Rows); !slices.Equal(got, c.want) {
				t.Errorf("form %d, %s: %v, want %v", form, name, got, c.want)
			}
			if page.Start != c.options.Start {
				t.Errorf("%s: start %d", name, page.Start)
			}
		}
		_, err := r.List(t.Context(), scnet.ListOptions{Limit: 5, Status: "Stopped"})
		if e := asError(t, err); e.Code != "10004" || e.Hint.English == "" {
			t.Errorf("undocumented status: %+v", e)
		}
	}
}

func ids(instances []scnet.Instance) []string {
	var out []string
	for _, in := range instances {
		out = append(out, in.ID)
	}
	return out
}

func TestListRefusesNonsense(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	for _, o := range []scnet.ListOptions{{}, {Limit: -1}, {Limit: 1, Start: -1}} {
		_, err := r.List(t.Context(), o)
		if e := asError(t, err); e.Delivery != upstream.NotSent {
			t.Errorf("%+v: %v", o, err)
		}
	}
	wantSent(t, sim, simulator.EndpointList, 0)
}

func many(n int) simulator.Region {
	r := simulator.Region{ID: kunshan, Name: "昆山"}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		r.Instances = append(r.Instances, simulator.Instance{
			ID: fmt.Sprintf("%032x", i), Name: fmt.Sprintf("job-%d", i), Status: simulator.Terminated, CreateTime: at.Add(time.Duration(i) * time.Second),
		})
	}
	return r
}

func TestPages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows     int
		quirks   simulator.Quirks
		limit    int
		requests int
		repeats  bool
	}{
		"one page":                    {5, simulator.Quirks{}, 20, 1, false},
		"exactly one page":            {20, simulator.Quirks{}, 20, 1, false},
		"three pages":                 {45, simulator.Quirks{}, 20, 3, false},
		"none":                        {0, simulator.Quirks{}, 20, 1, false},
		"capped":                      {45, simulator.Quirks{ListMaxLimit: 10}, 20, 5, false},
		"total absent":                {45, simulator.Quirks{TotalAbsent: true}, 20, 4, false},
		"total absent, capped":        {45, simulator.Quirks{TotalAbsent: true, ListMaxLimit: 10}, 20, 6, false},
		"total absent, none":          {0, simulator.Quirks{TotalAbsent: true}, 20, 1, false},
		"start ignored":               {45, simulator.Quirks{ListIgnoresStart: true}, 20, 2, true},
		"start ignored, total absent": {45, simulator.Quirks{ListIgnoresStart: true, TotalAbsent: true}, 20, 2, true},
		"start ignored, all in one":   {5, simulator.Quirks{ListIgnoresStart: true}, 20, 1, false},
		"10,000 rows":                 {10000, simulator.Quirks{}, 10000, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, r := open(t, simulator.Options{Regions: []simulator.Region{many(c.rows)}, Quirks: c.quirks})
			var got []string
			var failure error
			for page, err := range r.Pages(t.Context(), scnet.ListOptions{Limit: c.limit}) {
				if failure != nil {
					t.Error("a page came after an error")
				}
				failure = err
				got = append(got, ids(page.Rows)...)
				if absent := page.Total == -1; absent != c.quirks.TotalAbsent {
					t.Errorf("total = %d", page.Total)
				}
			}
			wantSent(t, sim, simulator.EndpointList, c.requests)
			if c.repeats {
				if !errors.Is(failure, scnet.ErrRepeatedRows) || len(got) != c.limit {
					t.Errorf("%d rows, err %v", len(got), failure)
				}
				return
			}
			if failure != nil {
				t.Error(failure)
			}
			if len(got) != c.rows || len(slices.Compact(slices.Sorted(slices.Values(got)))) != c.rows {
				t.Errorf("%d rows, want %d", len(got), c.rows)
			}
		})
	}
}

func TestPagesStopsWithItsConsumer(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{Regions: []simulator.Region{many(45)}})
	for range r.Pages(t.Context(), scnet.ListOptions{Limit: 10}) {
		break
	}
	wantSent(t, sim, simulator.EndpointList, 1)
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Code: "10001", After: 1})
	var errs []error
	for _, err := range r.Pages(t.Context(), scnet.ListOptions{Limit: 10}) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil {
		t.Errorf("errors %v, want one page and one error", errs)
	}
}

// pagesOf serves pages by start and returns what Pages makes of them.
func pagesOf(t *testing.T, pages map[string]string) (rows []string, err error) {
	t.Helper()
	r := scripted(t, func(r *http.Request) (*http.Response, error) {
		body, ok := pages[r.URL.Query().Get("start")]
		if !ok {
			body = `[]`
		}
		return fakecloudtest.Answer(200, `{"code":"0","data":`+body+`}`), nil
	})
	for page, pageErr := range r.Pages(t.Context(), scnet.ListOptions{Limit: 3}) {
		rows, err = append(rows, ids(page.Rows)...), pageErr
	}
	return rows, err
}

func TestPagesOfAMovingList(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pages map[string]string
		want  string
		err   error
	}{
		"a new row shifts the others": {map[string]string{
			"0": `[{"id":"a"},{"id":"b"},{"id":"c"}],"total":5`, "3": `[{"id":"c"},{"id":"d"}],"total":6`, "5": `[{"id":"e"}],"total":6`,
		}, "a b c d e", nil},
		"a row twice on one page": {map[string]string{"0": `[{"id":"a"},{"id":"a"},{"id":"b"}],"total":3`}, "a b", nil},
		"total too large":         {map[string]string{"0": `[{"id":"a"}],"total":4`}, "a", nil}, // as in the sample of the page
		"total too small": {map[string]string{
			"0": `[{"id":"a"},{"id":"b"},{"id":"c"}],"total":0`, "3": `[{"id":"d"}],"total":0`,
		}, "a b c d", nil},
		"a nameless row": {map[string]string{
			"0": `[{"id":"a"},{},{"id":"b"}]`, "3": `[{"id":"c"},null]`,
		}, "a b c", nil},
		"a nameless row at the end": {map[string]string{"0": `[{"id":"a"},{"id":"b"},{"id":null}],"total":3`}, "a b", nil},
		"nothing but nameless rows": {map[string]string{"0": `[{"instanceId":"a"},{"instanceId":"b"}],"total":2`}, "", scnet.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := pagesOf(t, c.pages)
			if strings.Join(rows, " ") != c.want || !errors.Is(err, c.err) {
				t.Errorf("rows %v, err %v; want %s, %v", rows, err, c.want, c.err)
			}
		})
	}
}

func TestListQueryIsEscaped(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	if _, err := r.List(t.Context(), scnet.ListOptions{Limit: 1, Name: "a&limit=9#训练"}); err != nil {
		t.Fatal(err)
	}
	query, err := url.ParseQuery(sent(sim, simulator.EndpointList)[0].Query)
	if err != nil || query.Get("instanceServiceName") != "a&limit=9#训练" || query.Get("limit") != "1" || len(query) != 4 {
		t.Errorf("query = %v, %v", query, err)
	}
}
