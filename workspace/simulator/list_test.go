package simulator

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

func TestTaskList(t *testing.T) {
	o := fleet(2)
	o.Desktops[1].Outcome.Kind = Fail
	l := open(t, o)
	var ids []string
	for i := range 12 {
		ids = append(ids, l.execute(map[string]any{"resource_ids": []string{fmt.Sprint("d", i%2)}, "script_ids": []string{fmt.Sprint(100 + i%3)}}))
		l.clock.Advance(time.Minute)
	}
	l.clock.Advance(300 * time.Millisecond)
	latest := l.execute(map[string]any{"resource_ids": []string{"d0", "d1"}, "script_ids": []string{"102", "100"}, "gray_resource_ids": []string{"d1"}})
	r := l.do("GET", "script-execution-tasks?limit=1", "").want(t, 200)
	eq(t, "latest", r.raw, `{"count":13,"script_tasks":[{"id":"`+latest+`","task_scripts":[{"id":"102","name":"third"},{"id":"100","name":"first"}],`+
		`"resource_type":"DESKTOP","resource_ids":["d0","d1"],"gray_resource_ids":["d1"],"success_num":0,"failed_num":0,"skip_num":0,`+
		`"start_time":"2026-11-21T04:12:00Z","status":"INIT"}]}`)
	at := func(minute int) string {
		return url.QueryEscape(fakecloudtest.Noon.Add(time.Duration(minute) * time.Minute).Format(timeForm))
	}
	for query, want := range map[string][2]int{ // count, items
		"":                                 {13, 10},
		"offset=10":                        {13, 3},
		"offset=13&limit=100":              {13, 0},
		"status=FINISH":                    {6, 6},
		"status=FAILED":                    {6, 6},
		"status=SUCCESS":                   {0, 0},
		"script_id=100":                    {5, 5},
		"script_name=sec":                  {4, 4},
		"script_id=100&script_name=third":  {0, 0},
		"task_type=SCRIPT":                 {13, 10},
		"task_type=COMMAND":                {0, 0},
		"resource_group_id=x":              {0, 0},
		"resource_group_type=DESKTOP_POOL": {0, 0},
		"task_id=" + ids[3] + "&task_id=" + ids[4] + "&task_id=x":    {2, 2},
		"execute_time_start=" + at(12):                               {1, 1}, // started 0.3 s later, shown without
		"execute_time_start=" + at(11):                               {2, 2},
		"execute_time_end=" + at(1):                                  {2, 2},
		"execute_time_start=" + at(3) + "&execute_time_end=" + at(5): {3, 3},
	} {
		got := into[tasks](t, l.do("GET", "script-execution-tasks?"+query, "").want(t, 200))
		eq(t, query, [2]int{got.Count, len(got.Tasks)}, want)
	}
	for _, query := range []string{
		"limit=0", "limit=101", "offset=-1", "script_id=100&script_id=101", "execute_time_start=2026-11-21", "execute_time_end=x",
		"task_id=" + strings.Repeat("x", 129), strings.Repeat("task_id=x&", 101),
	} {
		l.do("GET", "script-execution-tasks?"+query, "").wantError(t, 400, codeParameter)
	}
}

func TestRecordList(t *testing.T) {
	o := fleet(3)
	o.Desktops[2].Outcome.Kind = Fail
	l := open(t, o)
	id := l.execute(map[string]any{
		"resource_ids": []string{"d0", "d1", "d2"}, "script_ids": []string{"100", "101"}, "gray_resource_ids": []string{"d1", "d2"},
	})
	l.clock.Advance(2 * time.Second)
	r := l.do("GET", "script-execution-records?limit=1", "").want(t, 200)
	eq(t, "running", r.raw, `{"count":6,"script_records":[{"id":"`+l.Records(id)[0].ID+`","script_id":"100","script_name":"first","script_task_id":"`+id+
		`","resource_id":"d1","resource_name":"desktop 1","resource_type":"DESKTOP","start_time":"2026-11-21T04:00:01Z","status":"RUNNING","execute_order":1}]}`)
	l.clock.Advance(time.Hour)
	l.execute(map[string]any{"resource_ids": []string{"d0"}, "script_ids": []string{"102"}})
	for query, want := range map[string]int{
		"script_task_id=" + id: 6, "script_task_id=x": 0, "resource_id=d0&resource_id=d1": 5, "script_id=100&script_id=102": 4,
		"script_name=first&script_name=second": 6, "status=FAILED": 2, "status=INIT": 1, "is_first_order=true": 4, "is_first_order=false": 3,
		"task_type=SCRIPT": 7, "task_type=COMMAND": 0, "show_history=false": 7, "show_history=true&resource_id=d0&script_id=100": 1,
		"execute_time_start=2026-11-21T05:00:00Z": 1, "execute_time_end=2026-11-21T05:00:00Z": 6, "resource_group_id=x": 0,
		"execute_time_start=2026-11-21T04:00:05Z&execute_time_end=2026-11-21T04:00:05Z": 1, // the second batch begins
	} {
		eq(t, query, len(l.records(query)), want)
	}
	for _, query := range []string{
		"limit=0", "limit=101", "offset=x", "is_first_order=1", "script_task_id=a&script_task_id=b", strings.Repeat("script_id=x&", 101),
		"resource_id=" + strings.Repeat("x", 129), "execute_time_start=x",
	} {
		l.do("GET", "script-execution-records?"+query, "").wantError(t, 400, codeParameter)
	}
	l.do("GET", "script-execution-records/x", "").wantError(t, 404, codeMissing)
	l.do("GET", "script-execution-records/"+strings.Repeat("x", 129), "").wantError(t, 400, codeParameter)
}

func TestStatusWords(t *testing.T) {
	o := fleet(3)
	o.Desktops[0].Outcome.Kind = Fail
	o.Desktops[1].Outcome.Kind = Fail
	o.Quirks.StatusWords = map[string]string{"INIT": "QUEUED", "RUNNING": "DOING", "FINISH": "COMPLETED", "FAILED": "BROKEN", "SUCCESS": "DONE", "SKIPPED": "OMITTED"}
	l := open(t, o)
	body := map[string]any{"resource_ids": []string{"d0", "d1", "d2"}, "script_ids": []string{"100"}, "gray_count": 2, "gray_fail_threshold": 1}
	id := l.execute(body)
	words := func() string {
		s := l.task(id).Status
		for _, rec := range l.records("script_task_id=" + id) {
			s += " " + rec.Status
		}
		return s
	}
	eq(t, "at first", words(), "QUEUED QUEUED QUEUED QUEUED")
	l.clock.Advance(time.Second)
	eq(t, "then", words(), "DOING DOING DOING QUEUED")
	l.clock.Advance(time.Minute)
	eq(t, "at last", words(), "BROKEN BROKEN BROKEN OMITTED")
	eq(t, "filter", len(l.records("status=OMITTED")), 1)
	eq(t, "filter", len(into[tasks](t, l.do("GET", "script-execution-tasks?status=FAILED", "")).Tasks), 0)
	eq(t, "the simulator's own view", l.Tasks()[0].Status, StateFailed)
}

func TestTimesThatHaveNotCome(t *testing.T) {
	for end, want := range map[EndTime]string{EndAbsent: "", EndNull: "null", EndEmpty: `""`} {
		o := fleet(1)
		o.Quirks.EndTime = end
		l := open(t, o)
		id := l.execute(map[string]any{"resource_ids": []string{"d0"}, "script_ids": []string{"100"}})
		times := func() string {
			list := into[struct {
				Tasks []map[string]json.RawMessage `json:"script_tasks"`
			}](t, l.do("GET", "script-execution-tasks", ""))
			return string(list.Tasks[0]["end_time"])
		}
		eq(t, "while it runs", times(), want)
		eq(t, "start_time of a record", strings.Contains(l.do("GET", "script-execution-records", "").raw, "start_time"), end != EndAbsent)
		l.clock.Advance(time.Minute)
		eq(t, "after it", times(), `"2026-11-21T04:00:03Z"`)
		eq(t, "view", l.Tasks()[0].ID, id)
	}
}

func TestHiddenSkips(t *testing.T) {
	o := fleet(3)
	o.Quirks.HideSkipped = true
	o.Desktops[0].Outcome.Kind = Fail
	l := open(t, o)
	id := l.execute(map[string]any{"resource_ids": []string{"d0", "d1", "d2"}, "script_ids": []string{"100"}, "gray_count": 2, "gray_fail_threshold": 1})
	l.clock.Advance(time.Minute)
	eq(t, "records", len(l.records("script_task_id="+id)), 2)
	eq(t, "skip_num", l.task(id).SkipNum, 1)
	l.do("GET", "script-execution-records/"+l.Records(id)[2].ID, "").wantError(t, 404, codeMissing)
}

func TestDesktopLists(t *testing.T) {
	l := open(t, Options{})
	pool := DemoPools()[0].ID
	first := DemoDesktops()[0].ID
	for query, want := range map[string][2]int{ // count, items
		"": {6, 6}, "limit=2&offset=5": {6, 1}, "limit=0": {6, 0}, "status=ACTIVE": {4, 4}, "status=SHUTOFF": {1, 1},
		"desktop_id=" + first + "&desktop_id=x": {1, 1}, "user_name=zhang&user_name=li": {3, 3}, "computer_name=" + url.QueryEscape("培训"): {2, 2},
		"desktop_ip=172.16.8.": {2, 2}, "pool_id=" + pool + ",x": {2, 2}, "desktop_type=POOLED": {2, 2}, "desktop_type=POOLED,DEDICATED": {6, 6},
		"is_share_desktop=true": {0, 0}, "is_share_desktop=false": {6, 6}, "tag=" + url.QueryEscape("dept=rd"): {2, 2},
		"tag=" + url.QueryEscape("dept=rd,env=test"): {1, 1}, "tag=env": {2, 2}, "subnet_id=x": {0, 0},
	} {
		for _, path := range []string{"desktops", "desktops/detail"} {
			got := into[desktops](t, l.do("GET", path+"?"+query, "").want(t, 200))
			eq(t, path+"?"+query, [2]int{got.Count, len(got.Desktops)}, want)
		}
	}
	eq(t, "in maintenance", into[desktops](t, l.do("GET", "desktops/detail?in_maintenance_mode=true", "")).Count, 1)
	for path, most := range map[string]int{"desktops": 1000, "desktops/detail": 500} {
		l.do("GET", fmt.Sprint(path, "?limit=", most), "").want(t, 200)
		for _, query := range []string{fmt.Sprint("limit=", most+1), "offset=-1", "is_share_desktop=yes", strings.Repeat("desktop_id=x&", 101)} {
			l.do("GET", path+"?"+query, "").wantError(t, 400, codeParameter)
		}
	}
	got := into[desktops](t, l.do("GET", "desktops?limit=1", "")).Desktops[0]
	eq(t, "simple", fmt.Sprint(got.ComputerName, got.IPAddress, got.ConnectStatus, got.LoginStatus, got.Created), "研发-张伟-01172.16.4.11CONNECTED2026-09-01T01:30:00.000Z")
	one := into[struct{ Desktop desktopJSON }](t, l.do("GET", "desktops/"+first, "").want(t, 200)).Desktop
	eq(t, "detail", fmt.Sprint(one.ComputerName, one.IPAddresses, one.ConnectStatus, one.LoginStatus, one.Metadata), "研发-张伟-01[172.16.4.11]CONNECTEDmap[os_type:Linux]")
	l.do("GET", "desktops/x", "").wantError(t, 404, codeMissing)
	l.do("GET", "desktops/"+strings.Repeat("x", 129), "").wantError(t, 400, codeParameter)

	if !l.UpdateDesktop(first, func(d *Desktop) { d.Status = DesktopShutoff }) || l.UpdateDesktop("x", nil) {
		t.Error("UpdateDesktop")
	}
	eq(t, "updated", l.Desktops()[0].Status, DesktopShutoff)
}

// TestDesktopDetailFilters covers what only page ListDesktopsDetail has.
func TestDesktopDetailFilters(t *testing.T) {
	l := open(t, Options{Desktops: []Desktop{
		{ID: "a", Name: "one", User: "zhangwei", Zone: "cn-north-4a", Created: fakecloudtest.Noon},
		{ID: "b", Name: "two", User: "zhang", Zone: "cn-north-4b", Created: fakecloudtest.Noon.Add(-time.Hour), Tags: []Tag{{"k", "v"}}},
		{ID: "c", Name: "three", Zone: "cn-north-4a", Created: fakecloudtest.Noon.Add(time.Hour)},
	}})
	for query, want := range map[string]string{
		"":                                   "a b c",
		"user_names=zhang":                   "b",
		"user_names=zhang&user_names=nobody": "b",
		"user_name=zhang":                    "a b",
		"user_name=wei&user_names=zhang":     "b", // user_name does not count then
		"computer_names=two&computer_names=three":         "b c",
		"computer_names=tw":                               "",
		"availability_zone=cn-north-4a":                   "a c",
		"user_attached=true":                              "a b",
		"user_attached=false":                             "c",
		"without_any_tag=true":                            "a c",
		"sort_field=created&sort_type=ASC":                "b a c",
		"sort_field=created&sort_type=DESC":               "c a b",
		"sort_field=computer_name&sort_type=ASC":          "a c b",
		"sort_field=computer_name&sort_type=DESC&limit=2": "b c",
		"sort_field=created":                              "a b c",
	} {
		list := into[desktops](t, l.do("GET", "desktops/detail?"+query, "").want(t, 200))
		var ids []string
		for _, d := range list.Desktops {
			ids = append(ids, d.DesktopID)
		}
		eq(t, query, strings.Join(ids, " "), want)
	}
	for _, query := range []string{"sort_field=status&sort_type=ASC", "sort_field=created&sort_type=down", "user_attached=1"} {
		l.do("GET", "desktops/detail?"+query, "").wantError(t, 400, codeParameter)
	}
	eq(t, "the short list", into[desktops](t, l.do("GET", "desktops?user_attached=false", "").want(t, 200)).Count, 3)
}
