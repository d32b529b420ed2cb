package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// TestWorkspaceWalk goes through the workspace tools as a client does: list, preview, confirmed run, wait, output, stop.
func TestWorkspaceWalk(t *testing.T) {
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			hw := simulator.New(simulator.Options{Timing: simulator.Timing{Init: -1, Script: 100 * time.Millisecond}})
			fakecloudtest.Start(t, hw)
			key := simulator.DemoAccount().Keys[0]
			w := newWorld(t, guard.Policy{}, func(s *stage) {
				var err error
				s.Workspace, err = workspace.New(workspace.Config{
					AccessKey: secret.New(key.AccessKey), SecretKey: secret.New(key.SecretKey), SecurityToken: secret.New(key.SecurityToken),
					ProjectID: hw.ProjectID(), Region: "cn-north-4", Endpoint: hw.URL(),
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(s.Workspace.Close)
			})
			c := overStdio(version)(w, nil)
			defer c.hangUp()

			linux := "eb4ccd3e-170f-48ec-9715-ec0457df376f"
			listed := c.must("list_workspace_desktops", `{"status":"ACTIVE"}`)
			if !strings.Contains(listed.Content[0].Text, linux) {
				t.Fatalf("not listed: %s", listed.Content[0].Text)
			}
			script := `"desktop_ids":["` + linux + `"],"script":"export PASSWORD=hunter2; date","wait_seconds":20`
			done := confirm(t, c, "run_workspace_script", script)
			if done.State != "done" || len(done.Records) != 1 || !strings.Contains(done.Records[0].Stdout, "done") {
				t.Errorf("%+v", done)
			}
			if n := len(hw.Scripts()); n != len(simulator.DemoScripts()) {
				t.Errorf("%d scripts are stored; the text should be gone again", n)
			}
			again := c.must("get_workspace_run", fmt.Sprintf(`{"run_id":%q,"output_of":[%q]}`, done.RunID, done.Records[0].ID))
			if !strings.Contains(again.Content[0].Text, done.Records[0].Stdout) {
				t.Errorf("the output is not shown again: %s", again.Content[0].Text)
			}

			hw.SetOutcome(linux, "", simulator.Outcome{Kind: simulator.Hang})
			hung := confirm(t, c, "run_workspace_script", `"desktop_ids":["`+linux+`"],"script_ids":["923438311391891456"],"execution_timeout":10`)
			if hung.State != "waiting" {
				t.Fatalf("%+v", hung)
			}
			stopped := c.must("stop_workspace_run", fmt.Sprintf(`{"run_id":%q,"confirm":true}`, hung.RunID))
			if stopped.IsError || !strings.Contains(stopped.Content[0].Text, "done: run "+hung.RunID) {
				t.Errorf("not stopped: %s", stopped.Content[0].Text)
			}

			log, err := json.Marshal(w.records())
			if err != nil {
				t.Fatal(err)
			}
			for _, hidden := range []string{"hunter2", key.AccessKey, key.SecretKey, key.SecurityToken} {
				if hidden != "" && strings.Contains(string(log), hidden) {
					t.Errorf("a secret is in the audit log")
				}
			}
		})
	}
}

type runResult struct {
	State   string
	RunID   string `json:"run_id"`
	Records []struct{ ID, Stdout string }
	Preview struct {
		Token string `json:"token"`
	}
}

// confirm makes a call twice: for its preview, and with the token of it.
func confirm(t *testing.T, c *mcpClient, tool, arguments string) runResult {
	t.Helper()
	decode := func(r toolResult) (out runResult) {
		if err := json.Unmarshal(r.Structured, &out); err != nil {
			t.Fatalf("%v: %s", err, r.Content[0].Text)
		}
		return out
	}
	preview := decode(c.must(tool, "{"+arguments+"}"))
	if preview.State != "confirmation_required" {
		t.Fatalf("%+v", preview)
	}
	return decode(c.must(tool, "{"+arguments+with(preview.Preview.Token)+"}"))
}
