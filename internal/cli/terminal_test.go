package cli

import (
	"context"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// atTerminal runs the program at a terminal. For each of dialogue, a pair, it waits for the first text on the screen and types
// the second. It returns the exit status and what the screen has shown.
func atTerminal(t *testing.T, env []string, dialogue [][2]string, args ...string) (code int, screen string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := exec.CommandContext(ctx, program(t), args...)
	p.Env = append([]string{"XDG_STATE_HOME=" + t.TempDir(), "TERM=xterm"}, env...)
	terminal, err := pty.StartWithSize(p, &pty.Winsize{Rows: 40, Cols: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = terminal.Close() }()
	var shown strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := terminal.Read(buffer)
		shown.Write(buffer[:n])
		if len(dialogue) > 0 && strings.Contains(shown.String(), dialogue[0][0]) {
			if _, err := io.WriteString(terminal, dialogue[0][1]); err != nil {
				t.Fatal(err)
			}
			dialogue = dialogue[1:]
		}
		if err != nil { // the other end is closed
			break
		}
	}
	_ = p.Wait()
	return p.ProcessState.ExitCode(), shown.String()
}

func TestAtATerminal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no pseudo-terminals of this kind on Windows")
	}
	const colour = "\x1b[32m"
	deletion := []string{"call", "--demo", "delete_instances", "instance_ids=bert-train"}
	for name, c := range map[string]struct {
		env      []string
		args     []string
		dialogue [][2]string
		exit     int
		says     []string
		never    string
	}{
		"a list":     {nil, []string{"call", "--demo", "list_instances"}, nil, 0, []string{colour + "Running", "\x1b[1mNAME"}, "\x1b[31mRunning"},
		"no colours": {[]string{"NO_COLOR=1"}, []string{"call", "--demo", "list_instances"}, nil, 0, []string{"Running"}, "\x1b["},
		"dumb":       {[]string{"TERM=dumb"}, []string{"call", "--demo", "list_instances"}, nil, 0, []string{"Running"}, "\x1b["},
		"as JSON":    {nil, []string{"call", "--demo", "--json", "list_instances"}, nil, 0, []string{`"Running"`}, "\x1b["},
		"doctor":     {nil, []string{"doctor", "--demo"}, nil, 0, []string{colour + "ok"}, "preview_token"},
		"progress": {
			nil, []string{"call", "--demo", "restart_instance", "instance_id=" + terminatedID, "wait_seconds=30", "--confirm"}, nil, 0,
			[]string{clearLine + "0/30  status Waiting" + clearLine, colour + "done"}, "preview_token",
		},
		"the help is as wide as the terminal": {
			nil, []string{"call", "execute_script", "--help"}, nil, 0, []string{"Shell script to run"}, strings.Repeat(" ", 24) + "Exit code and output by shared storage",
		},
		"yes":    {nil, deletion, [][2]string{{"> ", "delete 1\r"}}, 0, []string{"PREVIEW", colour + "done"}, "preview_token"},
		"no":     {nil, deletion, [][2]string{{"> ", "no\r"}}, toolbox.ExitConsent, []string{"counts as no", "Nothing was changed."}, "Do not repeat"},
		"Ctrl-C": {nil, deletion, [][2]string{{"> ", "\x03"}}, 130, []string{textInterrupted}, "Do not repeat"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, screen := atTerminal(t, c.env, c.dialogue, c.args...)
			if code != c.exit {
				t.Errorf("exit %d: %s", code, screen)
			}
			contains(t, "the screen", screen, c.says...)
			if strings.Contains(screen, c.never) {
				t.Errorf("the screen shows %q: %s", c.never, screen)
			}
			for line := range strings.Lines(screen) {
				if strings.Contains(name, "wide") && text.Width(strings.TrimSpace(line)) > 60 && !strings.HasPrefix(line, "  scnet-mcp") {
					t.Errorf("too wide: %q", line)
				}
			}
		})
	}
}

func TestPaint(t *testing.T) {
	for in, want := range map[string]string{
		"": "",
		"done: 1 deleted.\nNAME  ID  OUTCOME  NOTE\n训练  1   deleted  -\na     2   failed   x\nStopped: no": "G(done): 1 deleted.\nB(NAME  ID  OUTCOME  NOTE)\n训练  1   G(deleted)  -\na     2   R(failed)   x\nStopped: no",
		"PREVIEW. Nothing":                              "Y(PREVIEW). Nothing",
		"failed: x\nfailed: y":                          "R(failed): x\nfailed: y",
		"11250: instances":                              "11250: instances",
		"x\n| NAME  STATUS\n| a     Failed":             "x\n| NAME  STATUS\n| a     Failed",
		"NAME  STATUS\na     Hibernating\nNote: Failed": "B(NAME  STATUS)\na     Hibernating\nNote: Failed",
	} {
		painted := paint(true).result(in)
		for code, letter := range map[string]string{bold: "B", red: "R", green: "G", yellow: "Y"} {
			painted = strings.ReplaceAll(painted, "\x1b["+code+"m", letter+"(")
		}
		if painted = strings.ReplaceAll(painted, "\x1b[0m", ")"); painted != want {
			t.Errorf("%q\nis painted %q\nwant       %q", in, painted, want)
		}
		if paint(false).result(in) != in {
			t.Errorf("%q is changed", in)
		}
	}
	if paintFor(io.Discard) {
		t.Error("what is not a terminal is painted")
	}
}
