package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

const (
	doctorTimeout = time.Minute
	// maxSkew is how far the clock may be off. SCNet does not document what its signature check tolerates.
	maxSkew = 2 * time.Minute
)

// The settings that hold the addresses of the checks, for a fix to name.
var (
	loginAddress  = lang.T("SCNET_LOGIN_URL (unset: %s)", "https://api.scnet.cn")
	regionAddress = lang.Verbatim("SCNET_AI_URL")
	huaweiAddress = lang.T("%s or %s", "HUAWEICLOUD_SDK_REGION", "HUAWEICLOUD_WORKSPACE_ENDPOINT")
)

// doctorCommand checks what a server needs. Exit status 1 when a check fails.
type doctorCommand struct {
	demoFlag
	policyFlags
	JSON bool `env:"-" help:"Print the findings as JSON."`
}

// verdict is how a check ended.
type verdict string

const (
	passed verdict = "ok"
	failed verdict = "FAIL"
	noted  verdict = "note" // worth knowing; calls work anyway
)

// The columns of what is printed.
const verdictWidth, checkWidth = 4, 13

// finding is what one check found.
type finding struct {
	Check   string    `json:"check"`
	Verdict verdict   `json:"verdict"`
	Text    lang.Text `json:"text"`
	Fix     lang.Text `json:"fix,omitzero"`
}

// examination collects findings, and prints each as soon as it is there unless they are wanted as JSON.
type examination struct {
	lang     lang.Lang
	out      io.Writer // nil: nothing is printed
	findings []finding
}

func (e *examination) ok(check, format string, args ...any) {
	e.add(passed, check, lang.Text{}, format, args...)
}

func (e *examination) note(check string, fix lang.Text, format string, args ...any) {
	e.add(noted, check, fix, format, args...)
}

// fail tells what is wrong and how to fix it.
func (e *examination) fail(check string, err error, fix lang.Text) {
	e.add(failed, check, fix, "%v", err)
}

func (e *examination) add(v verdict, check string, fix lang.Text, format string, args ...any) {
	oneLine := func(s string) string { return strings.ReplaceAll(s, "\n", " ") }
	f := finding{check, v, lang.T(format, args...).Map(oneLine), fix}
	e.findings = append(e.findings, f)
	if e.out == nil {
		return
	}
	said := f.Text.In(e.lang)
	if !fix.IsZero() {
		said += " → " + fix.In(e.lang)
	}
	verdict := paintFor(e.out).as(colours[string(v)], text.Pad(v.In(e.lang), verdictWidth))
	_, _ = fmt.Fprintf(e.out, "%s  %s %s\n", verdict, text.Pad(checkName(check).In(e.lang), checkWidth), said)
}

// fixOr is what is done about a problem, or other where nobody knows better.
func fixOr(problem error, other lang.Text) lang.Text {
	if fix := fixOf(problem, lang.Text{}); !fix.IsZero() {
		return fix
	}
	return other
}

func (e *examination) failed() bool {
	for _, f := range e.findings {
		if f.Verdict == failed {
			return true
		}
	}
	return false
}

// Run makes the checks in the order in which they depend on each other and stops where the rest would only repeat.
func (c doctorCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	ctx, cancel := context.WithTimeout(withLog(ctx, log), doctorTimeout)
	defer cancel()
	e := &examination{lang: streams.Lang, out: streams.Out}
	if c.JSON {
		e.out = nil
	}
	service, closeAll, err := c.open(streams, c.policyFlags, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	e.examine(ctx, service, log, c.Demo)
	if c.JSON {
		text, err := json.MarshalIndent(map[string]any{"ok": !e.failed(), "checks": e.findings}, "", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(streams.Out, "%s\n", text); err != nil {
			return err
		}
	}
	if e.failed() {
		return status(exitError)
	}
	return nil
}

func (e *examination) examine(ctx context.Context, service services, log zerolog.Logger, demo bool) {
	toolbox := newToolbox(service)
	if list, err := newServer(service, toolbox, demo, log).ListTools(ctx); err != nil {
		e.fail("tools", err, lang.Text{})
	} else {
		e.ok("tools", "%d offered, the list is %d bytes", len(toolbox.Tools()), len(list))
	}
	e.words(service)
	if !demo {
		for _, file := range config.ExposedSecrets(os.LookupEnv) {
			e.note("secrets", lang.T("Run chmod 600 on it."), "everybody on this machine can read %s", file)
		}
	}
	e.workspace(ctx, service)
	e.scnet(ctx, service)
	e.policy(ctx, service)
}

// workspace checks Huawei Cloud Workspace where it is configured.
func (e *examination) workspace(ctx context.Context, service services) {
	const check = "workspace"
	if service.WorkspaceUnconfigured != nil {
		for _, problem := range problemsOf(service.WorkspaceUnconfigured) {
			e.fail(check, problem, fixOr(problem, lang.T("Correct the HUAWEICLOUD_ variables, or unset the keys.")))
		}
		return
	}
	if service.Workspace == nil {
		return
	}
	count, err := within(ctx, func(ctx context.Context) (int, error) { return countDesktops(ctx, service.Workspace) })
	if err != nil {
		e.fail(check, err, fixOf(err, huaweiAddress))
		return
	}
	e.ok(check, "%s, %d desktops", service.Workspace.Place(), count)
}

// scnet checks SCNet.
func (e *examination) scnet(ctx context.Context, service services) {
	client := service.SCNet
	if tools.DesktopsAlone(service.Instances, service.Desktops) {
		e.note("configuration", lang.Text{}, "SCNet is not configured; only the tools of the toolset workspace are offered")
		return
	}
	if client == nil {
		for _, problem := range problemsOf(service.Unconfigured) {
			e.fail("configuration", problem, fixOr(problem, lang.T("Correct the SCNET_ variables.")))
		}
		return
	}
	address := loginAddress
	if client.SingleRegion() {
		address = regionAddress
		e.token(client.TokenExpiry())
	} else {
		e.ok("configuration", "user, access key and secret key")
	}
	if !e.clock(ctx, client, address) {
		return
	}
	regions, err := within(ctx, client.Regions)
	if err != nil {
		e.fail("login", err, fixOf(err, address))
		return
	}
	if !client.SingleRegion() {
		e.ok("login", "accepted")
	}
	e.regions(ctx, client, regions)
}

// token tells what kind of credential a region token is, and how long it will do.
func (e *examination) token(expires time.Time) {
	left := time.Until(expires).Round(time.Minute)
	at := expires.In(scnet.ChinaTime).Format(time.RFC3339)
	switch {
	case expires.IsZero():
		e.note("configuration", lang.Text{}, "a region token, which does not tell when it expires")
	case left < 0:
		e.note("configuration", lang.T("Get a new token for SCNET_TOKEN, or set SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY instead."),
			"a region token, which expired at %s", at)
	default:
		e.ok("configuration", "a region token, which expires at %s", at)
	}
}

// clock compares the clocks. It reports whether the service is there at all: if not, the login would only repeat that.
func (e *examination) clock(ctx context.Context, client *scnet.Client, address lang.Text) bool {
	if _, err := within(ctx, func(ctx context.Context) (any, error) { return nil, client.MeasureClock(ctx) }); err != nil {
		e.fail("connection", err, fixOf(err, address))
		return false
	}
	skew, known := client.ClockSkew()
	switch {
	case !known:
		e.note("clock", lang.Text{}, "the service does not tell its time")
	case skew.Abs() > maxSkew:
		off := lang.Errorf("this machine is %s behind SCNet's time", skew.Abs().Round(time.Second))
		if skew < 0 {
			off = lang.Errorf("this machine is %s ahead of SCNet's time", skew.Abs().Round(time.Second))
		}
		e.fail("clock", off, lang.T("Set the clock (NTP): signatures and expiry times depend on it."))
	default:
		e.ok("clock", "within %s of SCNet's time", max(skew.Abs().Round(time.Second), time.Second))
	}
	return true
}

// regions checks every region. A region that cannot be used is a failure only if calls would go there.
func (e *examination) regions(ctx context.Context, client *scnet.Client, regions []*scnet.Region) {
	chosen, err := defaultRegion(ctx, client)
	switch {
	case err != nil:
		fix := lang.T("Set SCNET_CLUSTER_ID to one of them.")
		if errors.Is(err, scnet.ErrSuspended) {
			fix = lang.T("Top up in the SCNet console, or set SCNET_CLUSTER_ID to another region.")
		}
		e.fail("region", err, fix)
	case chosen == nil:
		e.note("region", lang.T("Set SCNET_CLUSTER_ID to make one of them the default."),
			"none is the default: lists and names go to all of them, and create_instance has to name one")
	case chosen.Name != "":
		e.ok("region", "%s is used when a call does not name a region", chosen)
	}
	for _, r := range regions {
		e.region(ctx, r, chosen == nil || r.ID == chosen.ID, len(regions) == 1)
	}
}

func (e *examination) region(ctx context.Context, r *scnet.Region, needed, only bool) {
	check := "region " + r.ID
	unusable := func(needed bool, err error, fix lang.Text) {
		if needed {
			e.fail(check, err, fix)
			return
		}
		e.note(check, fix, "%v", err)
	}
	if r.Suspended {
		unusable(needed && only, lang.Errorf("%s: %w", r, scnet.ErrSuspended), lang.T("Top up in the SCNet console."))
		return
	}
	total, err := within(ctx, func(ctx context.Context) (int, error) { return countInstances(ctx, r) })
	if err != nil {
		unusable(needed, err, fixOf(err, lang.Text{}))
		return
	}
	address, err := r.Address(ctx)
	if err != nil {
		unusable(needed, err, fixOf(err, lang.Text{}))
		return
	}
	if total < 0 {
		e.ok(check, "%s at %s, an unknown number of instances", r, address)
		return
	}
	e.ok(check, "%s at %s, %d instances", r, address, total)
}
