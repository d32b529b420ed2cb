package workspace_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

func TestNothingShowsASecret(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  simulator.Fault
		change change
	}{
		"success":     {},
		"throttled":   {fault: simulator.Fault{Code: "APIGW.0308"}},
		"unavailable": {fault: simulator.Fault{Status: 503}},
		"resets":      {fault: simulator.Fault{Reset: true}},
		"truncated":   {fault: simulator.Fault{Truncate: true}},
		"garbage":     {fault: simulator.Fault{HTML: true, Status: 200}},
		"redirect":    {fault: simulator.Fault{Redirect: "https://elsewhere.example/?token=in-the-location"}},
		"refused":     {change: func(c *workspace.Config) { c.SecretKey = workspace.NewSecret("another-secret-key") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			logger := zerolog.New(&log).Level(zerolog.TraceLevel)
			ctx := logger.WithContext(t.Context())
			wire := &fakecloudtest.Spy{}
			sim := start(t, simulator.Options{})
			changes := []change{discovers(sim), temporary, spied(wire)}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			client := newClient(t, sim, changes...)
			if c.fault != (simulator.Fault{}) {
				sim.Inject(c.fault)
			}
			shown := fmt.Sprintf("%+v %#v", client, client)
			for i, op := range operations[5:10] {
				if i == 1 { // the look-up of the project has failed; now the calls themselves shall
					sim.ClearFaults()
					if name != "refused" {
						finished(t, client)
					}
					if c.fault != (simulator.Fault{}) {
						sim.Inject(c.fault)
					}
				}
				err := op.run(ctx, client, "t", "r")
				var e *workspace.Error
				if errors.As(err, &e) {
					logger.Error().Err(err).Interface("error", err).Msg("call")
					shown += fmt.Sprintf("%v %+v %#v %s\n", err, err, err, e.Hint.English)
				}
			}
			key := simulator.DemoAccount().Keys[1]
			secrets := []string{key.AccessKey, key.SecretKey, key.SecurityToken, "another-secret-key", "in-the-location"}
			for _, r := range wire.Requests() {
				_, signature, found := strings.Cut(r.Header.Get("Authorization"), "Signature=")
				if !found || r.Header.Get("X-Security-Token") != key.SecurityToken || !strings.Contains(r.Header.Get("Authorization"), "x-security-token") {
					t.Errorf("sent %v", r.Header)
				}
				secrets = append(secrets, signature)
			}
			for _, secret := range secrets {
				if strings.Contains(shown, secret) || strings.Contains(log.String(), secret) {
					t.Errorf("%.12s… shows", secret)
				}
			}
			if (name == "unavailable") && !strings.Contains(log.String(), "tried again") {
				t.Errorf("the log tells nothing: %s", log.String())
			}
		})
	}
}

func TestMessageThatRepeatsACredential(t *testing.T) {
	t.Parallel()
	client := scripted(t, func(r *http.Request) (*http.Response, error) {
		_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		resp := fakecloudtest.Answer(401, `{"error_code":"the-access-key","error_msg":"`+signature+` of the-access-key, the-secret-key, the-security-token","request_id":"the-secret-key"}`)
		return resp, nil
	})
	_, err := client.Execute(t.Context(), example)
	e := asError(t, err)
	if e.Code != "[secret]" || e.Message != "[secret] of [secret], [secret], [secret]" || e.RequestID != "[secret]" {
		t.Errorf("%+v", e)
	}
}

// What the service sends as an id or a name reaches results and the audit log.
func TestAnswerThatRepeatsACredential(t *testing.T) {
	t.Parallel()
	client := scripted(t, func(*http.Request) (*http.Response, error) {
		return fakecloudtest.Answer(200, `{"desktops":[{"desktop_id":"the-secret-key","computer_name":"pc of the-access-key","status":"the-security-token"}]}`), nil
	})
	page, err := client.Desktops(t.Context(), workspace.DesktopFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if d := page.Rows[0]; d.ID != "[secret]" || d.ComputerName != "pc of [secret]" || d.Status != "[secret]" {
		t.Errorf("%+v", d)
	}
}
