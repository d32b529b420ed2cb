package tools_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	cloudsim "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// begun starts a run of a minute per script on n desktops, of which the first has ended when it returns.
func (c *cloud) begun(t testing.TB, n int) string {
	t.Helper()
	c.sim.SetOutcome(pc(1), "", cloudsim.Outcome{Duration: time.Second})
	_, out := c.run(t, running(n).with(arguments{"wait_seconds": 0, "gray_count": 2}))
	if out.State != "waiting" {
		t.Fatalf("%+v", out)
	}
	<-time.After(5 * time.Second)
	return out.RunID
}

var unhurried = cloudsim.Timing{Script: 50 * time.Second}

func stop(run string) arguments { return arguments{"run_id": run, "confirm": true} }

func TestStopWorkspaceRun(t *testing.T) {
	for name, words := range map[string]map[string]string{"the service's words": nil, "foreign words": foreign} {
		bubble(t, name, func(t *testing.T) {
			c := newCloud(t, cloudSetup{desktops: pcs(4), timing: unhurried, quirks: cloudsim.Quirks{StatusWords: words}})
			run := c.begun(t, 4)
			preview := c.call(t, stopTool, arguments{"run_id": run})
			wantParts(t, preview.Text, "would stop run "+run, "on 4 desktops", "1 succeeded, 3 not over of 4", "what has not begun is not run")
			if preview.State != "confirmation_required" || c.count(cloudsim.OpStop) != 0 {
				t.Errorf("%s", preview.Text)
			}
			r := c.call(t, stopTool, stop(run))
			if r.State != "done" || c.count(cloudsim.OpStop) != 1 {
				t.Errorf("%s", r.Text)
			}
			wantParts(t, r.Text, "done: run "+run, "1 succeeded, 1 failed, 2 not run of 4")
			c.fails(t, stopTool, stop(run), "is over", "1 succeeded", "Nothing was changed")
			c.fails(t, stopTool, stop("0123"), "not found", "Nothing was changed")
			c.fails(t, stopTool, stop("no id"), "is not an id", "Nothing was changed")
			c.fails(t, stopTool, arguments{}, "run_id", "Nothing was sent")
			if c.count(cloudsim.OpStop) != 1 {
				t.Error("more was stopped")
			}
		})
	}
}

func TestStopWhoseAnswerIsLost(t *testing.T) {
	for name, tt := range map[string]struct {
		fault cloudsim.Fault
		state string
		want  []string
	}{
		"it happened":     {cloudsim.Fault{Endpoint: cloudsim.OpStop, ResetAfter: true}, "done", []string{"The answer to the stop was lost", "not sent again"}},
		"it did not":      {cloudsim.Fault{Endpoint: cloudsim.OpStop, Code: "WKS.00211401"}, "unknown", []string{"not sent again", "get_workspace_run"}},
		"nor can it look": {cloudsim.Fault{Endpoint: cloudsim.OpListTasks, After: 1, Code: "WKS.00211401"}, "unknown", []string{"could not be looked at", "get_workspace_run"}},
	} {
		bubble(t, name, func(t *testing.T) {
			c := newCloud(t, cloudSetup{desktops: pcs(2), timing: unhurried})
			run := c.begun(t, 2)
			c.sim.Inject(tt.fault)
			r := c.call(t, stopTool, stop(run))
			if r.State != tt.state || c.count(cloudsim.OpStop) != 1 {
				t.Errorf("%s", r.Text)
			}
			wantParts(t, r.Text, tt.want...)
		})
	}
	bubble(t, "refused", func(t *testing.T) {
		c := newCloud(t, cloudSetup{desktops: pcs(2), timing: unhurried})
		run := c.begun(t, 2)
		c.sim.Inject(cloudsim.Fault{Endpoint: cloudsim.OpStop, Code: "APIGW.0308"})
		c.fails(t, stopTool, stop(run), "too many calls", "Nothing was changed")
	})
}

func TestGetWorkspaceRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desktops := pcs(30)
		desktops[0].Outcome = cloudsim.Outcome{Output: "a\x1b[2Jb\n" + strings.Repeat("x", 9000) + "\nlast"}
		c := newCloud(t, cloudSetup{desktops: desktops, rules: unlimited()})
		if r, out := c.look(t, arguments{}); r.Text != "No runs in the last day." || len(out.Runs) != 0 {
			t.Errorf("%q", r.Text)
		}
		_, first := c.run(t, running(30).with(arguments{"gray_count": 1}))
		_, second := c.run(t, running(1))

		r, out := c.look(t, arguments{"run_id": first.RunID, "limit": 25})
		if len(out.Runs) != 1 || len(out.Records) != 25 || out.NextStart != 25 || out.Runs[0].GrayDesktops != 1 || !out.Runs[0].Over || out.Runs[0].Desktops != 30 {
			t.Errorf("%+v", out)
		}
		wantParts(t, r.Text, "succeeded (FINISH), 30 succeeded of 30 on 30 desktops", "and 20 more", "gray", "start=25")
		if _, rest := c.look(t, arguments{"run_id": first.RunID, "limit": 25, "start": 25}); len(rest.Records) != 5 || rest.NextStart != 0 {
			t.Errorf("%+v", rest)
		}

		record := c.sim.Records(first.RunID)[0].ID
		r, out = c.look(t, arguments{"run_id": first.RunID, "output_of": []string{record}})
		if len(out.Records) != 1 || strings.Contains(r.Text, "\x1b") || len(r.Text) > 6000 {
			t.Errorf("%q", r.Text)
		}
		wantParts(t, r.Text, "bytes cut …]", "| last", "untrusted")

		if _, all := c.look(t, arguments{}); len(all.Runs) != 2 {
			t.Errorf("%+v", all)
		}
		if _, page := c.look(t, arguments{"limit": 1}); len(page.Runs) != 1 || page.NextStart != 1 {
			t.Errorf("%+v", page)
		}
		c.fails(t, lookTool, arguments{"output_of": []string{record}}, "needs the run_id")
		c.fails(t, lookTool, arguments{"run_id": second.RunID, "output_of": []string{record}}, "belongs to run "+first.RunID)
		c.fails(t, lookTool, arguments{"run_id": "0123"}, "not found")
		c.fails(t, lookTool, arguments{"run_id": first.RunID, "output_of": []string{"0123"}}, "not found")
		<-time.After(25 * time.Hour)
		if _, all := c.look(t, arguments{}); len(all.Runs) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

func TestWorkspacePolicy(t *testing.T) {
	for name, tt := range map[string]struct {
		policy guard.Policy
		rule   string
		want   string
	}{
		"protected by id":   {guard.Policy{Protect: patterns(t, "id:"+pc(2))}, "protect", "has protected"},
		"protected by name": {guard.Policy{Protect: patterns(t, "DEV-02")}, "protect", "dev-02"},
		"not allowed":       {guard.Policy{Allow: [][]guard.Pattern{patterns(t, "dev-01")}}, "allow", "dev-02"},
		"not allowed by id": {guard.Policy{Allow: [][]guard.Pattern{patterns(t, "id:"+pc(1))}}, "allow", "dev-02"},
		"max-targets":       {guard.Policy{MaxTargets: 1}, "max-targets", "2 targets in one call; the operator allows 1"},
		"read-only":         {guard.Policy{ReadOnly: true}, "read-only", "read-only"},
		"toolset":           {guard.Policy{Toolsets: []string{"instances"}}, "toolsets", "workspace"},
	} {
		bubble(t, name, func(t *testing.T) {
			c := newCloud(t, cloudSetup{desktops: pcs(2), timing: unhurried})
			run := c.begun(t, 2)
			strict := c.rules
			strict.Policy = tt.policy
			c.toolbox = toolbox.New(strict, c.tools)
			before := len(c.sim.Requests())
			for _, confirm := range []bool{false, true} {
				err := c.fails(t, runTool, running(2).with(arguments{"confirm": confirm}), "Refused: ", tt.want, "Nothing was changed")
				var refusal *guard.Refusal
				if !errors.As(err, &refusal) || refusal.Rule != tt.rule {
					t.Errorf("%v", err)
				}
			}
			if n := len(c.sim.Requests()) - before; n > 0 && !slices.Contains([]string{"protect", "allow"}, tt.rule) {
				t.Errorf("%d requests", n)
			}
			if tt.rule == "max-targets" { // one run is one target, however many desktops it is on
				if r := c.call(t, stopTool, stop(run)); r.State != "done" {
					t.Errorf("%s", r.Text)
				}
				return
			}
			c.fails(t, stopTool, stop(run), "Refused: ", tt.want)
			if c.count(cloudsim.OpStop) != 0 || c.count(cloudsim.OpExecute) != 1 {
				t.Error("it was sent all the same")
			}
		})
	}
	bubble(t, "allowed", func(t *testing.T) {
		c := newCloud(t, cloudSetup{desktops: pcs(2), timing: unhurried, rules: toolbox.Rules{Policy: guard.Policy{Allow: [][]guard.Pattern{patterns(t, "dev-*")}, Protect: patterns(t, "prod-*")}}})
		if r := c.call(t, stopTool, stop(c.begun(t, 2))); r.State != "done" {
			t.Errorf("%s", r.Text)
		}
	})
	bubble(t, "desktops that are not told", func(t *testing.T) {
		c := newCloud(t, cloudSetup{desktops: pcs(2), timing: unhurried, rules: toolbox.Rules{Policy: guard.Policy{Protect: patterns(t, "prod-*")}}})
		run := c.begun(t, 2)
		c.wire.from, c.wire.to = `"resource_ids"`, `"others"`
		c.fails(t, stopTool, stop(run), "Refused: the operator has protected one that the service does not name", "Nothing was changed")
		if c.count(cloudsim.OpStop) != 0 {
			t.Error("it was stopped all the same")
		}
	})
	bubble(t, "budget", func(t *testing.T) {
		c := newCloud(t, cloudSetup{desktops: pcs(3), rules: toolbox.Rules{MaxMutationsPerHour: 3}})
		c.run(t, running(2))
		_, second := c.previewed(t, runTool, running(2))
		c.fails(t, runTool, second, "Refused: the hourly limit of 3 changes is reached (2 used, 2 wanted)")
		c.sim.Inject(cloudsim.Fault{Endpoint: cloudsim.OpCreateScript, ResetAfter: true})
		c.run(t, inline(1, "date"))
		c.run(t, running(1))
		if n := len(c.sim.Tasks()); n != 2 {
			t.Errorf("%d runs", n)
		}
	})
}

func TestWorkspaceAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := auditLog(t)
		c := newCloud(t, cloudSetup{desktops: pcs(2), rules: toolbox.Rules{Audit: log}})
		r, out := c.run(t, inline(2, "echo hunter2\n"))
		if out.State != "done" {
			t.Fatal(r.Text)
		}
		c.sim.Inject(cloudsim.Fault{Endpoint: cloudsim.OpExecute, ResetAfter: true, Times: 1})
		c.run(t, running(2))
		c.fails(t, runTool, inline(1, "hunter2\x00"), "NUL")
		c.sim.SetOutcome(pc(1), "", cloudsim.Outcome{Duration: 40 * time.Second})
		_, out = c.run(t, running(1).with(arguments{"wait_seconds": 0}))
		c.call(t, stopTool, stop(out.RunID))
		all := records()
		want := []string{
			"previewed none confirmation_required", "intent preview_token", "result preview_token done",
			"previewed none confirmation_required", "intent preview_token", "result preview_token unknown", "refused plan",
			"previewed none confirmation_required", "intent preview_token", "result preview_token waiting",
			"intent flag", "result flag done",
		}
		if got := steps(all); !slices.Equal(got, want) {
			t.Fatalf("%q", got)
		}
		result := all[2]
		if result.Script == nil || result.Script.Bytes != 13 || result.Region != "cn-north-4" || len(result.Targets) != 2 || result.Targets[0].Name != "dev-01" ||
			len(result.Outcomes) != 2 || result.Outcomes[1].Outcome != "accepted" || result.Outcomes[1].NewID != c.sim.Tasks()[0].ID {
			t.Errorf("%+v", result)
		}
		if lost := all[5]; lost.Script == nil || len(lost.Outcomes) != 2 || lost.Outcomes[0].Outcome != "unknown" {
			t.Errorf("%+v", lost)
		}
		if last := all[11]; len(last.Targets) != 1 || last.Targets[0].ID != out.RunID || len(last.Outcomes) != 1 || last.Outcomes[0].Outcome != "accepted" {
			t.Errorf("%+v", last)
		}
		if text := string(encodedRecords(all)); strings.Contains(text, "hunter2") {
			t.Error("the script is in the log")
		}
	})
}

// What a look at a run ends with depends on how it stands.
func TestNextStepOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, cloudSetup{desktops: pcs(2), timing: unhurried})
		run := c.begun(t, 2)
		r, out := c.look(t, arguments{"run_id": run})
		wantParts(t, out.Next.String(), "get_workspace_run with run_id="+run)
		wantParts(t, r.Text, out.Next.String())
		if _, page := c.look(t, arguments{"run_id": run, "limit": 1}); page.Next.String() != "More follow: call again with start=1." {
			t.Errorf("%q", page.Next)
		}
		c.call(t, stopTool, stop(run))
		r, out = c.look(t, arguments{"run_id": run})
		wantParts(t, out.Next.String(), "output_of=[\"")
		wantParts(t, r.Text, out.Next.String())

		c.sim.SetOutcome(pc(1), "", cloudsim.Outcome{Duration: time.Second})
		_, done := c.run(t, running(1))
		if _, out := c.look(t, arguments{"run_id": done.RunID}); !out.Next.IsZero() {
			t.Errorf("%q", out.Next)
		}
	})
}
