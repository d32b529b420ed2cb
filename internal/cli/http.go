package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/anchor"
	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/metrics"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
	"github.com/scnet-mcp/scnet-mcp/internal/redis"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// serveHTTP serves until a signal comes.
func (c serveCommand) serveHTTP(ctx context.Context, streams Streams, log zerolog.Logger) error {
	meter := newMetrics()
	service, closeAll, err := c.open(streams, c.policyFlags, meter.Upstream)
	if err != nil {
		return err
	}
	defer closeAll()
	options, store, err := c.shared(&service)
	if err != nil {
		return err
	}
	if store != nil {
		defer func() { _ = store.Close() }()
		options.Mailbox = store
	}
	defer service.Tokens.Close()
	service.Observe = func() func(toolbox.Observation) { return countCall(meter) }
	if service.Server, err = os.Hostname(); err != nil {
		service.Server = "unknown"
	}
	warnUnconfigured(service, log)
	warnOfAudit(service, log)
	service.watchAnchors(anchor.Watch{
		Outcome: func(o anchor.Outcome) { meter.Anchor(string(o)) }, Waiting: meter.AnchorsWaiting,
	}, log)
	service.TrustResults = isTrusted(log)
	toolbox := newToolbox(service)

	c.apply(&options)
	options.Ready = func(ctx context.Context) error { return ready(withLog(ctx, log), service, store) }
	issuer, err := c.issuer()
	if err != nil {
		return err
	}
	options.Metrics = meter.Handler()
	options.Watch = server.Watch{
		Request: meter.HTTPRequest, Refused: meter.Refusal, StreamOpened: meter.StreamOpened,
	}
	reloads, err := c.readFiles(toolbox, issuer, &options)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return lang.Errorf("--listen: %w; stop what listens there, or name another address", err)
	}
	described := serverOptions(service, toolbox, c.Demo, log)
	described.OAuth = issuer != nil
	described.Answered = func(o server.Operation) { meter.Operation(o.Method, o.Tool, o.Failure, o.Transport, o.Took) }
	defer sendTraces(&described, meter.Spans, log)()
	web := server.New(described).NewHTTP(options)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // before anybody is told that the server runs: unheard, it would end it
	defer signal.Stop(hangups)
	if err := c.announce(streams, listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	var background sync.WaitGroup
	defer background.Wait() // before what it uses is closed
	ctx, cancel := context.WithCancel(withLog(ctx, log))
	defer cancel()
	background.Go(func() { reloadOnHangup(ctx, hangups, log, web, reloads) })
	if issuer != nil {
		background.Go(func() { issuer.Run(ctx, logIssuer(log)) })
	}
	if store != nil {
		background.Go(func() { keepShared(ctx, service.Ledger, log) })
	}
	return web.Serve(ctx, listener)
}

// apply sets what the flags say by themselves.
func (c serveCommand) apply(o *server.HTTPOptions) {
	o.SSE = c.Transport == overSSE
	o.Hosts, o.Origins = c.AllowedHosts, c.AllowedOrigins
	if u, err := url.Parse(c.PublicURL); err == nil && u.Host != "" {
		o.Hosts = append(slices.Clip(o.Hosts), u.Host)
	}
	if c.OAuthIssuer != "" {
		o.OAuth = &server.OAuth{Issuer: c.OAuthIssuer, Resource: c.PublicURL}
	}
	o.MaxConnections, o.RequestsPerSecond, o.Grace = c.MaxConnections, c.RequestsPerSecond, c.ShutdownGrace
}

// readFiles sets what is in the files that flags name. It returns what reads each of them again.
func (c serveCommand) readFiles(
	base *toolbox.Toolbox, issuer *oauth.Verifier, o *server.HTTPOptions,
) (reloads map[string]func() error, err error) {
	reloads = map[string]func() error{}
	if c.Callers != "" {
		admitted := &admission{base: base, issuer: issuer}
		if reloads["callers"], err = admitted.open(c.Callers, o); err != nil {
			return nil, lang.Errorf("--callers: %w", err)
		}
	}
	if c.TLSCert != "" {
		pair, err := openCertificate(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, err
		}
		o.TLS, reloads["certificate"] = pair.config(), pair.reload
	}
	return reloads, nil
}

// countCall counts a call as under way. What it returns counts how the call ended.
func countCall(meter *metrics.Metrics) func(toolbox.Observation) {
	ended := meter.CallStarted()
	return func(o toolbox.Observation) {
		ended()
		meter.ToolCall(o.Tool, string(o.Ending), o.Took)
		meter.Consent(o.Tool, o.Consent)
		meter.Refusal(o.Rule)
	}
}

func newMetrics() *metrics.Metrics {
	o := metrics.Options{
		Version: buildVersion(), Services: []string{serviceSCNet, serviceWorkspace},
		Methods: guard.Methods(), Rules: append(guard.Rules(), server.Rules()...),
		Routes: server.Routes(), Streams: server.StreamKinds(), Anchors: anchor.Outcomes(),
		Requests: server.Methods(), Failures: server.Failures(),
	}
	for _, ending := range toolbox.Endings() {
		o.Endings = append(o.Endings, string(ending))
	}
	for _, t := range tools.Catalogue() {
		o.Tools = append(o.Tools, t.Name)
	}
	return metrics.New(o)
}

// shared sets up what replicas share: the key of tokens and sessions, and what must happen once. store is nil for one
// process alone.
func (c serveCommand) shared(service *services) (o server.HTTPOptions, store *redis.Store, err error) {
	if o.Key, err = c.key(); err != nil {
		return o, nil, err
	}
	service.State = guard.NewMemory(time.Now)
	if c.State != "" {
		password, err := config.Secret(os.LookupEnv, "SCNET_MCP_STATE_PASSWORD")
		if err != nil {
			return o, nil, err
		}
		o := redis.Options{URL: c.State, Password: password.Reveal(), Prefix: redis.PrefixOf(o.Key)}
		if store, err = redis.Open(o); err != nil {
			return server.HTTPOptions{}, nil, lang.Errorf("--state: %w", err)
		}
		service.State = store
	}
	service.Ledger = guard.NewLedger(service.State, time.Now)
	service.Tokens, err = guard.NewTokens(o.Key, service.State, time.Now)
	return o, store, err
}

// keepShared tells the shared state what it has lost, until ctx ends. It logs when that begins to fail, and when it no longer
// does.
func keepShared(ctx context.Context, ledger *guard.Ledger, log zerolog.Logger) {
	ticker := time.NewTicker(guard.ShareEvery)
	defer ticker.Stop()
	failing := false
	for {
		err := ledger.Share(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			log.Warn().Err(err).Msg("the shared state cannot be reached: changes are refused")
		}
		if err == nil && failing {
			log.Info().Msg("the shared state can be reached again")
		}
		failing = err != nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c serveCommand) key() ([]byte, error) {
	if c.KeyFile == "" {
		return guard.NewKey(), nil
	}
	key, err := guard.ReadKey(c.KeyFile)
	if err != nil {
		return nil, lang.Errorf("--key-file: %w", err)
	}
	return key, nil
}

// announce prints where the server is, and what a client has to be told.
func (c serveCommand) announce(streams Streams, address net.Addr) error {
	base := c.base(address)
	type entry struct {
		Type    string            `json:"type"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
	}
	client := entry{Type: overHTTP, URL: cmp.Or(c.PublicURL, base+"/mcp")}
	if c.Transport == overSSE {
		client = entry{Type: overSSE, URL: base + "/sse"}
	}
	if c.Callers != "" && c.OAuthIssuer == "" { // a client that finds the authorization server logs in by itself
		client.Headers = map[string]string{"Authorization": "Bearer TOKEN"} // not said to people
	}
	snippet, err := json.MarshalIndent(map[string]map[string]entry{"mcpServers": {"scnet": client}}, "", "  ")
	if err != nil {
		return err
	}
	return streams.say(streams.Err, "scnet-mcp listens on %s://%s. Configuration of a client:\n%s\n", c.scheme(), address, snippet)
}

// base returns the URL under which clients reach the server. HOST stands in it for a name that only the operator knows.
func (c serveCommand) base(address net.Addr) string {
	name, port, err := net.SplitHostPort(address.String())
	if ip := net.ParseIP(name); err != nil || c.BehindProxy || ip.IsUnspecified() {
		name = "HOST"
	}
	if len(c.AllowedHosts) > 0 {
		name = c.AllowedHosts[0]
	}
	if c.BehindProxy { // which has a port of its own
		return "https://" + name
	}
	if _, _, err := net.SplitHostPort(name); err != nil {
		name = net.JoinHostPort(strings.Trim(name, "[]"), port)
	}
	return c.scheme() + "://" + name
}

// reloadOnHangup reads callers and certificate again on SIGHUP. If a file is wrong, everything stays as it was.
func reloadOnHangup(
	ctx context.Context, hangups <-chan os.Signal, log zerolog.Logger, web *server.HTTP, reloads map[string]func() error,
) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		for what, reload := range reloads {
			if err := reload(); err != nil {
				log.Error().Err(err).Str("read", what).Msg("what was read before stays in force")
				continue
			}
			log.Info().Str("read", what).Msg("read again on SIGHUP")
		}
		web.Recheck()
	}
}
