package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

func (w *world) instances(t *testing.T, a arguments) (reply, tools.ListInstancesOutput) {
	t.Helper()
	r := w.call(t, "list_instances", a)
	return r, decoded[tools.ListInstancesOutput](t, r)
}

// names are the names of the rows.
func names(out tools.ListInstancesOutput) string {
	var all []string
	for _, item := range out.Instances {
		all = append(all, item.Name)
	}
	return strings.Join(all, " ")
}

const (
	third  = "20091"
	fourth = "20092"
)

// everywhere is a world with instances in every documented status, in two regions of four.
func everywhere(t *testing.T, region string) *world {
	t.Helper()
	gpu := called(14, "far-waits", simulator.Waiting)
	gpu.AcceleratorType = "gpu"
	return newWorld(t, setup{
		region: region,
		instances: []simulator.Instance{
			called(1, "runs", simulator.Running), called(2, "stopped", simulator.Terminated), called(3, "waits", simulator.Waiting),
			called(4, "failed", simulator.Failed), called(5, "over", simulator.Completed), called(6, "odd", "Hibernating"),
		},
		elsewhere: []simulator.Instance{called(11, "far-runs", simulator.Running), called(12, "far-deploys", simulator.Deploying), gpu},
		others:    []simulator.Region{{ID: third, Name: "西北一区【西安】", Suspended: true}, {ID: fourth, Name: "华中一区【A区】", NoContainer: true}},
	})
}

func TestListRegions(t *testing.T) {
	const here, there = "runs stopped waits failed over odd", "far-runs far-deploys far-waits"
	for name, c := range map[string]struct {
		configured string
		arguments  arguments
		regions    string // asked
		rows       string
		notes      []string
	}{
		"none is configured": {"", nil, "11250 20057 20092", here + " " + there,
			[]string{"华中一区【A区】 (20092) has no container service", "suspended there: 西北一区【西安】 (20091)"}},
		"one is configured": {home, nil, "11250", here,
			[]string{`Not asked: 华东三区【乌镇】 (20057), 华中一区【A区】 (20092). region="all" asks every region`}},
		"all, the configured one first":   {away, arguments{"region": "All"}, "20057 11250 20092", there + " " + here, nil},
		"in Chinese":                      {home, arguments{"region": "全部"}, "11250 20057 20092", here + " " + there, nil},
		"a name":                          {home, arguments{"region": "乌镇"}, "20057", there, []string{"Not asked: 华东一区【昆山】 (11250)"}},
		"an id":                           {"", arguments{"region": away}, "20057", there, nil},
		"the configured one is suspended": {third, arguments{"region": "all"}, "11250 20057 20092", here + " " + there, nil},
	} {
		bubble(t, name, func(t *testing.T) {
			r, out := everywhere(t, c.configured).instances(t, c.arguments)
			var asked []string
			for _, region := range out.Regions {
				asked = append(asked, region.ID)
				if region.Error != nil || region.Total == nil || *region.Total != region.Returned || region.NextStart != 0 {
					t.Errorf("%+v", region)
				}
			}
			if strings.Join(asked, " ") != c.regions || names(out) != c.rows {
				t.Errorf("asked %q: %q", asked, names(out))
			}
			if strings.Contains(r.Text, "REGION") != (len(asked) > 1) {
				t.Errorf("a column for the region only where it differs:\n%s", r.Text)
			}
			if len(out.NotAsked)+len(asked) != 4 {
				t.Errorf("not asked: %v", out.NotAsked)
			}
			wantParts(t, r.Text, append(c.notes, asked...)...)
		})
	}
	bubble(t, "the configured one is suspended, and no other is named", func(t *testing.T) {
		everywhere(t, third).fails(t, "list_instances", nil, "suspended", home, away)
	})
}

func TestListSummary(t *testing.T) {
	bubble(t, "all", func(t *testing.T) {
		r, out := everywhere(t, "").instances(t, nil)
		want := `{"of":"all","instances":9,"accelerators":8,"by_status":[` +
			`{"status":"Running","instances":2,"accelerators":4},{"status":"Waiting","instances":2,"accelerators":0},` +
			`{"status":"Completed","instances":1,"accelerators":0},{"status":"Deploying","instances":1,"accelerators":2},` +
			`{"status":"Failed","instances":1,"accelerators":0},{"status":"Hibernating","instances":1,"accelerators":2},` +
			`{"status":"Terminated","instances":1,"accelerators":0}],` +
			`"by_accelerator_type":[{"accelerator_type":"dcu","instances":8,"accelerators":8},{"accelerator_type":"gpu","instances":1,"accelerators":0}]}`
		if got, _ := json.Marshal(out.Summary); string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		wantParts(t, r.Text, "In all: 8 accelerators occupied: 8 dcu. 9 instances: 2 Running (4), 2 Waiting (none yet), ", "1 Hibernating (2)")
	})
	bubble(t, "more than is shown", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(45, simulator.Running), elsewhere: jobs(7, simulator.Waiting)})
		_, out := w.instances(t, arguments{"limit": 5})
		if s := out.Summary; s.Of != "all" || s.Instances != 52 || s.Accelerators != 90 || len(out.Instances) != 10 {
			t.Errorf("%+v", s)
		}
		w.wantSent(t, simulator.EndpointList, 4) // two for each region: one for the rows, one to count
	})
	bubble(t, "from a later row on", func(t *testing.T) {
		r, out := newWorld(t, setup{instances: jobs(45, simulator.Running)}).instances(t, arguments{"limit": 5, "start": 5})
		if s := out.Summary; s.Of != "part" || s.Instances != 5 || s.Accelerators != 10 {
			t.Errorf("%+v", s)
		}
		wantParts(t, r.Text, "Counted in part: 10 accelerators", "counts the rows of this answer only")
	})
	bubble(t, "counting fails", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(45, simulator.Running)})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Code: "716020", After: 1})
		r, out := w.instances(t, nil)
		if s := out.Summary; s.Of != "part" || s.Instances != 20 || len(out.Instances) != 20 || out.Regions[0].NextStart != 20 {
			t.Errorf("%+v", out)
		}
		wantParts(t, r.Text, "only 20 instances could be looked through", "716020")
	})
	bubble(t, "counting takes too long", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(3000, simulator.Running)})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Latency: 3 * time.Second})
		began := time.Now()
		r, out := w.instances(t, nil)
		if took := time.Since(began); took > 30*time.Second || out.Summary.Of != "part" || out.Summary.Instances < 200 || len(out.Instances) != 20 {
			t.Errorf("%s: %+v", took, out.Summary)
		}
		wantParts(t, r.Text, "took too long", "call again with start=20")
	})
}

func TestListRegionFails(t *testing.T) {
	bubble(t, "one of them", func(t *testing.T) {
		w := everywhere(t, "")
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{Region: away}, Status: 503})
		r, out := w.instances(t, nil)
		failed := out.Regions[1].Error
		if r.IsError() || names(out) != "runs stopped waits failed over odd" || failed == nil || failed.Kind != "unavailable" || failed.HTTPStatus != 503 ||
			!failed.Retryable || failed.Hint.IsZero() || failed.Message.IsZero() || out.Regions[1].Total != nil || out.Summary.Of != "part" || out.Summary.Instances != 6 {
			t.Errorf("%+v %+v", failed, out)
		}
		wantParts(t, r.Text, "华东三区【乌镇】 (20057) could not be listed: the service is not available", failed.Hint.String(), "Counted in part", "Ask again with region=20057")
	})
	bubble(t, "one hangs", func(t *testing.T) {
		w := everywhere(t, "")
		w.Inject(simulator.Fault{Own: simulator.OwnFault{Region: away}, Latency: time.Hour})
		_, out := w.instances(t, nil)
		if len(out.Instances) != 6 || out.Regions[1].Error == nil {
			t.Errorf("%+v", out)
		}
	})
	bubble(t, "one is slower than a call may last", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Running), elsewhere: jobs(9, simulator.Running), quirks: simulator.Quirks{ListMaxLimit: 1}})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{Region: away}, Latency: 15 * time.Second})
		r, out := w.instances(t, nil)
		if len(out.Instances) != 2 || out.Regions[1].Error == nil {
			t.Errorf("%+v", out)
		}
		wantParts(t, r.Text, "reading the list took too long")
	})
	bubble(t, "all of them", func(t *testing.T) {
		w := everywhere(t, "")
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{Region: home}, Code: "10007"})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{Region: away}, Code: "716020"})
		err := w.fails(t, "list_instances", nil, "none of 2 regions could be listed", "华东一区【昆山】 (11250): code 10007", "华东三区【乌镇】 (20057): code 716020")
		if p := toolbox.ProblemOf(err); p.Code != "10007" || p.Kind != "credential" {
			t.Errorf("%+v", p)
		}
	})
	bubble(t, "the only one", func(t *testing.T) {
		w := everywhere(t, "")
		w.fails(t, "list_instances", arguments{"region": fourth}, "no container service")
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Code: "716020"})
		w.fails(t, "list_instances", arguments{"region": away}, "list instances in 华东三区【乌镇】 (20057)", "716020")
	})
	bubble(t, "the caller gives up", func(t *testing.T) {
		w := everywhere(t, "")
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{Region: away}, Latency: time.Hour})
		gaveUp := errors.New("gave up")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gaveUp) })
		began := time.Now()
		if r, err := w.try(ctx, toolbox.Call{Tool: "list_instances"}); !errors.Is(err, gaveUp) || time.Since(began) != time.Second {
			t.Errorf("%v after %s: %s", err, time.Since(began), r.Text)
		}
	})
}

func TestListStatuses(t *testing.T) {
	bubble(t, "words", func(t *testing.T) {
		w := everywhere(t, "")
		for _, c := range []struct {
			status any
			rows   string
		}{
			{"running", "runs far-runs"},
			{"running,waiting", "runs waits far-runs far-waits"},
			{"运行中、排队", "runs waits far-runs far-waits"},
			{[]string{"已停止"}, "stopped"},
			{[]string{"stopped", "失败", "Completed"}, "stopped failed over"},
			{[]string{"Deploying", "deploying", "部署中"}, "far-deploys"},
			{"all", "runs stopped waits failed over odd far-runs far-deploys far-waits"},
			{`["queued"]`, "waits far-waits"},
		} {
			before := len(w.sent(simulator.EndpointList))
			_, out := w.instances(t, arguments{"status": c.status})
			if names(out) != c.rows || out.Summary.Of != "all" || out.Summary.Instances != len(strings.Fields(c.rows)) {
				t.Errorf("%v: %q, %+v", c.status, names(out), out.Summary)
			}
			if sent := len(w.sent(simulator.EndpointList)) - before; sent != 2+3 { // three forms are tried where there are no containers
				t.Errorf("%v: %d requests", c.status, sent)
			}
		}
		sent := len(w.Requests())
		w.fails(t, "list_instances", arguments{"status": []string{"idle", "running", "忙"}}, `"idle", "忙" are not statuses`, "Nothing was sent",
			"Terminated (stopped, 已关机)")
		if len(w.Requests()) != sent {
			t.Error("something was sent")
		}
	})
	bubble(t, "pages of several", func(t *testing.T) {
		var all []simulator.Instance
		for i := range 60 {
			all = append(all, job(i+1, []string{simulator.Running, simulator.Terminated, simulator.Waiting}[i%3]))
		}
		w := newWorld(t, setup{instances: all})
		var got []string
		start := 0
		for {
			_, out := w.instances(t, arguments{"status": "running waiting", "limit": 13, "start": start})
			if at := out.Regions[0]; *at.Total != 40 || out.Summary.Of != "all" || out.Summary.Instances != 40 || out.Summary.Accelerators != 40 {
				t.Errorf("%+v %+v", at, out.Summary)
			}
			for _, item := range out.Instances {
				got = append(got, item.ID)
			}
			if start = out.Regions[0].NextStart; start == 0 {
				break
			}
		}
		var want []string
		for i, in := range all {
			if i%3 != 1 {
				want = append(want, in.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %d rows: %v", len(got), got)
		}
		r, out := w.instances(t, arguments{"status": "running waiting", "start": 40})
		if len(out.Instances) != 0 || out.Regions[0].NextStart != 0 {
			t.Errorf("%+v", out)
		}
		wantParts(t, r.Text, "start 40 is beyond the last row, of 40")
	})
}

// Every region is paged to its end on its own, and the sum of all pages is what the summary said.
func TestListRegionPages(t *testing.T) {
	bubble(t, "two regions", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(45, simulator.Running), elsewhere: jobs(31, simulator.Waiting)})
		r, out := w.instances(t, arguments{"limit": 10})
		wantParts(t, r.Text, "region=11250 start=10", "region=20057 start=10", "instances 1-10 of 45", "instances 1-10 of 31")
		seen, accelerators := map[string]int{}, 0
		take := func(o tools.ListInstancesOutput) {
			for _, item := range o.Instances {
				seen[item.Place.ID+item.ID]++
				if item.Status == simulator.Running {
					accelerators += item.TotalAccelerators
				}
			}
		}
		take(out)
		for _, region := range out.Regions {
			for start := region.NextStart; start > 0; {
				_, page := w.instances(t, arguments{"limit": 10, "start": start, "region": region.ID})
				take(page)
				start = page.Regions[0].NextStart
			}
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s came %d times", id, times)
			}
		}
		if len(seen) != 76 || out.Summary.Instances != 76 || accelerators != 90 || out.Summary.Accelerators != accelerators {
			t.Errorf("%d rows, %d accelerators; %+v", len(seen), accelerators, out.Summary)
		}
	})
}

// A list of 10,000 is counted in full, and no answer, and no request, is about more than a page of it.
func TestListTenThousand(t *testing.T) {
	bubble(t, "pages", func(t *testing.T) {
		const all, limit = 10_000, 200
		w := newWorld(t, setup{instances: jobs(all, simulator.Running)})
		_, out := w.instances(t, arguments{"limit": limit})
		if s := out.Summary; s.Of != "all" || s.Instances != all || s.Accelerators != 2*all {
			t.Errorf("%+v", s)
		}
		w.wantSent(t, simulator.EndpointList, all/limit)
		seen := map[string]bool{}
		for start := 0; ; start = out.Regions[0].NextStart {
			if start > 0 {
				_, out = w.instances(t, arguments{"limit": limit, "start": start})
			}
			if len(out.Instances) > limit {
				t.Fatalf("%d rows", len(out.Instances))
			}
			for _, item := range out.Instances {
				seen[item.ID] = true
			}
			if out.Regions[0].NextStart == 0 {
				break
			}
		}
		if len(seen) != all {
			t.Errorf("%d of %d", len(seen), all)
		}
		for _, r := range w.sent(simulator.EndpointList) {
			query, err := url.ParseQuery(r.Query)
			if n, wrong := strconv.Atoi(query.Get("limit")); err != nil || wrong != nil || n > limit {
				t.Errorf("query %q", r.Query)
			}
		}
	})
}

func TestListEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		arguments arguments
		want      string
	}{
		"nothing there": {arguments{"region": fourth}, ""},
		"filters":       {arguments{"name": "nobody", "status": "running", "region": home}, "To see what there is, list without name and status."},
		"beyond":        {arguments{"start": 50, "region": home}, "start 50 is beyond the last row, of 6. List without start."},
	} {
		bubble(t, name, func(t *testing.T) {
			w := everywhere(t, "")
			if c.want == "" {
				w = newWorld(t, setup{})
				c.arguments = nil
			}
			r, out := w.instances(t, c.arguments)
			if len(out.Instances) != 0 || out.Summary.Instances != 0 || !strings.Contains(r.Text, "No instances in 华东一区【昆山】 (11250).") {
				t.Errorf("%s", r.Text)
			}
			if notes := joinTexts(out.Notes, "|"); !strings.Contains(notes, c.want) || c.want == "" && notes != "" {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// The progress of several regions is one that rises.
func TestListRegionsReportProgress(t *testing.T) {
	bubble(t, "two", func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(45, simulator.Running), elsewhere: jobs(45, simulator.Running), quirks: simulator.Quirks{ListMaxLimit: 10}})
		var p reports
		if _, err := w.try(p.follow(t.Context()), toolbox.Call{Tool: "list_instances"}); err != nil {
			t.Fatal(err)
		}
		if last := p.seen[len(p.seen)-1]; p.fault != "" || len(p.seen) != 8 || last != fmt.Sprintf("%d/90 reading further rows", p.last) {
			t.Errorf("%q %s", p.seen, p.fault)
		}
	})
}
