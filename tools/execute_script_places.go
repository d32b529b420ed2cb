package tools

import (
	"cmp"
	"context"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/capture"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// The ways to capture what became of a script.
const (
	captureAuto     = "auto"
	captureOff      = "off"
	captureRequired = "required"
)

// scripting is what a plan to run a script resolved.
type scripting struct {
	chosen
	places []*capture.Place // by target; nil where output cannot be captured
}

// settleCapture puts the arguments about capturing into their canonical form.
func (in *ExecuteScriptInput) settleCapture() error {
	in.Capture, in.Shell = cmp.Or(in.Capture, captureAuto), cmp.Or(in.Shell, "auto")
	if in.Capture == captureOff {
		if in.WaitSeconds != nil || in.TimeoutSeconds != 0 || in.OutputDir != "" || in.Shell != "auto" {
			return lang.Errorf("wait_seconds, timeout_seconds, output_dir and shell have no effect with capture=off. Nothing was sent; leave them out, or capture")
		}
		return nil
	}
	most := int(maxWait.Seconds()) - in.CanaryWaitSeconds
	if in.WaitSeconds == nil {
		in.WaitSeconds = new(min(int(defaultWait.Seconds()), most))
	}
	switch {
	case *in.WaitSeconds > most:
		return lang.Errorf("canary_wait_seconds and wait_seconds are more than %d together. Nothing was sent", int(maxWait.Seconds()))
	case in.Canary > 0 && *in.WaitSeconds == 0:
		return lang.Errorf("with canaries and wait_seconds=0 nothing would be known of them, so the rest would never begin. Nothing was sent; wait, or use capture=off")
	}
	if in.OutputDir != "" {
		if err := capture.CheckBase(in.OutputDir); err != nil {
			return lang.Errorf("output_dir: %w. Nothing was sent", err)
		}
	}
	return nil
}

// findPlaces looks where each target can leave its output, and says so in what would happen to it. Consent is bound to it.
func (s Instances) findPlaces(ctx context.Context, in ExecuteScriptInput, targets []toolbox.Target, work scripting) error {
	return lookUp(ctx, len(targets), func(i int) error {
		t := &targets[i]
		if t.Spared() {
			return nil
		}
		var place capture.Place
		var err error
		if len(in.Script) > capture.MaxScript {
			err = lang.Errorf("the script is larger than %d KiB", capture.MaxScript>>10)
		} else {
			place, err = capture.Find(ctx, work.found[i].region, work.found[i].instance, in.Scope, in.OutputDir)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			work.places[i] = &place
			t.Effect = lang.Clauses(t.Effect, lang.T("output through %s", text.Field(place.Base())))
			t.Bound = append(t.Bound, "output", place.Base())
		case in.Capture == captureRequired:
			t.Outcome, t.Note = toolbox.OutcomeFailed, lang.T("not sent: no output could be captured: %s", toolbox.Briefly(err))
			t.Effect = lang.T("skipped: %s", t.Note)
		default:
			t.Effect = lang.Clauses(t.Effect, lang.T("no output: %s", toolbox.Briefly(err)))
			t.Bound = append(t.Bound, "no output") // not said to people: consent is bound to it
		}
		return nil
	})
}

// captureText says before consent what will be known afterwards.
func (in ExecuteScriptInput) captureText(places []*capture.Place, targets []toolbox.Target) lang.Text {
	var with, without int
	for i, t := range targets {
		switch {
		case t.Spared():
		case places[i] != nil:
			with++
		default:
			without++
		}
	}
	var words []lang.Text
	if with > 0 {
		words = append(words, lang.T("Exit code and output of %s come back through a directory on the region's storage; the script runs only where "+
			"the container sees it.", lang.Count(with, "instance")))
	}
	if without > 0 {
		if with == 0 {
			words = append(words, lang.T("The plain script is sent. Its output and exit code cannot be had."))
		} else {
			words = append(words, lang.T("The plain script is sent to %s, of which output and exit code cannot be had.", lang.Count(without, "instance")))
		}
		if !strings.Contains(in.Script, ">") && !strings.Contains(in.Script, "tee ") {
			words = append(words, lang.T("It redirects nothing, so what it prints is lost."))
		}
	}
	return lang.Sentences(words...)
}
