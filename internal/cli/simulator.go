package cli

import (
	"context"
	"fmt"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// simulatorCommand runs a simulated SCNet for clients under test.
type simulatorCommand struct {
	Listen string   `env:"-" default:"127.0.0.1:0" placeholder:"ADDRESS" help:"Loopback address; port 0 picks free ports. Each region gets a port of its own."`
	Fault  []string `env:"-" sep:"none" placeholder:"FAULT" help:"Make an endpoint misbehave, such as list:status=503,times=2. Repeatable."`
}

// Run serves until a signal comes. What it prints can be sourced by a shell.
func (c simulatorCommand) Run(ctx context.Context, streams Streams) error {
	var faults []simulator.Fault
	for _, text := range c.Fault {
		fault, err := simulator.ParseFault(text)
		if err != nil {
			return err
		}
		faults = append(faults, fault)
	}
	s, cfg, err := startSimulator(c.Listen, faults...)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	_, err = fmt.Fprintf(streams.Out, "# simulated SCNet; stop it with Ctrl-C\nexport SCNET_LOGIN_URL=%s\nexport SCNET_AC_URL=%s\n"+
		"export SCNET_USER=%s\nexport SCNET_ACCESS_KEY=%s\nexport SCNET_SECRET_KEY=%s\nexport SCNET_CLUSTER_ID=%s\n",
		cfg.LoginURL, cfg.PlatformURL, cfg.User, cfg.AccessKey.Reveal(), cfg.SecretKey.Reveal(), cfg.Region)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
