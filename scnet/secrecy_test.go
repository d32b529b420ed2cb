package scnet_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestNothingShowsASecret(t *testing.T) {
	t.Parallel()
	account := simulator.DemoAccount()
	for name, c := range map[string]struct {
		quirks simulator.Quirks
		faults []simulator.Fault
		change change
		static time.Duration // configure a token that expired so long ago
	}{
		"success":          {},
		"retries":          {faults: []simulator.Fault{{Status: 503, Times: 4}, {Reset: true, Times: 4}}},
		"resets":           {faults: []simulator.Fault{{Endpoint: simulator.EndpointToken, Times: 1, Reset: true}, {Endpoint: simulator.EndpointList, ResetAfter: true}}},
		"refused tokens":   {faults: []simulator.Fault{{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{ExpireToken: true}}, {Endpoint: simulator.EndpointDelete, Own: simulator.OwnFault{ExpireToken: true}}}},
		"refused login":    {change: func(c *scnet.Config) { c.SecretKey = scnet.NewSecret("another-secret-key") }},
		"no address":       {quirks: simulator.Quirks{Enable: simulator.EnableFalseBool}},
		"redirect":         {faults: []simulator.Fault{{Redirect: "https://elsewhere.example/?token=in-the-location"}}},
		"garbage":          {faults: []simulator.Fault{{Endpoint: simulator.EndpointCenter, HTML: true, Status: 200}}},
		"business errors":  {faults: []simulator.Fault{{Endpoint: simulator.EndpointList, Code: "10001"}, {Endpoint: simulator.EndpointDetail, Code: "10009", Status: 500}}},
		"expired token":    {static: time.Hour},
		"dead token":       {static: 30 * time.Hour},
		"failing renewal":  {static: time.Hour, faults: []simulator.Fault{{Endpoint: simulator.EndpointRenew, Code: "10001"}}},
		"malformed answer": {faults: []simulator.Fault{{Endpoint: simulator.EndpointDetail, Truncate: true}, {Endpoint: simulator.EndpointToken, Truncate: true, Times: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			logger := zerolog.New(&log).Level(zerolog.TraceLevel)
			ctx := logger.WithContext(t.Context())
			wire := &fakecloudtest.Spy{}
			sim := start(t, simulator.Options{Quirks: c.quirks})
			changes := []change{func(cfg *scnet.Config) { cfg.Transport = wire }}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			if c.static != 0 {
				changes = append(changes, withToken(sim, sim.TokenExpiring(kunshan, time.Now().Add(-c.static))))
			}
			client := newClient(t, sim, changes...)
			for _, fault := range c.faults {
				sim.Inject(fault)
			}
			shown := fmt.Sprintf("%+v %#v", client, client)
			show := func(err error) {
				if err == nil {
					return
				}
				logger.Error().Err(err).Interface("error", err).Msg("call")
				shown += fmt.Sprintf("%v %+v %#v\n", err, err, err)
			}
			for range 2 {
				r, err := client.Region(ctx, "")
				show(err)
				if err != nil {
					continue
				}
				for _, op := range operations {
					show(op.run(ctx, r))
				}
				shown += fmt.Sprintf("%+v %#v", r, r)
			}
			show(client.MeasureClock(ctx))
			for _, secret := range append(secrets(wire), account.AccessKey, account.SecretKey, "another-secret-key", "script-secret", "port-secret", "in-the-location") {
				if strings.Contains(shown, secret) {
					t.Errorf("%.20s… shows", secret)
				}
				if strings.Contains(log.String(), secret) {
					t.Errorf("%.20s… is in the log", secret)
				}
			}
			if len(secrets(wire)) == 0 && name != "dead token" {
				t.Error("no credential was sent at all")
			}
			if name == "retries" && !strings.Contains(log.String(), "tried again") {
				t.Errorf("the log tells nothing: %s", log.String())
			}
		})
	}
}

// What the service sends as an id or a name reaches results and the audit log.
func TestAnswerThatRepeatsTheToken(t *testing.T) {
	t.Parallel()
	region := canned(t, 200, `{"code":"0","data":[{"id":"region-token","instanceServiceName":"job of region-token","status":"Running"}],"total":1}`)
	page, err := region.List(t.Context(), scnet.ListOptions{Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	if in := page.Rows[0]; in.ID != "[secret]" || in.Name != "job of [secret]" {
		t.Errorf("%+v", in)
	}
}
