package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// start starts the program with the account of s, and kills it when the test ends.
func start(t *testing.T, s *simulator.Simulator, args ...string) (p *exec.Cmd, out, errs *lockedBuffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	p = exec.CommandContext(ctx, program(t), args...)
	p.Env = []string{"SCNET_CLUSTER_ID=11250", "XDG_STATE_HOME=" + t.TempDir()}
	for name, value := range account(s) {
		p.Env = append(p.Env, name+"="+value)
	}
	out, errs = &lockedBuffer{}, &lockedBuffer{}
	p.Stdout, p.Stderr = out, errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p, out, errs
}

// An interrupted call ends at once and says what is known. Its exit status is that of an interrupted command.
func TestInterruptedCall(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals on Windows")
	}
	const interrupted = 128 + int(syscall.SIGINT)
	deletion := []string{"call", "delete_instances", "instance_ids=" + completedID, "--confirm"}
	for name, c := range map[string]struct {
		fault simulator.Fault
		args  []string
		at    simulator.Endpoint // the request that the interrupt waits for
		exit  int
		says  []string // on stderr
		never string
	}{
		"while it reads": {
			simulator.Fault{Endpoint: simulator.EndpointList, HangAfter: true}, []string{"call", "list_instances"},
			simulator.EndpointList, interrupted, []string{"Interrupted. Nothing was changed."}, "may or may not",
		},
		"before the change": {
			simulator.Fault{Endpoint: simulator.EndpointDetail, HangAfter: true}, deletion,
			simulator.EndpointDetail, interrupted, []string{"Interrupted. Nothing was changed."}, "may or may not",
		},
		"a change that is not answered": {
			simulator.Fault{Endpoint: simulator.EndpointDelete, HangAfter: true}, deletion, simulator.EndpointDelete, interrupted,
			[]string{"waiting 3s for its answer", "delete_instances had begun", `"Instances_2204208761" (` + completedID + ")",
				"may or may not have happened", "scnet-mcp call get_instance instance_id=" + completedID}, "Nothing was changed.\n",
		},
		"while it waits": {
			simulator.Fault{}, []string{"call", "restart_instance", "instance_id=" + terminatedID, "wait_seconds=50", "--confirm"},
			simulator.EndpointRestart, interrupted, []string{"Interrupted."}, "may or may not",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := simulate(t, simulator.Options{Timing: simulator.Timing{Waiting: time.Hour}})
			if c.fault != (simulator.Fault{}) {
				s.Inject(c.fault)
			}
			p, out, errs := start(t, s, c.args...)
			eventually(t, func() bool { return sent(s, c.at) > 0 })
			began := time.Now()
			if err := p.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			err := p.Wait()
			if code := p.ProcessState.ExitCode(); code != c.exit || time.Since(began) > 2*interruptPatience {
				t.Errorf("exit %d after %s, %v", code, time.Since(began), err)
			}
			contains(t, "stderr", errs.String(), c.says...)
			if all := out.String() + errs.String(); strings.Contains(all, c.never) {
				t.Errorf("it says %q: %s", c.never, all)
			}
		})
	}
}

// With --json, an interruption is told as the error that it is.
func TestInterruptedAsJSON(t *testing.T) {
	var out, errs bytes.Buffer
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interruption{syscall.SIGTERM})
	c := callCommand{JSON: true}
	err := c.report(ctx, Streams{Out: &out, Err: &errs}, ended{known: textUnderWay("x", []string{"a", "b"}, "look")})
	var got struct{ Error problem }
	if decodeErr := json.Unmarshal(out.Bytes(), &got); decodeErr != nil {
		t.Fatal(decodeErr)
	}
	var code status
	if want := 128 + int(syscall.SIGTERM); !errors.As(err, &code) || int(code) != want || got.Error.ExitStatus != want || got.Error.Kind != "cancelled" ||
		!strings.Contains(got.Error.Message, "a, b") {
		t.Errorf("%v, %+v", err, got)
	}
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	looks, patience := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer looks.Stop()
	for !holds() {
		select {
		case <-looks.C:
		case <-patience:
			t.Fatal("it did not happen")
		}
	}
}

// What to look with after an interruption fits what was changed.
func TestLookAfter(t *testing.T) {
	for want, begun := range map[string]audit.Record{
		"scnet-mcp call get_instance instance_id=x": {Tool: "delete_instances", Targets: []audit.Target{{ID: "x", Name: "a"}, {ID: "y"}}},
		"scnet-mcp call list_instances":             {Tool: "create_instance", Targets: []audit.Target{{Name: "new"}}},
		"scnet-mcp call get_workspace_run":          {Tool: "run_workspace_script", Targets: []audit.Target{{ID: "x"}}},
	} {
		if got := lookAfter(begun); got != want || !strings.Contains(known(begun).String(), want) {
			t.Errorf("%q, want %q: %s", got, want, known(begun))
		}
	}
}
