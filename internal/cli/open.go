package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/anchor"
	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/userstate"
	"github.com/scnet-mcp/scnet-mcp/prompts"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	desktopsimulator "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// demoFlag is shared by the commands that can work on simulated instances.
type demoFlag struct {
	Demo bool `help:"Work on simulated instances instead of SCNet; needs no account."`
}

// The services, as metrics name them.
const (
	serviceSCNet     = "scnet"
	serviceWorkspace = "workspace"
)

// observer is told of every request to a service, with status 0 when there was no answer. It may be nil.
type observer func(service string, status int, took time.Duration)

func (o observer) of(service string) func(status int, took time.Duration) {
	if o == nil {
		return nil
	}
	return func(status int, took time.Duration) { o(service, status, took) }
}

// services are what the tools work on, and the rules that they are held to.
type services struct {
	toolbox.Rules
	tools.Instances
	tools.Desktops
	// WorkspaceUnconfigured tells why Workspace is nil although there are settings for it.
	WorkspaceUnconfigured error

	words   operatorWords  // of the operator
	anchors *anchor.Sender // of the audit log; nil: they are sent nowhere
}

// open returns the services that the environment configures, or simulated ones. A configuration that cannot work comes back
// in Service: the server must start and list its tools without credentials. A policy that cannot be kept is an error.
func (d demoFlag) open(
	streams Streams, policy policyFlags, requests observer,
) (service services, closeAll func(), err error) {
	service.Lang = streams.Lang
	var closers []func()
	closeAll = func() {
		for _, each := range slices.Backward(closers) {
			each()
		}
	}
	if service.words, err = policy.read(); err != nil {
		return services{}, nil, err
	}
	closeAudit, err := policy.apply(&service, d.Demo)
	if err != nil {
		return services{}, nil, err
	}
	closers = append(closers, closeAudit)
	if !d.Demo { // what is simulated costs nothing of the user's budget
		closeState, err := shareAmongProcesses(&service.Rules)
		if err != nil {
			closeAll()
			return services{}, nil, err
		}
		closers = append(closers, closeState)
	}
	instances, desktops := fromEnvironment, workspaceFromEnvironment
	if d.Demo {
		instances, desktops = simulated, simulatedWorkspace
	}
	for _, open := range []func(*services, observer) (func(), error){instances, desktops} {
		closeOne, err := open(&service, requests)
		if err != nil {
			closeAll()
			return services{}, nil, err
		}
		closers = append(closers, closeOne)
	}
	return service, closeAll, nil
}

// shareAmongProcesses makes the processes of one user accept each other's preview tokens, once, and have one budget: some
// clients start a process for every call. An HTTP server replaces this by what its replicas share.
func shareAmongProcesses(rules *toolbox.Rules) (closeTokens func(), err error) {
	state := userstate.New(func() (string, error) {
		path, err := audit.DefaultPath(os.LookupEnv)
		return filepath.Dir(path), err
	}, time.Now)
	rules.State = state
	rules.Tokens, err = guard.NewTokens(nil, state, time.Now)
	if err != nil {
		return nil, err
	}
	return rules.Tokens.Close, nil
}

func userAgent() string { return "scnet-mcp/" + buildVersion() }

func fromEnvironment(service *services, requests observer) (closeClient func(), err error) {
	cfg, err := config.SCNet(os.LookupEnv)
	if err == nil {
		cfg.UserAgent, cfg.Observe = userAgent(), requests.of(serviceSCNet)
		service.SCNet, err = scnet.New(cfg)
	}
	if err != nil {
		service.Unconfigured = err
		return func() {}, nil
	}
	return service.SCNet.Close, nil
}

func workspaceFromEnvironment(service *services, requests observer) (closeClient func(), err error) {
	cfg, set, err := config.Workspace(os.LookupEnv)
	if !set {
		return func() {}, nil
	}
	if err == nil {
		cfg.UserAgent, cfg.Observe = userAgent(), requests.of(serviceWorkspace)
		service.Workspace, err = workspace.New(cfg)
	}
	if err != nil {
		service.WorkspaceUnconfigured = err
		return func() {}, nil
	}
	return service.Workspace.Close, nil
}

func simulated(service *services, requests observer) (closeAll func(), err error) {
	s, cfg, err := startSimulator("127.0.0.1:0", simulator.Options{})
	if err != nil {
		return nil, err
	}
	cfg.Observe = requests.of(serviceSCNet)
	if service.SCNet, err = scnet.New(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	client := service.SCNet
	return func() {
		client.Close()
		_ = s.Close()
	}, nil
}

// demoRegion is where the simulated desktops are.
const demoRegion = "cn-north-4"

func simulatedWorkspace(service *services, requests observer) (closeAll func(), err error) {
	s := desktopsimulator.New(desktopsimulator.Options{})
	if err := s.Start("127.0.0.1:0"); err != nil {
		return nil, err
	}
	key := desktopsimulator.DemoAccount().Keys[0]
	service.Workspace, err = workspace.New(workspace.Config{
		AccessKey: secret.New(key.AccessKey), SecretKey: secret.New(key.SecretKey), SecurityToken: secret.New(key.SecurityToken),
		ProjectID: s.ProjectID(), Region: demoRegion, Endpoint: s.URL(), IAMEndpoint: s.URL(),
		Observe: requests.of(serviceWorkspace),
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	client := service.Workspace
	return func() {
		client.Close()
		_ = s.Close()
	}, nil
}

// startSimulator starts a simulated SCNet with demo instances and returns the settings that reach it.
func startSimulator(
	address string, o simulator.Options, faults ...simulator.Fault,
) (*simulator.Simulator, scnet.Config, error) {
	s := simulator.New(o)
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
		UserAgent:   userAgent(),
	}, nil
}

// newToolbox returns the tools that service offers.
func newToolbox(service services) *toolbox.Toolbox {
	rules := service.Rules
	rules.Missing = tools.Missing(service.Instances, service.Desktops, service.WorkspaceUnconfigured)
	return toolbox.New(rules, service.words.describe(tools.Offered(service.Instances, service.Desktops)))
}

// newServer returns the MCP server of box.
func newServer(service services, box *toolbox.Toolbox, demo bool, log zerolog.Logger) *server.Server {
	return server.New(serverOptions(service, box, demo, log))
}

func serverOptions(service services, box *toolbox.Toolbox, demo bool, log zerolog.Logger) server.Options {
	return server.Options{
		Name:        "scnet-mcp",
		Title:       "SCNet containers",
		Description: "Operates container instances on SCNet (超算互联网) and runs scripts on Huawei Cloud Workspace desktops. Changes show a preview first.",
		Version:     buildVersion(),
		Website:     website,
		Icon:        icon,
		Toolbox:     box,
		Log:         log,
		Situation: prompts.Situation{
			SingleRegion: service.SCNet != nil && service.SCNet.SingleRegion(), Demo: demo, Operator: service.words.instructions,
		},
		Library: &prompts.Library{
			SCNet: service.SCNet, Unconfigured: service.Unconfigured, Language: prompts.Language(service.Lang.String()),
		},
	}
}

// icon shows three containers, one of which runs.
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">` + // not said to people
	`<rect width="16" height="16" rx="3" fill="#164"/>` +
	`<path d="M3 4h4v3H3zm0 5h4v3H3z" fill="#9cb"/><path d="M9 4h4v8H9z" fill="#fff"/></svg>`

const website = "https://github.com/scnet-mcp/scnet-mcp"
