package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/prompts"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// demoFlag is shared by the commands that can work on simulated instances.
type demoFlag struct {
	Demo bool `help:"Work on simulated instances instead of SCNet; needs no account."`
}

// open returns the service that the environment configures, or a simulated one. A configuration that cannot work comes
// back in Service.Unconfigured: the server must start and list its tools without credentials.
//
// The policy's flags go into the service; a policy that cannot be kept is an error.
func (d demoFlag) open(policy policyFlags) (service tools.Service, closeAll func(), err error) {
	closeAudit, err := policy.apply(&service, d.Demo)
	if err != nil {
		return tools.Service{}, nil, err
	}
	cfg, err := config.SCNet(os.LookupEnv)
	closeSimulator := func() {}
	if d.Demo {
		var s *simulator.Simulator
		if s, cfg, err = startSimulator("127.0.0.1:0"); err != nil {
			closeAudit()
			return tools.Service{}, nil, err
		}
		closeSimulator = func() { _ = s.Close() }
	}
	var client *scnet.Client
	if err == nil {
		cfg.UserAgent = "scnet-mcp/" + buildVersion()
		client, err = scnet.New(cfg)
	}
	if err != nil {
		service.Unconfigured = err
		return service, func() { closeSimulator(); closeAudit() }, nil
	}
	service.SCNet = client
	return service, func() {
		client.Close()
		closeSimulator()
		closeAudit()
	}, nil
}

// startSimulator starts a simulated SCNet with demo instances and returns the settings that reach it.
func startSimulator(address string, faults ...simulator.Fault) (*simulator.Simulator, scnet.Config, error) {
	// ListAny, because the clients that this stands in for send the list parameters in every way that was ever seen.
	s := simulator.New(simulator.Options{Quirks: simulator.Quirks{ListForm: simulator.ListAny}})
	for _, fault := range faults {
		s.Inject(fault)
	}
	if err := s.Start(address); err != nil {
		return nil, scnet.Config{}, err
	}
	account := simulator.DemoAccount()
	return s, scnet.Config{
		User:        account.User,
		AccessKey:   secret.New(account.AccessKey),
		SecretKey:   secret.New(account.SecretKey),
		Region:      simulator.DemoRegions(time.Now())[0].ID,
		LoginURL:    s.URL(),
		PlatformURL: s.URL(),
	}, nil
}

// newToolbox returns the tools that service offers.
func newToolbox(service tools.Service) *tools.Toolbox {
	return tools.NewToolbox(service, tools.All(tools.ModeOf(service)))
}

// newServer returns the MCP server of toolbox.
func newServer(service tools.Service, toolbox *tools.Toolbox, demo bool, log zerolog.Logger) *server.Server {
	situation := prompts.Situation{SingleRegion: tools.ModeOf(service).SingleRegion, Demo: demo}
	for _, t := range toolbox.Tools() {
		situation.Tools = append(situation.Tools, t.Name)
		situation.Changing = situation.Changing || t.Risk != guard.Read
	}
	return server.New(server.Options{
		Name:         "scnet-mcp",
		Title:        "SCNet containers",
		Version:      buildVersion(),
		Website:      website,
		Instructions: prompts.Instructions(situation),
		Toolbox:      toolbox,
		Log:          log,
	})
}

const website = "https://github.com/scnet-mcp/scnet-mcp"

// unconfiguredNotice is logged at start, because many hosts show only the log when a call fails.
func unconfiguredNotice(service tools.Service) string {
	return fmt.Sprintf("%v; tools are listed, calls will fail until this is set", service.Unconfigured)
}
