package scnet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestHalfCredentials(t *testing.T) {
	const user, key, secret, token, address = 1, 2, 4, 8, 16
	complete := map[int]bool{user | key | secret: true, token | address: true}
	for mask := range 32 {
		cfg := scnet.Config{}
		for bit, set := range map[int]func(){
			user:    func() { cfg.User = "demo" },
			key:     func() { cfg.AccessKey = scnet.NewSecret("access-key-text") },
			secret:  func() { cfg.SecretKey = scnet.NewSecret("secret-key-text") },
			token:   func() { cfg.Token = scnet.NewSecret("region-token-text") },
			address: func() { cfg.AIURL = "https://region.example/ai" },
		} {
			if mask&bit != 0 {
				set()
			}
		}
		client, err := scnet.New(cfg)
		if complete[mask] {
			if err != nil {
				t.Errorf("%05b: %v", mask, err)
			} else if client.SingleRegion() != (mask&token != 0) {
				t.Errorf("%05b: SingleRegion = %v", mask, client.SingleRegion())
			}
			continue
		}
		if !errors.Is(err, scnet.ErrConfig) {
			t.Errorf("%05b: err = %v, want ErrConfig", mask, err)
			continue
		}
		for _, s := range []string{"access-key-text", "secret-key-text", "region-token-text"} {
			if strings.Contains(err.Error(), s) {
				t.Errorf("%05b: the error shows a credential: %v", mask, err)
			}
		}
		want := "half a credential"
		switch {
		case mask == 0:
			want = "no credential"
		case mask&(user|key|secret) != 0 && mask&(token|address) != 0:
			want = "both set"
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%05b: %v, want %q", mask, err, want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	keys := func(change func(*scnet.Config)) scnet.Config {
		cfg := scnet.Config{User: "demo", AccessKey: scnet.NewSecret("k"), SecretKey: scnet.NewSecret("s")}
		change(&cfg)
		return cfg
	}
	for name, c := range map[string]struct {
		cfg  scnet.Config
		want string // "" for none
	}{
		"non-ASCII user":         {keys(func(c *scnet.Config) { c.User = "用户" }), ""},
		"loopback http":          {keys(func(c *scnet.Config) { c.LoginURL = "http://127.0.0.1:8080/" }), ""},
		"line break in user":     {keys(func(c *scnet.Config) { c.User = "demo\nx" }), "line break"},
		"line break after key":   {keys(func(c *scnet.Config) { c.AccessKey = scnet.NewSecret("k\n") }), "line break"},
		"line break after sk":    {keys(func(c *scnet.Config) { c.SecretKey = scnet.NewSecret("s\r\n") }), "line break"},
		"space before the user":  {keys(func(c *scnet.Config) { c.User = " demo" }), "spaces"},
		"plain http":             {keys(func(c *scnet.Config) { c.LoginURL = "http://api.scnet.cn" }), "login address"},
		"platform without host":  {keys(func(c *scnet.Config) { c.PlatformURL = "www.scnet.cn" }), "platform address"},
		"query":                  {keys(func(c *scnet.Config) { c.PlatformURL = "https://www.scnet.cn/?token=x" }), "query"},
		"user in the address":    {keys(func(c *scnet.Config) { c.LoginURL = "https://u:hunter2@api.scnet.cn" }), "user name"},
		"region address is http": {scnet.Config{Token: scnet.NewSecret("t"), AIURL: "http://region.example/ai"}, "region address"},
		"platform token":         {scnet.Config{Token: scnet.NewSecret(sim.Token("0")), AIURL: "https://region.example/ai"}, "platform"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scnet.New(c.cfg)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.Is(err, scnet.ErrConfig) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("err = %v, want ErrConfig with %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("a password shows: %v", err)
			}
		})
	}
}

func TestConfigDoesNotPrintItself(t *testing.T) {
	cfg := scnet.Config{User: "demo", AccessKey: scnet.NewSecret("print-me-not"), SecretKey: scnet.NewSecret("print-me-not"), LoginURL: "https://a.example"}
	client, err := scnet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %+v", cfg, cfg, cfg, client); strings.Contains(text, "print-me-not") {
		t.Errorf("a key shows in %s", text)
	}
}

func TestTokenOfAnotherRegionThanConfigured(t *testing.T) {
	sim := start(t, simulator.Options{Regions: []simulator.Region{{ID: kunshan, Name: "昆山"}}})
	for region, ok := range map[string]bool{"": true, kunshan: true, "昆山": true, "99999": false} {
		_, err := scnet.New(scnet.Config{Token: scnet.NewSecret(sim.Token(kunshan)), AIURL: sim.RegionURL(kunshan), Region: region})
		if (err == nil) != ok || (err != nil && !strings.Contains(err.Error(), "99999")) {
			t.Errorf("region %q: %v", region, err)
		}
	}
}
