package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var built struct {
	sync.Once
	folder, program string
	err             error
}

func TestMain(m *testing.M) {
	_ = os.Setenv("SCNET_MCP_LANG", "en") // whatever the locale of whoever runs the tests
	state, err := os.MkdirTemp("", "scnet-mcp-state")
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("XDG_STATE_HOME", state) // not the user's own
	code := m.Run()
	_ = os.RemoveAll(state)
	_ = os.RemoveAll(built.folder)
	os.Exit(code)
}

// program builds the program once for all tests and returns its path.
func program(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		//nolint:usetesting // it outlives the test that builds it
		if built.folder, built.err = os.MkdirTemp("", "scnet-mcp-"); built.err != nil {
			return
		}
		built.program = filepath.Join(built.folder, "scnet-mcp")
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", built.program, "../..")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as a release is built, and so compiled once for all tests
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.program
}

func execute(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestSimulatorCommand starts each simulator as a process and works on it as a person would: by the lines it prints.
func TestSimulatorCommand(t *testing.T) {
	program := program(t)
	for name, c := range map[string]struct {
		args   []string
		last   string // the last line that it prints begins like that
		call   []string
		answer string
	}{
		"scnet": {
			[]string{"--fault", "list:status=503,times=1", "--quirk", "code-as-int,urls-with-service", "--timing", "waiting=1m,deploying=0s", "--odd-regions", "--token-lifetime", "1h"}, "#   --data",
			[]string{"list_instances", "limit=1"}, "instances 1-1 of 8",
		},
		"workspace": {
			[]string{"--fault", "list-desktops-detail:code=APIGW.0308,times=1,retry-after=0", "--quirk", "end-time=null"}, "# Login",
			[]string{"list_workspace_desktops", "limit=1"}, "of 6",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			simulator := exec.CommandContext(ctx, program, append([]string{"simulator", name}, c.args...)...)
			stdout, err := simulator.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := simulator.Start(); err != nil {
				t.Fatal(err)
			}
			env, comments := map[string]string{}, ""
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				line := lines.Text()
				if setting, found := strings.CutPrefix(line, "export "); found {
					variable, value, _ := strings.Cut(setting, "=")
					env[variable] = value
					continue
				}
				comments += line + "\n"
				if strings.HasPrefix(line, c.last) {
					break
				}
			}
			code, out, errs := run(t, env, "", append([]string{"call"}, c.call...)...)
			if code != 0 {
				t.Errorf("exit %d: %s", code, errs)
			}
			contains(t, "call", out, c.answer)
			if name == "scnet" {
				runPrinted(t, env, comments)
			}
			if err := simulator.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if err := simulator.Wait(); err != nil {
				t.Errorf("the simulator did not stop cleanly: %v", err)
			}
		})
	}
	for flags, want := range map[string]string{
		"--fault list:colour=red":            "colour",
		"--listen 0.0.0.0:0":                 "loopback",
		"--quirk list-form=guess":            "task-list",
		"--timing waiting=soon":              "not a duration",
		"huawei":                             "workspace",
		"workspace --fault list:status=503":  "list-scripts",
		"workspace --quirk list-form=query":  "end-time",
		"workspace --timing waiting=1s,x=2s": "init",
	} {
		if code, _, errs := run(t, nil, "", append([]string{"simulator"}, strings.Fields(flags)...)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s", flags, code, errs)
		}
	}
	for service, want := range map[string][]string{
		"scnet":     {"execute", "code-as-int", "list-form=body|body-or-query|", "waiting=DURATION", "expire-token"},
		"workspace": {"create-token", "end-time=absent|null|empty", "reset-after", "init=DURATION"},
	} {
		code, out, errs := run(t, nil, "", "simulator", service, "--keys")
		if code != 0 {
			t.Errorf("exit %d: %s", code, errs)
		}
		contains(t, service+" --keys", out, want...)
	}
}

// runPrinted asks the first region for its instances by the address and the token that the comments say, and checks the
// addresses that other clients are told.
func runPrinted(t *testing.T, env map[string]string, comments string) {
	t.Helper()
	value := func(name string) string {
		_, rest, _ := strings.Cut(comments, name+": ")
		first, _, _ := strings.Cut(rest, "\n")
		return first
	}
	for url, header := range map[string]string{
		value("address") + "/ai/openapi/v2/instance-service/resource-group": value("token"),
		env["SCNET_CENTER_URL"]: value("token"),
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("token", header)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), `"msg":"success"`) {
			t.Errorf("%s: %s, %v", url, body, err)
		}
	}
	if want := env["SCNET_LOGIN_URL"] + "/api/user/v3/tokens"; env["SCNET_TOKEN_URL"] != want {
		t.Errorf("SCNET_TOKEN_URL is %q", env["SCNET_TOKEN_URL"])
	}
}

// A closed terminal stops the server as SIGTERM does; the signal itself would end it in the middle of a change.
func TestHangupStopsStdio(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals on Windows")
	}
	// Under nohup the signal is ignored, by what it starts too. What is heard here is not: exec resets it.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	program := program(t) // which is built first, and takes its time
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, program, "serve", "--demo")
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if lines := bufio.NewScanner(stdout); !lines.Scan() {
		t.Fatal("no answer")
	}
	if err := server.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server did not stop cleanly: %v", err)
	}
}
