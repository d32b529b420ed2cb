package redis

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]struct {
		address, user string
		database      int
		encrypted     bool
	}{
		"redis://127.0.0.1":                {"127.0.0.1:6379", "", 0, false},
		"redis://redis.internal:6380/":     {"redis.internal:6380", "", 0, false},
		"rediss://mcp@redis.internal/7":    {"redis.internal:6379", "mcp", 7, true},
		"redis://[::1]:6381/15":            {"[::1]:6381", "", 15, false},
		"REDISS://redis.internal:6380/007": {"redis.internal:6380", "", 7, true},
	} {
		o, err := parseURL(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if o.hostPort != want.address || o.user != want.user || o.database != want.database || (o.tls != nil) != want.encrypted {
			t.Errorf("%s: %+v", text, o)
		}
		if want.encrypted && (o.tls.ServerName != "redis.internal" || o.tls.InsecureSkipVerify) {
			t.Errorf("%s: %+v", text, o.tls)
		}
	}
	for text, want := range map[string]string{
		"":                                "does not name a Redis server",
		"127.0.0.1:6379":                  "cannot be read",
		"http://127.0.0.1":                "does not name a Redis server",
		"unix:///run/redis.sock":          "does not name a Redis server",
		"redis://":                        "does not name a Redis server",
		"redis://:6379":                   "does not name a Redis server",
		"redis:///3":                      "does not name a Redis server",
		"redis://h:port":                  "cannot be read",
		"redis://h/x":                     "is not a number",
		"redis://h/-1":                    "is not a number",
		"redis://h/1/2":                   "is not a number",
		"redis://h/99999":                 "is not a number",
		"redis://h?protocol=3":            "has a query or a fragment",
		"rediss://h?skip_verify=true":     "has a query or a fragment",
		"redis://h#x":                     "has a query or a fragment",
		"redis://u:hunter2@h":             "SCNET_MCP_STATE_PASSWORD_FILE",
		"redis://:hunter2@h":              "SCNET_MCP_STATE_PASSWORD ",
		"redis://:@h":                     "SCNET_MCP_STATE_PASSWORD",
		"redis://u:hunter2@h:port":        "cannot be read",
		"redis://u:hunter2%zz@h":          "cannot be read",
		"redis://h/hunter2":               "is not a number",
		"http://u:hunter2@h":              "SCNET_MCP_STATE_PASSWORD",
		"redis://u:hunter2@h/x?hunter2=1": "SCNET_MCP_STATE_PASSWORD",
	} {
		if _, err := parseURL(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"redis://h", "rediss://u@h:1/2", "redis://u:p@h", "redis://[::1]", "redis://h/%31"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseURL(text)
		if (o == address{}) != (err != nil) {
			t.Fatalf("%v, %v", o, err)
		}
		if _, err := parseURL("redis://u:hunter2@" + text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("with a password: %v", err)
		}
		if err != nil {
			return
		}
		if o.hostPort == "" || o.database < 0 ||
			strings.HasPrefix(strings.ToLower(text), "rediss") != (o.tls != nil) {
			t.Errorf("%+v", o)
		}
	})
}
