package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var built struct {
	sync.Once
	folder, program string
	err             error
}

func TestMain(m *testing.M) {
	code := m.Run()
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
		if out, err := exec.Command("go", "build", "-o", built.program, "../..").CombinedOutput(); err != nil {
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

// TestSimulatorCommand starts the simulator as a process and works on it as a person would: by the lines it prints.
func TestSimulatorCommand(t *testing.T) {
	program := program(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	simulator := exec.CommandContext(ctx, program, "simulator", "--fault", "list:status=503,times=1")
	stdout, err := simulator.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := simulator.Start(); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for lines := bufio.NewScanner(stdout); len(env) < 6 && lines.Scan(); {
		if name, value, found := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); found {
			env[name] = value
		}
	}
	code, out, errs := run(t, env, "", "call", "list_instances", "limit=1")
	if code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
	contains(t, "call", out, "instances 1-1 of 6")
	if err := simulator.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := simulator.Wait(); err != nil {
		t.Errorf("the simulator did not stop cleanly: %v", err)
	}
	if code, _, errs := run(t, nil, "", "simulator", "--fault", "list:colour=red"); code != exitError || !strings.Contains(errs, "colour") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := run(t, nil, "", "simulator", "--listen", "0.0.0.0:0"); code != exitError || !strings.Contains(errs, "loopback") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
