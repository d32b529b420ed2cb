package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// storyWidth is how much of a line the short demo shows.
const storyWidth = 116

// scene is one call of the short demo, and what of the answer is shown: the lines that hold one of the words.
type scene struct {
	title     string
	tool      string
	arguments map[string]any
	shown     []string
	check     func(server.Reply, answer) bool
}

// tell makes the call of a scene and shows it. It fails like step.
func (d *demo) tell(s scene) (answer, error) {
	d.steps++
	d.printf("%d. %s\n   → %s\n", d.steps, d.lang.Word(s.title), s.request())
	reply, a, err := d.call(s.tool, s.arguments, s.check)
	d.show(reply.Text, s.shown)
	return a, err
}

// show prints the lines that hold one of the words, each once.
func (d *demo) show(all string, words []string) {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(all), "\n") {
		isIn := func(word string) bool { return strings.Contains(line, word) }
		if !slices.Contains(lines, line) && slices.ContainsFunc(words, isIn) {
			lines = append(lines, line)
			d.printf("   %s\n", text.Cut(line, storyWidth))
		}
	}
}

// request is the call as a command line, which is shorter than JSON.
func (s scene) request() string {
	words := s.tool
	for _, name := range []string{"instance_ids", "script", "canary", "confirm", "preview_token"} {
		if value, given := s.arguments[name]; given {
			if name == "script" {
				value = fmt.Sprintf("'%v'", value)
			}
			words += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	return text.Cut(words, storyWidth)
}

// agreed is tell for a user who has seen the preview and agrees to it.
func (d *demo) agreed(s scene) error {
	_, preview, err := d.call(s.tool, s.arguments, state("confirmation_required"))
	if err != nil {
		return err
	}
	s.arguments["confirm"], s.arguments["preview_token"] = true, preview.Preview.Token
	_, err = d.tell(s)
	return err
}

// story is what the server is for, in about 25 lines.
func (d *demo) story() error {
	d.printf(textDemoBegins, d.client.Server, d.client.Version)
	list, err := d.tell(scene{
		title: textDemoList, tool: "list_instances", arguments: map[string]any{},
		shown: append(d.lang.Words("accelerators occupied", "NAME"), "  Running  ", "  Completed  "),
		check: func(_ server.Reply, a answer) bool {
			return len(a.named("Running")) > 1 && len(a.named("Completed")) > 0
		},
	})
	if err != nil {
		return err
	}
	deletion := scene{
		title: textDemoNoConsent, tool: "delete_instances", shown: []string{d.lang.Word("PREVIEW"), d.lang.Sprintf("%s: ", "done")},
		check:     state("confirmation_required"),
		arguments: map[string]any{"instance_ids": list.named("Completed"), "confirm": true},
	}
	if _, err = d.tell(deletion); err != nil {
		return err
	}
	deletion.title, deletion.check = textDemoConsent, state("done")
	if err := d.agreed(deletion); err != nil {
		return err
	}
	return d.scripts(list.named("Running")[:2])
}

// scripts tells of a script that works and of one that does not.
func (d *demo) scripts(names []string) error {
	if err := d.agreed(scene{
		title: textDemoScript, tool: "execute_script", shown: []string{d.lang.Sprintf("%s: ", "done"), "NVIDIA-SMI"},
		arguments: map[string]any{"instance_ids": names, "script": "nvidia-smi", "canary": 1},
		check: func(r server.Reply, a answer) bool {
			return state("done")(r, a) && strings.Contains(r.Text, d.lang.Sprintf("exit code %d", 0)) && strings.Contains(r.Text, "NVIDIA-SMI")
		},
	}); err != nil {
		return err
	}
	return d.agreed(scene{
		title: textDemoFails, tool: "execute_script",
		shown:     append(d.lang.Words("Stopped"), d.lang.Sprintf("%s: ", "failed"), "  accepted  ", "  not_attempted", "| no "),
		arguments: map[string]any{"instance_ids": names, "script": failingScript, "canary": 1},
		check: func(r server.Reply, a answer) bool {
			return r.IsError && a.State == "failed" && strings.Contains(r.Text, d.lang.Sprintf("exit code %d", 3)) &&
				strings.Contains(r.Text, "not_attempted")
		},
	})
}
