package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// TestExitStatusOfCalls breaks the service in the ways in which a change can end.
func TestExitStatusOfCalls(t *testing.T) {
	deletion := []string{"delete_instances", "instance_ids=" + completedID}
	script := []string{"execute_script", "instance_ids=" + runningID, "script=id"}
	restarting := []string{"restart_instance", "instance_id=" + completedID}
	for name, c := range map[string]struct {
		fault simulator.Fault
		call  []string
		exit  int
		says  string
	}{
		"deleted":              {simulator.Fault{}, deletion, toolbox.ExitDone, "1 deleted"},
		"a refused delete":     {simulator.Fault{Endpoint: simulator.EndpointDelete, Code: "716866"}, deletion, toolbox.ExitFailed, "1 refused"},
		"a lost delete":        {simulator.Fault{Endpoint: simulator.EndpointDelete, Status: 503}, deletion, toolbox.ExitFailed, "1 unknown"},
		"a script":             {simulator.Fault{}, script, toolbox.ExitDone, "1 succeeded of 1"},
		"a rejected script":    {simulator.Fault{Endpoint: simulator.EndpointExecute, Code: "716864"}, script, toolbox.ExitFailed, "1 not run of 1"},
		"a lost restart":       {simulator.Fault{Endpoint: simulator.EndpointRestart, Status: 503}, restarting, toolbox.ExitFailed, "unknown"},
		"accepted, not over":   {simulator.Fault{}, restarting, toolbox.ExitWaiting, "waiting"},
		"without any consent":  {simulator.Fault{}, append(deletion, "confirm=true"), toolbox.ExitConsent, "PREVIEW"},
		"wrong rules":          {simulator.Fault{}, append(script, "canary=-1"), toolbox.ExitWrong, ""},
		"a read that is fine":  {simulator.Fault{}, []string{"list_instances"}, toolbox.ExitDone, "instances"},
		"a read that is not":   {simulator.Fault{Endpoint: simulator.EndpointList, Code: "716020"}, []string{"list_instances"}, toolbox.ExitFailed, ""},
		"an argument too much": {simulator.Fault{}, []string{"list_instances", "x=1"}, toolbox.ExitWrong, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := simulate(t, simulator.Options{})
			if c.fault != (simulator.Fault{}) {
				s.Inject(c.fault)
			}
			env := account(s)
			env["SCNET_CLUSTER_ID"] = "11250"
			args := append([]string{"call"}, c.call...)
			if c.exit != toolbox.ExitConsent {
				args = append(args, "--confirm")
			}
			code, out, errs := run(t, env, "", args...)
			if code != c.exit {
				t.Errorf("exit %d, want %d; %s%s", code, c.exit, out, errs)
			}
			contains(t, "stdout", out, c.says)
		})
	}
}

// closedPipe is stdout after its reader has gone.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

// A reader that has seen enough is not a failure of what the command did.
func TestClosedPipe(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		exit int
	}{
		"a change":  {[]string{"call", "--demo", "delete_instances", "instance_ids=" + completedID, "--confirm"}, toolbox.ExitDone},
		"a preview": {[]string{"call", "--demo", "delete_instances", "instance_ids=" + completedID}, toolbox.ExitConsent},
		"tools":     {[]string{"tools", "--demo"}, exitOK},
		"doctor":    {[]string{"doctor"}, exitError},
		"help":      {[]string{"--help"}, exitOK},
		"a tool":    {[]string{"help", "list_instances"}, exitOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", t.TempDir())
			var errs lockedBuffer
			if code := Run(c.args, Streams{In: strings.NewReader(""), Out: closedPipe{}, Err: &errs}); code != c.exit {
				t.Errorf("exit %d, want %d", code, c.exit)
			}
			if strings.Contains(errs.String(), "pipe") {
				t.Error(errs.String())
			}
		})
	}
	full := writerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC })
	var errs lockedBuffer
	if code := Run([]string{"call", "--demo", "list_instances"}, Streams{In: strings.NewReader(""), Out: full, Err: &errs}); code != exitError {
		t.Errorf("a full disk: exit %d", code)
	}
	contains(t, "stderr", errs.String(), "cannot be written", "would have been 0")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// An interrupt at the question ends the call at once, as a no, although nobody presses Enter.
func TestInterruptAtTheQuestion(t *testing.T) {
	s := simulate(t, simulator.Options{})
	for variable, value := range account(s) {
		t.Setenv(variable, value)
	}
	t.Setenv("SCNET_CLUSTER_ID", "11250")
	service, closeAll, err := demoFlag{}.open(Streams{}, policyFlags{MaxTargets: 10, MaxMutationsPerHour: 60, auditFlags: auditFlags{AuditLog: "off"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	terminal, keyboard := io.Pipe()
	defer func() { _ = keyboard.Close() }()
	ctx, interrupt := context.WithCancelCause(t.Context())
	screen := writerFunc(func(p []byte) (int, error) {
		if strings.HasSuffix(string(p), "> ") { // the question is there
			interrupt(interruption{os.Interrupt})
		}
		return len(p), nil
	})
	sh := shell{toolbox: newToolbox(service), person: true, streams: Streams{In: terminal, Err: screen}}
	result, err := sh.call(ctx, "delete_instances", json.RawMessage(`{"instance_ids":["`+completedID+`"]}`))
	if !errors.Is(err, toolbox.ErrDeclined) || toolbox.ExitStatus(result, err) != toolbox.ExitConsent {
		t.Errorf("%+v, %v", result, err)
	}
	if text := explain(ctx, lang.English, err); text != "Interrupted. Nothing was changed." {
		t.Error(text)
	}
	if n := sent(s, simulator.EndpointDelete); n != 0 {
		t.Errorf("%d deletes were sent", n)
	}
}

func TestParseArguments(t *testing.T) {
	folder := t.TempDir()
	file, binary, huge := filepath.Join(folder, "s.sh"), filepath.Join(folder, "b"), filepath.Join(folder, "h")
	object := filepath.Join(folder, "o.json")
	writeFile(t, object, "{\"a\":1}\n")
	writeFile(t, file, "#!/bin/sh\necho \"hi\"\n")
	writeFile(t, binary, "\xff\xfe")
	writeFile(t, huge, strings.Repeat("x", maxArgument+1))
	for name, c := range map[string]struct {
		words []string
		stdin string
		want  string
		fails string
	}{
		"none":                {nil, "", `{}`, ""},
		"a file":              {[]string{"script=@" + file}, "", `{"script":"#!/bin/sh\necho \"hi\"\n"}`, ""},
		"stdin":               {[]string{"script=@-"}, "id\n", `{"script":"id\n"}`, ""},
		"a literal @":         {[]string{"name=@@file"}, "", `{"name":"@file"}`, ""},
		"an @ inside":         {[]string{"name=a@b"}, "", `{"name":"a@b"}`, ""},
		"an = inside":         {[]string{"script=A=1"}, "", `{"script":"A=1"}`, ""},
		"a list":              {[]string{"a=1", "b=2", "a=3"}, "", `{"a":["1","3"],"b":"2"}`, ""},
		"an object":           {[]string{`{"a": 1, "a": 2}`}, "", `{"a": 1, "a": 2}`, ""}, // the schema refuses it
		"an object of stdin":  {[]string{"-"}, " {\"a\":1}\n", `{"a":1}`, ""},
		"an object by @-":     {[]string{"@-"}, " {\"a\":1}\n", `{"a":1}`, ""},
		"an object of a file": {[]string{"@" + object, "b=x"}, "", `{"a":1,"b":"x"}`, ""},
		"nested":              {[]string{`n=[{"x":1}]`, `m=[{"x":1}]`}, "", `{"n":[{"x":1}],"m":"[{\"x\":1}]"}`, ""},
		"nested, not JSON":    {[]string{`n=x`}, "", `{"n":"x"}`, ""}, // the schema refuses it
		"no object":           {[]string{"@" + folder + "/none"}, "", "", "no such file"},
		"two by @":            {[]string{"@" + object, "@" + object}, "", "", "two JSON objects"},
		"nothing on stdin":    {[]string{"-"}, "", ``, ""}, // the schema refuses it
		"both":                {[]string{`{"a": [1, 2]}`, "b=@-"}, "x", `{"a": [1, 2],"b":"x"}`, ""},
		"an empty object":     {[]string{`{ }`, "b=x"}, "", `{"b":"x"}`, ""},
		"the same name":       {[]string{`{"a":1}`, "a=2"}, "", `{"a":1,"a":"2"}`, ""}, // the schema refuses it
		"no such file":        {[]string{"script=@" + folder + "/none"}, "", "", "script: open"},
		"no file":             {[]string{"script=@"}, "", "", "does not name a file"},
		"not text":            {[]string{"script=@" + binary}, "", "", "is not UTF-8 text"},
		"not text in a word":  {[]string{"script=\xff"}, "", "", "is not UTF-8 text"},
		"a huge file":         {[]string{"script=@" + huge}, "", "", "more than 1048576 bytes"},
		"stdin twice":         {[]string{"-", "script=@-"}, "{}", "", "only once"},
		"two objects":         {[]string{"{}", "-"}, "{}", "", "two JSON objects"},
		"a word":              {[]string{"limit"}, "", "", "neither name=value"},
		"no name":             {[]string{"=1"}, "", "", "neither name=value"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseArguments(c.words, strings.NewReader(c.stdin), map[string]bool{"n": true})
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%s, %v", got, err)
				}
				return
			}
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

// FuzzParseArguments checks that what the command line makes of words is one JSON object, unless JSON was given as it is.
func FuzzParseArguments(f *testing.F) {
	f.Add(`{"a":1}`, "b=2", "")
	f.Add("a=@-", `{ }`, "x")
	f.Add("a=1", "a=2", "")
	f.Add(`{"a":"}"}`, "b=@@x", "")
	f.Fuzz(func(t *testing.T, first, second, stdin string) {
		for _, word := range []string{first, second} {
			if _, value, _ := strings.Cut(word, "="); strings.HasPrefix(value, "@") && value != "@-" || strings.HasPrefix(word, "@") && word != "@-" {
				t.Skip("reads a file")
			}
		}
		got, err := parseArguments([]string{first, second}, strings.NewReader(stdin), map[string]bool{"n": true})
		if err != nil {
			return
		}
		var object map[string]any
		if err := json.Unmarshal(got, &object); err != nil {
			t.Errorf("%q %q %q: %s is not an object: %v", first, second, stdin, got, err)
		}
		if fmt.Sprint(object) == "map[]" && strings.Contains(second, "=") && !strings.HasPrefix(strings.TrimSpace(second), "{") {
			t.Errorf("%q is lost in %s", second, got)
		}
	})
}

// Who has keys of one cloud only, and calls a tool of the other, is told what to set.
func TestCallWithoutTheKeys(t *testing.T) {
	for tool, c := range map[string]struct {
		env  map[string]string
		says []string
	}{
		"list_instances": {
			map[string]string{"HUAWEICLOUD_SDK_AK": "hwaccesskey", "HUAWEICLOUD_SDK_SK": "hwsecretkey", "HUAWEICLOUD_SDK_REGION": "cn-north-4"},
			[]string{"list_instances is not offered", "no credential", "SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY"},
		},
		"list_workspace_desktops": {
			map[string]string{"SCNET_USER": "demo", "SCNET_ACCESS_KEY": "accesskey", "SCNET_SECRET_KEY": "secretkey"},
			[]string{"list_workspace_desktops is not offered", "HUAWEICLOUD_SDK_AK"},
		},
	} {
		code, out, errs := run(t, c.env, "", "call", tool)
		if code != toolbox.ExitFailed || out != "" {
			t.Errorf("%s: exit %d; %s", tool, code, out)
		}
		contains(t, tool, errs, c.says...)
	}
}

func TestErrorAsJSON(t *testing.T) {
	s := simulate(t, simulator.Options{})
	s.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Status: http.StatusForbidden, Code: "10007", Message: "用户已被冻结"})
	env := account(s)
	env["SCNET_CLUSTER_ID"] = "11250"
	code, out, errs := run(t, env, "", "call", "--json", "list_instances")
	var got struct{ Error problem }
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e := got.Error
	if code != toolbox.ExitFailed || e.ExitStatus != code || e.Code != "10007" || e.Kind != string(upstream.Credential) ||
		e.HTTPStatus != http.StatusForbidden || e.Retryable || !strings.Contains(errs, e.Message) {
		t.Errorf("exit %d, %+v; %s", code, e, errs)
	}
}

// What is wrong with a command line, or with a policy, is JSON as well where JSON was asked for.
func TestEveryErrorAsJSON(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		exit int
		kind string
		says string
	}{
		"no such flag":     {[]string{"call", "list_instances", "--json", "--nonsense"}, exitUsage, "argument", "--nonsense"},
		"no tool":          {[]string{"call", "--json"}, exitUsage, "argument", "<tool>"},
		"no such tool":     {[]string{"call", "--demo", "--json", "launch"}, toolbox.ExitWrong, "argument", "the tools are"},
		"no such argument": {[]string{"call", "--demo", "--json", "list_instances", "x=1"}, toolbox.ExitWrong, "argument", "x: unknown argument"},
		"no such file":     {[]string{"call", "--demo", "--json", "list_instances", "name=@/none"}, toolbox.ExitWrong, "argument", "no such file"},
		"a wrong policy":   {[]string{"call", "--demo", "--json", "--max-targets=0", "list_instances"}, exitError, "other", "--max-targets"},
		"a refusal":        {[]string{"call", "--demo", "--json", "--read-only", "delete_instances", "instance_ids=x"}, toolbox.ExitFailed, "policy", "read-only"},
		"one tool":         {[]string{"tools", "--demo", "--json", "launch"}, exitUsage, "argument", "the tools are"},
		"doctor":           {[]string{"doctor", "--json", "--consent=x=y"}, exitError, "other", "--consent"},
	} {
		code, out, errs := run(t, nil, "", c.args...)
		var got struct{ Error problem }
		if err := json.Unmarshal([]byte(out), &got); err != nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if e := got.Error; code != c.exit || e.ExitStatus != code || e.Kind != c.kind || !strings.Contains(e.Message, c.says) || !strings.Contains(errs, e.Message) {
			t.Errorf("%s: exit %d, %+v; %s", name, code, e, errs)
		}
	}
	if _, out, _ := run(t, nil, "", "call", "--demo", "list_instances", "x=1"); out != "" {
		t.Errorf("without --json: %s", out)
	}
}
