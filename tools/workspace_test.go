package tools_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	cloudsim "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// Stored scripts of the simulator's demo.
const (
	shellScript = "923438311391891456"
	psScript    = "923438311391891472"
)

// cloud is a simulated Workspace without a network, and the tools that work on it.
type cloud struct {
	*world
	sim  *cloudsim.Simulator
	wire *cloudWire
}

type cloudSetup struct {
	desktops []cloudsim.Desktop
	quirks   cloudsim.Quirks
	timing   cloudsim.Timing
	rules    toolbox.Rules // policy, budget, audit log
}

func newCloud(t testing.TB, o cloudSetup) *cloud {
	t.Helper()
	o.rules.Now = time.Now
	sim := cloudsim.New(cloudsim.Options{Now: time.Now, Desktops: o.desktops, Quirks: o.quirks, Timing: o.timing})
	wire := &cloudWire{Transport: sim.Transport()}
	key := cloudsim.DemoAccount().Keys[0]
	client, err := workspace.New(workspace.Config{
		AccessKey: workspace.NewSecret(key.AccessKey), SecretKey: workspace.NewSecret(key.SecretKey),
		ProjectID: sim.ProjectID(), Region: "cn-north-4", Endpoint: sim.URL(), Transport: wire, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{rules: o.rules, tools: tools.Desktops{Workspace: client, Now: time.Now}.Tools()}
	w.caller = toolbox.Caller{Name: "local", Client: "test", Transport: "stdio"}
	w.toolbox = toolbox.New(w.rules, w.tools)
	return &cloud{world: w, sim: sim, wire: wire}
}

// cloudWire carries requests to the simulator, and answers in which from is replaced by to.
type cloudWire struct {
	*fakecloud.Transport
	from, to string
}

func (w *cloudWire) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.Transport.RoundTrip(r)
	if err != nil || w.from == "" {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	body = bytes.ReplaceAll(body, []byte(w.from), []byte(w.to))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// pcs are n desktops that run Linux.
func pcs(n int) []cloudsim.Desktop {
	out := make([]cloudsim.Desktop, n)
	for i := range out {
		out[i] = cloudsim.Desktop{ID: pc(i + 1), Name: fmt.Sprintf("dev-%02d", i+1), User: "liming", LoginStatus: "CONNECTED"}
	}
	return out
}

func pc(i int) string { return fmt.Sprintf("eb4ccd3e-170f-48ec-9715-%012d", i) }

func pcIDs(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = pc(i + 1)
	}
	return out
}

// running are the arguments of a run of a stored script on the first n desktops, waited for.
func running(n int) arguments {
	return arguments{"desktop_ids": pcIDs(n), "script_ids": []string{shellScript}, "wait_seconds": 50}
}

// inline are those of a run of a text.
func inline(n int, script string) arguments {
	return arguments{"desktop_ids": pcIDs(n), "script": script, "wait_seconds": 50}
}

const (
	runTool  = "run_workspace_script"
	lookTool = "get_workspace_run"
	stopTool = "stop_workspace_run"
)

func decoded[T any](t testing.TB, r reply) T {
	t.Helper()
	var out T
	if err := json.Unmarshal(r.Structured, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// run makes both calls.
func (c *cloud) run(t testing.TB, a arguments) (reply, tools.RunWorkspaceScriptOutput) {
	t.Helper()
	r := c.confirmed(t, runTool, a)
	return r, decoded[tools.RunWorkspaceScriptOutput](t, r)
}

func (c *cloud) look(t testing.TB, a arguments) (reply, tools.GetWorkspaceRunOutput) {
	t.Helper()
	r := c.call(t, lookTool, a)
	return r, decoded[tools.GetWorkspaceRunOutput](t, r)
}

func (c *cloud) count(ops ...cloudsim.Operation) int {
	n := 0
	for _, r := range c.sim.Requests() {
		if slices.Contains(ops, r.Operation) {
			n++
		}
	}
	return n
}

// nothingChanged demands that no write was sent.
func (c *cloud) nothingChanged(t testing.TB) {
	t.Helper()
	if n := c.count(cloudsim.OpCreateScript, cloudsim.OpDeleteScript, cloudsim.OpExecute, cloudsim.OpStop); n > 0 {
		t.Errorf("%d writes were sent", n)
	}
}

// stored returns how many scripts there are besides the demo's.
func (c *cloud) stored() int { return len(c.sim.Scripts()) - len(cloudsim.DemoScripts()) }

func TestListWorkspaceDesktops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, cloudSetup{})
		for name, tt := range map[string]struct {
			a    arguments
			rows int
			want []string
		}{
			"all":            {arguments{}, 6, []string{"desktops 1-6 of 6 in cn-north-4. 4 ACTIVE, 1 ERROR, 1 SHUTOFF.", "rebuilding, maintenance", "NAME", "研发-张伟-01", "CONNECTED", "SHUTOFF", "Windows"}},
			"name":           {arguments{"name": "linux"}, 1, []string{"dev-linux-02"}},
			"user":           {arguments{"user": "lina"}, 1, []string{"财务-李娜"}},
			"status":         {arguments{"status": "SHUTOFF"}, 1, []string{"win-sales-04"}},
			"people's word":  {arguments{"status": "已关机"}, 1, []string{"win-sales-04"}},
			"small letters":  {arguments{"status": "error"}, 1, []string{"培训-02"}},
			"a foreign word": {arguments{"status": "BUILDING"}, 0, []string{"No desktops in cn-north-4."}},
			"tag":            {arguments{"tag": "dept=rd,env=test"}, 1, []string{"dev-linux-02"}},
			"oldest":         {arguments{"sort": "oldest", "limit": 1}, 1, []string{"研发-张伟-01"}},
			"by name":        {arguments{"sort": "name", "limit": 1}, 1, []string{"dev-linux-02"}},
			"none":           {arguments{"name": "nobody"}, 0, []string{"No desktops in cn-north-4."}},
			"page":           {arguments{"start": 2, "limit": 2}, 2, []string{"desktops 3-4 of 6 in cn-north-4. 4 ACTIVE, 1 ERROR, 1 SHUTOFF.", "More follow: call again with start=4."}},
			"end":            {arguments{"start": 4, "limit": 2}, 2, []string{"desktops 5-6 of 6 in cn-north-4."}},
		} {
			r := c.call(t, "list_workspace_desktops", tt.a)
			out := decoded[tools.ListWorkspaceDesktopsOutput](t, r)
			if len(out.Desktops) != tt.rows || out.Returned != tt.rows || name == "end" && out.NextStart != 0 {
				t.Errorf("%s: %+v", name, out)
			}
			wantParts(t, r.Text, tt.want...)
		}
		c.sim.Inject(cloudsim.Fault{Endpoint: cloudsim.OpListDesktopsDetail, After: 1, Code: "WKS.00211102", Status: 400})
		wantParts(t, c.call(t, "list_workspace_desktops", arguments{"start": 2, "limit": 2}).Text, "On this page: 1 ACTIVE, 1 SHUTOFF.")
		c.sim.ClearFaults()
		c.fails(t, "list_workspace_desktops", arguments{"status": "asleep"}, "status", `"asleep"`, "ACTIVE, SHUTOFF, ERROR, HIBERNATED", "Nothing was sent")
		c.sim.AddDesktop(cloudsim.Desktop{Name: "evil\n\x1b[2J" + string(make([]byte, 500))})
		if r := c.call(t, "list_workspace_desktops", arguments{"name": "evil"}); bytes.ContainsRune([]byte(r.Text), 0x1b) || len(r.Text) > 600 {
			t.Errorf("%q", r.Text)
		}
		c.sim.Inject(cloudsim.Fault{Endpoint: cloudsim.OpListDesktopsDetail, Code: "APIGW.0308"})
		c.fails(t, "list_workspace_desktops", arguments{}, "too many calls", "Nothing was changed")
	})
}

func TestListWorkspaceScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, cloudSetup{})
		long := c.sim.AddScript(cloudsim.Script{Name: "long", Content: "first\n" + string(bytes.Repeat([]byte("0123456789\n"), 9000)) + "last\n"})
		for name, tt := range map[string]struct {
			a       arguments
			rows    int
			content bool
			want    []string
		}{
			"all":  {arguments{}, 4, false, []string{"scripts 1-4 of 4.", "disk-usage", "POWERSHELL", "Free space of all file systems"}},
			"name": {arguments{"name": "disk"}, 1, false, []string{"disk-usage"}},
			"type": {arguments{"type": "BAT"}, 1, false, []string{"flush-dns"}},
			"page": {arguments{"limit": 2}, 2, false, []string{"More follow: call again with start=2."}},
			"one":  {arguments{"script_id": shellScript}, 1, true, []string{"scripts 1-1 of 1.", "| #!/bin/sh\n| df -h"}},
			"long": {arguments{"script_id": long}, 1, true, []string{"| first", "bytes cut", "| last"}},
		} {
			r := c.call(t, "list_workspace_scripts", tt.a)
			out := decoded[tools.ListWorkspaceScriptsOutput](t, r)
			if len(out.Scripts) != tt.rows || (out.Scripts[0].Content != "") != tt.content || len(r.Text) > 20_000 {
				t.Errorf("%s: %d bytes %+v", name, len(r.Text), out)
			}
			wantParts(t, r.Text, tt.want...)
		}
		c.fails(t, "list_workspace_scripts", arguments{"script_id": "1"}, "not found", "Nothing was changed")
		c.fails(t, "list_workspace_scripts", arguments{"script_id": "../x"}, "is not an id")
	})
}
