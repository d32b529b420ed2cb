package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	desktopsimulator "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// completions returns what words, of which the last is begun, may become.
func completions(t *testing.T, env map[string]string, words ...string) (values []string) {
	t.Helper()
	code, out, errs := run(t, env, "", append([]string{completeWord}, words...)...)
	if code != exitOK || errs != "" {
		t.Errorf("%q: exit %d: %s", words, code, errs)
	}
	for line := range strings.Lines(out) {
		value, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		values = append(values, value)
	}
	return values
}

func TestCompletion(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "train.sh", "")
	writeFile(t, "a b.sh", "")
	writeFile(t, "$(id).sh", "")
	if err := os.Mkdir("trials", 0o700); err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]string{
		"au":                                         "audit",
		"audit v":                                    "verify",
		"nonsense ":                                  "",
		"--log-level d":                              "debug",
		"--log-level=e":                              "--log-level=error",
		"serve --transport ":                         "stdio http sse",
		"serve --lis":                                "--listen",
		"call --conf":                                "--confirm",
		"call --disable-tools=stop":                  "--disable-tools=stop_instances --disable-tools=stop_script --disable-tools=stop_workspace_run",
		"call --toolsets prov":                       "provision",
		"call delete":                                "delete_instances",
		"call --json delete":                         "delete_instances",
		"call --max-targets 5 dele":                  "delete_instances",
		"call launch x":                              "",
		"tools get_w":                                "get_workspace_run",
		"tools get_workspace_run ":                   "",
		"help unin":                                  "uninstall",
		"help res":                                   "restart_instance resize_instance",
		"install zed":                                "zed",
		"completion ":                                "bash zsh fish",
		"simulator w":                                "workspace",
		"audit verify tr":                            "train.sh trials/",
		"audit verify ./tra":                         "./train.sh",
		"call --audit-log tri":                       "trials/",
		"call list_instances l":                      "limit=",
		"call list_instances limit=2 l":              "",
		"call list_instances sort=":                  "sort=desc sort=asc",
		"call list_instances detail=t":               "detail=true",
		"call list_instances status=Wa":              "status=Waiting",
		"call list_instances limit=":                 "",
		"call execute_script script=@t":              "script=@train.sh script=@trials/",
		"call execute_script script=@":               "script=@train.sh script=@trials/",
		"call execute_script @tra":                   "@train.sh",
		"call execute_script conf":                   "",
		"call execute_script instance_ids=x instanc": "instance_ids=",
		"call -- list_instances det":                 "detail=",
	} {
		if got := strings.Join(completions(t, nil, strings.Split(words, " ")...), " "); got != want {
			t.Errorf("%q becomes %q, want %q", words, got, want)
		}
	}
	if got := completions(t, nil); !slices.Contains(got, "call") || slices.Contains(got, completeWord) {
		t.Errorf("%q", got)
	}
}

// What the list holds is offered: by name where that is enough and safe, by id otherwise. Names are written by others.
func TestCompletionOfInstances(t *testing.T) {
	s := simulate(t, simulator.Options{})
	env := account(s)
	at := []string{"call", "delete_instances"}
	all := completions(t, env, append(at, "instance_ids=")...)
	for _, want := range []string{"instance_ids=qwen-finetune-01", "instance_ids=流体仿真-后处理", "instance_ids=d3e0702e9389426cbc9cb86cdc548a54"} {
		if !slices.Contains(all, want) { // the last bears a name that another has too
			t.Errorf("%s is missing in %q", want, all)
		}
	}
	if slices.Contains(all, "instance_ids=bert-eval") {
		t.Error("a name that two have is offered")
	}
	if got := completions(t, env, append(at, "instance_ids=qwen-finetune-01", "instance_ids=qwen")...); !slices.Equal(got, []string{"instance_ids=qwen-finetune-02"}) {
		t.Errorf("%q", got)
	}
	if got := completions(t, env, append(at, "instance_ids=530491")...); !slices.Equal(got, []string{"instance_ids=" + runningID}) {
		t.Errorf("%q", got)
	}
	if got := completions(t, env, append(at, "region=1")...); !slices.Equal(got, []string{"region=11250"}) {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"$(reboot)", "`id`", "a b", "x;y", "a\nb", "~", "-rf", "@file", "a\tb", "'", "x\u202ey", "{}", "*", "!1", "a&b", "a|b", "a>b", `a\b`} {
		s.UpdateInstance("11250", runningID, func(in *simulator.Instance) { in.Name = name })
		_, out, _ := run(t, env, "", append([]string{completeWord}, append(at, "instance_ids=")...)...)
		values := completions(t, env, append(at, "instance_ids=")...)
		if slices.Contains(values, "instance_ids="+name) || !slices.Contains(values, "instance_ids="+runningID) || strings.Count(out, "\n") != len(values) {
			t.Errorf("%q: %q", name, out)
		}
		for _, secret := range []string{env["SCNET_SECRET_KEY"], env["SCNET_ACCESS_KEY"]} {
			if strings.Contains(out, secret) {
				t.Errorf("a key is shown: %s", out)
			}
		}
	}
}

// A service that does not answer does not block the shell for long, and no credential is no error.
func TestCompletionDoesNotBlock(t *testing.T) {
	s := simulate(t, simulator.Options{})
	for _, endpoint := range []simulator.Endpoint{simulator.EndpointList, simulator.EndpointToken} {
		s.Inject(simulator.Fault{Endpoint: endpoint, HangAfter: true})
		began := time.Now()
		if got := completions(t, account(s), "call", "delete_instances", "instance_ids="); got != nil {
			t.Errorf("%q", got)
		}
		if took := time.Since(began); took > 2*completionTime {
			t.Errorf("it took %s", took)
		}
	}
	if got := completions(t, nil, "call", "delete_instances", "instance_ids="); got != nil {
		t.Errorf("%q", got)
	}
}

// The scripts work in the shells that they are for.
func TestCompletionInShells(t *testing.T) {
	path := filepath.Dir(program(t))
	for name, c := range map[string]struct {
		script string // prints a completion per line; $line is the command line
		trims  bool   // the shell itself keeps what stands before the last word break
	}{
		"bash": {`source <(scnet-mcp completion bash); COMP_LINE=$line COMP_POINT=${#line}; _scnet_mcp; printf '%s\n' "${COMPREPLY[@]}"`, true},
		"zsh": {`compadd() { printf '%s\n' "${(@P)@[-1]}"; }; source <(scnet-mcp completion zsh)
			words=("${(@s: :)line}"); CURRENT=$#words; PREFIX=$words[-1]; _scnet_mcp`, false},
		"fish": {`scnet-mcp completion fish | source; complete -C "$line" | string replace -r '\t.*' ''; true`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for line, want := range map[string]string{
				"scnet-mcp audit v":                                        "verify",
				"scnet-mcp call get_w":                                     "get_workspace_run",
				"scnet-mcp completion ":                                    "bash fish zsh",
				"scnet-mcp call list_instances det":                        "detail=",
				"scnet-mcp call list_instances sort=a":                     "sort=asc",
				"scnet-mcp call list_instances sort=":                      "sort=asc sort=desc",
				"scnet-mcp call --demo delete_instances instance_ids=流体":   "instance_ids=流体仿真-后处理",
				"scnet-mcp call --demo delete_instances instance_ids=bert": "instance_ids=bert-train",
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				shell := exec.CommandContext(ctx, name, "-c", c.script)
				if name == "zsh" {
					shell = exec.CommandContext(ctx, name, "-f", "-c", c.script)
				}
				shell.Env = append(os.Environ(), "line="+line, "PATH="+path+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
				var out, errs bytes.Buffer
				shell.Stdout, shell.Stderr = &out, &errs
				err := shell.Run()
				cancel()
				got := strings.Fields(out.String())
				slices.Sort(got)
				if words := strings.Fields(want); c.trims {
					for i, word := range words {
						_, after, found := strings.Cut(word, "=")
						if typed := line[strings.LastIndex(line, " ")+1:]; found && strings.Contains(typed, "=") {
							words[i] = after
						}
					}
					want = strings.Join(words, " ")
				}
				if strings.Join(got, " ") != want || err != nil || errs.Len() > 0 {
					t.Errorf("%q becomes %q, want %q; %v %s", line, got, want, err, &errs)
				}
			}
		})
	}
}

// FuzzComplete checks that candidates continue what was typed, and are nothing that a shell would act on.
func FuzzComplete(f *testing.F) {
	for _, words := range []string{"", "call list_instances sort=", "--log-level=", "call -- @", "help audit v", "install x -- --", "call execute_script script=@/"} {
		f.Add(words)
	}
	var commands grammar
	parser, err := kong.New(&commands, kong.Vars{"version": ""})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, words string) {
		if strings.Contains(words, "demo") {
			t.Skip("starts a simulator")
		}
		all := strings.Split(words, " ")
		var out bytes.Buffer
		complete(t.Context(), lang.English, parser.Model, all, &out)
		for line := range strings.Lines(out.String()) {
			value, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !strings.HasPrefix(value, all[len(all)-1]) || strings.ContainsAny(value, "$`;&|<>(){}*?!\\'\"~# \n\t") || strings.HasPrefix(value, "=") {
				t.Errorf("%q may become %q", words, value)
			}
		}
	})
}

// Runs and scripts of Workspace are known by ids alone. Only a run that is not over can be stopped.
func TestCompletionOfRuns(t *testing.T) {
	hw := desktopsimulator.New(desktopsimulator.Options{Timing: desktopsimulator.Timing{Script: time.Hour}})
	fakecloudtest.Start(t, hw)
	env := map[string]string{}
	for pair := range slices.Chunk(desktops(hw), 2) {
		env[pair[0]] = pair[1]
	}
	scripts := completions(t, env, "call", "list_workspace_scripts", "script_id=")
	if len(scripts) != 3 {
		t.Fatalf("%q", scripts)
	}
	if got := completions(t, env, "call", "run_workspace_script", "script_ids="+strings.TrimPrefix(scripts[0], "script_id="), "script_ids="); len(got) != 2 {
		t.Errorf("%q", got)
	}
	runs := func(tool string) []string { return completions(t, env, "call", tool, "run_id=") }
	if got := slices.Concat(runs("get_workspace_run"), runs("stop_workspace_run")); got != nil {
		t.Errorf("%q", got)
	}
	code, out, errs := run(t, env, "", "call", "run_workspace_script", "desktop_ids=dev-linux-02", "script=uptime", "script_type=SHELL", "--confirm", "--json")
	var started struct {
		RunID string `json:"run_id"`
	}
	if err := json.Unmarshal([]byte(out), &started); err != nil || started.RunID == "" {
		t.Fatalf("%v, exit status %d: %s%s", err, code, out, errs)
	}
	want := []string{"run_id=" + started.RunID}
	if read, change := runs("get_workspace_run"), runs("stop_workspace_run"); !slices.Equal(read, want) || !slices.Equal(change, want) {
		t.Errorf("%q, %q, want %q", read, change, want)
	}
	if code, out, errs := run(t, env, "", "call", "stop_workspace_run", want[0], "--confirm"); code != exitOK {
		t.Fatalf("exit status %d: %s%s", code, out, errs)
	}
	if read, change := runs("get_workspace_run"), runs("stop_workspace_run"); !slices.Equal(read, want) || change != nil {
		t.Errorf("of a run that is over: %q, %q", read, change)
	}
	if got := runs("get_script_output"); got != nil {
		t.Errorf("nothing lists the runs of execute_script: %q", got)
	}
}
