package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	desktopsimulator "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// simulatorCommand runs a simulated service for clients under test.
type simulatorCommand struct {
	Service string        `arg:"" optional:"" enum:"scnet,workspace" default:"scnet" help:"Which service: ${enum}."`
	Listen  string        `env:"-" default:"127.0.0.1:0" placeholder:"ADDRESS" help:"Loopback address; port 0 picks free ports. Each SCNet region gets a port of its own, after that of the platform."`
	Fault   []string      `env:"-" sep:"none" placeholder:"FAULT" help:"Make an operation misbehave, such as list:status=503,times=2. Repeatable."`
	Quirk   []string      `env:"-" sep:"none" placeholder:"QUIRK" help:"Switch to another reading of the documentation, such as list-form=query. Repeatable."`
	Timing  []string      `env:"-" sep:"none" placeholder:"TIMING" help:"Change how long things take, such as waiting=1m. Repeatable."`
	Token   time.Duration `env:"-" name:"token-lifetime" default:"12h" placeholder:"DURATION" help:"How long SCNet's tokens are valid."`
	Odd     bool          `env:"-" name:"odd-regions" help:"Add an SCNet region without the container service, and one in which the account is suspended."`
	Keys    bool          `env:"-" help:"List what --fault, --quirk and --timing take."`
}

// Help explains the three grammars; the keys themselves would fill a screen.
func (simulatorCommand) Help() string {
	return "Prints what a client has to set; a shell can source it. --keys lists everything that can be switched."
}

// Run serves until a signal comes.
func (c simulatorCommand) Run(ctx context.Context, streams Streams) error {
	run := c.runSCNet
	if c.Service == "workspace" {
		run = c.runWorkspace
	}
	text, stop, err := run(streams.Lang)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := fmt.Fprint(streams.Out, text); err != nil || c.Keys {
		return err
	}
	<-ctx.Done()
	return nil
}

func (c simulatorCommand) runSCNet(l lang.Lang) (text string, stop func(), err error) {
	if c.Keys {
		text := keysText(l, simulator.Endpoints(), simulator.Fault{}, simulator.Quirks{}, simulator.Timing{})
		return text, func() {}, nil
	}
	// ListAny, because the clients that this is for send the list parameters in every way that was ever seen.
	o := simulator.Options{
		Quirks: simulator.Quirks{ListForm: simulator.ListAny}, TokenLifetime: c.Token, Regions: simulator.DemoRegions(time.Now()),
	}
	if c.Odd {
		o.Regions = append(o.Regions, simulator.OddRegions()...)
	}
	faults, err := switches(c, simulator.ParseFault, simulator.ParseQuirks, &o.Quirks, &o.Timing)
	if err != nil {
		return "", nil, err
	}
	s, cfg, err := startSimulator(c.Listen, o, faults...)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	l.Fprintf(&b, "# simulated SCNet; stop it with Ctrl-C\n")
	exports(&b, [][2]string{
		{"SCNET_LOGIN_URL", cfg.LoginURL}, {"SCNET_AC_URL", cfg.PlatformURL},
		{"SCNET_TOKEN_URL", cfg.LoginURL + "/api/user/v3/tokens"}, {"SCNET_CENTER_URL", cfg.PlatformURL + "/ac/openapi/v2/center"},
		{"SCNET_USER", cfg.User}, {"SCNET_ACCESS_KEY", cfg.AccessKey.Reveal()}, {"SCNET_SECRET_KEY", cfg.SecretKey.Reveal()},
		{"SCNET_CLUSTER_ID", cfg.Region},
	})
	l.Fprintf(&b, "# The regions, for curl:\n")
	for _, r := range o.Regions {
		l.Fprintf(&b, "#   %s %s\n#     address: %s\n#     token: %s\n", r.ID, r.Name, s.RegionURL(r.ID), s.Token(r.ID))
	}
	l.Fprintf(&b, "# The samples of SCNet's documentation work on the first one:\n")
	fmt.Fprintf(&b, "#   curl --location --request GET '%s/ai/openapi/v2/instance-service/task' \\\n#   --header 'token: %s' \\\n"+ // not said to people
		"#   --header 'Content-Type: application/json' \\\n#   --data '{\"taskType\": \"ssh\", \"start\": 0, \"limit\": 20, \"sort\": \"desc\"}'\n",
		s.RegionURL(cfg.Region), s.Token(cfg.Region))
	return b.String(), func() { _ = s.Close() }, nil
}

func (c simulatorCommand) runWorkspace(l lang.Lang) (text string, stop func(), err error) {
	if c.Keys {
		text := keysText(l, desktopsimulator.Operations(), desktopsimulator.Fault{}, desktopsimulator.Quirks{},
			desktopsimulator.Timing{})
		return text, func() {}, nil
	}
	var o desktopsimulator.Options
	faults, err := switches(c, desktopsimulator.ParseFault, desktopsimulator.ParseQuirks, &o.Quirks, &o.Timing)
	if err != nil {
		return "", nil, err
	}
	s := desktopsimulator.New(o)
	for _, fault := range faults {
		s.Inject(fault)
	}
	if err := s.Start(c.Listen); err != nil {
		return "", nil, err
	}
	account := desktopsimulator.DemoAccount()
	var b strings.Builder
	l.Fprintf(&b, "# simulated Huawei Cloud Workspace and IAM; stop it with Ctrl-C\n")
	exports(&b, [][2]string{
		{"HUAWEICLOUD_SDK_AK", account.Keys[0].AccessKey}, {"HUAWEICLOUD_SDK_SK", account.Keys[0].SecretKey},
		{"HUAWEICLOUD_SDK_PROJECT_ID", s.ProjectID()}, {"HUAWEICLOUD_SDK_REGION", demoRegion},
		{"HUAWEICLOUD_WORKSPACE_ENDPOINT", s.URL()}, {"HUAWEICLOUD_IAM_ENDPOINT", s.URL()},
	})
	l.Fprintf(&b, "# The official SDK reads these beside the keys and the project:\n")
	exports(&b, [][2]string{
		{"HUAWEICLOUD_SDK_REGION_WORKSPACE_" + strings.ToUpper(strings.ReplaceAll(demoRegion, "-", "_")), s.URL()},
		{"HUAWEICLOUD_SDK_IAM_ENDPOINT", s.URL()},
	})
	l.Fprintf(&b, "# Token for X-Auth-Token: %s\n# Login for a token: user %s of the account %s, password %s\n",
		s.Token(), account.User, account.Domain, account.Password)
	return b.String(), func() { _ = s.Close() }, nil
}

// exports writes settings so that a shell can source them. The values are made up by us and need no quotes.
func exports(b *strings.Builder, settings [][2]string) {
	for _, s := range settings {
		fmt.Fprintf(b, "export %s=%s\n", s[0], s[1]) // not said to people
	}
}

// switches reads the flags that change a simulator.
func switches[F, Q, T any](
	c simulatorCommand, fault func(string) (F, error), quirk func(string, *Q) error, quirks *Q, timing *T,
) ([]F, error) {
	var faults []F
	for _, text := range c.Fault {
		f, err := fault(text)
		if err != nil {
			return nil, err
		}
		faults = append(faults, f)
	}
	for _, text := range c.Quirk {
		if err := quirk(text, quirks); err != nil {
			return nil, err
		}
	}
	for _, text := range c.Timing {
		if err := fakecloud.ParseKeys(text, timing); err != nil {
			return nil, lang.Errorf("timing %q: %w", text, err)
		}
	}
	return faults, nil
}

// keysText lists what the flags take.
func keysText[Name ~string](l lang.Lang, names []Name, fault, quirks, timing any) string {
	operations := make([]string, len(names))
	for i, name := range names {
		operations[i] = string(name)
	}
	var b strings.Builder
	for _, group := range []struct {
		title string
		lines []string
	}{
		{l.Word("--fault OPERATION:KEY,… where the operation is * or one of"), operations},
		{l.Word("and the keys are"), fakecloud.Keys(fault)},
		{"--quirk KEY,…", fakecloud.Keys(quirks)},  // not said to people
		{"--timing KEY,…", fakecloud.Keys(timing)}, // not said to people
	} {
		fmt.Fprintf(&b, "%s\n", group.title)
		for _, line := range group.lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}
