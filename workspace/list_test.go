package workspace_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

func TestDesktops(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	_, client := open(t, simulator.Options{}, spied(wire))
	all, err := client.Desktops(t.Context(), workspace.DesktopFilter{})
	if err != nil || len(all.Rows) != 6 || all.Total != 6 {
		t.Fatalf("Desktops = %+v, %v", all, err)
	}
	d := all.Rows[0]
	if d.ID != linux1 || d.ComputerName != "研发-张伟-01" || d.OSHostName != "dev-zhangwei-01" || d.IP != "172.16.4.11" ||
		!slices.Equal(d.Users, []string{"zhangwei"}) || d.Status != "ACTIVE" || d.LoginStatus != "CONNECTED" || d.System != workspace.Linux ||
		d.Type != "DEDICATED" || d.Zone != "cn-north-4a" || d.Created.At.IsZero() || d.Maintenance {
		t.Errorf("desktop = %+v", d)
	}
	last := all.Rows[5]
	if last.TaskStatus != "rebuilding" || !last.Maintenance || last.PoolID == "" || last.Users != nil {
		t.Errorf("desktop = %+v", last)
	}
	if all.Rows[2].System != workspace.Windows {
		t.Errorf("desktop = %+v", all.Rows[2])
	}
	for name, c := range map[string]struct {
		filter workspace.DesktopFilter
		want   []string
	}{
		"ids":    {workspace.DesktopFilter{IDs: []string{linux1, windows}}, []string{linux1, windows}},
		"status": {workspace.DesktopFilter{Status: "SHUTOFF"}, []string{shutoff}},
		"name":   {workspace.DesktopFilter{ComputerName: "研发-张伟-01"}, []string{linux1}},
		"user":   {workspace.DesktopFilter{User: "lina"}, []string{windows}},
		"ip":     {workspace.DesktopFilter{IP: "172.16.4.12"}, []string{linux2}},
		"tag":    {workspace.DesktopFilter{Tag: "dept=rd,env=test"}, []string{linux2}},
		"offset": {workspace.DesktopFilter{Offset: 1, Limit: 2}, []string{linux2, windows}},
		"none":   {workspace.DesktopFilter{IDs: []string{"x"}}, nil},
	} {
		page, err := client.Desktops(t.Context(), c.filter)
		var got []string
		for _, d := range page.Rows {
			got = append(got, d.ID)
		}
		if err != nil || !slices.Equal(got, c.want) || page.Start != c.filter.Offset {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := client.Desktops(t.Context(), workspace.DesktopFilter{IDs: []string{"b", "a"}, Tag: "a b=ü+/"}); err != nil {
		t.Fatal(err)
	}
	if r, _ := wire.Last(); r.URL.RawQuery != "desktop_id=a&desktop_id=b&limit=100&tag=a%20b%3D%C3%BC%2B%2F" {
		t.Errorf("query %s", r.URL.RawQuery)
	}
}

func TestDesktopForms(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]workspace.Desktop{
		`{"desktop_id":"d","ip_address":"10.0.0.1","user_name":"a","connect_status":"CONNECTED","user_group":"sudo"}`: {
			ID: "d", IP: "10.0.0.1", Users: []string{"a"}, LoginStatus: "CONNECTED", System: workspace.Linux,
		},
		`{"desktop_id":7,"ipv4":"10.0.0.2","user_list":["a","b","a"],"attach_user_infos":[{"user_name":"c"},null],"os_version":"Windows 10 64bit"}`: {
			ID: "7", IP: "10.0.0.2", Users: []string{"a", "b", "c"}, System: workspace.Windows, OSVersion: "Windows 10 64bit",
		},
		`{"desktop_id":"d","ip_addresses":["10.0.0.3"],"metadata":{"os_type":"Others","image_name":"x"},"user_group":"users"}`: {
			ID: "d", IP: "10.0.0.3", System: workspace.Windows,
		},
		`{"desktop_id":"d","metadata":"?","user_group":"other","in_maintenance_mode":"true","created":""}`: {ID: "d", Maintenance: true},
	} {
		page, err := canned(t, 200, `{"desktops":[`+row+`]}`).Desktops(t.Context(), workspace.DesktopFilter{})
		if err != nil || page.Total != -1 || !reflect.DeepEqual(page.Rows[0], want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", row, page, err, want)
		}
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	_, client := open(t, simulator.Options{}, spied(wire))
	const content = "echo <a> && b \\ \"c\"\r\n$x = '长'\r\n"
	id, err := client.CreateScript(t.Context(), workspace.NewScript{Name: "n & m", Type: workspace.PowerShell, Content: content, Description: "d"})
	if err != nil {
		t.Fatal(err)
	}
	_, body := wire.Last()
	want := map[string]any{"name": "n & m", "type": "POWERSHELL", "content": content, "description": "d"}
	if got := decoded(t, body); !reflect.DeepEqual(got, any(want)) {
		t.Errorf("sent %v", got)
	}
	s, err := client.Script(t.Context(), id)
	if err != nil || s.ID != id || s.Content != content || s.Type != workspace.PowerShell || s.Name != "n & m" || s.Description != "d" || s.Created.At.IsZero() {
		t.Errorf("Script = %+v, %v", s, err)
	}
	page, err := client.Scripts(t.Context(), workspace.ScriptFilter{Type: workspace.PowerShell, Name: "n & m", ID: id, Limit: 5})
	if err != nil || len(page.Rows) != 1 || page.Total != 1 || page.Rows[0].Content != "" || page.Rows[0].ID != id {
		t.Errorf("Scripts = %+v, %v", page, err)
	}
	if err := client.DeleteScript(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, err := client.Script(t.Context(), id); !errors.Is(err, workspace.ErrNotFound) || !strings.Contains(asError(t, err).Hint.English, "compare the id") {
		t.Errorf("a deleted script: %v", err)
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()
	wire := &fakecloudtest.Spy{}
	_, client := open(t, simulator.Options{Timing: instant}, spied(wire))
	one, two := finished(t, client), finished(t, client)
	page, err := client.Tasks(t.Context(), workspace.TaskFilter{IDs: []string{two, one}, ScriptID: shellScript, Limit: 1})
	if err != nil || len(page.Rows) != 1 || page.Total != 2 {
		t.Fatalf("Tasks = %+v, %v", page, err)
	}
	if got := page.Rows[0]; !reflect.DeepEqual(got.Scripts, []workspace.TaskScript{{ID: shellScript, Name: "disk-usage"}}) || got.Succeeded != 1 || got.State() != workspace.StateSucceeded {
		t.Errorf("task = %+v", got)
	}
	at := time.Date(2026, 11, 21, 18, 0, 0, 5, time.FixedZone("", 8*60*60))
	if _, err := client.Tasks(t.Context(), workspace.TaskFilter{Since: at, Until: at.Add(time.Hour), ScriptName: "x", Status: "FINISH", Offset: 3}); err != nil {
		t.Fatal(err)
	}
	if r, _ := wire.Last(); r.URL.RawQuery != "execute_time_end=2026-11-21T11%3A00%3A00Z&execute_time_start=2026-11-21T10%3A00%3A00Z&offset=3&script_name=x&status=FINISH" {
		t.Errorf("query %s", r.URL.RawQuery)
	}
	if _, err := client.Task(t.Context(), "absent"); !errors.Is(err, workspace.ErrNotFound) || asError(t, err).Delivery != upstream.Answered {
		t.Errorf("an absent task: %v", err)
	}
	other := canned(t, 200, `{"count":1,"script_tasks":[{"id":"other"}]}`)
	if _, err := other.Task(t.Context(), "mine"); !errors.Is(err, workspace.ErrMalformed) {
		t.Errorf("another task: %v", err)
	}
}

func TestAnotherRowThanAskedFor(t *testing.T) {
	t.Parallel()
	c := canned(t, 200, `{"id":"other","content":"rm -rf /","output":"x"}`)
	if s, err := c.Script(t.Context(), "mine"); !errors.Is(err, workspace.ErrMalformed) || s.Content != "" {
		t.Errorf("%+v, %v", s, err)
	}
	if r, err := c.Record(t.Context(), "mine"); !errors.Is(err, workspace.ErrMalformed) || r.Output != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestListForms(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{ // rows and total
		`{"count":0,"scripts":[]}`:                      "0 0",
		`{"count":0,"scripts":null}`:                    "0 0",
		`{"count":0}`:                                   "0 0",
		`{"scripts":[]}`:                                "0 -1",
		`{"count":"7","scripts":[{"id":1}]}`:            "1 7",
		`{"total_count":9,"scripts":[{"id":"1"}]}`:      "1 9",
		`{"count":0,"scripts":[{"id":"1"}]}`:            "1 -1",
		`{"count":2,"scripts":[{"id":"1"},{}]}`:         "1 2",
		`{"count":null,"scripts":[{"id":"1"},7]}`:       "1 -1",
		`{"count":-5,"scripts":[]}`:                     "0 -1",
		`{"count":1}`:                                   "malformed",
		`{"count":1,"scripts":{}}`:                      "malformed",
		`{"count":1,"scripts":[{}]}`:                    "malformed",
		`{}`:                                            "malformed",
		`[]`:                                            "malformed",
		``:                                              "malformed",
		`<html>please log in</html>`:                    "malformed",
		`{"count":1,"scripts":[{"id":"1"}`:              "malformed",
		`{"error_code":"WKS.00211102","error_msg":"x"}`: "refused",
	} {
		page, err := canned(t, 200, body).Scripts(t.Context(), workspace.ScriptFilter{})
		got := fmt.Sprint(len(page.Rows), " ", page.Total)
		switch {
		case errors.Is(err, workspace.ErrMalformed):
			got = "malformed"
		case errors.Is(err, workspace.ErrRefused):
			got = "refused"
		}
		if got != want || err != nil && asError(t, err).Uncertain {
			t.Errorf("%s: %s (%v), want %s", body, got, err, want)
		}
	}
}

func TestAllRecords(t *testing.T) {
	t.Parallel()
	desktops := make([]simulator.Desktop, 101)
	var ids []string
	for i := range desktops {
		desktops[i] = simulator.Desktop{ID: fmt.Sprintf("d-%d", i), Name: "d"}
		ids = append(ids, desktops[i].ID)
	}
	sim, client := open(t, simulator.Options{Desktops: desktops, Timing: instant})
	id, err := client.Execute(t.Context(), workspace.Execution{Desktops: ids, Scripts: []string{shellScript, "923438311391891488"}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for r, err := range client.AllRecords(t.Context(), workspace.RecordFilter{TaskID: id, Limit: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[r.DesktopID+r.ScriptID] = true
	}
	wantSent(t, sim, simulator.OpListRecords, 3)
	if len(seen) != 202 {
		t.Errorf("%d records", len(seen))
	}
	for range client.AllRecords(t.Context(), workspace.RecordFilter{TaskID: id}) {
		break
	}
	wantSent(t, sim, simulator.OpListRecords, 4)
}

func TestAllRecordsGuards(t *testing.T) {
	t.Parallel()
	rows := func(from, to int) string {
		var out []string
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprintf(`{"id":"r%d"}`, i))
		}
		return strings.Join(out, ",")
	}
	for name, c := range map[string]struct {
		pages []string // by request; the last one goes on
		want  int
		err   error
		calls int
	}{
		"offset ignored":    {[]string{`{"script_records":[` + rows(0, 3) + `]}`}, 3, workspace.ErrRepeatedRows, 2},
		"total too high":    {[]string{`{"count":9,"script_records":[` + rows(0, 3) + `]}`, `{"count":9,"script_records":[]}`}, 3, nil, 2},
		"capped pages":      {[]string{`{"count":4,"script_records":[` + rows(0, 2) + `]}`, `{"count":4,"script_records":[` + rows(2, 4) + `]}`}, 4, nil, 2},
		"overlap":           {[]string{`{"script_records":[` + rows(0, 3) + `]}`, `{"script_records":[` + rows(2, 4) + `]}`, `{"count":0}`}, 4, nil, 3},
		"fails in between":  {[]string{`{"script_records":[` + rows(0, 3) + `]}`, `nonsense`}, 3, workspace.ErrMalformed, 2},
		"nothing":           {[]string{`{"count":0,"script_records":[]}`}, 0, nil, 1},
		"count of the page": {[]string{`{"count":3,"script_records":[` + rows(0, 3) + `]}`}, 3, nil, 1},
	} {
		calls := 0
		client := scripted(t, func(*http.Request) (*http.Response, error) {
			calls++
			return fakecloudtest.Answer(200, c.pages[min(calls, len(c.pages))-1]), nil
		})
		got := 0
		var err error
		for _, e := range client.AllRecords(t.Context(), workspace.RecordFilter{TaskID: "t"}) {
			if err = e; err == nil {
				got++
			}
		}
		if got != c.want || !errors.Is(err, c.err) || calls != c.calls {
			t.Errorf("%s: %d records, %v, %d calls", name, got, err, calls)
		}
	}
}
