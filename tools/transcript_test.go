package tools_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/golden"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
	cloudsim "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// scene is a call in a world of its own, kept with everything that it leaves behind.
type scene struct {
	name      string
	arguments arguments
	confirm   bool // a preview is confirmed, and both are kept
	asks      bool // the client can ask its user
	policy    guard.Policy
	reveals   bool                               // access addresses are allowed
	elsewhere []simulator.Instance               // in a second region
	before    func(*testing.T, *stage) arguments // prepares the world; what it returns is added to the arguments
	prepare   func(*stage)                       // between preview and confirmation
	lang      lang.Lang
}

// stage is the world of a scene. Tools of Workspace have a cloud too.
type stage struct {
	*world
	cloud *cloud
}

func (s *stage) fault(f simulator.Fault) { s.Inject(f) }

func faulty(f simulator.Fault) func(*testing.T, *stage) arguments {
	return func(_ *testing.T, s *stage) arguments { s.fault(f); return nil }
}

func cloudy(f cloudsim.Fault) func(*testing.T, *stage) arguments {
	return func(_ *testing.T, s *stage) arguments { s.cloud.sim.Inject(f); return nil }
}

// becomes makes the first instance one of a status and a type.
func becomes(status, taskType string) func(*testing.T, *stage) arguments {
	return func(_ *testing.T, s *stage) arguments {
		s.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Status, in.TaskType = status, taskType })
		return nil
	}
}

// ran starts a run and waits for its end if wait says so.
func ran(wait bool) func(*testing.T, *stage) arguments {
	return func(t *testing.T, s *stage) arguments {
		a := running(2)
		if !wait {
			delete(a, "wait_seconds")
		}
		_, out := s.cloud.run(t, a)
		return arguments{"run_id": out.RunID}
	}
}

var protectFirst = guard.Policy{Protect: []guard.Pattern{mustPattern("name:*-001")}}

func mustPattern(text string) guard.Pattern {
	p, err := guard.ParsePattern(text)
	if err != nil {
		panic(err)
	}
	return p
}

// elsewhere is what the second region of a scene has.
var elsewhere = []simulator.Instance{
	{ID: id(11), Name: "far-1", Status: simulator.Running, AcceleratorType: "gpu", GPUNumber: 4},
	{ID: id(12), Name: "far-2", Status: simulator.Completed, AcceleratorType: "gpu", GPUNumber: 1},
}

// scenes are what is played for a tool besides what is played for every tool. A tool without scenes needs none.
var scenes = map[string][]scene{
	"list_instances": {
		{name: "result"},
		{name: "detail", arguments: arguments{"detail": true, "limit": 2}},
		{name: "filters", arguments: arguments{"name": "JOB", "status": "stopped", "task_type": "SSH", "start": 9, "sort": "asc"}},
		{name: "error", before: faulty(simulator.Fault{Endpoint: simulator.EndpointList, Code: "716020"})},
		{name: "other region", arguments: arguments{"region": "nowhere"}},
		{name: "two regions", arguments: arguments{"limit": 2}, elsewhere: elsewhere},
		{name: "statuses", arguments: arguments{"status": "running,排队", "region": "all", "limit": 2}, elsewhere: elsewhere},
		{name: "not asked", arguments: arguments{"region": home, "name": "far"}, elsewhere: elsewhere},
		{name: "no statuses", arguments: arguments{"status": []string{"idle", "running", "busy"}}},
		{name: "one region fails", elsewhere: elsewhere, before: faulty(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{Region: away}, Status: 503})},
		{name: "all regions fail", elsewhere: elsewhere, before: faulty(simulator.Fault{Endpoint: simulator.EndpointList, Code: "716020"})},
	},
	"get_instance": {
		{name: "result", arguments: arguments{"instance_id": id(1)}},
		{name: "by name, waiting", arguments: arguments{"instance_id": "job-003", "wait_for": "settled", "wait_seconds": 5}},
		{name: "part of a name", arguments: arguments{"instance_id": "job"}},
		{name: "missing", arguments: arguments{"instance_id": id(99)}},
		{name: "no status", arguments: arguments{"instance_id": id(1), "wait_for": "idle"}},
		{name: "failed", arguments: arguments{"instance_id": id(1)}, before: becomes(simulator.Failed, "jupyter")},
		{name: "access", arguments: arguments{"instance_id": id(1), "show_access": true}, before: becomes(simulator.Running, "jupyter"), reveals: true},
		{name: "access, not allowed", arguments: arguments{"instance_id": id(1), "show_access": true}, before: becomes(simulator.Running, "jupyter")},
		{name: "access, queueing", arguments: arguments{"instance_id": id(1), "show_access": true}, before: becomes(simulator.Waiting, "jupyter"), reveals: true},
	},
	"restart_instance": {
		{name: "result", arguments: arguments{"instance_id": id(2), "wait_seconds": 50}, confirm: true},
		{name: "human", arguments: arguments{"instance_id": id(2), "confirm": true}, asks: true,
			policy: guard.Policy{Consent: map[string]guard.Level{"restart_instance": guard.Human}}},
		{name: "active", arguments: arguments{"instance_id": id(3)}},
		{name: "missing", arguments: arguments{"instance_id": id(99)}},
		{name: "name", arguments: arguments{"instance_id": "JOB-002"}, confirm: true},
		{name: "part of a name", arguments: arguments{"instance_id": "job"}},
		{name: "running", arguments: arguments{"instance_id": id(1)}},
		{name: "protected", arguments: arguments{"instance_id": id(2)}, policy: guard.Policy{Protect: []guard.Pattern{mustPattern("name:*-002")}}},
		{name: "refused", arguments: arguments{"instance_id": id(2), "confirm": true},
			before: faulty(simulator.Fault{Endpoint: simulator.EndpointRestart, Code: "716868"})},
		{name: "lost", arguments: arguments{"instance_id": id(2), "confirm": true},
			before: faulty(simulator.Fault{Endpoint: simulator.EndpointRestart, ResetAfter: true})},
		{name: "lost, not done", arguments: arguments{"instance_id": id(2), "confirm": true},
			before: faulty(simulator.Fault{Endpoint: simulator.EndpointRestart, Reset: true})},
	},
	"delete_instances": {
		{name: "result", arguments: deletion(id(1), id(2), id(99)), confirm: true},
		{name: "human", arguments: deletion(id(1), id(2)).with(arguments{"confirm": true}), asks: true},
		{name: "no token", arguments: deletion(id(1)).with(arguments{"confirm": true})},
		{name: "nothing to do", arguments: deletion(id(99))},
		{name: "names", arguments: deletion("job", "job-001", "a,b")},
		{name: "protected", arguments: deletion(id(1)), policy: protectFirst},
		{name: "too many", arguments: deletion(ids(3)...), policy: guard.Policy{MaxTargets: 2}},
		{name: "refused", arguments: deletion(ids(2)...), confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointDelete, Code: "716866"}) }},
		{name: "lost", arguments: deletion(ids(2)...), confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointDelete, ResetAfter: true}) }},
		{name: "changed", arguments: deletion(id(1)), confirm: true, prepare: func(s *stage) {
			s.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.Name = "another" })
		}},
	},
	"stop_instances": {
		{name: "result", arguments: deletion(id(1), id(2), id(3), id(99)), confirm: true},
		{name: "human", arguments: deletion(id(1)).with(arguments{"confirm": true}), asks: true},
		{name: "nothing to do", arguments: deletion(id(2))},
		{name: "protected", arguments: deletion(id(1)), policy: protectFirst},
		{name: "refused", arguments: deletion(id(1)), confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointStop, Code: "10004"}) }},
		{name: "lost", arguments: deletion(id(1)), confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointStop, Reset: true}) }},
	},
	"list_resources": {
		{name: "groups", arguments: arguments{"kind": "groups"}},
		{name: "mounts", arguments: arguments{"kind": "mounts"}},
		{name: "images", arguments: arguments{"kind": "images", "limit": 2}},
		{name: "error", arguments: arguments{"kind": "groups"}, before: faulty(simulator.Fault{Endpoint: simulator.EndpointGroups, Code: "10009"})},
	},
	"create_instance": {
		{name: "result", arguments: creation(), confirm: true},
		{name: "human", arguments: creation().with(arguments{"confirm": true, "time_limit": "unlimited"}), asks: true},
		{name: "problems", arguments: arguments{"name": "a", "accelerator_type": "dcu", "resource_group": "none", "image": "none"}},
		{name: "too many accelerators", arguments: creation(), policy: guard.Policy{MaxAccelerators: 2}},
		{name: "too many occupied", arguments: creation(), policy: guard.Policy{MaxRunningAccelerators: 8}},
		{name: "refused", arguments: creation(), confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointCreate, Code: "716865"}) }},
		{name: "lost", arguments: creation(), confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointCreate, Reset: true}) }},
	},
	"resize_instance": {
		{name: "result", arguments: arguments{"instance_id": id(2), "accelerators": 1, "cpus": 8, "memory_mb": 8192}, confirm: true},
		{name: "running", arguments: arguments{"instance_id": id(1), "accelerators": 1}},
		{name: "protected", arguments: arguments{"instance_id": id(2), "cpus": 8, "memory_mb": 8192},
			policy: guard.Policy{Protect: []guard.Pattern{mustPattern("id:" + id(2))}}},
		{name: "lost", arguments: arguments{"instance_id": id(2), "cpus": 8, "memory_mb": 8192}, confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointResize, Reset: true}) }},
	},
	"execute_script": {
		{name: "result", confirm: true,
			arguments: execution("date\nid\n", id(1), id(2), id(4)).with(arguments{"canary": 1, "canary_wait_seconds": 5})},
		{name: "human", arguments: execution("date", id(1)).with(arguments{"confirm": true, "scope": "header"}), asks: true},
		{name: "nothing to do", arguments: execution("date", id(2))},
		{name: "missing", arguments: execution("date", id(1), id(99))},
		{name: "protected", arguments: execution("date", id(1)), policy: protectFirst},
		{name: "rejected", arguments: execution("date", id(1), id(4)).with(arguments{"concurrency": 1}), confirm: true,
			prepare: func(s *stage) { s.fault(simulator.Fault{Endpoint: simulator.EndpointExecute, Code: "716864"}) }},
		{name: "lost", arguments: execution("date", id(1), id(4)).with(arguments{"concurrency": 1, "max_failures": 5}), confirm: true,
			prepare: func(s *stage) {
				s.fault(simulator.Fault{Endpoint: simulator.EndpointExecute, ResetAfter: true, Times: 1})
			}},
	},
	"list_workspace_desktops": {
		{name: "result"},
		{name: "page", arguments: arguments{"start": 1, "limit": 1}},
		{name: "error", before: cloudy(cloudsim.Fault{Endpoint: cloudsim.OpListDesktopsDetail, Code: "APIGW.0308"})},
	},
	"list_workspace_scripts": {
		{name: "result"},
		{name: "one", arguments: arguments{"script_id": shellScript}},
		{name: "missing", arguments: arguments{"script_id": "1"}},
		{name: "error", before: cloudy(cloudsim.Fault{Endpoint: cloudsim.OpListScripts, Code: "WKS.00211401"})},
	},
	"run_workspace_script": {
		{name: "result", arguments: running(2), confirm: true},
		{name: "text", arguments: inline(3, "date\n").with(arguments{"gray_count": 1, "gray_fail_threshold": 1}), confirm: true},
		{name: "not waited", arguments: inline(1, "date\n").with(arguments{"wait_seconds": 0}), confirm: true},
		{name: "human", arguments: running(1).with(arguments{"confirm": true}), asks: true},
		{name: "missing", arguments: arguments{"desktop_ids": []string{pc(99)}, "script_ids": []string{shellScript}}},
		{name: "both", arguments: running(1).with(arguments{"script": "date"})},
		{name: "wrong size", arguments: running(2).with(arguments{"gray_count": 5})},
		{name: "protected", arguments: running(1), policy: guard.Policy{Protect: []guard.Pattern{mustPattern("name:dev-01")}}},
		{name: "refused", arguments: running(1), confirm: true, prepare: func(s *stage) {
			s.cloud.sim.Inject(cloudsim.Fault{Endpoint: cloudsim.OpExecute, Times: 1, Code: "WKS.00139901", Status: 400})
		}},
		{name: "lost", arguments: inline(1, "date\n"), confirm: true, prepare: func(s *stage) {
			s.cloud.sim.Inject(cloudsim.Fault{Endpoint: cloudsim.OpExecute, Times: 1, ResetAfter: true})
		}},
	},
	"get_workspace_run": {
		{name: "none"},
		{name: "result", before: ran(true)},
		{name: "latest", before: func(t *testing.T, s *stage) arguments { ran(true)(t, s); return nil }},
		{name: "missing", arguments: arguments{"run_id": "1"}},
		{name: "error", before: cloudy(cloudsim.Fault{Endpoint: cloudsim.OpListTasks, Code: "WKS.00211401"})},
	},
	"stop_workspace_run": {
		{name: "result", before: ran(false), confirm: true},
		{name: "over", before: ran(true)},
		{name: "protected", before: ran(false), policy: guard.Policy{Protect: []guard.Pattern{mustPattern("name:dev-02")}}},
		{name: "missing", arguments: arguments{"run_id": "1"}},
	},
}

// transcriptFolders hold a file for every tool: everything, and what is said in Chinese.
const (
	transcriptFolder        = "testdata/transcripts"
	chineseTranscriptFolder = "testdata/transcripts.zh-CN"
)

// played is what a scene leaves behind.
type played struct {
	all  strings.Builder
	said strings.Builder // what people and models read
	data strings.Builder // what programs read
}

// TestTranscripts keeps what every tool answers, records and observes. In Chinese it says it in other words, and everything
// that programs read is the same.
func TestTranscripts(t *testing.T) {
	files := map[string]bool{}
	for _, tool := range tools.Catalogue() {
		file, chinese := filepath.Join(transcriptFolder, tool.Name+".txt"), filepath.Join(chineseTranscriptFolder, tool.Name+".txt")
		files[file], files[chinese] = true, true
		t.Run(tool.Name, func(t *testing.T) {
			var all, said strings.Builder
			for _, s := range append([]scene{
				{name: "not offered", policy: guard.Policy{DisabledTools: []string{tool.Name}}},
				{name: "wrong arguments", arguments: arguments{"no_such_argument": 1, "limit": "x", "confirm": "perhaps"}},
			}, scenes[tool.Name]...) {
				english, other := &played{}, &played{}
				synctest.Test(t, func(t *testing.T) { s.play(t, tool, english) })
				s.lang = lang.Chinese
				synctest.Test(t, func(t *testing.T) { s.play(t, tool, other) })
				all.WriteString(anonymous(english.all.String()))
				said.WriteString(anonymous(other.said.String()))
				if a, b := anonymous(english.data.String()), anonymous(other.data.String()); a != b {
					t.Errorf("%s: data depend on the language:\n%s\nin Chinese:\n%s", s.name, a, b)
				}
			}
			golden.Check(t, file, all.String())
			golden.Check(t, chinese, said.String())
		})
	}
	stored, err := filepath.Glob(filepath.Join(transcriptFolder+"*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stored {
		switch {
		case files[file]:
		case golden.Updating():
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("%s is of no tool; run the test with -update", file)
		}
	}
}

// play makes the scene's calls and keeps what they leave behind.
func (s scene) play(t *testing.T, tool toolbox.Tool, p *played) {
	words, data := io.MultiWriter(&p.all, &p.said), io.MultiWriter(&p.all, &p.data)
	kept := &keptRecords{}
	var endings []toolbox.Observation
	rules := toolbox.Rules{Lang: s.lang, Audit: kept, Policy: guard.Policy{AllowAccessURLs: s.reveals}, Observe: func() func(toolbox.Observation) {
		return func(o toolbox.Observation) { endings = append(endings, o) }
	}}
	on := &stage{}
	if tool.Toolset == tools.WorkspaceToolset {
		on.cloud = newCloud(t, cloudSetup{desktops: pcs(3), rules: rules})
		on.world = on.cloud.world
	} else {
		on.world = newWorld(t, setup{rules: rules, elsewhere: s.elsewhere, instances: []simulator.Instance{
			job(1, simulator.Running), job(2, simulator.Terminated), job(3, simulator.Waiting), job(4, simulator.Running)}})
	}
	a := s.arguments.with(nil)
	if a == nil {
		a = arguments{}
	}
	if s.before != nil {
		a = a.with(s.before(t, on))
	}
	s.policy.AllowAccessURLs = true // the operator's policy decides
	on.toolbox = on.toolbox.ForCaller(on.caller.Name, s.policy, guard.Fixed(s.policy), 0)
	calls := []arguments{a}
	for i := 0; i < len(calls); i++ {
		kept.records, endings = nil, nil
		caller := on.caller
		caller.CanAsk = s.asks
		r, err := on.try(t.Context(), toolbox.Call{Tool: tool.Name, Arguments: encoded(calls[i]), Caller: caller})
		fmt.Fprintf(words, "=== %s: %s\n", s.name, encoded(calls[i]))
		switch {
		case err != nil:
			fmt.Fprintf(words, "--- error\n%s\n", toolbox.Explain(s.lang, err))
		case r.Question != nil:
			choices := make([]string, len(r.Question.Choices))
			for i, choice := range r.Question.Choices {
				choices[i] = choice.In(s.lang)
			}
			fmt.Fprintf(words, "--- question %q, phrase %q\n%s\n", choices, r.Question.Phrases, r.Question.Message.In(s.lang))
		default:
			fmt.Fprintf(words, "--- result\n%s\n", r.Text)
			fmt.Fprintf(data, "--- structured\n%s\n", indented(r.Structured))
		}
		_, _ = io.WriteString(data, "--- kept\n")
		for _, record := range kept.records {
			line, _ := json.Marshal(record)
			fmt.Fprintf(data, "%s\n", unchanging.Replace(string(line)))
		}
		for _, o := range endings {
			fmt.Fprintf(data, "tool %s, caller %s, outcome %s, consent %q, rule %q\n", o.Tool, o.Caller, o.Ending, o.Consent, o.Rule)
		}
		if i == 0 && s.confirm {
			if s.prepare != nil {
				s.prepare(on)
			}
			calls = append(calls, a.with(arguments{"confirm": true, "preview_token": r.Token}))
		}
	}
}

// keptRecords is an audit log in memory, without what differs each time.
type keptRecords struct{ records []audit.Record }

func (k *keptRecords) Append(_ context.Context, r audit.Record) error {
	r.Call, r.Token, r.Time, r.DurationMS = "", "", time.Time{}, 0
	r.Client, r.Transport = "", ""
	k.records = append(k.records, r)
	return nil
}

func indented(text []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", " "); err != nil {
		return string(text)
	}
	return b.String()
}

// unchanging are the fields that say nothing here.
var unchanging = strings.NewReplacer(`"seq":0,"time":"0001-01-01T00:00:00Z",`, "", `,"prev":""`, "")

// random is what differs each time: tokens, ids of errors and the names that texts are stored under.
var random = regexp.MustCompile(`((?:preview_token|"token)["\\]*[=:] *["\\]*)[^" ,}\\]+|` +
	`(arguments":\{.*"preview_token":"sha256:)[0-9a-f]+|(error id )\w+|(scnet-mcp-[0-9a-f]{12}-)[a-z0-9]+`)

func anonymous(text string) string { return random.ReplaceAllString(text, "${1}${2}${3}${4}…") }
