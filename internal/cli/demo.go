package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
)

// demoTimeout bounds the whole demo.
const demoTimeout = time.Minute

// failingScript is one that fails, and says why.
const failingScript = "echo no such checkpoint >&2; exit 3" // not said to people

// demoCommand shows the server at work.
type demoCommand struct {
	Full bool `env:"-" help:"Play every act: mistakes, made-up tokens, Huawei Cloud Workspace."`
}

// Run starts this program as a server on simulated instances, drives it over stdio with an MCP client, and prints what
// was asked and answered. It fails when an answer is not as it should be.
func (c demoCommand) Run(ctx context.Context, streams Streams) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "scnet-mcp-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	auditLog := filepath.Join(folder, "audit.jsonl")
	serve := []string{"serve", "--demo", "--lang", streams.Lang.String(), "--audit-log", auditLog}
	client, err := server.StartClient(ctx, "scnet-mcp-demo", buildVersion(), program, nil, serve, streams.Err)
	if err != nil {
		return lang.Errorf("start the server: %w", err)
	}
	d := demo{ctx: ctx, client: client, out: streams.Out, lang: streams.Lang}
	play, ending := d.story, textDemoEnds
	if c.Full {
		play, ending = d.run, textDemoFullEnds
	}
	err = play()
	if closeErr := client.Close(); closeErr != nil {
		err = errors.Join(err, lang.Errorf("stop the server: %w", closeErr))
	}
	if err != nil {
		return err
	}
	return d.verify(streams, auditLog, c.Full, ending)
}

// verify ends the demo with its audit log.
func (d *demo) verify(streams Streams, auditLog string, full bool, ending string) error {
	if full {
		d.printf("\n%d. %s\n→ %s\n", d.steps+1, lang.T(textDemoAudit), "scnet-mcp audit verify") // not said to people
		err := (verifyCommand{File: auditLog}).Run(streams)
		d.printf("\n%s\n", d.lang.Word(ending))
		return errors.Join(err, d.writeErr)
	}
	d.printf("%d. %s\n   → %s\n", d.steps+1, lang.T(textDemoAudit), "scnet-mcp audit verify audit.jsonl") // not said to people
	var said bytes.Buffer
	err := (verifyCommand{File: auditLog}).Run(Streams{Out: &said, Err: streams.Err, Lang: streams.Lang})
	folder := filepath.Dir(auditLog) + string(filepath.Separator)
	d.show(strings.ReplaceAll(said.String(), folder, ""), d.lang.Words("records", "chain", "BROKEN"))
	d.printf("%s\n", d.lang.Word(ending))
	return errors.Join(err, d.writeErr)
}

// demo is one run of the demo.
type demo struct {
	ctx      context.Context
	client   *server.Client
	out      io.Writer
	lang     lang.Lang
	writeErr error
	steps    int
}

func (d *demo) printf(format string, args ...any) {
	if d.writeErr == nil {
		_, d.writeErr = io.WriteString(d.out, d.lang.Sprintf(format, args...))
	}
}

// answer is what the demo relies on in a structured result.
type answer struct {
	Instances []struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Status string `json:"status"`
	} `json:"instances"`
	Desktops []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		System string `json:"system"`
	} `json:"desktops"`
	State   string `json:"state"`
	Preview struct {
		Token string `json:"token"`
	} `json:"preview"`
}

// id returns the id of the first instance in this status.
func (a answer) id(status string) string {
	for _, in := range a.Instances {
		if in.Status == status {
			return in.ID
		}
	}
	return ""
}

// named returns the names of the instances in this status.
func (a answer) named(status string) (names []string) {
	for _, in := range a.Instances {
		if in.Status == status {
			names = append(names, in.Name)
		}
	}
	return names
}

// linux returns the ids of the Linux desktops, those that cannot run scripts first.
func (a answer) linux() (ids []string) {
	for _, desktop := range a.Desktops {
		switch {
		case desktop.System != "Linux":
		case desktop.Status == "ACTIVE":
			ids = append(ids, desktop.ID)
		default:
			ids = append([]string{desktop.ID}, ids...)
		}
	}
	return ids
}

// step makes a call and shows it. It fails unless check finds in the answer what a user would rely on.
func (d *demo) step(why, tool string, arguments map[string]any, check func(server.Reply, answer) bool) (answer, error) {
	d.steps++
	request, err := encode(arguments)
	if err != nil {
		return answer{}, err
	}
	d.printf("\n%d. %s\n→ %s %s\n", d.steps, d.lang.Word(why), tool, request)
	reply, a, err := d.call(tool, arguments, check)
	mark := "←"
	if reply.IsError {
		mark = d.lang.Word("← error:")
	}
	d.printf("%s %s\n", mark, strings.ReplaceAll(reply.Text, "\n", "\n  "))
	if err == nil {
		err = d.writeErr
	}
	return a, err
}

// call makes a call. Its error also says that the answer lacks what a user would rely on; there is a reply then.
func (d *demo) call(
	tool string, arguments map[string]any, check func(server.Reply, answer) bool,
) (reply server.Reply, a answer, err error) {
	if reply, err = d.client.CallTool(d.ctx, tool, arguments); err != nil {
		return reply, a, lang.Errorf("step %d: %w", d.steps, err)
	}
	if reply.Structured != nil {
		if err := json.Unmarshal(reply.Structured, &a); err != nil {
			return reply, a, lang.Errorf("step %d: %w", d.steps, err)
		}
	}
	if !check(reply, a) {
		return reply, a, lang.Errorf("step %d did not answer as it should", d.steps)
	}
	return reply, a, nil
}

// state is a check that the result is in a state.
func state(want string) func(server.Reply, answer) bool {
	return func(r server.Reply, a answer) bool { return !r.IsError && a.State == want }
}

// refusal is a check that the call is an error that says all parts.
func refusal(parts ...string) func(server.Reply, answer) bool {
	return func(r server.Reply, _ answer) bool {
		for _, part := range parts {
			if !strings.Contains(r.Text, part) {
				return false
			}
		}
		return r.IsError && r.Structured == nil
	}
}

func (d *demo) run() error {
	names, err := d.client.ListTools(d.ctx)
	if err != nil {
		return err
	}
	d.printf("connected to %s over stdio, MCP %s\ntools: %s\n", d.client.Server, d.client.Version, strings.Join(names, ", "))
	list, err := d.step("What is there?", "list_instances", map[string]any{},
		func(_ server.Reply, a answer) bool { return len(a.Instances) > 2 })
	if err != nil {
		return err
	}
	if err := d.mistakes(); err != nil {
		return err
	}
	if err := d.restartAndRun(list.id("Terminated"), list.id("Running")); err != nil {
		return err
	}
	if err := d.deleteOne(list.id("Completed")); err != nil {
		return err
	}
	return d.desktops()
}

func (d *demo) mistakes() error {
	if _, err := d.step("A call with mistakes: every one is named, nothing is sent.", "list_instances",
		map[string]any{"limit": 500, "state": "Running"}, refusal("limit", "state", d.lang.Word("Nothing was sent"))); err != nil {
		return err
	}
	_, err := d.step("A region that does not exist: the usable ones are named.", "list_instances",
		map[string]any{"region": "哈尔滨"}, refusal("11250", "20057"))
	return err
}

func (d *demo) restartAndRun(stopped, running string) error {
	if _, err := d.step("Restart a stopped instance and wait until it runs.", "restart_instance",
		map[string]any{"instance_id": stopped, "wait_seconds": 30, "confirm": true}, state("done")); err != nil {
		return err
	}
	script := map[string]any{
		"instance_ids": []string{stopped, running}, "script": "hostname\nnvidia-smi\n", "canary": 1, "canary_wait_seconds": 1,
	}
	preview, err := d.step("Run a script, first in one instance, then in the rest. A preview comes first.", "execute_script", script, state("confirmation_required"))
	if err != nil {
		return err
	}
	script["confirm"], script["preview_token"] = true, preview.Preview.Token
	if _, err = d.step("The user agrees to exactly this. Exit code and output come back.", "execute_script", script,
		func(r server.Reply, a answer) bool {
			return state("done")(r, a) && strings.Contains(r.Text, d.lang.Sprintf("exit code %d", 0)) && strings.Contains(r.Text, "NVIDIA-SMI")
		}); err != nil {
		return err
	}
	script = map[string]any{
		"instance_ids": []string{stopped, running}, "script": failingScript + "\n", "canary": 1,
	}
	preview, err = d.step("A script that fails.", "execute_script", script, state("confirmation_required"))
	if err != nil {
		return err
	}
	script["confirm"], script["preview_token"] = true, preview.Preview.Token
	_, err = d.step("The canary fails, and the rest is not attempted.", "execute_script", script, func(r server.Reply, a answer) bool {
		return r.IsError && a.State == "failed" && strings.Contains(r.Text, d.lang.Sprintf("exit code %d", 3)) &&
			strings.Contains(r.Text, "not_attempted")
	})
	return err
}

func (d *demo) deleteOne(id string) error {
	arguments := map[string]any{"instance_ids": []string{id}}
	preview, err := d.step("Delete an instance. Again a preview, nothing else.", "delete_instances", arguments, state("confirmation_required"))
	if err != nil {
		return err
	}
	arguments["confirm"], arguments["preview_token"] = true, "abcdefgh23456789abcdefgh23456789abcdefgh"
	_, err = d.step("A token that was made up does not pass.", "delete_instances", arguments, state("confirmation_required"))
	if err != nil {
		return err
	}
	arguments["preview_token"] = preview.Preview.Token
	if _, err := d.step("The token of the preview does, once.", "delete_instances", arguments, state("done")); err != nil {
		return err
	}
	_, err = d.step("It is gone.", "list_instances", map[string]any{},
		func(r server.Reply, _ answer) bool { return !strings.Contains(r.Text, id) })
	return err
}

// desktops is the second act: staged runs on Huawei Cloud Workspace.
func (d *demo) desktops() error {
	list, err := d.step("Second act: Huawei Cloud Workspace. Which desktops are there?", "list_workspace_desktops", map[string]any{},
		func(_ server.Reply, a answer) bool { return len(a.linux()) > 3 })
	if err != nil {
		return err
	}
	ids := list.linux()
	run := map[string]any{
		"desktop_ids": ids, "script": "df -h\n", "gray_resource_ids": ids[:2], "gray_fail_threshold": 1, "execution_timeout": 10,
	}
	preview, err := d.step("Run a script, on two desktops first; one of them is broken.", "run_workspace_script", run, state("confirmation_required"))
	if err != nil {
		return err
	}
	run["confirm"], run["preview_token"] = true, preview.Preview.Token
	run["wait_seconds"] = 20
	if _, err = d.step("Other arguments than previewed: the token does not hold.", "run_workspace_script", run, state("confirmation_required")); err != nil {
		return err
	}
	delete(run, "wait_seconds")
	if _, err = d.step("The same as previewed: it is accepted.", "run_workspace_script", run, state("waiting")); err != nil {
		return err
	}
	return d.secondRun(ids[1:])
}

func (d *demo) secondRun(ids []string) error {
	run := map[string]any{"desktop_ids": ids, "script_ids": []string{"923438311391891456"}, "gray_count": 1, "wait_seconds": 30}
	preview, err := d.step("A stored script on the desktops that work, one of them first.", "run_workspace_script", run, state("confirmation_required"))
	if err != nil {
		return err
	}
	run["confirm"], run["preview_token"] = true, preview.Preview.Token
	if _, err = d.step("It runs, and gives its output.", "run_workspace_script", run, state("done")); err != nil {
		return err
	}
	counts := lang.Parts(lang.T("%d succeeded", 1), lang.T("%d failed", 1), lang.T("%d not run", 2))
	_, err = d.step("And the first run? Its first batch failed, so the rest was skipped.", "get_workspace_run", map[string]any{},
		func(r server.Reply, _ answer) bool {
			return strings.Contains(r.Text, counts.In(d.lang))
		})
	return err
}

func encode(arguments map[string]any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(arguments)
	return strings.TrimSpace(b.String()), err
}
