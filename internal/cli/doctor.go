package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/tools"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

const (
	doctorTimeout = time.Minute
	// maxSkew is how far the clock may be off. SCNet does not document what its signature check tolerates.
	maxSkew = 2 * time.Minute
)

// doctorCommand checks what a server needs. Exit status 1 when a check fails.
type doctorCommand struct {
	demoFlag
	policyFlags
}

// examination prints one line per check.
type examination struct {
	out    io.Writer
	failed bool
}

func (e *examination) ok(check, format string, args ...any) { e.line("ok  ", check, format, args...) }

func (e *examination) note(check, format string, args ...any) { e.line("note", check, format, args...) }

func (e *examination) line(verdict, check, format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
	_, _ = fmt.Fprintf(e.out, "%s  %-13s %s\n", verdict, check, text)
}

// fail prints what is wrong and how to mend it.
func (e *examination) fail(check string, err error, mend string) {
	e.failed = true
	if mend == "" {
		mend = mendOf(err)
	}
	if mend != "" {
		mend = " → " + mend
	}
	e.line("FAIL", check, "%v%s", err, mend)
}

func mendOf(err error) string {
	var hinting interface{ Hint() string }
	if errors.As(err, &hinting) {
		return hinting.Hint()
	}
	return ""
}

// Run makes the checks in the order in which they depend on each other and stops where the rest would only repeat.
func (c doctorCommand) Run(ctx context.Context, streams Streams, log zerolog.Logger) error {
	ctx, cancel := context.WithTimeout(withLog(ctx, log), doctorTimeout)
	defer cancel()
	e := &examination{out: streams.Out}
	service, closeAll, err := c.open(c.policyFlags, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	e.examine(ctx, service, log, c.Demo)
	if e.failed {
		return status(exitError)
	}
	return nil
}

func (e *examination) examine(ctx context.Context, service tools.Service, log zerolog.Logger, demo bool) {
	toolbox := newToolbox(service)
	if list, err := newServer(service, toolbox, demo, log).ListTools(ctx); err != nil {
		e.fail("tools", err, "")
	} else {
		e.ok("tools", "%d offered, the list is %d bytes", len(toolbox.Tools()), len(list))
	}
	e.workspace(ctx, service)
	client := service.SCNet
	if client == nil && service.Workspace != nil && errors.Is(service.Unconfigured, scnet.ErrNoCredential) {
		e.note("configuration", "SCNet is not configured; only the workspace tools work")
		return
	}
	if client == nil {
		e.fail("configuration", service.Unconfigured, "Set SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY, all three, or SCNET_TOKEN and SCNET_AI_URL.")
		return
	}
	if client.SingleRegion() {
		e.ok("configuration", "a region token")
	} else {
		e.ok("configuration", "user, access key and secret key")
	}
	e.clock(ctx, client)
	regions, err := client.Regions(ctx)
	if err != nil {
		e.fail("login", err, "")
		return
	}
	if !client.SingleRegion() {
		e.ok("login", "accepted")
	}
	e.regions(ctx, client, regions)
}

// workspace checks Huawei Cloud Workspace where it is configured.
func (e *examination) workspace(ctx context.Context, service tools.Service) {
	const check = "workspace"
	if service.WorkspaceUnconfigured != nil {
		e.fail(check, service.WorkspaceUnconfigured, "Set HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK and HUAWEICLOUD_SDK_REGION, or unset the keys.")
		return
	}
	if service.Workspace == nil {
		return
	}
	page, err := service.Workspace.Desktops(ctx, workspace.DesktopFilter{Limit: 1})
	if err != nil {
		e.fail(check, err, "")
		return
	}
	e.ok(check, "%s, %d desktops", service.Workspace.Place(), max(page.Total, len(page.Rows)))
}

func (e *examination) clock(ctx context.Context, client *scnet.Client) {
	if err := client.MeasureClock(ctx); err != nil {
		e.fail("clock", err, "")
		return
	}
	skew, known := client.ClockSkew()
	switch {
	case !known:
		e.note("clock", "the service does not tell its time")
	case skew.Abs() > maxSkew:
		direction := "behind"
		if skew < 0 {
			direction = "ahead of"
		}
		e.fail("clock", fmt.Errorf("this machine is %s %s SCNet's time", skew.Abs().Round(time.Second), direction),
			"Set the clock (NTP): signatures and expiry times depend on it.")
	default:
		e.ok("clock", "within %s of SCNet's time", max(skew.Abs().Round(time.Second), time.Second))
	}
}

// regions checks every region. One that cannot be used is a failure only when calls would go there.
func (e *examination) regions(ctx context.Context, client *scnet.Client, regions []*scnet.Region) {
	chosen, err := client.Region(ctx, "")
	if err != nil {
		e.fail("region", err, mendOfRegion(err))
	} else if chosen.Name != "" {
		e.ok("region", "%s is used when a call names none", chosen)
	}
	for _, r := range regions {
		needed := chosen == nil || r.ID == chosen.ID
		check := "region " + r.ID
		if r.Suspended {
			e.unusable(needed && len(regions) == 1, check, fmt.Errorf("%s: %w", r, scnet.ErrSuspended), "Top up in the SCNet console.")
			continue
		}
		page, err := r.List(ctx, scnet.ListOptions{Limit: 1})
		if err != nil {
			e.unusable(needed, check, err, "")
			continue
		}
		address, err := r.Address(ctx)
		if err != nil {
			e.unusable(needed, check, err, "")
			continue
		}
		count := "an unknown number of"
		if page.Total >= 0 {
			count = fmt.Sprint(page.Total)
		}
		e.ok(check, "%s at %s, %s instances", r, address, count)
	}
}

func (e *examination) unusable(needed bool, check string, err error, mend string) {
	if needed {
		e.fail(check, err, mend)
		return
	}
	if mend == "" {
		mend = mendOf(err)
	}
	e.note(check, "%v → %s", err, mend)
}

func mendOfRegion(err error) string {
	if errors.Is(err, scnet.ErrSuspended) {
		return "Top up in the SCNet console, or set SCNET_CLUSTER_ID to another region."
	}
	return "Set SCNET_CLUSTER_ID to one of them."
}
