package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/anchor"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// commandCall is how a command line that calls a tool begins.
const commandCall = "scnet-mcp call" // not said to people

// interruptPatience is how long an interrupted call waits for the answer to what it has sent.
const interruptPatience = 3 * time.Second

// callCommand calls one tool from the shell. toolbox.ExitStatus says what its exit status means.
type callCommand struct {
	demoFlag
	policyFlags
	Tool      string   `arg:"" help:"Name of the tool; scnet-mcp tools lists them, scnet-mcp call TOOL --help shows its arguments."`
	Arguments []string `arg:"" optional:"" help:"A JSON object, @FILE or @- to read one from a file or stdin, or name=value pairs. A repeated name makes a list; name=@FILE and name=@- read the value from a file or stdin, name=@@text begins with @."`
	JSON      bool     `env:"-" help:"Print the structured result, or the error, as JSON."`
	Confirm   bool     `env:"-" help:"Do what the preview shows, without asking. For scripts."`
}

// Run makes the call and prints its text or data to stdout; previews that are acted on, questions, progress and errors go to
// stderr.
func (c callCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	arguments, err := parseArguments(c.Arguments, streams.In, nestedOf(c.Tool))
	if err != nil {
		return wrong(streams, c.JSON, err)
	}
	service, closeAll, err := c.open(streams, c.policyFlags, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	service.watchAnchors(anchor.Watch{}, log)
	begun := &underWay{log: service.Audit}
	service.Audit = begun
	ctx, ignore := untilHangup(withLog(ctx, log))
	defer ignore()
	s := shell{toolbox: newToolbox(service), streams: streams, confirm: c.Confirm, person: isPerson(streams)}
	return c.report(ctx, streams, c.await(ctx, streams, s, begun, arguments))
}

// ended is how a call ended.
type ended struct {
	result toolbox.Result
	err    error
	known  lang.Text // of a change that was interrupted before its end; there is neither result nor err then
}

// await makes the call. An interrupt ends it at once; but the answer to what has been sent by then is waited for a moment.
func (c callCommand) await(ctx context.Context, streams Streams, s shell, begun *underWay, arguments json.RawMessage) ended {
	progress := &progressLine{out: streams.Err, lang: streams.Lang}
	defer progress.end()
	calling := ctx
	if terminalOf(streams.Err) != nil {
		calling = toolbox.WithProgress(ctx, progress.report)
	}
	over := make(chan ended, 1)
	go func() {
		result, err := s.call(calling, c.Tool, arguments)
		over <- ended{result: result, err: err}
	}()
	select {
	case e := <-over:
		return e
	case <-ctx.Done():
	}
	if begun.change() != nil {
		progress.end()
		_, _ = fmt.Fprintf(streams.Err, "\n%s\n", streams.Lang.Sprintf(textWaitsForAnswer, interruptPatience))
	}
	select {
	case e := <-over:
		return e
	case <-time.After(interruptPatience):
	}
	if change := begun.change(); change != nil {
		return ended{known: known(*change)}
	}
	return ended{known: lang.T(textInterrupted)} // a read, or a preview
}

// report prints how the call ended and returns its exit status.
func (c callCommand) report(ctx context.Context, streams Streams, e ended) error {
	exit := toolbox.ExitStatus(e.result, e.err)
	signalled, cut := interrupted(ctx)
	if cut = cut && e.result.State != toolbox.Done; cut {
		exit = signalled.exitStatus()
	}
	switch {
	case !e.known.IsZero():
		return fail(streams, c.JSON, problem{Message: e.known.In(streams.Lang), ExitStatus: exit}.of(signalled))
	case e.err != nil:
		return fail(streams, c.JSON, problem{Message: explain(ctx, streams.Lang, e.err), ExitStatus: exit}.of(e.err))
	}
	text := paintFor(streams.Out).result(e.result.Text)
	if c.JSON {
		text = string(e.result.Structured)
	}
	if _, err := fmt.Fprintf(streams.Out, "%s\n", text); err != nil {
		return lang.Errorf("the result cannot be written: %w; of the call itself, the exit status would have been %d", err, exit)
	}
	switch {
	case cut:
		_, _ = fmt.Fprintln(streams.Err, streams.Lang.Word(textCutShort))
	case e.result.NeedsConsent && previewToken(e.result.Structured) == "":
		_, _ = fmt.Fprintln(streams.Err, streams.Lang.Word(textNeedsPerson))
	case e.result.NeedsConsent:
		_, _ = fmt.Fprintln(streams.Err, streams.Lang.Word(textHowToConfirm))
	}
	return status(exit)
}

// explain words an error for whoever typed the command, who is not told what a model has to hear.
func explain(ctx context.Context, l lang.Lang, err error) string {
	_, cut := interrupted(ctx)
	var refusal *guard.Refusal
	switch {
	case cut && !toolbox.Uncertain(err):
		return l.Word(textInterrupted)
	case errors.Is(err, toolbox.ErrDeclined):
		return lang.Sentences(lang.ErrorText(err), lang.T(textNothingChanged)).In(l)
	case errors.As(err, &refusal) && refusal.Rule == guard.ConsentRule:
		return l.Sprintf("Refused: %s.", refusal.Reason) + "\n" + l.Word(textNeedsPerson)
	}
	return toolbox.Explain(l, err)
}
